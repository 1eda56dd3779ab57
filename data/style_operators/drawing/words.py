"""Find the words of a figure, which people write anew instead of tracing them.

H is the height of a picture, W its width, C components.
"""

from __future__ import annotations

import cv2
import numpy as np

from data.style_operators.common import Pixels

__all__ = ["Box", "find_words", "long_lines"]

_WORD_HEIGHTS = (4, 22)  # pixels of a word or a line of words
_DENSE = 11  # pixels of the side of a square; about the height of words that touch
_DENSITY = 0.42  # share of such a square that lines cover
_UNEVEN = 0.15  # deviation of the columns of words, as a share of their mean
_MAX_PARAGRAPH = 90  # pixels of height
_LONG = 40  # pixels of a line that is no part of a letter
_SIDE = 11  # pixels at the sides of a paragraph, in which its frame would stand

Box = tuple[int, int, int, int]  # left, top, width and height in pixels


def find_words(lines_HW: Pixels, word_length: float) -> tuple[list[Box], list[Box]]:
    """Return the boxes of words, and the frames of small boxes full of words."""
    low, high = _WORD_HEIGHTS
    joined_HW = cv2.dilate(lines_HW, np.ones((1, 3), np.uint8))
    _, label_HW, stats, _ = cv2.connectedComponentsWithStats(joined_HW, connectivity=8)
    width_C, height_C, area_C = (stats[:, i] for i in (2, 3, 4))
    is_letter_C = (height_C >= low) & (height_C <= high) & (width_C <= 8 * high)
    filled_C = area_C / np.maximum(width_C * height_C, 1)
    is_letter_C &= (filled_C > 0.3) & (filled_C < 0.85) & (width_C >= 3)
    is_letter_C[0] = False
    letters_HW = is_letter_C[label_HW].astype(np.uint8)
    words_HW = cv2.morphologyEx(letters_HW, cv2.MORPH_CLOSE, np.ones((1, 6), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(words_HW, connectivity=8)
    words = [
        (int(left), int(top), int(w), int(h))
        for left, top, w, h, _ in boxes[1:]
        if h <= high + 4 and w >= word_length * h
    ]
    others_HW = np.where(letters_HW > 0, 0, lines_HW).astype(np.uint8)
    paragraphs, frames = _find_paragraphs(others_HW, word_length)
    return words + paragraphs, frames


def _find_paragraphs(lines_HW: Pixels, word_length: float) -> tuple[list[Box], list[Box]]:
    """Return lines of words that are too close to each other to be separate, and their frames."""
    density_HW = cv2.boxFilter(lines_HW, cv2.CV_32F, (_DENSE, _DENSE))
    dense_HW = cv2.dilate((density_HW > _DENSITY).astype(np.uint8), np.ones((5, 9), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(dense_HW, connectivity=8)
    paragraphs, frames = [], []
    for left, top, w, h, area in boxes[1:]:
        if w < max(h, word_length * _DENSE) or h > _MAX_PARAGRAPH or area < 0.6 * w * h:
            continue
        if _is_even(lines_HW[top : top + h, left + _SIDE : left + w - _SIDE]):
            continue
        count = max(1, round(h / _DENSE))
        paragraphs += [
            (int(left), int(top + i * h / count), int(w), int(h / count)) for i in range(count)
        ]
        sides = [
            lines_HW[top : top + h, x : x + _SIDE].max(axis=1) for x in (left, left + w - _SIDE)
        ]
        if min(side.mean() for side in sides) > 0.75:  # words have ragged ends
            frames.append((int(left), int(top), int(w), int(h)))
    return paragraphs, frames


def _is_even(lines_HW: Pixels) -> bool:
    """Return whether all columns hold the same, as those of a bar and unlike those of words."""
    columns_W = lines_HW.sum(axis=0, dtype=np.int64)
    return not columns_W.size or bool(columns_W.std() < _UNEVEN * columns_W.mean())


def long_lines(lines_HW: Pixels) -> Pixels:
    """Return the upright and level lines that are thin, and longer than most words."""
    thick_HW = cv2.morphologyEx(lines_HW, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    thin_HW = cv2.subtract(lines_HW, cv2.dilate(thick_HW, np.ones((3, 3), np.uint8)))
    level, upright = (
        cv2.morphologyEx(thin_HW, cv2.MORPH_OPEN, np.ones(shape, np.uint8))
        for shape in ((1, _LONG), (_LONG, 1))
    )
    return cv2.bitwise_or(level, upright).astype(np.uint8)
