"""Recognise stacked fractions: words above and below a bar become one word in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_scripts import compose_text
from data.readers.pdf_words import Word

__all__ = ["join_fractions"]

_MAX_WORDS = 16  # above or below a bar
_MAX_GAP = 0.9  # between the bar and the type, in sizes of the type
_MAX_WORD_GAP = 0.8  # between the words of one side, in sizes of the type
_MIN_COVER = 0.6  # of the bar, that its wider side covers
_REACH = 40.0  # points above and below a bar in which its words stand
_AXIS = 0.25  # height of a bar above the baseline, in sizes of the type


def join_fractions(words: Sequence[Word], bars: Sequence[Rectangle]) -> list[Word]:
    """Replace the words of each fraction by one word on the baseline of its formula."""
    joined = list(words)
    for bar in sorted(set(bars), key=lambda b: b.width):  # inner fractions first
        near = [w for w in joined if bar.top - _REACH < w.baseline < bar.bottom + _REACH]
        above = [word for word in near if _is_on_bar(word, bar, above=True)]
        below = [word for word in near if _is_on_bar(word, bar, above=False)]
        if not (0 < len(above) <= _MAX_WORDS and 0 < len(below) <= _MAX_WORDS):
            continue
        members = [*above, *below]
        size = max(word.style.font_size for word in members)
        covered = max(_width(above), _width(below))
        has_columns = _has_wide_gap(above, size) or _has_wide_gap(below, size)
        if (
            covered < _MIN_COVER * bar.width
            or has_columns
            or _has_outer_neighbour(near, members, size)
        ):
            continue
        axis = (bar.top + bar.bottom) / 2
        neighbour = _neighbour(near, members, bar, axis, size)
        if neighbour is None:
            continue
        first = min(members, key=joined.index)
        fraction = Word(
            f"\\(\\frac{{{_text(above)}}}{{{_text(below)}}}\\)",
            neighbour.style,
            bar.union(_union(members)),
            neighbour.baseline,
            after_space=True,
            after_break=False,
        )
        # words behind it continue the line, although the file begins a new one
        position = joined.index(first)
        joined[position] = fraction
        joined = [word for word in joined if word not in members]
        joined = _continue_line(joined, fraction)
    return joined


def _is_on_bar(word: Word, bar: Rectangle, above: bool) -> bool:
    middle = (word.box.left + word.box.right) / 2
    if not bar.left - 1 <= middle <= bar.right + 1 or word.box.width > bar.width + 4:
        return False
    size = word.style.font_size
    if above:
        return -0.1 * size <= bar.top - word.baseline < _MAX_GAP * size
    height = 0.7 * size  # of capitals above the baseline
    return -0.1 * size <= word.baseline - height - bar.bottom < _MAX_GAP * size


def _has_outer_neighbour(words: Sequence[Word], members: Sequence[Word], size: float) -> bool:
    """Return whether a line of type goes on beside the members: the bar is then an underline."""
    for word in words:
        if word in members:
            continue
        for member in members:
            gap = max(word.box.left - member.box.right, member.box.left - word.box.right)
            is_level = abs(word.baseline - member.baseline) < 0.1 * size
            if is_level and word.style.font_size == member.style.font_size and gap < 0.7 * size:
                return True
    return False


def _has_wide_gap(words: Sequence[Word], size: float) -> bool:
    """Return whether words stand apart, as the columns of a table do."""
    ordered = sorted(words, key=lambda word: word.box.left)
    return any(b.box.left - a.box.right > _MAX_WORD_GAP * size for a, b in pairwise(ordered))


def _neighbour(
    words: Sequence[Word], members: Sequence[Word], bar: Rectangle, axis: float, size: float
) -> Word | None:
    """Return the word beside the bar on the axis of the formula."""
    candidates = [
        (gap, word)
        for word in words
        if word not in members
        and abs(word.baseline - _AXIS * word.style.font_size - axis) < 0.25 * word.style.font_size
        and (gap := max(word.box.left - bar.right, bar.left - word.box.right)) < 1.5 * size
    ]
    return min(candidates, key=lambda c: c[0])[1] if candidates else None


def _continue_line(words: list[Word], fraction: Word) -> list[Word]:
    """Put the fraction into the line of its neighbours, from left to right."""
    place = next(index for index, word in enumerate(words) if word is fraction)
    rest = [word for word in words if word is not fraction]
    level = [
        index
        for index, word in enumerate(rest)
        if abs(word.baseline - fraction.baseline) < 0.5
        and word.style.font_size == fraction.style.font_size
    ]
    before = [i for i in level if rest[i].box.right <= fraction.box.left + 2]
    after = [i for i in level if rest[i].box.left >= fraction.box.right - 2]
    if before:
        position = max(before, key=lambda i: rest[i].box.right) + 1
    elif not after:
        position = place
    else:
        position = min(after, key=lambda i: rest[i].box.left)
        fraction = fraction._replace(after_break=rest[position].after_break)
    rest.insert(position, fraction)
    if after:
        index = min(after, key=lambda i: rest[i + (i >= position)].box.left)
        index += index >= position
        if index == position + 1:
            rest[index] = rest[index]._replace(after_break=False, after_space=True)
    return rest


def _text(words: Sequence[Word]) -> str:
    size = max(word.style.font_size for word in words)
    main = [word for word in words if word.style.font_size == size]
    baseline = main[0].baseline
    ordered = sorted(words, key=lambda word: word.box.left)
    text = compose_text(ordered, size, baseline)
    return text.replace("\\(", "").replace("\\)", "")


def _union(words: Sequence[Word]) -> Rectangle:
    box = words[0].box
    for word in words[1:]:
        box = box.union(word.box)
    return box


def _width(words: Sequence[Word]) -> float:
    return _union(words).width
