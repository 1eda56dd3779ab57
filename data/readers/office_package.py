"""Open Office files as Word and PowerPoint do, with the faults that their own programs forgive.

The libraries refuse a whole file for a relation without a target, for Strict Open XML and for the
content type of a template or of a file with macros. `open_package` removes these before a library
sees the file. Macros are never run: no reader looks at them.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from lxml import etree

from data.errors import BadInput
from data.readers.archive import ARCHIVE_ERRORS, open_zip
from data.readers.xml import MAX_XML_BYTES, local_name, parse_xml

__all__ = ["MissingPicture", "OfficePackage", "open_package"]

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/([A-Za-z]+)")
_RENAMED = {
    b"extendedProperties": b"extended-properties",
    b"customProperties": b"custom-properties",
}
_RELATION_NAME = re.compile(rb"(?<=relationships/)(?:extended|custom)Properties")
_PLAIN_TYPES = {
    b"application/vnd.ms-word.document.macroEnabled.main+xml": "wordprocessingml.document",
    b"application/vnd.ms-word.template.macroEnabledTemplate.main+xml": "wordprocessingml.document",
    b"wordprocessingml.template.main+xml": "wordprocessingml.document",
    b"application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml": (
        "presentationml.presentation"
    ),
    b"application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml": "presentationml.presentation",
    b"application/vnd.ms-powerpoint.template.macroEnabled.main+xml": "presentationml.presentation",
    b"presentationml.slideshow.main+xml": "presentationml.presentation",
    b"presentationml.template.main+xml": "presentationml.presentation",
}
_DOCUMENT_TYPE = "application/vnd.openxmlformats-officedocument."
_NO_TARGETS = ("NULL", "#")  # Office writes these for pictures that were never there
_NO_RELATIONS = (
    b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"/>'
)
_MEMORY_BYTES = 32 * 1024**2  # a larger copy goes to the disk
_CONTENT_TYPES = "[Content_Types].xml"


@dataclass(frozen=True, slots=True)
class MissingPicture:
    """A relation to a picture that is not in the file. `part` is the part that has the relation."""

    part: str
    relation: str
    target: str


@dataclass(frozen=True, slots=True)
class OfficePackage:
    """A copy of an Office file that the libraries can open, and the pictures that it lacks."""

    file: IO[bytes]
    missing_pictures: tuple[MissingPicture, ...]

    def unmentioned(self, part: str, root: etree._Element) -> list[MissingPicture]:
        """Return the missing pictures of a part that its text nowhere mentions."""
        mentioned = {value for element in root.iter() for value in element.attrib.values()}
        return [
            picture
            for picture in self.missing_pictures
            if picture.part == part.lstrip("/") and picture.relation not in mentioned
        ]


def open_package(path: Path, name: str, skip_broken: bool = False) -> OfficePackage:
    """Copy an Office file without the faults that keep the libraries from opening it.

    Relations to missing parts are removed, Strict namespaces become the usual ones, and templates
    and files with macros become plain documents. `skip_broken` also removes relations to parts
    that are not well-formed XML. Raises `BadInput` if the file is no safe archive.
    """
    missing: list[MissingPicture] = []
    copy = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
    with open_zip(path, name) as archive, zipfile.ZipFile(copy, "w") as target:
        parts = {member.filename: member for member in archive.infolist()}
        broken = set(_broken_parts(archive)) if skip_broken else set()
        # the relations come last, when it is known which parts can be read
        for member in sorted(parts.values(), key=lambda m: m.filename.endswith(".rels")):
            data = _read(archive, member, name)
            if data is None:
                broken.add(member.filename)
                continue
            if member.filename.endswith((".xml", ".rels")):
                data = _STRICT.sub(_transitional, data)
                data = _RELATION_NAME.sub(lambda match: _RENAMED[match[0]], data)
            if member.filename.endswith(".rels"):
                readable = parts.keys() - broken
                data = _without_dangling_relations(data, member.filename, readable, missing)
            elif member.filename == _CONTENT_TYPES:
                data = _as_plain_document(data)
            target.writestr(member.filename, data, zipfile.ZIP_STORED)
    copy.seek(0)
    return OfficePackage(copy, tuple(missing))


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes | None:
    """Return the bytes of a part; None if they are damaged."""
    is_xml = member.filename.endswith(".xml")
    if is_xml and member.file_size > MAX_XML_BYTES:
        raise BadInput(
            f"{name}: member {member.filename!r} has {member.file_size:,} bytes, more than the "
            f"{MAX_XML_BYTES:,} allowed; split the document"
        )
    try:
        return archive.read(member)
    except (OSError, *ARCHIVE_ERRORS):
        return None


def _transitional(match: re.Match[bytes]) -> bytes:
    """Return the usual namespace of a Strict one, which differs by a year."""
    kind = _RENAMED.get(match[2], match[2])
    return b"http://schemas.openxmlformats.org/" + match[1] + b"/2006/" + kind


def _broken_parts(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        if name.endswith(".xml"):
            try:
                parse_xml(archive.read(name), name)
            except BadInput:
                yield name


def _without_dangling_relations(
    data: bytes, member: str, parts: Collection[str], missing: list[MissingPicture]
) -> bytes:
    """Remove the relations whose target is no part of the file; add the pictures to `missing`."""
    folder = posixpath.dirname(posixpath.dirname(member))
    names = {name.casefold() for name in parts}
    try:
        root = parse_xml(data, member)
    except BadInput:
        return _NO_RELATIONS
    dangling = [
        relation
        for relation in root
        if local_name(relation) == "Relationship" and not _is_whole(relation, folder, names)
    ]
    for relation in dangling:
        root.remove(relation)
        target = relation.get("Target") or ""
        is_picture = (relation.get("Type") or "").endswith("/image")
        if is_picture and not target.upper().startswith(_NO_TARGETS):
            part = posixpath.join(folder, posixpath.basename(member).removesuffix(".rels"))
            missing.append(MissingPicture(part, relation.get("Id") or "", target))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") if dangling else data


def _is_whole(relation: etree._Element, folder: str, names: set[str]) -> bool:
    if not (relation.get("Id") and relation.get("Type")):
        return False
    if relation.get("TargetMode") == "External":
        return True
    target = relation.get("Target") or ""
    path = target if target.startswith("/") else posixpath.join("/", folder, target)
    return unquote(posixpath.normpath(path)).lstrip("/").casefold() in names


def _as_plain_document(data: bytes) -> bytes:
    for special, plain in _PLAIN_TYPES.items():
        prefix = b"" if special.startswith(b"application") else _DOCUMENT_TYPE.encode()
        data = data.replace(prefix + special, f"{_DOCUMENT_TYPE}{plain}.main+xml".encode())
    return data
