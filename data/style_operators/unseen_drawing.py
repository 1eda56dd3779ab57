"""Operators of the unseen drawn styles: for tests only, none of our encoders is trained on them.

They share no code with the trained ones in `drawing/`. A figure is traced along the level lines of
its brightness; each outline is smoothed by its Fourier coefficients; the page is a picture that a
lens bends. N outlines, P points, H height, W width.
"""

from __future__ import annotations

import io
import string
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data.style_operators.common import Pixels, smooth_noise, to_grey

__all__ = ["chalk", "felt_tip", "fountain_pen"]

_TRACED_SIDE = 380  # pixels
_PAGE_SIDE = 300  # pixels of the longer side of the page
_PICTURE_SIDE = 256  # pixels of the longer side of the photo
_MAX_OUTLINES = 180
_WORD_SIDES = (5, 22)  # pixels of the height of words

Outline = NDArray[np.float32]  # (P, 2), x and y


def chalk(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with chalk on a blackboard that was wiped before."""
    copy = _copy_figure(x, rng)
    shape = copy.shape
    board = np.array([(42, 66, 54), (48, 50, 52), (30, 36, 40)][int(rng.integers(3))], np.float32)
    wiped = smooth_noise(shape, rng, 70) + 0.6 * smooth_noise(shape, rng, 9)
    page = board * (1 + 0.10 * wiped[..., None])
    page += rng.uniform(4, 26) * np.clip(smooth_noise(shape, rng, 35), 0, 1)[..., None]
    ink = _stroke_mask(copy.outlines, shape, rng.uniform(2.2, 3.6)) + _word_mask(copy, rng)
    crumbs = rng.random(shape, np.float32) * (0.7 + 0.3 * smooth_noise(shape, rng, 5))
    dusty = ink * np.clip(1.5 - 1.5 * crumbs, 0, 1) + 0.12 * cv2.GaussianBlur(ink, (0, 0), 3)
    chalks = ((236, 236, 228), (236, 226, 160), (236, 190, 190))
    colour = np.array(chalks[int(rng.choice(3, p=[0.8, 0.13, 0.07]))], np.float32)
    page = page + np.clip(dusty, 0, 1)[..., None] * (colour - page)
    return _take_picture(page, np.array((70, 60, 50)), rng)


def felt_tip(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with felt-tips on wrapping paper, card or a napkin."""
    copy = _copy_figure(x, rng)
    shape = copy.shape
    papers = ((196, 160, 118), (242, 240, 236), (232, 206, 214), (204, 222, 232), (238, 228, 170))
    paper = np.array(papers[int(rng.integers(len(papers)))], np.float32)
    fibres = smooth_noise(shape, rng, 1.6) + smooth_noise((shape[0], 4 * shape[1]), rng, 3)[:, ::4]
    page = paper * (1 + rng.uniform(0.01, 0.045) * fibres[..., None])
    pens = ((20, 20, 26), (200, 30, 60), (20, 110, 60), (30, 70, 180), (230, 120, 20))
    order = rng.permutation(len(pens))[: int(rng.integers(1, 4))]
    turn = rng.integers(len(order), size=len(copy.outlines))
    for number, pen in enumerate(order):
        mine = [o for o, t in zip(copy.outlines, turn, strict=True) if t == number]
        ink = _stroke_mask(mine, shape, rng.uniform(1.8, 3.4))
        if number == 0:
            ink = ink + _word_mask(copy, rng)
        bled = np.clip(1.2 * cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.5, 1.0)), 0, 1)
        tinted = page * (
            np.array(pens[int(pen)], np.float32) / 255
        )  # felt-tip ink lets light through
        page = page + rng.uniform(0.8, 0.98) * bled[..., None] * (tinted - page)
    return _take_picture(page, rng.uniform(50, 210) + rng.normal(0, 12, 3), rng)


