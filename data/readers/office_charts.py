"""Read the charts of Word, PowerPoint and Excel: the title and a table of the plotted values.

The values are the copies that the chart part itself keeps, so the chart's workbook is not opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from data.readers.office_numbers import format_number
from data.readers.xml import local_name
from data.tables import Table

__all__ = ["Chart", "read_chart"]

_MAX_POINTS = 100_000  # rows or columns of a chart's table
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_EXTENDED_KINDS = {
    "boxWhisker": "box",
    "clusteredColumn": "histogram",
    "paretoLine": "Pareto",
    "treemap": "tree map",
}
_PLOT = re.compile(r"(\w+?)(?:3D)?Chart")


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its kind ("bar", "line", ...), its title and its values, one column per series."""

    kind: str
    title: str
    table: Table

    @property
    def label(self) -> str:
        """The title and the kind: "Yearly rain in two cities (bar chart)"."""
        kind = f"{self.kind} chart" if self.kind else "chart"
        return f"{self.title} ({kind})" if self.title else f"{kind[0].upper()}{kind[1:]}"


@dataclass(frozen=True, slots=True)
class _Series:
    name: str
    categories: dict[int, str]
    values: dict[int, str]


def read_chart(root: etree._Element) -> Chart | None:
    """Return the chart of a chart part's root element, or None if it holds no values."""
    if next(root.iter("{*}plotAreaRegion"), None) is not None:
        return _read_extended_chart(root)
    plot = next(root.iter("{*}plotArea"), None)
    series = [_series(e) for e in plot.iter("{*}ser")] if plot is not None else []
    series = [s for s in series if s.values]
    if plot is None or not series:
        return None
    kinds = [match[1] for e in plot if (match := _PLOT.fullmatch(local_name(e)))]
    indices = sorted({i for s in series for i in (*s.categories, *s.values)})[:_MAX_POINTS]
    categories = next((s.categories for s in series if s.categories), {})
    header = (_axis_title(plot, "catAx"), *(s.name for s in series))
    rows = [
        (categories.get(i, str(i + 1)), *(s.values.get(i, "") for s in series)) for i in indices
    ]
    title = _title(root.find("{*}chart/{*}title"))
    deleted = root.find("{*}chart/{*}autoTitleDeleted")
    has_title = deleted is None or deleted.get("val") in ("0", "false")
    if not title and has_title and len(series) == 1:
        title = series[0].name  # Office shows the name of an only series as the title
    unit = _axis_title(plot, "valAx")
    if unit:
        names = (f"{name} ({unit})" if name not in ("", unit) else unit for name in header[1:])
        header = (header[0], *names)
    return Chart(kinds[0] if kinds else "", title, Table((header, *rows)))


def _read_extended_chart(root: etree._Element) -> Chart | None:
    """Return a chart of the kinds that Office 2016 brought: box plots, histograms, tree maps."""
    data = {e.get("id"): e for e in root.iterfind("{*}chartData/{*}data")}
    kinds: list[str] = []
    series: list[_Series] = []
    for element in root.iter("{*}series"):
        reference = element.find("{*}dataId")
        source = data.get(reference.get("val") if reference is not None else None)
        if source is not None:
            kinds.append(element.get("layoutId") or "")
            series.append(_extended_series(element, source))
    if not any(s.values for s in series):
        return None
    categories = next((s.categories for s in series if s.categories), {})
    indices = sorted({i for s in series for i in s.values})[:_MAX_POINTS]
    rows = [
        (categories.get(i, str(i + 1)), *(s.values.get(i, "") for s in series)) for i in indices
    ]
    kind = _EXTENDED_KINDS.get(kinds[0], kinds[0])
    title = _title(root.find("{*}chart/{*}title"))
    return Chart(kind, title, Table((("", *(s.name for s in series)), *rows)))


def _extended_series(element: etree._Element, source: etree._Element) -> _Series:
    name = " ".join(v.text or "" for v in element.iterfind("{*}tx//{*}v"))
    texts, numbers = (
        dict(_extended_points(dimension)) if dimension is not None else {}
        for dimension in (source.find("{*}strDim"), source.find("{*}numDim"))
    )
    return _Series(" ".join(name.split()), texts, numbers)


def _extended_points(dimension: etree._Element) -> Iterator[tuple[int, str]]:
    """Yield the index and the text of each point; a tree map has one level for each depth."""
    levels = [
        {int(point.get("idx") or 0): point.text or "" for point in level.iterfind("{*}pt")}
        for level in dimension.iterfind("{*}lvl")
    ]
    for index in sorted({i for level in levels for i in level}):
        path = [level[index] for level in reversed(levels) if level.get(index)]
        yield index, _text(", ".join(path), "General")


def _series(element: etree._Element) -> _Series:
    name = " ".join(v.text or "" for v in element.iterfind("{*}tx//{*}v"))
    categories = _first(element, "cat", "xVal")
    values = _first(element, "val", "yVal")
    points = dict(_points(values)) if values is not None else {}
    return _Series(
        " ".join(name.split()),
        dict(_points(categories)) if categories is not None else {},
        points,
    )


def _first(element: etree._Element, *names: str) -> etree._Element | None:
    return next((child for child in element if local_name(child) in names), None)


def _points(source: etree._Element) -> Iterator[tuple[int, str]]:
    """Yield the index and the text of each cached point; the levels of a category are joined."""
    levels = list(source.iter("{*}lvl")) or [source]
    names: dict[int, str] = {}
    code = next((e.text or "" for e in source.iter("{*}formatCode")), "General")
    for depth, level in enumerate(levels):
        texts = {
            int(point.get("idx") or 0): _text(point.findtext("{*}v") or "", code)
            for point in level.iter("{*}pt")
        }
        if not depth:
            names = texts
            continue
        outer = ""
        for index in sorted(names):  # an outer level names only the first point of its group
            outer = texts.get(index, outer)
            names[index] = f"{outer}, {names[index]}" if outer else names[index]
    yield from names.items()


def _text(value: str, code: str) -> str:
    value = " ".join(value.split())
    return format_number(float(value), code) if _NUMBER.fullmatch(value) else value


def _title(element: etree._Element | None) -> str:
    if element is None:
        return ""
    paragraphs = ["".join(t.text or "" for t in p.iter("{*}t")) for p in element.iter("{*}p")]
    texts = [p for p in paragraphs if p.strip()] or [v.text or "" for v in element.iter("{*}v")]
    return " ".join(" ".join(texts).split())


def _axis_title(plot: etree._Element, name: str) -> str:
    """Return the title of a chart's only axis of one kind; '' if there are several."""
    axes = [axis for axis in plot if local_name(axis) == name]
    return _title(axes[0].find("{*}title")) if len(axes) == 1 else ""
