"""The towers of any OpenCLIP ViT, with room for prompts. Nothing else imports `open_clip`.

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
    """Pictures and texts to (B, D) vectors, not normalised: without prompts, OpenCLIP's own.

    `folder` holds open_clip_config.json and the weights. The CNN and the text retriever, frozen and
    no part of the weights, are for the features of `look` and `read`; `pixels` and `tokens` do
    without. Patch dropout, of OpenCLIP's training, is left out.
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
        if unknown := _unknown(model):
            raise BadInput(
                f"{name}: {unknown}; expected a plain ViT beside a causal text transformer, as "
                "ViT-B-32 or ViT-L-14 are; choose such an OpenCLIP model"
            )
        visual = model.visual
        self.name, self._cnn, self._sentences = name, cnn, sentences
        self.around: BlockWrapper | None = None
        self.patch: nn.Module = visual.conv1
        self.cls_W: Tensor = visual.class_embedding
        self.place_TW: Tensor = visual.positional_embedding
        self.image_in: nn.Module = visual.ln_pre
        self.vision = nn.ModuleList(_block(theirs) for theirs in visual.transformer.resblocks)
        self.image_norm: nn.Module = visual.ln_post
        self.image_out_WD: Tensor = visual.proj
        self._average, self._norm_last = visual.pool_type == "avg", visual.final_ln_after_pool
        self.word: nn.Module = model.token_embedding
        self.text_place_TW: Tensor = model.positional_embedding
        self.language = nn.ModuleList(_block(theirs) for theirs in model.transformer.resblocks)
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
        """(B, 3, H, W) of the model's own preprocessing, on the tower's device in its dtype."""
        return torch.stack([self._preprocess(image) for image in images]).to(self.cls_W)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """(B, T) int64, padded to the model's context."""
        return self._tokenizer(list(texts)).to(self.cls_W.device)

    def prepare_images(self, images: Sequence[Image.Image]) -> TowerInputs:
        assert self._cnn is not None, "Gram features come from the CNN"
        gram_BG = self._cnn.extract(self._cnn.preprocess(images)).gram_BG
        return TowerInputs(self.pixels(images), gram_BG.to(self.cls_W.device))

    def prepare_texts(self, texts: Sequence[str]) -> TowerInputs:
        assert self._sentences is not None, "sentence vectors come from the text retriever"
        words_BS = torch.from_numpy(self._sentences.encode_passages(texts))
        return TowerInputs(self.tokens(texts), words_BS.to(self.cls_W.device))

    def forward_image(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """`inputs` as `pixels` gives them; prompts come without a place, behind [CLS]."""
        patches_BTW = self.patch(inputs).flatten(2).transpose(1, 2)
        cls_B1W = self.cls_W.to(patches_BTW.dtype).expand(len(inputs), 1, -1)
        x_BTW = torch.cat((cls_B1W, patches_BTW), dim=1) + self.place_TW.to(patches_BTW.dtype)
        x_BTW, prompts = _inserted(self.image_in(x_BTW), prompts_BPW, 1)
        x_BTW = run_blocks(self.image_blocks, x_BTW, 1, prompts, around=self.around)
        kept_BTW = x_BTW[:, 1 + prompts :] if self._average else x_BTW[:, :1]
        if self._norm_last:
            return self.image_norm(kept_BTW.mean(1)) @ self.image_out_WD
        return self.image_norm(kept_BTW).mean(1) @ self.image_out_WD

    def forward_text(self, inputs: Tensor, prompts_BPW: Tensor | None = None) -> Tensor:
        """`inputs` as `tokens` gives them; prompts come without a place, before the words."""
        # In CLIP's vocabulary the end of a text has the highest number.
        end_B = (inputs if self._eot is None else (inputs == self._eot).int()).argmax(1)
        # No word sees those behind it, so the padding behind the longest text is not computed.
        words_BT = inputs[:, : int(end_B.max()) + 1]
        x_BTW = self.word(words_BT) + self.text_place_TW[: words_BT.shape[1]]
        x_BTW, prompts = _inserted(x_BTW, prompts_BPW, 0)
        x_BTW = run_blocks(self.text_blocks, x_BTW, 0, prompts, causal=True, around=self.around)
        x_BW = x_BTW[torch.arange(len(end_B), device=end_B.device), prompts + end_B]
        return self.text_norm(x_BW) @ self.text_out_WD


def _load(folder: Path, device: str) -> tuple[Any, Any, Any]:
    """The model in fp32, its preprocessing of one picture, and its tokenizer."""
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


def _unknown(model: Any) -> str | None:
    """What of the model `OpenClipTower` cannot run_blocks, in words for the user."""
    if type(model) is not open_clip.CLIP:
        return f"it is a {type(model).__name__}"
    visual = model.visual
    if type(visual) is not VisionTransformer:
        return f"its image tower is a {type(visual).__name__}"
    if visual.attn_pool is not None or visual.pool_type not in ("tok", "avg"):
        return "its image tower pools with attention or not at all"
    if model.attn_mask is None or model.text_pool_type not in ("argmax", "eos"):
        return "its text tower is not causal or does not end in the vector of the last word"
    if not isinstance(model.text_projection, nn.Parameter):
        return "its text tower has no projection, or one with a bias"
    for block in (*visual.transformer.resblocks, *model.transformer.resblocks):
        if type(block) is not ResidualAttentionBlock:
            return f"its towers have blocks of the kind {type(block).__name__}"
    return None


@torch.no_grad()
def _block(theirs: Any) -> TransformerBlock:
    """Our block with the weights of an OpenCLIP block, which are moved and not copied.

    The scales that some models put on what a block adds go into the layers before them.
    """
    attention, mlp = theirs.attn, theirs.mlp
    with torch.device("meta"):
        block = TransformerBlock(attention.embed_dim, attention.num_heads, mlp.c_fc.out_features)
    ours = block.attention
    block.norm_1, block.norm_2 = theirs.ln_1, theirs.ln_2
    ours.qkv.weight, ours.qkv.bias = attention.in_proj_weight, attention.in_proj_bias
    ours.out, ours.gate_H = attention.out_proj, nn.Parameter(torch.zeros(ours.heads))
    block.expand, block.act, block.contract = mlp.c_fc, mlp.gelu, mlp.c_proj
    for layer, scale in ((attention.out_proj, theirs.ls_1), (mlp.c_proj, theirs.ls_2)):
        if not isinstance(scale, nn.Identity):
            layer.weight.mul_(scale.gamma[:, None])
            layer.bias.mul_(scale.gamma)
    return block


def _inserted(x_BTW: Tensor, prompts_BPW: Tensor | None, at: int) -> tuple[Tensor, int]:
    """The tokens with the prompts in front of token `at`, and how many prompts there are."""
    if prompts_BPW is None:
        return x_BTW, 0
    parts = (x_BTW[:, :at], prompts_BPW.to(x_BTW.dtype), x_BTW[:, at:])
    return torch.cat(parts, dim=1), prompts_BPW.shape[1]
