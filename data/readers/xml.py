"""XML from outside, parsed without entities, network, external DTDs or unbounded nesting."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from data.errors import BadInput

__all__ = ["MAX_BYTES", "MAX_DEPTH", "parse_xml", "read_bytes"]

MAX_BYTES = 64 * 1024 * 1024  # the largest OpenStax module has 2 MB
MAX_DEPTH = 150  # readers recurse over the tree; OpenStax modules stay below 40

# One step per level, so that libxml2 stops as soon as a level is empty.
_TOO_DEEP = etree.XPath("boolean(/" + "/".join(["*"] * (MAX_DEPTH + 1)) + ")")


def read_bytes(path: Path) -> bytes:
    """The bytes of an XML file; `BadInput` where it cannot be read or is over `MAX_BYTES`."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadInput(
                f"{path}: the XML file has {size:,} bytes, more than the {MAX_BYTES:,} allowed; "
                "split it into modules"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file") from None


def parse_xml(data: bytes, name: str) -> etree._Element:
    """The root element of `data`, without comments and processing instructions.

    Raises `BadInput` naming `name` for XML that is not well formed, is over `MAX_BYTES`, declares
    entities (an entity bomb among them) or nests deeper than `MAX_DEPTH`.
    """
    if len(data) > MAX_BYTES:
        raise BadInput(f"{name}: the XML has more than the {MAX_BYTES:,} bytes allowed; split it")
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
            f"{name}: not well-formed XML ({error.msg}); mend the file and index it again"
        ) from None
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and dtd.entities():
        raise BadInput(
            f"{name}: the XML declares entities, which are never resolved; "
            "replace them by their text and take the declarations out"
        )
    if _TOO_DEEP(root):
        raise BadInput(f"{name}: the XML nests deeper than {MAX_DEPTH} levels; flatten it")
    return root