def fountain_pen(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with a broad nib in a notebook with dots, whose page bends towards the spine."""
    copy = _copy_figure(x, rng)
    shape = copy.shape
    page = np.full((*shape, 3), (246, 242, 230), np.float32)
    pitch = rng.uniform(7, 11)
    rows, columns = (np.arange(pitch / 2, side, pitch).astype(int) for side in shape)
    page[np.ix_(rows, columns)] -= rng.uniform(30, 80)
    inks = ((18, 32, 84), (24, 24, 26), (70, 40, 90), (16, 72, 76))
    colour = np.array(inks[int(rng.integers(len(inks)))], np.float32)
    nib = rng.uniform(0.5, 1.1)
    ink = _stroke_mask(copy.outlines, shape, rng.uniform(1.0, 1.7), nib) + _word_mask(copy, rng)
    pooled = np.clip(ink, 0, 1) * (0.82 + 0.18 * smooth_noise(shape, rng, 14))
    page = page + pooled[..., None] * (colour - page)
    spine = np.linspace(0, 1, shape[1], dtype=np.float32) * rng.uniform(5, 9)
    shade = 1 - rng.uniform(0.2, 0.55) * np.exp(-spine if rng.random() < 0.5 else -spine[::-1])
    return _take_picture(
        page * shade[None, :, None], rng.uniform(30, 200) + rng.normal(0, 12, 3), rng
    )


@dataclass(frozen=True, slots=True)
class _Copy:
    """A figure redrawn on a page of a shape (H, W): its outlines and the boxes of its words."""

    shape: tuple[int, int]
    outlines: list[Outline]
    words: list[tuple[float, float, float, float]]  # left, top, width, height


def _copy_figure(x: Pixels, rng: np.random.Generator) -> _Copy:
    """Trace a figure and redraw it on a page."""
    scale = _TRACED_SIDE / max(x.shape[:2])
    size = (max(8, round(x.shape[1] * scale)), max(8, round(x.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey_HW = to_grey(cv2.resize(x, size, interpolation=method).astype(np.uint8))
    levels_HW = cv2.GaussianBlur(grey_HW, (0, 0), rng.uniform(0.7, 1.2)).astype(np.uint8)
    outlines: list[Outline] = []
    symbol_share = rng.uniform(0.2, 0.9)  # of the small shapes, which are letters or arrows
    small_HW = np.zeros(levels_HW.shape, np.uint8)
    for level in _levels(levels_HW, rng):
        mask_HW = (levels_HW < level).astype(np.uint8)
        for contour in cv2.findContours(mask_HW, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]:
            left, top, width, height = cv2.boundingRect(contour)
            if max(width, height) > _WORD_SIDES[1]:
                outlines.append(np.asarray(contour[:, 0], np.float32))
            elif min(width, height) > 2:
                small_HW[top : top + height, left : left + width] = 1
                if rng.random() < symbol_share and len(contour) > 8:
                    outlines.append(np.asarray(contour[:, 0], np.float32))
    outlines.sort(key=len, reverse=True)
    left_out = rng.uniform(0.15, 0.45)
    drawn = [
        _redraw(outline, rng)
        for i, outline in enumerate(outlines[:_MAX_OUTLINES])
        if i == 0 or rng.random() > left_out
    ]
    return _fit_page(drawn, _word_boxes(small_HW, rng), rng)


def _fit_page(
    outlines: list[Outline],
    boxes: list[tuple[float, float, float, float]],
    rng: np.random.Generator,
) -> _Copy:
    """Change the layout a little, by a polynomial in x and y, and scale it to a page."""
    square_23 = rng.normal(0, 0.08, (2, 3)).astype(np.float32)
    shear, stretch_2 = float(rng.normal(0, 0.05)), np.exp(rng.normal(0, 0.14, 2))

    def change(points_P2: NDArray[np.floating]) -> Outline:
        x, y = points_P2.T / _TRACED_SIDE - 0.5
        bent_2P = np.stack([x + shear * y, y - shear * x])
        bent_2P = bent_2P + square_23 @ np.stack([x * x, x * y, y * y])
        return np.asarray(bent_2P.T * stretch_2, np.float32)

    changed = [change(outline) for outline in outlines]
    everything = np.concatenate([*changed, np.array([(-0.1, -0.1), (0.1, 0.1)], np.float32)])
    low, high = everything.min(0), everything.max(0)
    is_wide = (high - low)[0] > (high - low)[1] if rng.random() < 0.85 else rng.random() < 0.5
    short = round(_PAGE_SIDE * rng.uniform(0.62, 0.95))
    width, height = (_PAGE_SIDE, short) if is_wide else (short, _PAGE_SIDE)
    room = np.array((width, height)) * rng.uniform(0.72, 0.94)
    scale = float((room / (high - low)).min())
    corner = (np.array((width, height)) - (high - low) * scale) * rng.uniform(0.15, 0.85, 2)

    def place(points_P2: Outline) -> Outline:
        return np.asarray((points_P2 - low) * scale + corner, np.float32)

    words = []
    for left, top, w, h in boxes:
        x, y = place(change(np.array([(left, top)], np.float32)))[0].tolist()
        words.append((x, y, w * scale / _TRACED_SIDE, h * scale / _TRACED_SIDE))
    pieces = [piece for outline in changed for piece in _lift_pen(place(outline), rng)]
    return _Copy((height, width), pieces, words)


def _levels(levels_HW: Pixels, rng: np.random.Generator) -> list[float]:
    """Return one to three levels of brightness between which a figure falls into areas."""
    darkest, brightest = np.quantile(levels_HW[::2, ::2], (0.01, 0.99))
    count = int(rng.integers(1, 4))
    # The highest level lies near the paper, so that pale lines have an outline too.
    shares = rng.uniform(0.72, 0.92) * (1 + np.arange(count)) / count
    return [float(darkest + share * (brightest - darkest)) for share in shares]


def _redraw(outline_P2: Outline, rng: np.random.Generator) -> Outline:
    """Smooth a closed outline by its lowest Fourier coefficients, a little out of tune."""
    step = max(1, len(outline_P2) // 400)
    points_P = outline_P2[::step, 0] + 1j * outline_P2[::step, 1]
    spectrum = np.fft.fft(points_P)
    frequency = np.abs(np.fft.fftfreq(len(points_P), 1 / len(points_P)))
    limit = max(3.0, len(outline_P2) / rng.uniform(7, 14))
    spectrum *= np.exp(-((frequency / limit) ** 4))
    tuned = (frequency > 0) & (frequency < 14)
    noise = rng.normal(0, 1, (2, int(tuned.sum())))
    spectrum[tuned] *= 1 + 0.035 * (noise[0] + 1j * noise[1])
    spectrum[0] += len(points_P) * (rng.normal(0, 3) + 1j * rng.normal(0, 3))
    smooth_P = np.fft.ifft(spectrum)
    return np.stack([smooth_P.real, smooth_P.imag], axis=1).astype(np.float32)


def _lift_pen(outline_P2: Outline, rng: np.random.Generator) -> list[Outline]:
    """Cut an outline where the pen was lifted; some stay open, some overlap at the end."""
    turned_P2 = np.roll(outline_P2, -int(rng.integers(len(outline_P2))), axis=0)
    if rng.random() < 0.3:
        return [np.concatenate([turned_P2, turned_P2[: max(2, len(turned_P2) // 20)]])]
    cuts = np.sort(rng.integers(0, len(turned_P2), int(rng.integers(1, 4))))
    pieces = np.split(turned_P2, cuts)
    return [p[: max(2, round(len(p) * rng.uniform(0.9, 1)))] for p in pieces if len(p) > 3]


def _word_boxes(
    small_HW: Pixels, rng: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Return the boxes of rows of small shapes, where most people write words."""
    rows_HW = cv2.dilate(small_HW, np.ones((1, 7), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(rows_HW)
    share = float(rng.choice([0, 0.6, 0.9], p=[0.2, 0.4, 0.4]))
    return [
        (float(left), float(top), float(width), float(height))
        for left, top, width, height, _ in boxes[1:]
        if height >= _WORD_SIDES[0] and rng.random() < share
    ]


def _stroke_mask(
    outlines: list[Outline], shape: tuple[int, int], width: float, nib: float = 0.0
) -> NDArray[np.float32]:
    """Draw outlines in coverage of 0 to 1; upright lines of a `nib` are so much wider."""
    mask_HW = np.zeros((3 * shape[0], 3 * shape[1]), np.uint8)
    for outline_P2 in outlines:
        fixed = np.round(outline_P2 * (3 * 16)).astype(np.int32)
        cv2.polylines(mask_HW, [fixed], False, 255, max(1, round(2 * width)), cv2.LINE_AA, 4)
    if nib:
        kernel = np.ones((1, 1 + 2 * round(2 * nib)), np.uint8)
        mask_HW = cv2.dilate(mask_HW, kernel).astype(np.uint8)
    small_HW = cv2.resize(mask_HW, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small_HW, np.float32) / np.float32(255)


def _word_mask(copy: _Copy, rng: np.random.Generator) -> NDArray[np.float32]:
    """Write made-up words in the boxes of a copy, in coverage of 0 to 1."""
    picture = Image.new("L", copy.shape[::-1])
    draw = ImageDraw.Draw(picture)
    size = int(rng.integers(9, 15))
    letters = np.array(list(string.ascii_lowercase + "aeiouaeiou"))
    for left, top, width, height in copy.words:
        count = int(np.clip(width / (0.42 * size), 1, 14))
        word = "".join(letters[rng.integers(len(letters), size=count)])
        rise = float(rng.normal(0, 1.5))
        draw.text((left, top + height / 2 + rise), word, 255, _font(size), anchor="lm")
    return np.asarray(picture, np.float32) / np.float32(255)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    path = files("fontpkg_indie_flower") / "files" / "IndieFlower-Regular.ttf"
    return ImageFont.truetype(io.BytesIO(path.read_bytes()), size)


def _take_picture(
    page_HWC: NDArray[np.floating], table_3: NDArray[np.floating], rng: np.random.Generator
) -> Pixels:
    """Photograph a page through a lens that bends it, in the light of a lamp."""
    height, width = page_HWC.shape[:2]
    scale = _PICTURE_SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j].astype(np.float32)
    zoom = rng.uniform(0.86, 1.08)
    turn, barrel = rng.normal(0, 0.04), rng.normal(0, 0.03)
    lean_x, lean_y = rng.normal(0, 0.07, 2)
    depth = (1 + lean_x * x + lean_y * y) * (1 + barrel * (x * x + y * y)) * zoom
    map_x = ((np.cos(turn) * x - np.sin(turn) * y) / depth + 1) * (width / 2)
    map_y = ((np.sin(turn) * x + np.cos(turn) * y) / depth + 1) * (height / 2)
    seen_HWC = cv2.remap(
        np.ascontiguousarray(page_HWC, np.float32),
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=[float(c) for c in table_3],
    )
    lamp_x, lamp_y = rng.uniform(-1.2, 1.2, 2)
    distance = (x - lamp_x) ** 2 + (y - lamp_y) ** 2
    light = rng.uniform(0.75, 1.1) / (1 + rng.uniform(0, 0.28) * distance)
    warmth = rng.normal(0, 0.05)
    lit = seen_HWC * light[..., None] * np.array((1 + warmth, 1, 1 - warmth), np.float32)
    photons = rng.uniform(1.5, 8)  # more noise where more light falls, as sensors have
    grain = rng.standard_normal((size[1], size[0], 1), np.float32)
    noisy = lit + photons * 0.06 * np.sqrt(np.maximum(lit, 0)) * grain
    pixels = cv2.medianBlur(np.clip(noisy, 0, 255).astype(np.uint8), 3 if rng.random() < 0.2 else 1)
    quality = [cv2.IMWRITE_WEBP_QUALITY, int(rng.integers(30, 90))]
    _, data = cv2.imencode(".webp", np.asarray(pixels)[..., ::-1], quality)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
