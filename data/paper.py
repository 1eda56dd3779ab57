"""Clean the photo of a drawing on paper: black strokes on white, cut to the drawing.

Shade, ruled lines, the edge of the table, punched holes and the margins of the sheet tell nothing
about what was drawn, but they change every number that an encoder computes. Indexed figures have
none of them. `clean_drawing` removes them. A chalk drawing is inverted first.

H height, W width of the picture in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["clean_drawing", "readings_of"]

Darkness = NDArray[np.float32]  # (H, W), 0 for paper and 1 for the darkest stroke
Mask = NDArray[np.bool_]  # (H, W)

_SIDE = 448  # pixels of the longer side while cleaning; a stroke is 1 to 5 of them wide
_PAPER_PATCH = _SIDE // 14 | 1  # a window of this side holds some blank paper
_SOLID = 7  # pixels; a dark area that holds such a square is no stroke
_FAINTEST = 0.1  # darkness of the darkest strokes of a drawing, at least
_STROKE_QUANTILE = 0.99  # of the darkness over all pixels: what counts as a full stroke
_DARKEST_QUANTILE = 0.998  # half as dark counts too, if a small drawing stands on a large sheet
_SHORTEST = 0.02  # length of a stroke as a share of the side; shorter ones are specks
_GAP = 0.04  # of the side; strokes that are nearer belong together
_LEAST_SHARE = 0.04  # of all ink; a smaller group is a stray mark
_MAIN_SHARE = 0.15  # of all ink; a smaller group is not the main part of the drawing
_MARGIN = 0.02  # of the drawing's size, kept around it
_OUTLIERS = 0.004  # share of the ink on each side that may stand beyond the drawing's edge
_MOST_INK, _MOST_SOLID = 0.25, 0.02  # shares of the pixels; above, it is no drawing on paper
_MOST_SURROUNDINGS = 0.6  # share of the pixels beside the sheet; above, there is no sheet
_DARK = 100  # grey value; a sheet whose median is lower is a blackboard


def clean_drawing(picture: Image.Image) -> Image.Image | None:
    """Return a drawing on paper as black strokes on white (RGB), or None for any other picture."""
    return next(iter(_drawings(picture, (_LEAST_SHARE,))), None)


def readings_of(picture: Image.Image) -> list[Image.Image]:
    """Return the pictures that a query picture may stand for: itself, then cleaned drawings.

    Nobody can tell from a photo alone whether it shows a figure or a drawing of one, nor which
    strokes at its rim belong to it. A search takes the reading that lies nearest to an item.
    """
    return [picture, *_drawings(picture, (_LEAST_SHARE, _MAIN_SHARE))]


def _drawings(picture: Image.Image, least_shares: Sequence[float]) -> list[Image.Image]:
    """Return the cleaned drawing for each share of the ink that a group must have.

    The list is empty if the picture is no drawing on paper. Equal drawings are returned once.
    """
    darkness_HW = _darkness(_scaled(picture))
    solid_HW = _open(darkness_HW > 2 * _FAINTEST, _SOLID)
    background_HW = _grow(_touching_border(_open(darkness_HW > _FAINTEST, _SOLID)), _SOLID)
    darkness_HW[background_HW] = 0
    _blank_border(darkness_HW)
    usual, darkest = np.quantile(darkness_HW, (_STROKE_QUANTILE, _DARKEST_QUANTILE))
    full_stroke = max(float(usual), float(darkest) / 2)
    solid_on_sheet = (solid_HW & ~background_HW).mean()
    if solid_on_sheet > _MOST_SOLID or background_HW.mean() > _MOST_SURROUNDINGS:
        return []
    if full_stroke < _FAINTEST:
        return []
    darkness_HW = np.minimum(darkness_HW / full_stroke, 1)
    strokes_HW = _long_strokes(darkness_HW > 0.5)
    inks = {ink.tobytes(): ink for ink in (_main_groups(strokes_HW, s) for s in least_shares)}
    return [_black_on_white(darkness_HW, i) for i in inks.values() if 0 < i.mean() < _MOST_INK]


def _black_on_white(darkness_HW: Darkness, ink_HW: Mask) -> Image.Image:
    """Draw the strokes around the ink, cut to it."""
    strokes_HW = np.where(_grow(ink_HW, 3), np.clip(2 * darkness_HW - 0.5, 0, 1), 0)
    rows, columns = (_extent(ink_HW.sum(axis)) for axis in (1, 0))
    grey_HW = (255 * (1 - strokes_HW[rows, columns])).astype(np.uint8)
    return Image.fromarray(grey_HW).convert("RGB")


def _scaled(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the darkest channel of each pixel (H, W), so that coloured ink is dark too.

    A dark board with light strokes is inverted.
    """
    scale = _SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    scaled = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    pixels_HWC = np.asarray(scaled)
    if np.median(pixels_HWC) < _DARK:
        return 255 - pixels_HWC.max(2)
    return pixels_HWC.min(2)


