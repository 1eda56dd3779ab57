"""Open OpenDocument files (Writer, Impress, Calc): safety checks, parts, properties and styles."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from data.errors import BadInput
from data.readers.archive import ARCHIVE_ERRORS, open_zip
from data.readers.office import refuse_doctype
from data.readers.xml import local_name, parse_xml

__all__ = ["OdfPackage", "OdfStyles", "attribute", "read_odf_properties"]

_NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns:"
_OTHER_NAMESPACES = {
    "xml": "http://www.w3.org/XML/1998/namespace",
    "xlink": "http://www.w3.org/1999/xlink",
    "fo": f"{_NAMESPACE}xsl-fo-compatible:1.0",
    "svg": f"{_NAMESPACE}svg-compatible:1.0",
}
_XML_MEMBERS = ("content.xml", "styles.xml", "meta.xml", "settings.xml", "manifest.xml")
_MAX_CHAIN = 20  # styles that are based on each other; a longer chain is a circle


def attribute(element: etree._Element | None, name: str, default: str = "") -> str:
    """Return an attribute by its usual name, such as `text:style-name`."""
    if element is None:
        return default
    prefix, _, local = name.partition(":")
    namespace = _OTHER_NAMESPACES.get(prefix) or f"{_NAMESPACE}{prefix}:1.0"
    return element.get(f"{{{namespace}}}{local}", default)


class OdfPackage:
    """The parts of an OpenDocument file, which stays open until `close`."""

    def __init__(self, path: Path, name: str) -> None:
        if not path.stat().st_size:
            raise BadInput(f"{name}: empty file; nothing to index")
        self._name = name
        self._archive = open_zip(path, name)
        if "content.xml" not in self._archive.NameToInfo:
            self.close()
            raise BadInput(
                f"{name}: not an OpenDocument file (no content.xml); save it from LibreOffice again"
            )
        try:
            for member in self._archive.infolist():
                if member.filename.endswith(_XML_MEMBERS):
                    refuse_doctype(self._archive, member, name, "LibreOffice")
            self._refuse_password()
        except BadInput:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def xml(self, path: str) -> etree._Element | None:
        """Return the root element of a part; None if there is none."""
        data = self.data(path)
        return parse_xml(data, f"{self._name}: member '{path}'") if data is not None else None

    def data(self, path: str) -> bytes | None:
        """Return the bytes of a part such as `./Pictures/a.png`; None if there is none."""
        member = posixpath.normpath(path) if path else ""
        if member not in self._archive.NameToInfo:
            return None
        try:
            return self._archive.read(member)
        except (OSError, *ARCHIVE_ERRORS) as error:
            raise BadInput(f"{self._name}: member '{member}' is broken ({error})") from None

    def _refuse_password(self) -> None:
        manifest = self.xml("META-INF/manifest.xml")
        if manifest is not None and next(manifest.iter("{*}encryption-data"), None) is not None:
            raise BadInput(f"{self._name}: protected with a password; save the file without one")


def read_odf_properties(path: Path) -> tuple[str, str]:
    """Return the title and author of a file; '' if they cannot be read."""
    try:
        with open_zip(path, path.name) as archive:
            root = parse_xml(archive.read("meta.xml"), "meta.xml")
    except (BadInput, OSError, KeyError, *ARCHIVE_ERRORS):
        return "", ""  # properties are optional; reading the document reports a broken file
    values = {local_name(e): " ".join((e.text or "").split()) for e in root.iter()}
    return values.get("title", ""), values.get("initial-creator") or values.get("creator", "")


class OdfStyles:
    """The styles of a file, each based on another one, and the styles of its lists."""

    def __init__(self, *roots: etree._Element | None) -> None:
        self._styles: dict[tuple[str, str], etree._Element] = {}
        self._lists: dict[str, etree._Element] = {}
        for root in roots:
            for style in root.iter("{*}style", "{*}list-style") if root is not None else ():
                name = attribute(style, "style:name")
                if local_name(style) == "list-style":
                    self._lists[name] = style
                else:
                    self._styles[attribute(style, "style:family"), name] = style

    def names(self, family: str, name: str) -> list[str]:
        """Return a style's name and those that it is based on, innermost first."""
        return [attribute(style, "style:name") for style in self._chain(family, name)]

    def property(self, family: str, name: str, key: str) -> str:
        """Return a property such as `style:text-position`, from the style or one it is based on."""
        for style in self._chain(family, name):
            for properties in style:
                if value := attribute(properties, key):
                    return value
        return ""

    def list_level(self, name: str, level: int) -> etree._Element | None:
        """Return how a list style marks the items of a level, which counts from 1."""
        style = self._lists.get(name)
        for mark in style if style is not None else ():
            if attribute(mark, "text:level") == str(level):
                return mark
        return None

    def list_of_paragraph(self, name: str) -> str:
        """Return the list style that a paragraph style brings along; '' if it has none."""
        chain = self._chain("paragraph", name)
        return next((n for s in chain if (n := attribute(s, "style:list-style-name"))), "")

    def _chain(self, family: str, name: str) -> Iterator[etree._Element]:
        for _ in range(_MAX_CHAIN):
            style = self._styles.get((family, name))
            if style is None:
                return
            yield style
            name = attribute(style, "style:parent-style-name")
