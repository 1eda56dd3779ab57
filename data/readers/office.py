"""Read what Office files share: safety checks, properties, texts and pictures."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from lxml import etree
from metafile_render import MetafileError, render_metafile

from data.errors import BadInput
from data.readers.archive import ARCHIVE_ERRORS, open_zip
from data.readers.files import is_picture
from data.readers.formulas import normalise_formulas
from data.readers.xml import local_name, parse_xml

__all__ = [
    "check_office_file",
    "clean_text",
    "formula_text",
    "picture_or_problem",
    "read_properties",
    "refuse_doctype",
]

_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0"  # OLE2: Office before 2007, or any file with a password
_CORE_PROPERTIES = "docProps/core.xml"
_CONTENT_TYPES = "[Content_Types].xml"
_EMF_SIGNATURE = b" EMF"
_WMF_SIGNATURES = (b"\xd7\xcd\xc6\x9a", b"\x01\x00\x09\x00", b"\x02\x00\x09\x00")
_SOFT_HYPHEN = "\u00ad"
_GAP = "\x1d"  # between a formula and its neighbours: a space if both would run together
_GAP_IN_WORDS = re.compile(rf"(?<=\w){_GAP}+|{_GAP}+(?=\w)|(?<=\)){_GAP}+(?=\\)")
_CHUNK_BYTES = 4096  # size of the pieces that the parser gets


def check_office_file(path: Path, name: str, program: str, main_part: str) -> None:
    """Raise `BadInput` unless `path` is a safe file of `program` (Word or PowerPoint).

    The file must be a safe archive that contains `main_part`. No XML part may declare a document
    type: Office never writes one, and every entity attack needs one.
    """
    with path.open("rb") as handle:
        head = handle.read(8)
    if not head:
        raise BadInput(f"{name}: empty file; nothing to index")
    if head.startswith(_OLE_SIGNATURE):
        raise BadInput(
            f"{name}: an Office file from before 2007 or with a password; save it as "
            f"{path.suffix} without a password"
        )
    with open_zip(path, name) as archive:
        if not {main_part, _CONTENT_TYPES} <= set(archive.namelist()):
            raise BadInput(
                f"{name}: not a {program} file (no {main_part}); save it from {program} again"
            )
        # check the list of content types first: it is XML itself and names the other XML parts
        refuse_doctype(archive, archive.getinfo(_CONTENT_TYPES), name, program)
        types = _ContentTypes(
            parse_xml(archive.read(_CONTENT_TYPES), f"{name}: member '{_CONTENT_TYPES}'")
        )
        for member in archive.infolist():
            if types.is_xml(member.filename):
                refuse_doctype(archive, member, name, program)


class _ContentTypes:
    """The content type of each part, which decides whether a library parses it as XML."""

    def __init__(self, types: etree._Element) -> None:
        self._by_name: dict[str, str] = {}
        self._by_suffix: dict[str, str] = {"rels": "xml"}
        for entry in types:
            content_type = (entry.get("ContentType") or "").lower()
            if local_name(entry) == "Override":
                self._by_name[(entry.get("PartName") or "").lstrip("/").lower()] = content_type
            else:
                self._by_suffix[(entry.get("Extension") or "").lower()] = content_type

    def is_xml(self, member: str) -> bool:
        name = member.lower()
        suffix = name.rpartition(".")[2]
        content_type = self._by_name.get(name) or self._by_suffix.get(suffix, "xml")
        return content_type.endswith("xml")


def refuse_doctype(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, program: str
) -> None:
    """Raise `BadInput` if a part declares a document type or cannot be unpacked."""
    try:
        has_doctype = _has_doctype(archive, member)
    except (OSError, *ARCHIVE_ERRORS) as error:
        raise BadInput(
            f"{name}: member {member.filename!r} is broken ({error}); save the file again"
        ) from None
    if has_doctype:
        raise BadInput(
            f"{name}: member {member.filename!r} declares a document type, which {program} "
            f"never writes; save the file from {program} again"
        )


def _has_doctype(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Return whether a part declares a document type, in any encoding that libxml2 can read."""
    parser = etree.XMLPullParser(("start",), resolve_entities=False, no_network=True)
    with archive.open(member) as handle:
        try:
            while data := handle.read(_CHUNK_BYTES):
                parser.feed(data)
                for _, root in parser.read_events():
                    assert isinstance(root, etree._Element)
                    return root.getroottree().docinfo.internalDTD is not None
        except etree.XMLSyntaxError:
            return b"<!DOCTYPE" in data  # else it is not XML but a picture or a font
    return False


def read_properties(path: Path) -> tuple[str, str]:
    """Return the title and author from a file's core properties; '' if they cannot be read."""
    try:
        with open_zip(path, path.name) as archive:
            root = parse_xml(archive.read(_CORE_PROPERTIES), _CORE_PROPERTIES)
    except (BadInput, OSError, KeyError, *ARCHIVE_ERRORS):
        return "", ""  # properties are optional; reading the document reports a broken file
    values = {local_name(e): " ".join((e.text or "").split()) for e in root}
    return values.get("title", ""), values.get("creator", "")


def formula_text(latex: str, display: bool = False) -> str:
    """Return a formula in brackets, to be passed to `clean_text`; '' if it is empty."""
    if not latex.strip():
        return ""
    return f" \\[{latex}\\] " if display else f"{_GAP}\\({latex}\\){_GAP}"


def clean_text(text: str) -> str:
    """Normalise formulas and white space; `\\v` starts a new line, and empty lines are removed."""
    text = _GAP_IN_WORDS.sub(" ", text.replace(_SOFT_HYPHEN, "")).replace(_GAP, "")
    text = normalise_formulas(text)
    lines = (" ".join(line.split()) for line in text.split("\v"))
    return "\n".join(line for line in lines if line)


def picture_or_problem(data: bytes, name: str) -> tuple[bytes | None, str]:
    """Return a picture's bytes, or None and a message if it cannot be drawn.

    Metafiles (WMF and EMF), which only Office draws, become PNG.
    """
    if is_picture(data) or data[:2] == b"BM":
        return data, ""
    if data.startswith(_WMF_SIGNATURES) or data[40:44] == _EMF_SIGNATURE:
        return _draw_metafile(data, name)
    message = "not a picture in a supported format (SVG?); paste it as PNG"
    return None, f"{name}: {message}"


def _draw_metafile(data: bytes, name: str) -> tuple[bytes | None, str]:
    try:
        drawing = render_metafile(data, output_format="png", backend="replay")
    except (MetafileError, ValueError, OSError, ArithmeticError) as error:
        return None, f"{name}: a WMF or EMF picture cannot be drawn ({error}); paste it as PNG"
    if not drawing.partial:
        return drawing.data, ""
    return drawing.data, f"{name}: parts of a WMF or EMF picture are not drawn; paste it as PNG"
