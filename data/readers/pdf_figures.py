"""Where the figures of a page are, and which caption belongs to which. Pure, as `pdf_layout`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from data.readers.pdf_layout import Box, Line, Paragraph
from data.readers.pdf_survey import Survey, is_heading

__all__ = [
    "CAPTION",
    "Cluster",
    "Graphic",
    "anchor_of",
    "caption_of",
    "clusters",
    "drawings",
    "match_captions",
    "references",
    "tables",
    "unite_by_caption",
]

_NUMBER = r"(?:[A-Z]{1,2}[.\-]?)?\d+(?:[.\-–]\d+)*"
CAPTION = re.compile(
    rf"^(?P<kind>(?i:fig(?:ure|\.)?|table|tab\.|plate|scheme|chart))\s*(?P<number>{_NUMBER})"
    r"(?P<part>[a-z]?)(?=\s*[.:|)–—]\s|\s*[.:|]?$|\s+[A-Z\"“(\[])"
)
_MENTION = re.compile(
    rf"\b(?P<kind>[Ff]ig(?:ure)?s?\b\.?|FIG(?:URE)?S?\b\.?|[Tt]ables?\b|TABLES?\b)\s*"
    rf"(?P<numbers>{_NUMBER}[a-z]?\b(?:\s*(?:,|and|&|,\s*and|or|to|–|-)\s*{_NUMBER}[a-z]?\b)*)"
)
_LEADER = re.compile(r"(\.\s?){4,}\s*\d*$|\s\d+$")
GAP = 6.0  # points between parts of one drawing
PROXIMITY = 20.0  # points between parts of one figure, with no text between them
REACH = 60.0  # points between a figure and its caption
MIN_SIDE = 32 * 72 / 150  # 32 pixels at the resolution that crops are rendered at
MIN_SHARE = 0.01  # of the page


@dataclass(frozen=True)
class Graphic:
    """Something drawn: a picture, a thin rule, an axis-aligned shape, or any other shape.

    `index` is the number of a picture on its page, -1 for anything else.
    """

    box: Box
    kind: Literal["image", "rule", "rect", "shape"]
    index: int = -1


@dataclass(eq=False)
class Cluster:
    """Graphics that make one figure. `certain` is False where it may be a box or grid of text."""

    box: Box
    parts: list[Graphic] = field(default_factory=list)
    certain: bool = True

    def absorb(self, other: Cluster) -> None:
        self.box = self.box.union(other.box)
        self.parts += other.parts
        self.certain = self.certain or other.certain


def clusters(
    graphics: Sequence[Graphic], lines: Sequence[Line], page: Box, body_size: float, body_font: str
) -> list[Cluster]:
    """The figures of a page, without page-sized backgrounds, rules, text boxes and decorations.

    Each box takes in the labels beside the drawing (tick marks, axis titles, turned type).
    """
    prose = [line.box for line in lines if line.is_prose or CAPTION.match(line.text)]
    seeds, rules = [], []
    for graphic in graphics:
        if graphic.box.cut(page).area >= 0.85 * page.area:
            continue
        if graphic.kind == "rule":
            if graphic.box.height < 0.7 * page.height:
                rules.append(graphic)
        elif graphic.kind == "image" or sum(graphic.box.holds(box) for box in prose) < 3:
            seeds.append(graphic)
    found = _gather([Cluster(g.box, [g]) for g in _thin_out(seeds)], GAP, ())
    found = _with_rules(found, rules)
    found = _gather(found, PROXIMITY, prose)
    kept = []
    for cluster in found:
        cluster.box = cluster.box.cut(page)
        if not _is_big_enough(cluster.box, page):
            continue
        cluster.certain = _is_drawing(cluster, lines)
        _take_labels(cluster, lines, body_size, body_font)
        cluster.box = cluster.box.cut(page)
        kept.append(cluster)
    return kept


def drawings(found: Sequence[Cluster], lines: Sequence[Line]) -> list[Cluster]:
    """The certain ones, and each uncertain one that a figure's caption has nothing else to name."""
    kept = [cluster for cluster in found if cluster.certain]
    doubtful = [cluster for cluster in found if not cluster.certain]
    for line in lines:
        label = caption_of(line.text)
        if not label or label[0] != "figure":
            continue
        if any(_distance(cluster.box, line.box) <= REACH for cluster in kept):
            continue
        near = [c for c in doubtful if _distance(c.box, line.box) <= REACH]
        if near:
            best = min(near, key=lambda c: _distance(c.box, line.box))
            doubtful.remove(best)
            kept.append(best)
    return kept


