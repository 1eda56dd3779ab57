"""The Prompt Bank: entries of prompt tokens, found by a query's prototype.

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
    """The papers' bank has 16 entries of 4 tokens and prototypes of 768 numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: int = Field(16, ge=1, le=4096)
    prompts: int = Field(4, ge=1, le=64)
    width: int = Field(128, ge=2, le=4096)
    temperature: float = Field(0.1, gt=0)
    top_k: int | None = Field(None, ge=1)


class PromptBank(nn.Module):
    """Keys in prototype space, and prompts for the image tower and for the text tower.

    Uni-Retrieval (arXiv 2502.05863), section 4.2: keys N(0, 1) normalised, prompts N(0, 0.02).
    `usage_N` sums the weights that each entry was given since it was last cleared.
    """

    def __init__(self, config: BankConfig, image_width: int, text_width: int) -> None:
        super().__init__()
        self.config = config
        n, p = config.entries, config.prompts
        self.keys_ND = nn.Parameter(F.normalize(torch.randn(n, config.width), dim=1))
        self.image_NPW = nn.Parameter(0.02 * torch.randn(n, p, image_width))
        self.text_NPW = nn.Parameter(0.02 * torch.randn(n, p, text_width))
        self.usage_N: Tensor
        self.register_buffer("usage_N", torch.zeros(n), persistent=False)

    def for_image(self, prototype_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Prompts (B, P, W) and the weights (B, N) of the entries that they are mixed from."""
        return self._mixed(prototype_BD, self.image_NPW)

    def for_text(self, prototype_BD: Tensor) -> tuple[Tensor, Tensor]:
        return self._mixed(prototype_BD, self.text_NPW)

    def _mixed(self, prototype_BD: Tensor, prompts_NPW: Tensor) -> tuple[Tensor, Tensor]:
        c = self.config
        top_k = None if c.top_k is None else min(c.top_k, c.entries)
        mixed = mix_prompts(prototype_BD, self.keys_ND, prompts_NPW, c.temperature, top_k)
        with torch.no_grad():
            self.usage_N += mixed[1].sum(0)
        return mixed
