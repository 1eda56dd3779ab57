"""Read Excel files: each sheet is a section with its tables, charts, pictures and comments."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from lxml import etree
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook import Workbook

from data.documents import Block, Document, Problem
from data.errors import BadInput
from data.readers.files import fingerprint, format_of, source_of
from data.readers.office import check_office_file, read_properties
from data.readers.office_package import OfficePackage, open_package
from data.readers.sheet_regions import MAX_ROWS, SheetTable, SheetText
from data.readers.structure import Content, assemble, humanise
from data.readers.xlsx_comments import comments_of
from data.readers.xlsx_drawings import drawings_of
from data.readers.xlsx_parts import (
    SheetPart,
    count_unstored_formulas,
    sheet_parts,
    without_styles,
)
from data.readers.xlsx_tables import contents_of_sheet
from data.records import Audience
from data.tables import markdown_table

__all__ = ["XlsxReader"]

_MAIN_PART = "xl/workbook.xml"
_MAX_SHEET_BYTES = 64 * 1024**2  # of all sheets together, unpacked: over a million cells
_XLSX_ERRORS = (
    *(InvalidFileException, KeyError, ValueError, AttributeError, TypeError, IndexError),
    *(zipfile.BadZipFile, etree.LxmlError, OSError),
)


class XlsxReader:
    """Read `.xlsx`, `.xlsm`, `.xltx` and `.xltm` files."""

    name = "xlsx"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "xlsx"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = read_properties(path)
        title = title or humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    check_office_file(path, source, "Excel", _MAIN_PART)
    try:
        package = open_package(path, source)
        with zipfile.ZipFile(package.file) as archive:
            parts = list(sheet_parts(archive))
            _check_size(archive, parts, source)
            workbook, problems = _open(package, archive)
            contents = [c for part in parts for c in _sheet(archive, workbook, part, title)]
    except _XLSX_ERRORS as error:
        raise BadInput(
            f"{source}: a damaged Excel file ({type(error).__name__}: {error}); "
            "open it in Excel and save it again"
        ) from None
    if not contents:
        raise BadInput(f"{source}: no cells with values and no pictures; nothing to index")
    yield from assemble([*contents, *problems])


def _open(package: OfficePackage, archive: zipfile.ZipFile) -> tuple[Workbook, list[Problem]]:
    """Return the workbook; without its styles if they are what is damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about extensions, which hold no values
        try:
            package.file.seek(0)
            return load_workbook(package.file, data_only=True, keep_links=False), []
        except _XLSX_ERRORS as error:
            plain = load_workbook(without_styles(archive), data_only=True, keep_links=False)
            message = f"the styles are damaged ({error}): dates and units are plain numbers"
            return plain, [Problem("", f"{message}; save the file in Excel")]


def _check_size(archive: zipfile.ZipFile, parts: list[SheetPart], source: str) -> None:
    size = sum(archive.getinfo(part.path).file_size for part in parts)
    if size > _MAX_SHEET_BYTES:
        raise BadInput(
            f"{source}: {size:,} bytes of sheets, more than the {_MAX_SHEET_BYTES:,} allowed; "
            "split the workbook"
        )


def _sheet(
    archive: zipfile.ZipFile, workbook: Workbook, part: SheetPart, title: str
) -> Iterator[Content]:
    """Yield the contents of one sheet. Those of a hidden sheet are for teachers."""
    section = (title, part.name)
    audience: Audience = "teacher" if part.is_hidden else "student"
    if part.name in workbook.sheetnames and not part.is_chart:
        for content in contents_of_sheet(workbook[part.name]):
            if isinstance(content, SheetTable):
                text, caption = markdown_table(content.table), content.table.caption
                yield Block(text, section, "table", caption, audience=audience)
            elif isinstance(content, SheetText):
                yield Block(content.text, section, audience=audience)
            else:
                message = f"sheet {part.name}: only the first {MAX_ROWS:,} rows are read"
                yield Problem("", f"{message}; split the sheet", "table")
        if count := count_unstored_formulas(archive, part):
            message = f"sheet {part.name}: formulas without a stored result ({count}) are not read"
            yield Problem("", f"{message}; open the file in Excel and save it", "table")
    try:
        yield from drawings_of(archive, workbook, part, section, audience)
        for comment in comments_of(archive, part):
            yield Block(comment, section, "note", audience=audience)
    except BadInput as error:  # a part that is not well formed; the cells are read
        yield Problem("", f"sheet {part.name}: a drawing or comment cannot be read ({error})")
