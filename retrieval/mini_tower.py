"""The `mini` towers: a small ViT over the patches of a frozen CNN, and one over MiniLM's vectors.

B batch, T tokens, C channels of a patch, N patches of a sample, P prompts, W tower width,
S sentence width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from retrieval.efficientnet import PATCHES, TAPS, EfficientNetLite0
from retrieval.encoder import TextRetriever
from retrieval.tower import BlockWrapper, TowerInputs, TransformerBlock, run_blocks

__all__ = ["MiniConfig", "MiniTower"]


class MiniConfig(BaseModel):
    """Sizes of the mini towers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(384, ge=8, description="Width of both towers' tokens.")
    depth: int = Field(4, ge=1, le=12, description="Blocks of the image tower.")
    heads: int = Field(6, ge=1, description="Attention heads of a block.")
    hidden: int = Field(768, ge=8, description="Hidden width of the image blocks' MLP.")
    detail: int = Field(12, ge=1, description="Numbers per patch that go into the image vector.")
    text_depth: int = Field(1, ge=1, le=12, description="Blocks of the text tower.")
    text_hidden: int = Field(768, ge=8, description="Hidden width of the text blocks' MLP.")
    sentence: int = Field(384, ge=8, description="Width of the text retriever's vectors.")
    out: int = Field(384, ge=8, description="Width of the towers' vectors.")

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"width={self.width}, heads={self.heads}: every head takes an equal part of the "
                "width; make width a multiple of heads"
            )
        return self


class MiniTower(nn.Module):
    """Turns pictures and sentences into vectors (B, `out`), not normalised.

    The CNN and the sentence model are frozen and not part of the weights. The image vector combines
    [CLS], the mean of the patches, and a few numbers of each patch in a fixed order. These numbers
    keep the positions: two graphs often differ only in where a line runs.
    """

    def __init__(
        self, config: MiniConfig, cnn: EfficientNetLite0 | None, sentences: TextRetriever | None
    ) -> None:
        super().__init__()
        self.config, self._cnn, self._sentences = config, cnn, sentences
        self.width, self.image_width, self.text_width = config.out, config.width, config.width
        self.name = "mini"
        self.wrap_block: BlockWrapper | None = None
        self.patch_dropout = 0.0  # share of patches left out while training
        w, channels = config.width, sum(TAPS)
        self.mean_C: Tensor
        self.deviation_C: Tensor
        # `fit` measures the scale of the CNN's channels once.
        self.register_buffer("mean_C", torch.zeros(channels))
        self.register_buffer("deviation_C", torch.ones(channels))
        self.patch = nn.Linear(channels, w)
        self.place_TW = nn.Parameter(0.02 * torch.randn(PATCHES, w))
        self.cls_W = nn.Parameter(0.02 * torch.randn(w))
        self.vision = nn.ModuleList(
            TransformerBlock(w, config.heads, config.hidden) for _ in range(config.depth)
        )
        self.image_norm = nn.LayerNorm(w)
        self.detail = nn.Linear(2 * w, config.detail)
        self.image_out = nn.Linear(2 * w + PATCHES * config.detail, config.out, bias=False)
        self.word = nn.Linear(config.sentence, w)
        self.text_cls_W = nn.Parameter(0.02 * torch.randn(w))
        self.language = nn.ModuleList(
            TransformerBlock(w, config.heads, config.text_hidden) for _ in range(config.text_depth)
        )
        self.text_norm = nn.LayerNorm(w)
        self.text_out = nn.Linear(2 * w, config.out, bias=False)

    @property
    def image_blocks(self) -> Sequence[TransformerBlock]:
        return list(self.vision)  # type: ignore[arg-type]

    @property
    def text_blocks(self) -> Sequence[TransformerBlock]:
        return list(self.language)  # type: ignore[arg-type]

    @torch.no_grad()
    def fit(self, patches_BTC: Tensor) -> None:
        """Measure each channel's mean and deviation on a sample of patches (B, 49, C)."""
        x_NC = patches_BTC.float().flatten(0, 1)
        self.mean_C.copy_(x_NC.mean(0))
        self.deviation_C.copy_(x_NC.std(0).clamp_min(1e-3))

    def prepare_images(self, images: Sequence[Image.Image]) -> TowerInputs:
        assert self._cnn is not None
        return TowerInputs(*self._cnn.extract(self._cnn.preprocess(images)))

    def prepare_texts(self, texts: Sequence[str]) -> TowerInputs:
        assert self._sentences is not None
        sentence_BS = torch.from_numpy(self._sentences.encode_passages(texts)).to(self.cls_W.device)
        return TowerInputs(sentence_BS, sentence_BS)

    def forward_image(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """Return image vectors for the patches (B, 49, C) of `EfficientNetLite0.extract`."""
        patches_BTW = self.patch((inputs - self.mean_C) / self.deviation_C) + self.place_TW
        kept_T = self._kept_patches(patches_BTW)
        x_BTW, prompts = _insert_prompts(self.cls_W, prompts_BPW, patches_BTW[:, kept_T])
        x_BTW = run_blocks(self.image_blocks, x_BTW, 1, prompts, wrap_block=self.wrap_block)
        x_BTW = self.image_norm(x_BTW)
        cls_BW, kept_BTW = x_BTW[:, 0], x_BTW[:, 1 + prompts :]
        encoded_BTW = torch.zeros_like(patches_BTW).index_copy(1, kept_T, kept_BTW)
        detail = self.detail(torch.cat((patches_BTW, encoded_BTW), dim=2)).flatten(1)
        return self.image_out(torch.cat((cls_BW, kept_BTW.mean(1), detail), dim=1))

    def _kept_patches(self, patches_BTW: Tensor) -> Tensor:
        """Return the indices of the patches that go through the blocks.

        While training, a random share `patch_dropout` is left out. Training gets cheaper by that
        share, and the tower learns not to rely on any one patch (FLIP, arXiv 2212.00794, section
        3).
        """
        device = patches_BTW.device
        if not self.training or not self.patch_dropout:
            return torch.arange(PATCHES, device=device)
        count = max(1, round(PATCHES * (1 - self.patch_dropout)))
        return torch.randperm(PATCHES, device=device)[:count].sort().values

    def forward_text(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """Return text vectors for the sentence model's unit vectors (B, S)."""
        # Scaled because entries of unit vectors are about S ** -0.5, and layers expect about 1.
        word_B1W = self.word(inputs * inputs.shape[-1] ** 0.5)[:, None]
        x_BTW, prompts = _insert_prompts(self.text_cls_W, prompts_BPW, word_B1W, front=True)
        x_BTW = run_blocks(self.text_blocks, x_BTW, 0, prompts, wrap_block=self.wrap_block)
        return self.text_out(self.text_norm(x_BTW[:, prompts:]).flatten(1))


def _insert_prompts(
    cls_W: Tensor, prompts_BPW: Tensor | None, tokens_BTW: Tensor, front: bool = False
) -> tuple[Tensor, int]:
    """Return [CLS], prompts, tokens (or prompts, [CLS], tokens) and the number of prompts."""
    cls_B1W = cls_W.to(tokens_BTW.dtype).expand(len(tokens_BTW), 1, -1)
    if prompts_BPW is None:
        return torch.cat((cls_B1W, tokens_BTW), dim=1), 0
    prompts_BPW = prompts_BPW.to(tokens_BTW.dtype)
    head = (prompts_BPW, cls_B1W) if front else (cls_B1W, prompts_BPW)
    return torch.cat((*head, tokens_BTW), dim=1), prompts_BPW.shape[1]
