"""rapidocr's engine with its models named by path; imported at the first picture, not before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rapidocr
from numpy.typing import NDArray
from rapidocr import RapidOCR

from data.errors import Missing

__all__ = ["MODELS", "Engine"]

MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}
_TALL = 1.5  # height to width from which upstream turns a line by a quarter


class Engine(RapidOCR):
    """Lines that stand upright, such as the name of a y axis, are turned the right way up.

    Upstream turns every tall line by the same quarter, which leaves those that read upwards upside
    down. It then has a classifier look at all lines; here it looks at the tall ones only, since
    the pictures are upright and the others need no look.
    """

    def __init__(self, params: dict[str, Any]) -> None:
        folder = Path(rapidocr.__file__).parent / "models"
        for name in MODELS.values():
            if not (folder / name).is_file():
                raise Missing(
                    f"{folder / name}: no such file, rapidocr 3.10 holds it; "
                    'run: pip install --force-reinstall "rapidocr==3.10.*"'
                )
        paths = {f"{part}.model_path": str(folder / name) for part, name in MODELS.items()}
        super().__init__(params={**paths, "Global.use_cls": False, **params})

    def crop_text_regions(
        self, img: NDArray[np.uint8], det_boxes: NDArray[np.float32]
    ) -> list[NDArray[np.uint8]]:
        lines = super().crop_text_regions(img, det_boxes)
        tall = [i for i, corners in enumerate(det_boxes) if _is_tall(corners)]
        if tall:
            upright, _ = self.cls_and_rotate([lines[i] for i in tall])
            for i, line in zip(tall, upright, strict=True):
                lines[i] = line
        return lines


def _is_tall(corners: NDArray[np.float32]) -> bool:
    """Upstream's own measure; `corners` (4, 2) clockwise from the top left."""
    top_left, top_right, bottom_right, bottom_left = corners
    width = max(np.linalg.norm(top_left - top_right), np.linalg.norm(bottom_right - bottom_left))
    height = max(np.linalg.norm(top_left - bottom_left), np.linalg.norm(top_right - bottom_right))
    return bool(int(height) >= _TALL * max(int(width), 1))
