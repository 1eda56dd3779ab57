"""HTML pages: headings, paragraphs, lists, tables, figures and formulas; no scripts, no network.

`Page` is what a page says about itself and its element tree; Markdown becomes one too, so that both
are walked by the same code in `data/readers/page.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import lxml.html

from data.documents import Document
from data.errors import BadInput
from data.readers.files import decode, format_of, read_bytes
from data.readers.formulas import normalise
from data.readers.page import Page, document_of
from data.readers.page_text import headings_of, text_of

__all__ = ["HtmlReader", "parse_html"]

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{2,40})""", re.IGNORECASE)
_MATH_SCRIPT = re.compile(r"mathjax|katex", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class HtmlReader:
    """`.html`, `.htm` and `.xhtml` files."""

    name = "html"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "html"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        yield document_of(path, root, _parse)


def _parse(path: Path, name: str) -> Page:
    data = read_bytes(path, name)
    text = _decode(data, name)
    root = parse_html(text, name)
    headings = headings_of(root, 1)
    titles = [text_of(t) for t in root.iter("title")]
    meta = {
        (m.get("name") or m.get("property") or "").lower(): (m.get("content") or "").strip()
        for m in root.iter("meta")
    }
    licences = [a.get("href") or "" for a in root.iter("a", "link") if a.get("rel") == "license"]
    return Page(
        root=root,
        title=headings[0] if len(headings) == 1 else next(iter(titles), ""),
        licence=meta.get("license") or meta.get("dc.rights") or next(iter(licences), ""),
        attribution=meta.get("author") or meta.get("dc.creator") or "",
        language=(root.get("lang") or "en").split("-")[0].lower(),
        # only where a script sets them are dollars in a page formulas
        words=normalise if _MATH_SCRIPT.search(text) else str,
    )


def _decode(data: bytes, name: str) -> str:
    """By the encoding that the page declares, else by what its bytes look like."""
    declared = _CHARSET.search(data[:4096])
    if (
        declared
        and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"))
        and b"\0" not in data
    ):
        try:
            return data.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass  # a wrong declaration is common; the bytes decide
    return decode(data, name)


def parse_html(text: str, name: str) -> lxml.html.HtmlElement:
    """The element tree of a page; `BadInput` where it nests deeper than the parser goes (255)."""
    parser = lxml.html.HTMLParser(remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = lxml.html.document_fromstring(_DECLARATION.sub("", text), parser=parser)
    except (lxml.etree.ParserError, ValueError):
        raise BadInput(f"{name}: no text in this page; nothing to index") from None
    if any(e.type_name == "ERR_RESOURCE_LIMIT" for e in parser.error_log):
        raise BadInput(
            f"{name}: elements nested over 255 deep, or over 10 MB of text in one of them; "
            "save the page from a browser's reading view"
        )
    return root
