"""Find the figures and tables on a page, and assign captions to them.

Pure functions over rectangles and lines, as in `pdf_layout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from data.readers.pdf_captions import CAPTION, parse_caption
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_layout import Line, Paragraph
from data.readers.pdf_survey import PdfSurvey, is_heading

__all__ = [
    "FigureRegion",
    "Graphic",
    "find_figures",
    "find_ruled_areas",
    "match_captions",
    "merge_by_caption",
    "select_figures",
]

# distances are in points
DRAWING_GAP = 6.0  # between the graphics of one drawing
FIGURE_GAP = 20.0  # between the drawings of one figure, if no text separates them
_MAX_STACK_GAP = 200.0  # between two rules of one table
CAPTION_GAP = 60.0  # between a figure and its caption
LABEL_SEARCH_MARGIN = 60.0  # text further away is not a label of the drawing
MIN_FIGURE_SIDE = 32 * 72 / 150  # 32 pixels at the resolution of rendered crops
MIN_FIGURE_SHARE = 0.01  # of the page area


@dataclass(frozen=True)
class Graphic:
    """A drawn object: a picture, a thin rule, an axis-aligned shape, or any other shape.

    `image_index` is the number of a picture on its page, -1 for all other kinds.
    """

    box: Rectangle
    kind: Literal["image", "rule", "rect", "shape"]
    image_index: int = -1


@dataclass(eq=False)
class FigureRegion:
    """The graphics of one figure, and the words inside its area.

    `certain` is False if the graphics may frame text or a table.
    """

    box: Rectangle
    graphics: list[Graphic] = field(default_factory=list)
    certain: bool = True
    text: str = ""

    @property
    def is_frame(self) -> bool:
        """Whether the figure consists of straight lines and boxes only, as tables do."""
        return all(graphic.kind in ("rule", "rect") for graphic in self.graphics)

    def absorb(self, other: FigureRegion) -> None:
        """Add the graphics of another region to this one."""
        self.box = self.box.union(other.box)
        self.graphics += other.graphics
        self.certain = self.certain or other.certain
        self.text = "\n".join(filter(None, (self.text, other.text)))


def find_figures(
    graphics: Sequence[Graphic],
    lines: Sequence[Line],
    page: Rectangle,
    body_size: float,
    body_font: str,
) -> list[FigureRegion]:
    """Return the figures of a page, without backgrounds, rules, text boxes and decorations.

    Each region includes the labels around the drawing (tick marks, axis titles, rotated type).
    """
    prose = [line.box for line in lines if line.is_prose or CAPTION.match(line.text)]
    seeds, rules = [], []
    for graphic in graphics:
        if graphic.box.intersection(page).area >= 0.85 * page.area:
            continue
        if graphic.kind == "rule":
            if graphic.box.height < 0.7 * page.height:
                rules.append(graphic)
        elif graphic.kind == "image" or sum(graphic.box.contains_centre(box) for box in prose) < 3:
            seeds.append(graphic)
    regions = [FigureRegion(g.box, [g]) for g in _remove_duplicates(seeds)]
    regions = _merge_close(regions, DRAWING_GAP, ())
    regions = _add_rules(regions, rules)
    regions = _merge_close(regions, FIGURE_GAP, prose)
    figures = []
    for region in regions:
        region.box = region.box.intersection(page)
        if not _is_big_enough(region.box, page):
            continue
        region.certain = _is_drawing(region, lines)
        _add_labels(region, lines, body_size, body_font)
        region.box = region.box.intersection(page)
        figures.append(region)
    return figures


def select_figures(regions: Sequence[FigureRegion], lines: Sequence[Line]) -> list[FigureRegion]:
    """Return the certain regions, and uncertain regions next to a caption with no certain one."""
    selected = [region for region in regions if region.certain]
    uncertain = [region for region in regions if not region.certain]
    for line in lines:
        label = parse_caption(line.text)
        if not label or label[0] != "figure":
            continue
        if any(_caption_distance(region.box, line.box) <= CAPTION_GAP for region in selected):
            continue
        candidates = [r for r in uncertain if _caption_distance(r.box, line.box) <= CAPTION_GAP]
        if candidates:
            nearest = min(candidates, key=lambda r: _caption_distance(r.box, line.box))
            uncertain.remove(nearest)
            selected.append(nearest)
    return selected


def _is_big_enough(box: Rectangle, page: Rectangle) -> bool:
    is_wide_enough = min(box.width, box.height) >= MIN_FIGURE_SIDE
    return is_wide_enough and box.area >= MIN_FIGURE_SHARE * page.area


def _remove_duplicates(graphics: Iterable[Graphic]) -> list[Graphic]:
    """Keep one graphic per place and kind: a scatter plot can have ten thousand."""
    by_place: dict[tuple[object, ...], Graphic] = {}
    for graphic in graphics:
        place = tuple(round(edge / 3) for edge in graphic.box)
        by_place.setdefault((graphic.image_index, graphic.kind, *place), graphic)
    return list(by_place.values())


def _merge_close(
    regions: Iterable[FigureRegion], gap: float, barriers: Sequence[Rectangle]
) -> list[FigureRegion]:
    """Merge regions that are at most `gap` apart, unless the union would contain a barrier."""
    current = list(regions)
    changed = True
    while changed:
        changed = False
        merged: list[FigureRegion] = []
        for region in current:
            reach = region.box.expanded(gap)
            for other in merged:
                if reach.touches(other.box) and not _is_blocked(region.box, other.box, barriers):
                    other.absorb(region)
                    changed = True
                    break
            else:
                merged.append(region)
        current = merged
    return current


def _is_blocked(a: Rectangle, b: Rectangle, barriers: Sequence[Rectangle]) -> bool:
    union = a.union(b)
    return any(
        union.contains_centre(box) and not a.contains_centre(box) and not b.contains_centre(box)
        for box in barriers
    )


def _add_rules(regions: list[FigureRegion], rules: list[Graphic]) -> list[FigureRegion]:
    """Add rules (axes, arrows) to the drawings that they touch, unless that doubles a drawing."""
    unassigned = rules
    while True:
        still_unassigned = []
        for rule in unassigned:
            for region in regions:
                union = region.box.union(rule.box)
                if (
                    region.box.expanded(DRAWING_GAP).touches(rule.box)
                    and union.width <= 2 * region.box.width + DRAWING_GAP
                    and union.height <= 2 * region.box.height + DRAWING_GAP
                ):
                    region.box = union
                    region.graphics.append(rule)
                    break
            else:
                still_unassigned.append(rule)
        if len(still_unassigned) == len(unassigned):
            return regions
        unassigned = still_unassigned


def _is_drawing(region: FigureRegion, lines: Sequence[Line]) -> bool:
    """Return whether a region is a drawing, not a frame around text or the grid of a table."""
    if any(graphic.kind == "image" for graphic in region.graphics):
        return True
    inside = [line for line in lines if region.box.contains_centre(line.box)]
    text_area = sum(line.box.intersection(region.box).area for line in inside)
    prose_area = sum(line.box.intersection(region.box).area for line in inside if line.is_prose)
    if prose_area > 0.2 * region.box.area or text_area > 0.4 * region.box.area:
        return False
    if any(graphic.kind == "shape" for graphic in region.graphics):
        return True
    rects = [graphic for graphic in region.graphics if graphic.kind == "rect"]
    empty = [r for r in rects if not any(r.box.contains_centre(line.box) for line in inside)]
    return len(empty) >= 3 or (len(empty) > 0 and not inside)


def _add_labels(
    region: FigureRegion, lines: Sequence[Line], body_size: float, body_font: str
) -> None:
    """Extend a region by the labels around the drawing."""
    surroundings = region.box.expanded(LABEL_SEARCH_MARGIN)
    candidates = [line for line in lines if surroundings.intersection(line.box) == line.box]
    prose = [line.box.expanded(0.8 * line.font_size) for line in lines if line.is_prose]

    def is_label(line: Line) -> bool:
        if not line.upright:
            return True
        if line.is_prose or len(line.text) > 40 or CAPTION.match(line.text):
            return False
        if line.box.width > region.box.width or line.font_size > 1.35 * body_size:
            return False
        if line.font_size > 1.1 * body_size or (line.bold and line.font_size >= body_size):
            offset = (line.box.left + line.box.right - region.box.left - region.box.right) / 2
            return not line.bold and abs(offset) < 0.05 * region.box.width
        is_other_type = line.font_size <= 0.95 * body_size or line.font != body_font
        return is_other_type or not any(box.touches(line.box) for box in prose)

    for _ in range(3):
        for line in candidates:
            reach = 8.0 if line.upright else 14.0  # rotated axis titles lie further out
            if region.box.expanded(reach).touches(line.box) and is_label(line):
                region.box = region.box.union(line.box)


def find_ruled_areas(
    graphics: Sequence[Graphic], lines: Sequence[Line], figures: Sequence[Rectangle]
) -> list[Rectangle]:
    """Return the boxes of ruled tables: stacks of equally wide rules, or grids, around cells."""
    rules = [
        g.box
        for g in graphics
        if g.kind in ("rule", "rect")
        and max(g.box.width, g.box.height) > 3
        and not any(box.contains_centre(g.box) for box in figures)
    ]
    prose = [line.box for line in lines if line.is_prose]
    groups: list[Rectangle] = []
    for box in sorted(set(rules), key=lambda b: b.top):
        touched = [group for group in groups if group.expanded(1.0).touches(box)]
        for group in touched:
            box = box.union(group)
        groups = [*(group for group in groups if group not in touched), box]
    groups = _stack(groups, prose)
    return [group for group in groups if _has_cells(group, lines)]


def _stack(groups: Sequence[Rectangle], prose: Sequence[Rectangle]) -> list[Rectangle]:
    """Join groups of rules of equal width that stand above each other without prose between."""
    stacks: list[Rectangle] = []
    for box in sorted(groups, key=lambda b: b.top):
        for index, above in enumerate(stacks):
            same_width = abs(box.left - above.left) < 4 and abs(box.right - above.right) < 4
            between = Rectangle(above.left, above.bottom, above.right, box.top)
            is_near = same_width and between.height < _MAX_STACK_GAP
            if is_near and not any(between.contains_centre(p) for p in prose):
                stacks[index] = above.union(box)
                break
        else:
            stacks.append(box)
    return stacks


def _has_cells(box: Rectangle, lines: Sequence[Line]) -> bool:
    inside = [line for line in lines if line.upright and box.contains_centre(line.box)]
    rows = {round(line.baseline / 3) for line in inside}
    return len(rows) >= 2 and len(inside) >= 1.5 * len(rows)


def match_captions(
    boxes: Sequence[Rectangle], texts: Sequence[Paragraph], survey: PdfSurvey
) -> dict[int, int]:
    """Return a map from the index of a box to the index of its caption in `texts`.

    Numbered captions are matched first. On one page they all stand below their figures or all
    above, if that finds a figure for as many of them. A box without one then gets a short text in
    smaller type close to it, if there is one.
    """
    labelled = [index for index, text in enumerate(texts) if parse_caption(text.text)]
    attempts = [
        _match_nearest(boxes, {index: texts[index].box for index in labelled}, side)
        for side in ("below", "above", "any")
    ]
    matched = max(attempts, key=lambda attempt: (len(attempt[0]), -attempt[1]))[0]
    for box_index, box in enumerate(boxes):
        if box_index in matched:
            continue
        candidates = [
            (_caption_distance(box, text.box), text_index)
            for text_index, text in enumerate(texts)
            if text_index not in matched.values()
            and text.font_size <= 0.95 * survey.body_size
            and len(text.text) <= 250
            and not is_heading(text, survey)
            and text.box.width <= 1.3 * box.width
            and not parse_caption(text.text)
        ]
        if candidates and min(candidates)[0] <= 1.5 * survey.body_size:
            matched[box_index] = min(candidates)[1]
    return matched


def _match_nearest(
    boxes: Sequence[Rectangle], captions: Mapping[int, Rectangle], side: str
) -> tuple[dict[int, int], float]:
    """Match captions on one side of their boxes, nearest pair first.

    Return the map from box to caption, and the sum of the distances.
    """
    pairs = sorted(
        (distance, box_index, text_index)
        for text_index, caption in captions.items()
        for box_index, box in enumerate(boxes)
        if (distance := _caption_distance(box, caption)) <= CAPTION_GAP
        and (side == "any" or _is_on_side(box, caption, side))
    )
    matched: dict[int, int] = {}
    total = 0.0
    for distance, box_index, text_index in pairs:
        if box_index not in matched and text_index not in matched.values():
            matched[box_index] = text_index
            total += distance
    return matched, total


def _is_on_side(box: Rectangle, caption: Rectangle, side: str) -> bool:
    """Return whether a caption stands on one side of a box; beside it counts as both."""
    overlap = min(box.bottom, caption.bottom) - max(box.top, caption.top)
    if overlap > 0.5 * min(box.height, caption.height):
        return True
    is_below = caption.top + caption.bottom > box.top + box.bottom
    return is_below == (side == "below")


def _caption_distance(figure: Rectangle, text: Rectangle) -> float:
    """Return the distance in points from a figure to a text below, above or beside it.

    Distances count double to the side and 1.25 times upwards: captions are usually below.
    """
    horizontal_overlap = min(figure.right, text.right) - max(figure.left, text.left)
    vertical_overlap = min(figure.bottom, text.bottom) - max(figure.top, text.top)
    if vertical_overlap > 0.5 * min(figure.height, text.height):
        return 2 * max(-horizontal_overlap, 0.0)
    if horizontal_overlap < -CAPTION_GAP:
        return float("inf")
    # a caption may start at the left edge of a column, with its figure centred in the column
    horizontal_gap = max(-horizontal_overlap, 0.0)
    gap_above = max(figure.top - text.bottom, 0.0)
    gap_below = max(text.top - figure.bottom, 0.0)
    return horizontal_gap + (gap_below if gap_below else 1.25 * gap_above)


def merge_by_caption(
    regions: Sequence[FigureRegion], texts: Sequence[Paragraph], survey: PdfSurvey
) -> tuple[list[FigureRegion], dict[int, int]]:
    """Match captions, and merge regions that stand side by side over one numbered caption.

    Return the merged regions, and a map from the index of a region to its caption in `texts`.
    """
    matched = match_captions([r.box for r in regions], texts, survey)
    unmatched = [index for index in range(len(regions)) if index not in matched]
    absorbed: set[int] = set()
    for index, text_index in matched.items():
        if not parse_caption(texts[text_index].text):
            continue
        caption = texts[text_index].box
        for other_index in unmatched:
            a, b = regions[index].box, regions[other_index].box
            vertical_overlap = min(a.bottom, b.bottom) - max(a.top, b.top)
            caption_overlap = min(caption.right, b.right) - max(caption.left, b.left)
            is_beside = vertical_overlap > 0.5 * min(a.height, b.height)
            # a short caption may end before the last picture of its row
            is_level = vertical_overlap > 0.8 * max(a.height, b.height)
            gap = max(a.left - b.right, b.left - a.right)
            shares_caption = caption_overlap > 0 or (is_level and gap <= CAPTION_GAP)
            if other_index not in absorbed and is_beside and shares_caption:
                regions[index].absorb(regions[other_index])
                absorbed.add(other_index)
    remaining = [index for index in range(len(regions)) if index not in absorbed]
    return [regions[index] for index in remaining], {
        remaining.index(index): text_index
        for index, text_index in matched.items()
        if index in remaining
    }
