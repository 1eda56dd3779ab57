"""The parts of an Excel file: which sheets it has, and what each of them refers to."""

from __future__ import annotations

import posixpath
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from lxml import etree

from data.readers.office_markup import related_id
from data.readers.xml import parse_xml

__all__ = [
    "SheetPart",
    "count_unstored_formulas",
    "read_part",
    "related_parts",
    "sheet_parts",
    "without_styles",
]

_WORKBOOK = "xl/workbook.xml"
_UNSTORED = re.compile(rb"(?:</f>|<f[^>]*/>)(?:<v\s*/>|<v></v>)?</c>")


_STYLES = "xl/styles.xml"
_CELL_STYLE = re.compile(rb'(<(?:c|row|col)\b[^>]*?)\s(?:s|style)="\d*"')


@dataclass(frozen=True, slots=True)
class SheetPart:
    """A sheet of a workbook. `is_chart` marks a sheet that is one chart and has no cells."""

    name: str
    path: str
    is_hidden: bool = False
    is_chart: bool = False


def sheet_parts(archive: zipfile.ZipFile) -> Iterator[SheetPart]:
    """Yield the sheets in their order. A sheet whose part is missing is left out."""
    targets = {relation: path for relation, _, path in related_parts(archive, _WORKBOOK)}
    workbook = read_part(archive, _WORKBOOK)
    for sheet in workbook.iterfind("{*}sheets/{*}sheet"):
        path = targets.get(related_id(sheet, "id"))
        if path:
            is_hidden = sheet.get("state", "visible") != "visible"
            yield SheetPart(sheet.get("name") or "", path, is_hidden, "/chartsheets/" in path)


def related_parts(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str, str]]:
    """Yield the id, the kind ("drawing", ...) and the path of each part that a part refers to."""
    folder, name = posixpath.split(part)
    relations = posixpath.join(folder, "_rels", f"{name}.rels")
    if relations not in archive.NameToInfo:
        return
    for relation in read_part(archive, relations):
        target = relation.get("Target") or ""
        path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        if relation.get("TargetMode") != "External" and path in archive.NameToInfo:
            kind = (relation.get("Type") or "").rsplit("/", 1)[-1]
            yield relation.get("Id") or "", kind, path


def read_part(archive: zipfile.ZipFile, path: str) -> etree._Element:
    """Return the root element of a part."""
    return parse_xml(archive.read(path), path)


def count_unstored_formulas(archive: zipfile.ZipFile, part: SheetPart) -> int:
    """Return how many cells of a sheet hold a formula without its result."""
    return len(_UNSTORED.findall(archive.read(part.path)))


def without_styles(archive: zipfile.ZipFile) -> IO[bytes]:
    """Return a copy of a workbook without its styles, which some exporters write wrongly."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    with zipfile.ZipFile(copy, "w") as target:
        for member in archive.infolist():
            data = archive.read(member)
            if member.filename.startswith("xl/worksheets/"):
                data = _CELL_STYLE.sub(rb"\1", data)
            if member.filename != _STYLES:
                target.writestr(member.filename, data, zipfile.ZIP_STORED)
    copy.seek(0)
    return copy
