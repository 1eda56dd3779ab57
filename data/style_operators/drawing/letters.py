"""Write words by hand: the letters of handwriting fonts as strokes.

The fonts are Caveat and Shadows Into Light (SIL Open Font License 1.1).
"""

from __future__ import annotations

import io
import string
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data.style_operators.drawing.strokes import Strokes
from data.style_operators.drawing.tracing import thin, trace_skeleton

__all__ = ["FONTS", "Handwriting", "LabelBox", "write_label"]

LabelBox = tuple[float, float, float, float]  # left, top, width and height
FONTS = ("fontpkg_caveat", "fontpkg_shadows_into_light")
_EM = 56  # pixels; the size at which letters are traced
_CAPITAL_HEIGHT = 0.62  # of the em, about, in both fonts
_LETTERS = string.ascii_lowercase
# How often a letter occurs in 1,000 letters of English, a to z.
_FREQUENCIES = np.array(
    [
        82,
        15,
        28,
        43,
        127,
        22,
        20,
        61,
        70,
        2,
        8,
        40,
        24,
        67,
        75,
        19,
        1,
        60,
        63,
        91,
        28,
        10,
        24,
        2,
        20,
        1,
    ],
    np.float64,
)
_WORD_LENGTHS = (3, 9)


@dataclass(frozen=True, slots=True)
class Handwriting:
    """How one person writes: a font, a slant, and how much letters jump."""

    font: str
    slant: float
    jitter: float


def write_label(
    box: LabelBox, height: float, component: int, hand: Handwriting, rng: np.random.Generator
) -> Strokes:
    """Write made-up words in place of `box`, with capitals of a `height` in pixels."""
    left, top, width, box_height = box
    em = height / _CAPITAL_HEIGHT
    lines: list[NDArray[np.float32]] = []
    pen, baseline = 0.0, float(top + box_height)
    end = max(1.2 * height, width * rng.uniform(0.8, 1.25))
    letters = _letters(hand.font)
    text = _made_up_words(3 + int(end / (0.3 * em)), rng)
    for letter in text:
        if pen > end:
            break
        glyph, advance = letters[letter]
        shift = rng.normal(0, hand.jitter, 2) * height
        size = em * rng.uniform(0.88, 1.12)
        for line in glyph:
            x = line[:, 0] - hand.slant * line[:, 1]
            lines.append(
                np.stack(
                    [left + pen + size * x + shift[0], baseline + size * line[:, 1] + shift[1]], 1
                )
            )
        pen += advance * em
        baseline += rng.normal(0, hand.jitter * height * 0.3)
    return Strokes.of(lines, [component] * len(lines), is_label=True)


def _made_up_words(count: int, rng: np.random.Generator) -> str:
    """Return at least `count` letters in words; some words have a capital, some are numbers."""
    words: list[str] = []
    total = 0
    while total < count:
        length = int(rng.integers(*_WORD_LENGTHS))
        chosen = rng.choice(len(_LETTERS), length, p=_FREQUENCIES / _FREQUENCIES.sum())
        word = "".join(_LETTERS[i] for i in chosen)
        style = rng.random()
        if style < 0.08:
            word = str(int(rng.integers(1, 1000)))
        elif style < 0.3:
            word = word.capitalize()
        words.append(word)
        total += len(word) + 1
    return " ".join(words)


@lru_cache(maxsize=len(FONTS))
def _letters(font: str) -> dict[str, tuple[list[NDArray[np.float32]], float]]:
    """Return the strokes of each letter and its width, in ems with the baseline at y = 0."""
    folder = files(font) / "files"
    (path,) = (entry for entry in folder.iterdir() if entry.name.endswith(".ttf"))
    face = ImageFont.truetype(io.BytesIO(path.read_bytes()), _EM)
    letters = {}
    for letter in string.ascii_letters + string.digits:
        picture = Image.new("L", (2 * _EM, 2 * _EM))
        ImageDraw.Draw(picture).text((_EM // 2, 3 * _EM // 2), letter, 255, face, anchor="ls")
        strokes = trace_skeleton(thin((np.asarray(picture) > 100).astype(np.uint8)), 1.0)
        origin = np.array((_EM // 2, 3 * _EM // 2), np.float32)
        lines = [
            (strokes.points_P2[strokes.stroke_P == s] - origin) / _EM for s in range(len(strokes))
        ]
        letters[letter] = (lines, float(face.getlength(letter)) / _EM)
    letters[" "] = ([], 0.3)
    return letters
