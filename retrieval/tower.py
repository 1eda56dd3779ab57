"""What the encoder needs of a pair of towers, whoever's they are.

B batch, T tokens, P prompts, W tower width, G Gram features or sentence width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from retrieval.attention import PromptedAttention, apply_layer

__all__ = ["BlockWrapper", "Tower", "TowerInputs", "TransformerBlock", "run_blocks"]

BlockWrapper = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


class TowerInputs(NamedTuple):
    """A batch of pictures or texts as a tower and the style prototype take them."""

    inputs: Tensor  # (B, ...), the tower's own affair
    features_BG: Tensor  # of the frozen CNN (Gram), or of the frozen text retriever

    def to(self, device: torch.device | str) -> TowerInputs:
        return TowerInputs(self.inputs.to(device), self.features_BG.to(device))


class TransformerBlock(nn.Module):
    """A pre-norm transformer block, as ViT's and CLIP's are, with prompts in its attention."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = PromptedAttention(width, heads)
        self.norm_2 = nn.LayerNorm(width)
        self.expand: nn.Module = nn.Linear(width, hidden)
        self.act: nn.Module = nn.GELU()
        self.contract: nn.Module = nn.Linear(hidden, width)

    def forward(
        self, x_BTW: Tensor, start: int = 0, prompts: int = 0, *, causal: bool = False
    ) -> Tensor:
        x_BTW = x_BTW + self.attention(x_BTW, start, prompts, causal=causal, norm=self.norm_1)
        return x_BTW + self.contract(apply_layer(self.expand, x_BTW, self.norm_2, self.act))


def run_blocks(
    blocks: Sequence[TransformerBlock],
    x_BTW: Tensor,
    start: int,
    prompts: int,
    *,
    causal: bool = False,
    around: BlockWrapper | None = None,
) -> Tensor:
    """Tokens (B, T, W) through all blocks, each called as `around(block, x)` if that is given."""
    for block in blocks:
        step = partial(block, start=start, prompts=prompts, causal=causal)
        x_BTW = step(x_BTW) if around is None else around(step, x_BTW)
    return x_BTW


class Tower(Protocol):
    """Image and text towers of one space; also an `nn.Module`, whose parameters are its weights.

    Prompts are (B, P, W), or None for the plain tower: behind [CLS] in the image tower, in front of
    the words in the text tower. Vectors are (B, width) and not normalised. `around` wraps every
    block's call, for activation checkpointing.
    """

    name: str
    width: int
    image_width: int
    text_width: int
    around: BlockWrapper | None

    @property
    def image_blocks(self) -> Sequence[TransformerBlock]: ...

    @property
    def text_blocks(self) -> Sequence[TransformerBlock]: ...

    def prepare_images(self, images: Sequence[Image.Image]) -> TowerInputs: ...

    def prepare_texts(self, texts: Sequence[str]) -> TowerInputs: ...

    def forward_image(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor: ...

    def forward_text(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor: ...
