"""Read the words of SmartArt: the points of the diagram as a nested list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lxml import etree

from data.readers.office import clean_text, formula_text
from data.readers.omml import latex_of
from data.readers.xml import local_name

__all__ = ["read_diagram"]

_DRAWN_TYPES = frozenset({"pres", "parTrans", "sibTrans"})  # points that only place the others
_MAX_DEPTH = 30


def read_diagram(root: etree._Element) -> str:
    """Return one line per point of a diagram's data part, indented by depth; '' without words."""
    points = {p.get("modelId") or "": p for p in root.iter("{*}pt")}
    children: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for link in root.iter("{*}cxn"):
        if link.get("type", "parOf") == "parOf":
            order = link.get("srcOrd") or "0"
            position = int(order) if order.isdecimal() else 0
            children[link.get("srcId") or ""].append((position, link.get("destId") or ""))
    visited: set[str] = set()

    def lines(identifier: str, depth: int) -> Iterator[str]:
        if identifier in visited or identifier not in points or depth > _MAX_DEPTH:
            return
        visited.add(identifier)
        text = _text(points[identifier])
        if text:
            yield f"{'  ' * depth}- {text}"
        for _, child in sorted(children[identifier]):
            yield from lines(child, depth + bool(text))

    nodes = [name for name, p in points.items() if p.get("type", "node") not in _DRAWN_TYPES]
    roots = [name for name in nodes if points[name].get("type") == "doc"]
    # points that no link reaches come last: their words must not be lost
    return "\n".join(line for name in (*roots, *nodes) for line in lines(name, 0))


def _text(point: etree._Element) -> str:
    paragraphs = ["".join(_runs(p)) for p in point.iterfind("{*}t/{*}p")]
    return " ".join(clean_text("\v".join(paragraphs)).split())


def _runs(element: etree._Element) -> Iterator[str]:
    for child in element:
        if local_name(child) == "oMath":
            yield formula_text(latex_of(child))
        elif local_name(child) == "t":
            yield child.text or ""
        elif local_name(child) == "br":
            yield " "
        else:
            yield from _runs(child)
