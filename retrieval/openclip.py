"""Any OpenCLIP model from a folder in the hub's format. Nothing else imports `open_clip`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import open_clip
import torch
from PIL import Image
from safetensors import SafetensorError

from data.errors import BadInput
from retrieval.encoder import Vectors, unit

__all__ = ["OpenClipEncoder"]

_BATCH = 32


class OpenClipEncoder:
    """Image and text towers of one CLIP; `folder` holds open_clip_config.json and the weights."""

    cross_modal = True

    def __init__(
        self, name: str, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        if not (folder / "open_clip_config.json").is_file():
            raise BadInput(
                f"{folder}: not an OpenCLIP model; expected open_clip_config.json and "
                "open_clip_model.safetensors"
            )
        location = f"local-dir:{folder.resolve()}"
        try:
            self._model, self._preprocess = open_clip.create_model_from_pretrained(
                location, device=device, precision="fp32", return_transform=True
            )
            self._tokenizer = open_clip.get_tokenizer(location)
        except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
            raise BadInput(f"{folder}: the OpenCLIP model cannot be loaded ({error})") from None
        self._model.eval().to(dtype)
        self._device, self._dtype = device, dtype
        self.name = name
        self.width = int(self._model.text_projection.shape[-1])

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> Vectors:
        return self._batched(
            images,
            lambda batch: self._model.encode_image(
                torch.stack([self._preprocess(i) for i in batch]).to(self._device, self._dtype)
            ),
        )

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        return self._batched(
            texts,
            lambda batch: self._model.encode_text(self._tokenizer(list(batch)).to(self._device)),
        )

    @torch.inference_mode()
    def _batched(self, values: Sequence, encode) -> Vectors:  # type: ignore[no-untyped-def,type-arg]
        parts = [encode(values[i : i + _BATCH]) for i in range(0, len(values), _BATCH)]
        if not parts:
            return unit(torch.empty(0, self.width).numpy())
        return unit(torch.cat(parts).float().cpu().numpy())
