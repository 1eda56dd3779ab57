"""Read HTML pages: headings, paragraphs, lists, tables, figures and formulas.

Scripts are not run and nothing is downloaded. The page becomes an `HtmlPage`, as Markdown does;
`data/readers/page.py` turns both into blocks and figures.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterable
from pathlib import Path

import lxml.html

from data.documents import Document
from data.errors import BadInput
from data.readers.files import decode, format_of, read_text_bytes
from data.readers.formulas import normalise_formulas
from data.readers.page import HtmlPage, document_of
from data.readers.page_formulas import is_formula
from data.readers.page_text import headings_of, text_of
from data.readers.xml import local_name, parse_xml

__all__ = ["HtmlReader", "parse_html", "parse_page"]

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{2,40})""", re.IGNORECASE)
_MATH_SCRIPT = re.compile(r"mathjax|katex", re.IGNORECASE)
_NOT_TYPESET = frozenset("script style pre code textarea annotation math svg".split())
_XHTML = re.compile(r"""xmlns\s*=\s*["']http://www\.w3\.org/1999/xhtml["']""")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class HtmlReader:
    """Read `.html`, `.htm` and `.xhtml` files."""

    name = "html"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "html"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        yield document_of(path, root, parse_page)


def parse_page(path: Path, name: str) -> HtmlPage:
    """Return the page in a file. Raises `BadInput`, starting with `name`."""
    data = read_text_bytes(path, name)
    text = _decode(data, name)
    root = parse_html(text, name)
    if _MATH_SCRIPT.search(text):  # else dollar signs mark no formulas
        _mark_formulas(root)
    headings = headings_of(root, 1)
    titles = [text_of(t) for t in root.iterfind(".//head/title")]
    meta = {
        (tag.get("name") or tag.get("property") or "").lower(): (tag.get("content") or "").strip()
        for tag in root.iter("meta")
    }
    licences = [a.get("href") or "" for a in root.iter("a", "link") if a.get("rel") == "license"]
    return HtmlPage(
        root=root,
        title=headings[0] if len(headings) == 1 else next(iter(titles), ""),
        licence=meta.get("license") or meta.get("dc.rights") or next(iter(licences), ""),
        attribution=meta.get("author") or meta.get("dc.creator") or "",
        language=(root.get("lang") or "en").split("-")[0].lower(),
    )


def _mark_formulas(root: lxml.html.HtmlElement) -> None:
    """Write the formulas that a script of the page would typeset in brackets, as it finds them."""
    for element in root.iter(lxml.etree.Element):
        if element.tag not in _NOT_TYPESET and not is_formula(element):
            element.text = normalise_formulas(element.text or "")
        if element.get("alt"):
            element.set("alt", normalise_formulas(element.get("alt")))
        parent = element.getparent()
        if parent is not None and parent.tag not in _NOT_TYPESET and element.tail:
            element.tail = normalise_formulas(element.tail)


def _decode(data: bytes, name: str) -> str:
    """Decode a page in the encoding that it declares, or else guess from its bytes."""
    declared = _CHARSET.search(data[:4096])
    if (
        declared
        and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"))
        and b"\0" not in data
    ):
        try:
            return data.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass  # wrong declarations are common: guess from the bytes
    return decode(data, name)


def parse_html(text: str, name: str) -> lxml.html.HtmlElement:
    """Return the element tree of a page.

    Raises `BadInput`, starting with `name`, if the page is empty or exceeds the parser's limits.
    """
    if _XHTML.search(text[:2000]):
        text = _as_html(text, name)
    parser = lxml.html.HTMLParser(remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = lxml.html.document_fromstring(_DECLARATION.sub("", text), parser=parser)
    except (lxml.etree.ParserError, ValueError):
        raise BadInput(f"{name}: no text in this page; nothing to index") from None
    if any(e.type_name == "ERR_RESOURCE_LIMIT" for e in parser.error_log):
        raise BadInput(
            f"{name}: elements nested more than 255 deep, or one with more than 10 MB of text; "
            "save the page from a browser's reading view"
        )
    return root


def _as_html(text: str, name: str) -> str:
    """Write XHTML as HTML: an HTML parser reads `<a id="p7"/>` and `<script/>` as not closed.

    A page that is no well-formed XML is left as it is, as browsers do.
    """
    body = _DOCTYPE.sub("", _DECLARATION.sub("", text))
    body = _ENTITY.sub(_without_name, body)
    try:
        root = parse_xml(body.encode(), name)
    except BadInput:
        return text
    for element in root.iter(lxml.etree.Element):
        element.tag = local_name(element)
        for attribute in [key for key in element.attrib if key.startswith("{")]:
            local = attribute.rpartition("}")[2]
            value = element.attrib.pop(attribute)
            if local not in element.attrib:
                element.set(local, value)
    lxml.etree.cleanup_namespaces(root)
    return str(lxml.etree.tostring(root, method="html", encoding="unicode"))


def _without_name(entity: re.Match[str]) -> str:
    """Return the character of an entity that HTML names and XML does not."""
    if entity[1] in _XML_ENTITIES:
        return entity[0]
    return html.entities.html5.get(f"{entity[1]};", entity[0])
