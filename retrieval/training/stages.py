"""The two stages of Uni-RAG's training: the LayerNorms first, then the bank and the experts.

arXiv 2507.03868. In the first stage the tower runs without prompts.
"""

from __future__ import annotations

from torch import nn

from retrieval.uni_retrieval import UniRetrieval

__all__ = ["Stages"]


class Stages:
    """Lets the first `norm_steps` steps train LayerNorms alone, and the others everything else.

    With 0 steps, all that requires a gradient is trained from the start.
    """

    def __init__(self, encoder: UniRetrieval, norm_steps: int) -> None:
        self._encoder, self._norm_steps = encoder, norm_steps
        self._norms = {
            parameter
            for module in encoder.modules()
            if isinstance(module, nn.LayerNorm)
            for parameter in module.parameters()
        }

    def start_step(self, step: int) -> None:
        """Switch the prompts off in the first stage, and on in the second."""
        self._encoder.prompting = step >= self._norm_steps

    def before_step(self, step: int) -> None:
        """Drop the gradients of the other stage, so that the optimiser leaves its weights alone."""
        if not self._norm_steps:
            return
        is_norm_stage = step < self._norm_steps
        for parameter in self._encoder.parameters():
            if (parameter in self._norms) != is_norm_stage:
                parameter.grad = None

    def finish(self) -> None:
        """Switch the prompts on."""
        self._encoder.prompting = True
