"""What Word and PowerPoint files share: the gate, their properties, formulas and pictures."""

from __future__ import annotations

import zipfile
from pathlib import Path

from lxml import etree

from data.errors import BadInput
from data.readers.archive import ARCHIVE_ERRORS, open_zip
from data.readers.files import is_picture
from data.readers.xml import parse_xml

__all__ = ["check_office", "local_name", "picture_or_problem", "properties"]

_OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # OLE2: Office before 2007, or any file with a password
_CORE = "docProps/core.xml"
_TYPES = "[Content_Types].xml"
_STEP = 4096  # bytes fed to the parser at a time


def check_office(path: Path, name: str, kind: str, main: str) -> None:
    """Raise `BadInput` unless `path` is a safe Office file of this kind with its `main` part.

    Checks bounds as for any archive, and that no XML part declares a document type: Office never
    writes one there, and every entity attack needs one.
    """
    with path.open("rb") as handle:
        head = handle.read(8)
    if not head:
        raise BadInput(f"{name}: empty file; nothing to index")
    if head.startswith(_OLD_OFFICE):
        raise BadInput(
            f"{name}: a file of Office before 2007 or with a password; save it as {path.suffix} "
            "without a password"
        )
    with open_zip(path, name) as archive:
        if not {main, _TYPES} <= set(archive.namelist()):
            raise BadInput(f"{name}: not a {kind} file (no {main}); save it from {kind} again")
        # the list of types first: it is XML itself, and says which other parts are
        _refuse_doctype(archive, archive.getinfo(_TYPES), name, kind)
        types = _ContentTypes(parse_xml(archive.read(_TYPES), f"{name}: member '{_TYPES}'"))
        for member in archive.infolist():
            if types.is_xml(member.filename):
                _refuse_doctype(archive, member, name, kind)


class _ContentTypes:
    """Which parts Office, and the libraries that read its files, take for XML."""

    def __init__(self, types: etree._Element) -> None:
        self._by_name: dict[str, str] = {}
        self._by_suffix: dict[str, str] = {"rels": "xml"}
        for entry in types:
            kind = (entry.get("ContentType") or "").lower()
            if local_name(entry) == "Override":
                self._by_name[(entry.get("PartName") or "").lstrip("/").lower()] = kind
            else:
                self._by_suffix[(entry.get("Extension") or "").lower()] = kind

    def is_xml(self, member: str) -> bool:
        name = member.lower()
        kind = self._by_name.get(name) or self._by_suffix.get(name.rpartition(".")[2], "xml")
        return kind.endswith("xml")


def _refuse_doctype(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, kind: str
) -> None:
    try:
        declared = _has_doctype(archive, member)
    except (OSError, *ARCHIVE_ERRORS) as error:
        raise BadInput(
            f"{name}: member {member.filename!r} is broken ({error}); save the file again"
        ) from None
    if declared:
        raise BadInput(
            f"{name}: member {member.filename!r} declares a document type, which {kind} "
            f"never writes; save the file from {kind} again"
        )


def _has_doctype(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Whether a part declares a document type, seen as libxml2 sees it, in whatever encoding."""
    parser = etree.XMLPullParser(("start",), resolve_entities=False, no_network=True)
    with archive.open(member) as handle:
        try:
            while data := handle.read(_STEP):
                parser.feed(data)
                for _, root in parser.read_events():
                    assert isinstance(root, etree._Element)
                    return root.getroottree().docinfo.internalDTD is not None
        except etree.XMLSyntaxError:
            return b"<!DOCTYPE" in data  # else no XML: a picture, a font
    return False


def properties(path: Path) -> tuple[str, str]:
    """Title and author of the file's core properties; empty where the file has none or is bad."""
    try:
        with open_zip(path, path.name) as archive:
            root = parse_xml(archive.read(_CORE), _CORE)
    except (BadInput, OSError, KeyError, *ARCHIVE_ERRORS):
        return "", ""  # a file may lack them; what is wrong with it is said when it is read
    values = {local_name(e): " ".join((e.text or "").split()) for e in root}
    return values.get("title", ""), values.get("creator", "")


def local_name(element: etree._Element) -> str:
    """An element's name without its namespace; '' for comments and processing instructions."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def picture_or_problem(data: bytes, what: str) -> tuple[bytes | None, str]:
    """The picture, or None and why it is left out (drawings that only Office can render)."""
    if is_picture(data) or data[:2] == b"BM":
        return data, ""
    return None, f"{what}: not a picture that is read (WMF, EMF or SVG?); paste it as PNG"
