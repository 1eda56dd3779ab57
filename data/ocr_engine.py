"""The OCR engine: rapidocr with local models. `data/ocr.py` imports it when it first needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rapidocr
from numpy.typing import NDArray
from rapidocr import RapidOCR

from data.errors import Missing

__all__ = ["MODELS", "OcrEngine"]

MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}
_TALL_RATIO = 1.5  # height to width from which rapidocr rotates a line by a quarter turn


class OcrEngine(RapidOCR):
    """Recognise text in pictures, including vertical lines such as the name of a y axis.

    rapidocr gives every tall line the same quarter turn, which leaves lines that read upwards
    upside down. It then lets a classifier correct all lines. Here the classifier corrects only the
    tall lines: in an upright picture, all other lines are upright already.

    `params` are the parameters of rapidocr. Raises `Missing` if the wheel lacks a model.
    """

    def __init__(self, params: dict[str, Any]) -> None:
        folder = Path(rapidocr.__file__).parent / "models"
        for file in MODELS.values():
            if not (folder / file).is_file():
                raise Missing(
                    f"{folder / file}: no such file, although rapidocr 3.10 includes it; "
                    'run: pip install --force-reinstall "rapidocr==3.10.*"'
                )
        paths = {f"{step}.model_path": str(folder / file) for step, file in MODELS.items()}
        super().__init__(params={**paths, "Global.use_cls": False, **params})

    def crop_text_regions(
        self, img: NDArray[np.uint8], det_boxes: NDArray[np.float32]
    ) -> list[NDArray[np.uint8]]:
        """Cut the detected lines out of the picture, all of them upright."""
        lines = super().crop_text_regions(img, det_boxes)
        tall = [i for i, corners in enumerate(det_boxes) if _is_tall(corners)]
        if tall:
            upright, _ = self.cls_and_rotate([lines[i] for i in tall])
            for i, line in zip(tall, upright, strict=True):
                lines[i] = line
        return lines


def _is_tall(corners: NDArray[np.float32]) -> bool:
    """Return whether rapidocr would rotate a line; `corners` (4, 2) clockwise from top left."""
    top_left, top_right, bottom_right, bottom_left = corners
    width = max(np.linalg.norm(top_left - top_right), np.linalg.norm(bottom_right - bottom_left))
    height = max(np.linalg.norm(top_left - bottom_left), np.linalg.norm(top_right - bottom_right))
    return bool(int(height) >= _TALL_RATIO * max(int(width), 1))
