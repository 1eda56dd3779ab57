"""Read the charts and pictures that lie on a sheet."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace

from lxml import etree
from openpyxl.utils import range_boundaries
from openpyxl.workbook import Workbook

from data.documents import Block, Figure, Problem
from data.readers.formulas import normalise_formulas
from data.readers.office import clean_text, picture_or_problem
from data.readers.office_charts import read_chart
from data.readers.office_markup import related_id, simplify
from data.readers.office_numbers import format_cell
from data.readers.structure import Content
from data.readers.xlsx_parts import SheetPart, read_part, related_parts
from data.readers.xml import local_name
from data.records import Audience
from data.tables import markdown_table

__all__ = ["drawings_of"]

_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_ANCHORS = ("twoCellAnchor", "oneCellAnchor", "absoluteAnchor")
_MAX_CACHED_CELLS = 100_000  # of one range that a chart plots


def drawings_of(
    archive: zipfile.ZipFile,
    workbook: Workbook,
    part: SheetPart,
    section: tuple[str, ...],
    audience: Audience,
) -> Iterator[Content]:
    """Yield the pictures of a sheet, and its charts as a figure and a table of the values."""
    drawings = [path for _, kind, path in related_parts(archive, part.path) if kind == "drawing"]
    for path in drawings:
        related = {relation: target for relation, _, target in related_parts(archive, path)}
        root = read_part(archive, path)
        simplify(root)
        for anchor in root:
            if local_name(anchor) in _ANCHORS:
                for content in _anchored(archive, workbook, anchor, related, part):
                    if isinstance(content, Problem):
                        yield content
                    else:
                        yield replace(content, section=section, audience=audience)


def _anchored(
    archive: zipfile.ZipFile,
    workbook: Workbook,
    anchor: etree._Element,
    related: dict[str, str],
    part: SheetPart,
) -> Iterator[Block | Figure | Problem]:
    properties = next(anchor.iter("{*}cNvPr"), None)
    name, alt = "drawing", ""
    if properties is not None:
        name, alt = properties.get("name") or name, properties.get("descr") or ""
    label, alt = f"sheet {part.name}: {name}", normalise_formulas(" ".join(alt.split()))
    for element in anchor.iter("{*}blip", "{*}chart", "{*}txBody"):
        kind = local_name(element)
        if kind == "txBody":
            lines = ("".join(t.text or "" for t in p.iter("{*}t")) for p in element.iter("{*}p"))
            if text := clean_text("\v".join(lines)):
                yield Block(text)
            continue
        target = related.get(related_id(element, "embed", "id"))
        if kind == "chart":
            yield from _chart(archive, workbook, target, label, alt)
            continue
        picture: bytes | None = None
        problem = f"{label}: a picture is missing from the file; paste it again"
        if target:
            picture, problem = picture_or_problem(archive.read(target), label)
        yield Figure("", picture, alt=alt)
        if problem:
            yield Problem("", problem, "picture")


def _chart(
    archive: zipfile.ZipFile, workbook: Workbook, path: str | None, label: str, alt: str
) -> Iterator[Block | Figure | Problem]:
    root = read_part(archive, path) if path else None
    if root is not None:
        _store_values(root, workbook)
    chart = read_chart(root) if root is not None else None
    if chart is None:
        yield Problem("", f"{label}: a chart without values is not read; paste a picture", "chart")
        return
    yield Figure("", None, alt=alt or chart.label)
    table = replace(chart.table, caption=chart.label)
    yield Block(markdown_table(table), role="table", title=chart.label)


def _store_values(root: etree._Element, workbook: Workbook) -> None:
    """Fill the stores of values that a program left empty, from the cells that a chart plots."""
    for reference in root.iter(f"{_CHART}numRef", f"{_CHART}strRef"):
        if next(reference.iter(f"{_CHART}v"), None) is not None:
            continue
        store = etree.SubElement(reference, f"{_CHART}strCache")
        for index, text in enumerate(_cells(reference.findtext(f"{_CHART}f") or "", workbook)):
            point = etree.SubElement(store, f"{_CHART}pt", idx=str(index))
            etree.SubElement(point, f"{_CHART}v").text = text


def _cells(formula: str, workbook: Workbook) -> Iterator[str]:
    """Yield the texts of a range such as `'Rain 2024'!$A$2:$A$9`; nothing for another formula."""
    name, _, area = formula.rpartition("!")
    name = name.strip("'").replace("''", "'")
    if name not in workbook.sheetnames:
        return
    try:
        left, top, right, bottom = range_boundaries(area.replace("$", ""))
    except (ValueError, TypeError):
        return
    if (
        None in (left, top, right, bottom)
        or (right - left + 1) * (bottom - top + 1) > _MAX_CACHED_CELLS
    ):
        return
    sheet = workbook[name]
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            cell = sheet.cell(row, column)
            yield format_cell(cell.value, cell.number_format)
