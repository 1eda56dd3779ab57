"""A new modality trains only weights of its own: MoE redundancy (arXiv 2503.22517)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.rules.base import Rule

__all__ = ["RedundancyRule"]


class RedundancyRule(Rule):
    """Only weights that the new modality alone reaches are trained.

    They are the prompts, prompt experts, prototype projection and blocks of its tower. So vectors
    of the old modality stay the same bit by bit. The keys of the bank, which both use, are frozen.
    """

    paper = Paper(
        "MoE redundancy",
        "2503.22517",
        "adapting to a new modality while the old one is preserved",
        "the modalities are pictures and texts, and each has its own experts from the start",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        modality: Literal["text", "image"] = Field("text", description="The new modality.")

    options: Options

    def __init__(self, encoder: nn.Module, options: MethodOptions | None = None, steps: int = 1):
        super().__init__(encoder, options, steps)
        owned = {id(p) for p in self._owned_parameters(encoder)}
        for parameter in encoder.parameters():
            if id(parameter) not in owned:
                parameter.requires_grad_(False)

    def _owned_parameters(self, encoder: Any) -> list[nn.Parameter]:
        is_text = self.options.modality == "text"
        blocks = encoder.tower.text_blocks if is_text else encoder.tower.image_blocks
        projection = encoder.prototypes.sentence if is_text else encoder.prototypes.gram
        modules = [*blocks, projection]
        if self.options.modality in encoder.prompt_experts:
            modules.append(encoder.prompt_experts[self.options.modality])
        owned = [p for module in modules for p in module.parameters()]
        if encoder.bank is not None:
            owned.append(encoder.bank.text_NPW if is_text else encoder.bank.image_NPW)
        return owned