def _darkness(grey_HW: NDArray[np.uint8]) -> Darkness:
    """Return how much darker each pixel is than the paper around it, which evens out the shade."""
    paper_HW = cv2.morphologyEx(grey_HW, cv2.MORPH_CLOSE, _square(_PAPER_PATCH))
    smooth_HW = cv2.GaussianBlur(paper_HW.astype(np.float32), (0, 0), _PAPER_PATCH / 2)
    return np.clip(1 - grey_HW / np.maximum(smooth_HW, 1), 0, 1).astype(np.float32)


def _touching_border(mask_HW: Mask) -> Mask:
    """Return the connected areas that reach the picture's border: the table, a shadow, a hole."""
    labels_HW, areas = _components(mask_HW)
    height, width = mask_HW.shape
    left, top, right, bottom = areas[:, 0], areas[:, 1], areas[:, 2], areas[:, 3]
    touching = (left <= 2) | (top <= 2) | (right >= width - 2) | (bottom >= height - 2)
    touching[0] = False
    return touching[labels_HW]


def _blank_border(darkness_HW: Darkness) -> None:
    """Clear the outermost pixels, in place: the scaling leaves dark rims there."""
    rim = _SIDE // 100
    darkness_HW[:rim] = darkness_HW[-rim:] = 0
    darkness_HW[:, :rim] = darkness_HW[:, -rim:] = 0


def _long_strokes(ink_HW: Mask) -> Mask:
    """Return the ink without specks."""
    closed = cv2.morphologyEx(ink_HW.astype(np.uint8), cv2.MORPH_CLOSE, _square(3))
    labels_HW, areas = _components(closed.astype(bool))
    long = np.maximum(areas[:, 2] - areas[:, 0], areas[:, 3] - areas[:, 1]) >= _SHORTEST * _SIDE
    long[0] = False
    return long[labels_HW] & ink_HW


def _main_groups(ink_HW: Mask, least_share: float) -> Mask:
    """Return the groups of neighbouring strokes that hold a fair share of the ink."""
    labels_HW, areas = _components(_grow(ink_HW, round(_GAP * _SIDE) | 1))
    ink_by_group = np.bincount(labels_HW[ink_HW], minlength=len(areas))
    return ink_HW & (ink_by_group >= least_share * ink_by_group.sum())[labels_HW]


def _extent(ink_N: NDArray[np.int64]) -> slice:
    """Return the range of rows or columns that holds the ink, with a margin."""
    share_N = np.cumsum(ink_N) / ink_N.sum()
    first, last = (int(np.searchsorted(share_N, edge)) for edge in (_OUTLIERS, 1 - _OUTLIERS))
    margin = round(_MARGIN * (last - first)) + 2
    return slice(max(0, first - margin), last + margin)


def _components(mask_HW: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the label of each pixel, and (left, top, right, bottom) of each label; 0 is blank."""
    _, labels_HW, statistics, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8))
    left, top, width, height = statistics[:, :4].T
    boxes = np.stack((left, top, left + width, top + height), axis=1).astype(np.int32)
    return np.asarray(labels_HW, np.int32), boxes


def _open(mask_HW: Mask, side: int) -> Mask:
    """Return the parts of a mask that hold a square of `side` pixels."""
    return cv2.morphologyEx(mask_HW.astype(np.uint8), cv2.MORPH_OPEN, _square(side)).astype(bool)


def _grow(mask_HW: Mask, side: int) -> Mask:
    return cv2.dilate(mask_HW.astype(np.uint8), _square(side)).astype(bool)


def _square(side: int) -> NDArray[np.uint8]:
    return np.ones((side, side), np.uint8)
