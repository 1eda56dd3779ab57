"""Parse untrusted XML: no entities, no network, no external DTDs, bounded size and depth."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from data.errors import BadInput

__all__ = ["MAX_XML_BYTES", "MAX_XML_DEPTH", "local_name", "parse_xml", "read_xml_bytes"]

MAX_XML_BYTES = 64 * 1024 * 1024  # the largest OpenStax module has 2 MB
MAX_XML_DEPTH = 150  # readers recurse over the tree; OpenStax modules stay below 40

# The path /*/*/… has one step per level, and libxml2 stops at the first level without elements.
_IS_TOO_DEEP = etree.XPath("boolean(/" + "/".join(["*"] * (MAX_XML_DEPTH + 1)) + ")")


def local_name(element: etree._Element) -> str:
    """Return an element's name without its namespace; '' for comments and instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def read_xml_bytes(path: Path) -> bytes:
    """Return the bytes of an XML file.

    Raises `BadInput` if the file cannot be read or is larger than `MAX_XML_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MAX_XML_BYTES:
            raise BadInput(
                f"{path}: the XML file has {size:,} bytes, more than the {MAX_XML_BYTES:,} "
                "allowed; split it into modules"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file") from None


def parse_xml(data: bytes, name: str) -> etree._Element:
    """Return the root element of `data`, without comments and processing instructions.

    Raises `BadInput`, starting with `name`, if the XML is not well formed, is larger than
    `MAX_XML_BYTES`, declares entities (as an entity bomb does) or nests deeper than
    `MAX_XML_DEPTH`.
    """
    if len(data) > MAX_XML_BYTES:
        raise BadInput(
            f"{name}: the XML has more than the {MAX_XML_BYTES:,} bytes allowed; split it"
        )
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BadInput(
            f"{name}: not well-formed XML ({error.msg}); correct the file and index it again"
        ) from None
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and dtd.entities():
        raise BadInput(
            f"{name}: the XML declares entities, which are never resolved; "
            "replace them with their text and remove the declarations"
        )
    if _IS_TOO_DEEP(root):
        raise BadInput(f"{name}: the XML nests deeper than {MAX_XML_DEPTH} levels; flatten it")
    return root