def _is_big_enough(box: Box, page: Box) -> bool:
    return min(box.width, box.height) >= MIN_SIDE and box.area >= MIN_SHARE * page.area


def _thin_out(graphics: Iterable[Graphic]) -> list[Graphic]:
    """One of the shapes that share a place: a scatter plot has ten thousand of them."""
    seen: dict[tuple[object, ...], Graphic] = {}
    for graphic in graphics:
        seen.setdefault(
            (graphic.index, graphic.kind, *(round(v / 3) for v in graphic.box)), graphic
        )
    return list(seen.values())


def _gather(parts: Iterable[Cluster], gap: float, barriers: Sequence[Box]) -> list[Cluster]:
    """Unite clusters that are at most `gap` apart, unless the union would hold a barrier."""
    found = list(parts)
    changed = True
    while changed:
        changed = False
        merged: list[Cluster] = []
        for cluster in found:
            reach = cluster.box.grown(gap)
            for other in merged:
                if reach.touches(other.box) and not _blocked(cluster.box, other.box, barriers):
                    other.absorb(cluster)
                    changed = True
                    break
            else:
                merged.append(cluster)
        found = merged
    return found


def _blocked(a: Box, b: Box, barriers: Sequence[Box]) -> bool:
    union = a.union(b)
    return any(union.holds(box) and not a.holds(box) and not b.holds(box) for box in barriers)


def _with_rules(found: list[Cluster], rules: list[Graphic]) -> list[Cluster]:
    """Give each drawing the axes and arrows that touch it, but no rule that would double it."""
    rest = rules
    while True:
        left = []
        for rule in rest:
            for cluster in found:
                union = cluster.box.union(rule.box)
                if (
                    cluster.box.grown(GAP).touches(rule.box)
                    and union.width <= 2 * cluster.box.width + GAP
                    and union.height <= 2 * cluster.box.height + GAP
                ):
                    cluster.box = union
                    cluster.parts.append(rule)
                    break
            else:
                left.append(rule)
        if len(left) == len(rest):
            return found
        rest = left


def _is_drawing(cluster: Cluster, lines: Sequence[Line]) -> bool:
    """Whether it is a drawing and not a frame around text or the grid of a table."""
    if any(part.kind == "image" for part in cluster.parts):
        return True
    inside = [line for line in lines if cluster.box.holds(line.box)]
    text_area = sum(line.box.cut(cluster.box).area for line in inside)
    prose_area = sum(line.box.cut(cluster.box).area for line in inside if line.is_prose)
    if prose_area > 0.2 * cluster.box.area or text_area > 0.4 * cluster.box.area:
        return False
    if any(part.kind == "shape" for part in cluster.parts):
        return True
    solid = [part for part in cluster.parts if part.kind == "rect"]
    empty = [p for p in solid if not any(p.box.holds(line.box) for line in inside)]
    return len(empty) >= 3 or (len(empty) > 0 and not inside)


def _take_labels(cluster: Cluster, lines: Sequence[Line], body_size: float, body_font: str) -> None:
    frame = cluster.box.grown(60.0)  # labels lie close by; running text further out is left alone
    near = [line for line in lines if frame.cut(line.box) == line.box]
    prose = [line.box.grown(0.8 * line.size) for line in lines if line.is_prose]

    def is_label(line: Line) -> bool:
        if not line.upright:
            return True
        if line.is_prose or len(line.text) > 40 or CAPTION.match(line.text):
            return False
        if line.box.width > cluster.box.width or line.size > 1.35 * body_size:
            return False
        if line.size > 1.1 * body_size or (line.bold and line.size >= body_size):
            middle = (line.box.left + line.box.right - cluster.box.left - cluster.box.right) / 2
            return not line.bold and abs(middle) < 0.05 * cluster.box.width
        other_type = line.size <= 0.95 * body_size or line.font != body_font
        return other_type or not any(box.touches(line.box) for box in prose)

    for _ in range(3):
        for line in near:
            reach = 8.0 if line.upright else 14.0  # axis titles stand off the tick marks
            if cluster.box.grown(reach).touches(line.box) and is_label(line):
                cluster.box = cluster.box.union(line.box)


def tables(graphics: Sequence[Graphic], lines: Sequence[Line], taken: Sequence[Box]) -> list[Box]:
    """Boxes of ruled tables: rules of one width above each other, or a grid, with cells between."""
    flat = [
        g.box
        for g in graphics
        if g.kind in ("rule", "rect")
        and g.box.width > 3
        and not any(box.holds(g.box) for box in taken)
    ]
    groups: list[Box] = []
    for box in sorted(flat, key=lambda b: b.top):
        for at, group in enumerate(groups):
            same = abs(box.left - group.left) < 4 and abs(box.right - group.right) < 4
            between = Box(group.left, group.bottom, group.right, box.top)
            apart = box.top - group.bottom
            prose = any(between.holds(line.box) and line.is_prose for line in lines)
            if group.grown(1.0).touches(box) or (same and apart < 200 and not prose):
                groups[at] = group.union(box)
                break
        else:
            groups.append(box)
    return [group for group in groups if _has_cells(group, lines)]


