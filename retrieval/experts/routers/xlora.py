"""Dense gates from hidden states over frozen adapters: X-LoRA (arXiv 2402.07148, scaling head)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, linear_fp32

__all__ = ["XLoRARouter"]


class XLoRARouter(Router):
    """A small network turns each hidden state into a gate for every adapter.

    The adapters are trained before, each on its own, and stay frozen
    (`retrieval/training/adapters.py` puts them in).
    """

    paper = Paper(
        "X-LoRA",
        "2402.07148",
        "dense gating of frozen adapters by hidden states",
        "the gates of a layer come from its own input, not from a first pass through the model",
    )
    needs_adapters = True
    example: ClassVar = {"routed_by": "token", "temperature": 1.0}

    class Options(MethodOptions):
        """What this method alone needs."""

        hidden: int = Field(32, ge=1, description="Hidden width of the gating network.")

    options: Options

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        super().__init__(config, config.options_of("router").hidden, experts)
        self.inner = nn.Parameter(torch.randn(self.options.hidden, width) * width**-0.5)

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.routed_by != "token":
            return "gates come from hidden states; set routed_by: token"
        if config.parameterisation not in ("lora", "shared"):
            return "mixes frozen LoRA adapters; use parameterisation=lora"
        return None

    def probabilities(self, h_XD: Tensor) -> Tensor:
        hidden_XH = nn.functional.gelu(linear_fp32(h_XD, self.inner))
        return self.softmax(linear_fp32(hidden_XH, self.weight))

    def choose(self, probs_XF: Tensor) -> Routing:
        return Routing(probs_XF, probs_XF.new_zeros(()))
