"""The Prompt Bank: entries of prompt tokens, mixed by their similarity to a query's prototype.

B batch, N entries, P prompts per entry, D prototype width, W tower width.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.routing import mix_prompts

__all__ = ["BankConfig", "PromptBank"]


class BankConfig(BaseModel):
    """Settings of the bank. The papers use 16 entries of 4 prompts, and prototypes of width 768."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: int = Field(16, ge=1, le=4096, description="Entries of the bank.")
    prompts: int = Field(4, ge=1, le=64, description="Prompt tokens of an entry.")
    width: int = Field(128, ge=2, le=4096, description="Width of the entries' keys.")
    temperature: float = Field(
        0.1, gt=0, description="Divisor of the similarities before the softmax."
    )
    top_k: int | None = Field(None, ge=1, description="Entries mixed per query; null mixes all.")


class PromptBank(nn.Module):
    """Keys in prototype space, and prompts for the image tower and for the text tower.

    Uni-Retrieval (arXiv 2502.05863), section 4.2: keys are N(0, 1), normalised; prompts are
    N(0, 0.02).
    """

    def __init__(self, config: BankConfig, image_width: int, text_width: int) -> None:
        super().__init__()
        self.config = config
        n, p = config.entries, config.prompts
        self.keys_ND = nn.Parameter(F.normalize(torch.randn(n, config.width), dim=1))
        self.image_NPW = nn.Parameter(0.02 * torch.randn(n, p, image_width))
        self.text_NPW = nn.Parameter(0.02 * torch.randn(n, p, text_width))

    def mix_image_prompts(self, prototype_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return prompts (B, P, W) for the image tower, and the weights (B, N) of the entries."""
        return self._mix(prototype_BD, self.image_NPW)

    def mix_text_prompts(self, prototype_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return prompts (B, P, W) for the text tower, and the weights (B, N) of the entries."""
        return self._mix(prototype_BD, self.text_NPW)

    def _mix(self, prototype_BD: Tensor, prompts_NPW: Tensor) -> tuple[Tensor, Tensor]:
        c = self.config
        top_k = None if c.top_k is None else min(c.top_k, c.entries)
        return mix_prompts(prototype_BD, self.keys_ND, prompts_NPW, c.temperature, top_k)
