"""The towers of any OpenCLIP ViT, with prompts. No other file imports `open_clip`.

B batch, T tokens (patches or words), P prompts, W tower width, D width of the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from data.errors import BadInput
from retrieval.efficientnet import EfficientNetLite0
from retrieval.encoder import TextRetriever
from retrieval.tower import BlockWrapper, TowerInputs, TransformerBlock, run_blocks

__all__ = ["OpenClipTower"]


class OpenClipTower(nn.Module):
    """Turns pictures and texts into vectors (B, D), not normalised.

    Without prompts they equal OpenCLIP's vectors. `folder` holds open_clip_config.json and the
    weights. `prepare_images` needs the CNN and `prepare_texts` the text retriever; both are frozen
    and not part of the weights. OpenCLIP's patch dropout, which is for training, is left out.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        cnn: EfficientNetLite0 | None,
        sentences: TextRetriever | None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        model, self._preprocess, self._tokenizer = _load(folder, device)
        if problem := _incompatibility(model):
            raise BadInput(
                f"{name}: {problem}; expected a plain ViT with a causal text transformer, such "
                "as ViT-B-32 or ViT-L-14; choose such an OpenCLIP model"
            )
        visual = model.visual
        self.name, self._cnn, self._sentences = name, cnn, sentences
        self.wrap_block: BlockWrapper | None = None
        self.patch: nn.Module = visual.conv1
        self.cls_W: Tensor = visual.class_embedding
        self.place_TW: Tensor = visual.positional_embedding
        self.image_in: nn.Module = visual.ln_pre
        self.vision = nn.ModuleList(_convert_block(block) for block in visual.transformer.resblocks)
        self.image_norm: nn.Module = visual.ln_post
        self.image_out_WD: Tensor = visual.proj
        self._average, self._norm_last = visual.pool_type == "avg", visual.final_ln_after_pool
        self.word: nn.Module = model.token_embedding
        self.text_place_TW: Tensor = model.positional_embedding
        self.language = nn.ModuleList(
            _convert_block(block) for block in model.transformer.resblocks
        )
        self.text_norm: nn.Module = model.ln_final
        self.text_out_WD: Tensor = model.text_projection
        self._eot = model.text_eos_id if model.text_pool_type == "eos" else None
        self.image_width, self.width = self.image_out_WD.shape
        self.text_width = self.text_out_WD.shape[0]
        self.eval().to(device, dtype)

    @property
    def image_blocks(self) -> Sequence[TransformerBlock]:
        return list(self.vision)  # type: ignore[arg-type]

    @property
    def text_blocks(self) -> Sequence[TransformerBlock]:
        return list(self.language)  # type: ignore[arg-type]

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Preprocess pictures for the model: (B, 3, H, W), in the tower's device and dtype."""
        return torch.stack([self._preprocess(image) for image in images]).to(self.cls_W)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Tokenise texts: (B, T) int64, padded to the model's context length."""
        return self._tokenizer(list(texts)).to(self.cls_W.device)

    def prepare_images(self, images: Sequence[Image.Image]) -> TowerInputs:
        assert self._cnn is not None, "Gram features come from the CNN"
        gram_BG = self._cnn.extract(self._cnn.preprocess(images)).gram_BG
        return TowerInputs(self.pixels(images), gram_BG.to(self.cls_W.device))

    def prepare_texts(self, texts: Sequence[str]) -> TowerInputs:
        assert self._sentences is not None, "sentence vectors come from the text retriever"
        sentence_BS = torch.from_numpy(self._sentences.encode_passages(texts))
        return TowerInputs(self.tokens(texts), sentence_BS.to(self.cls_W.device))

    def forward_image(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """Return image vectors for `pixels`. Prompts get no position; they come after [CLS]."""
        patches_BTW = self.patch(inputs).flatten(2).transpose(1, 2)
        cls_B1W = self.cls_W.to(patches_BTW.dtype).expand(len(inputs), 1, -1)
        x_BTW = torch.cat((cls_B1W, patches_BTW), dim=1) + self.place_TW.to(patches_BTW.dtype)
        x_BTW, prompts = _insert_prompts(self.image_in(x_BTW), prompts_BPW, 1)
        x_BTW = run_blocks(self.image_blocks, x_BTW, 1, prompts, wrap_block=self.wrap_block)
        pooled_BTW = x_BTW[:, 1 + prompts :] if self._average else x_BTW[:, :1]
        if self._norm_last:
            return self.image_norm(pooled_BTW.mean(1)) @ self.image_out_WD
        return self.image_norm(pooled_BTW).mean(1) @ self.image_out_WD

    def forward_text(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """Return text vectors for `tokens`. Prompts get no position; they come before words."""
        # In CLIP's vocabulary the end-of-text token has the highest id.
        end_B = (inputs if self._eot is None else (inputs == self._eot).int()).argmax(1)
        # Attention is causal, so the padding after the longest text can be cut off.
        words_BT = inputs[:, : int(end_B.max()) + 1]
        x_BTW = self.word(words_BT) + self.text_place_TW[: words_BT.shape[1]]
        x_BTW, prompts = _insert_prompts(x_BTW, prompts_BPW, 0)
        x_BTW = run_blocks(
            self.text_blocks, x_BTW, 0, prompts, causal=True, wrap_block=self.wrap_block
        )
        x_BW = x_BTW[torch.arange(len(end_B), device=end_B.device), prompts + end_B]
        return self.text_norm(x_BW) @ self.text_out_WD


def _load(folder: Path, device: str) -> tuple[Any, Any, Any]:
    """Load the model in fp32, with its preprocessing of one picture and its tokeniser."""
    if not (folder / "open_clip_config.json").is_file():
        raise BadInput(
            f"{folder}: not an OpenCLIP model; expected open_clip_config.json and "
            "open_clip_model.safetensors"
        )
    location = f"local-dir:{folder.resolve()}"
    try:
        model, preprocess = open_clip.create_model_from_pretrained(
            location, device=device, precision="fp32", return_transform=True
        )
        return model, preprocess, open_clip.get_tokenizer(location)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BadInput(f"{folder}: the OpenCLIP model cannot be loaded ({error})") from None


def _incompatibility(model: Any) -> str | None:
    """Say why `OpenClipTower` cannot run the model, for the error message; None if it can."""
    if type(model) is not open_clip.CLIP:
        return f"it is a {type(model).__name__}"
    visual = model.visual
    if type(visual) is not VisionTransformer:
        return f"its image tower is a {type(visual).__name__}"
    if visual.attn_pool is not None or visual.pool_type not in ("tok", "avg"):
        return "its image tower pools with attention or not at all"
    if model.attn_mask is None or model.text_pool_type not in ("argmax", "eos"):
        return "its text tower is not causal or does not use the vector of the last word"
    if not isinstance(model.text_projection, nn.Parameter):
        return "its text tower has no projection, or one with a bias"
    for block in (*visual.transformer.resblocks, *model.transformer.resblocks):
        if type(block) is not ResidualAttentionBlock:
            return f"its towers have blocks of type {type(block).__name__}"
    return None


@torch.no_grad()
def _convert_block(clip_block: Any) -> TransformerBlock:
    """Build our block from the weights of an OpenCLIP block, which are moved and not copied.

    Layer scales, which some models apply to a block's residuals, are folded into the layers before
    them.
    """
    attention, mlp = clip_block.attn, clip_block.mlp
    with torch.device("meta"):
        block = TransformerBlock(attention.embed_dim, attention.num_heads, mlp.c_fc.out_features)
    prompted = block.attention
    block.norm_1, block.norm_2 = clip_block.ln_1, clip_block.ln_2
    prompted.qkv.weight, prompted.qkv.bias = attention.in_proj_weight, attention.in_proj_bias
    prompted.out, prompted.gate_H = attention.out_proj, nn.Parameter(torch.zeros(prompted.heads))
    block.expand, block.act, block.contract = mlp.c_fc, mlp.gelu, mlp.c_proj
    for layer, scale in ((attention.out_proj, clip_block.ls_1), (mlp.c_proj, clip_block.ls_2)):
        if not isinstance(scale, nn.Identity):
            layer.weight.mul_(scale.gamma[:, None])
            layer.bias.mul_(scale.gamma)
    return block


def _insert_prompts(x_BTW: Tensor, prompts_BPW: Tensor | None, index: int) -> tuple[Tensor, int]:
    """Insert the prompts before token `index`; return the tokens and the number of prompts."""
    if prompts_BPW is None:
        return x_BTW, 0
    tokens = (x_BTW[:, :index], prompts_BPW.to(x_BTW.dtype), x_BTW[:, index:])
    return torch.cat(tokens, dim=1), prompts_BPW.shape[1]
