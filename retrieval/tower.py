"""The interface of a pair of towers: one for images, one for texts, with vectors in one space.

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

# Calls a block on its input, for example with activation checkpointing.
BlockWrapper = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


class TowerInputs(NamedTuple):
    """A batch of pictures or texts, prepared for a tower and for the style prototypes."""

    inputs: Tensor  # (B, ...), in the tower's own format
    features_BG: Tensor  # Gram features of the frozen CNN, or vectors of the frozen text retriever

    def to(self, device: torch.device | str) -> TowerInputs:
        """Move both tensors to `device`."""
        return TowerInputs(self.inputs.to(device), self.features_BG.to(device))


class TransformerBlock(nn.Module):
    """A pre-norm transformer block as in ViT and CLIP, with prompts in its attention."""

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
        """Return (B, T, W); the arguments are those of `PromptedAttention.forward`."""
        x_BTW = self.attention(
            x_BTW, start, prompts, causal=causal, norm=self.norm_1, residual_BTW=x_BTW
        )
        hidden_BTH = apply_layer(self.expand, x_BTW, self.norm_2)
        return apply_layer(self.contract, hidden_BTH, self.act, x_BTW)


def run_blocks(
    blocks: Sequence[TransformerBlock],
    x_BTW: Tensor,
    start: int,
    prompts: int,
    *,
    causal: bool = False,
    wrap_block: BlockWrapper | None = None,
) -> Tensor:
    """Pass tokens (B, T, W) through all blocks. `wrap_block`, if given, calls each of them."""
    for block in blocks:
        step = partial(block, start=start, prompts=prompts, causal=causal)
        x_BTW = step(x_BTW) if wrap_block is None else wrap_block(step, x_BTW)
    return x_BTW


class Tower(Protocol):
    """Image and text towers of one space. Also an `nn.Module`, whose parameters are its weights.

    Prompts are (B, P, W), or None for the plain tower. They come after [CLS] in the image tower
    and before the words in the text tower. Vectors are (B, width) and not normalised. `wrap_block`
    calls every block, for activation checkpointing.
    """

    name: str
    width: int
    image_width: int
    text_width: int
    wrap_block: BlockWrapper | None

    @property
    def image_blocks(self) -> Sequence[TransformerBlock]:
        """The blocks of the image tower, in the order of the forward pass."""
        ...

    @property
    def text_blocks(self) -> Sequence[TransformerBlock]:
        """The blocks of the text tower, in the order of the forward pass."""
        ...

    def prepare_images(self, images: Sequence[Image.Image]) -> TowerInputs:
        """Return the inputs of the image tower, with Gram features."""
        ...

    def prepare_texts(self, texts: Sequence[str]) -> TowerInputs:
        """Return the inputs of the text tower, with sentence vectors."""
        ...

    def forward_image(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """Return the vectors of `TowerInputs.inputs` from `prepare_images`."""
        ...

    def forward_text(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """Return the vectors of `TowerInputs.inputs` from `prepare_texts`."""
        ...