def _has_cells(box: Box, lines: Sequence[Line]) -> bool:
    inside = [line for line in lines if line.upright and box.holds(line.box)]
    rows = {round(line.baseline / 3) for line in inside}
    return len(rows) >= 2 and len(inside) >= 1.5 * len(rows)


def caption_of(text: str) -> tuple[str, str] | None:
    """(anchor kind, number) of a caption, None for any other text and for lists of figures."""
    found = CAPTION.match(text)
    if not found or _LEADER.search(text[found.end() :]):
        return None
    kind = "table" if found["kind"].lower().startswith("tab") else "figure"
    return kind, found["number"].replace("–", "-")


def anchor_of(kind: str, number: str) -> str:
    """`figure-3.2`: the same from a caption and from a mention, so that refs need no look-ahead."""
    return f"{kind}-{number}"


def references(text: str) -> tuple[str, ...]:
    """Anchors of the figures and tables that `text` mentions, each once, in order."""
    anchors: dict[str, None] = {}
    for mention in _MENTION.finditer(text):
        kind = "table" if mention["kind"].lower().startswith("tab") else "figure"
        for number in re.findall(rf"({_NUMBER})[a-z]?\b", mention["numbers"]):
            anchors[anchor_of(kind, number.replace("–", "-"))] = None
    return tuple(anchors)


def match_captions(
    boxes: Sequence[Box], texts: Sequence[Paragraph], known: Survey
) -> dict[int, int]:
    """Which of `boxes` has which of `texts` as its caption (index to index).

    Numbered captions go first, nearest pair first; boxes without one then take a short text of
    smaller type close below or above.
    """
    pairs = sorted(
        (_distance(box, text.box), at, on)
        for on, text in enumerate(texts)
        if caption_of(text.text)
        for at, box in enumerate(boxes)
    )
    matched: dict[int, int] = {}
    for distance, at, on in pairs:
        if distance <= REACH and at not in matched and on not in matched.values():
            matched[at] = on
    for at, box in enumerate(boxes):
        if at in matched:
            continue
        near = [
            (_distance(box, text.box), on)
            for on, text in enumerate(texts)
            if on not in matched.values()
            and text.size <= 0.95 * known.size
            and len(text.text) <= 250
            and not is_heading(text, known)
            and text.box.width <= 1.3 * box.width
            and not caption_of(text.text)
        ]
        if near and min(near)[0] <= 1.5 * known.size:
            matched[at] = min(near)[1]
    return matched


def _distance(figure: Box, text: Box) -> float:
    """Points from a figure to a text below, above or beside it; beside counts double."""
    across = min(figure.right, text.right) - max(figure.left, text.left)
    along = min(figure.bottom, text.bottom) - max(figure.top, text.top)
    if along > 0.5 * min(figure.height, text.height):
        return 2 * max(-across, 0.0)
    if across < -REACH:
        return float("inf")
    aside = max(-across, 0.0)  # a caption at the left edge of the column, the figure in its middle
    above = max(figure.top - text.bottom, 0.0)
    below = max(text.top - figure.bottom, 0.0)
    # a caption above counts as further away: where two fit, the one below is the usual one
    return aside + (below if below else 1.25 * above)


def unite_by_caption(
    found: Sequence[Cluster], texts: Sequence[Paragraph], known: Survey
) -> tuple[list[Cluster], dict[int, int]]:
    """Match captions; parts side by side over one numbered caption become one figure."""
    matched = match_captions([c.box for c in found], texts, known)
    alone = [at for at in range(len(found)) if at not in matched]
    merged: set[int] = set()
    for at, on in matched.items():
        if not caption_of(texts[on].text):
            continue
        caption = texts[on].box
        for other in alone:
            a, b = found[at].box, found[other].box
            level = min(a.bottom, b.bottom) - max(a.top, b.top)
            under = min(caption.right, b.right) - max(caption.left, b.left)
            if other not in merged and level > 0.5 * min(a.height, b.height) and under > 0:
                found[at].absorb(found[other])
                merged.add(other)
    kept = [at for at in range(len(found)) if at not in merged]
    return [found[at] for at in kept], {
        kept.index(at): on for at, on in matched.items() if at in kept
    }
