"""Read Markdown: CommonMark with tables, YAML front matter and formulas.

    ---
    title: Projectile motion
    licence: CC BY 4.0
    attribution: A. Teacher
    ---
    ![A ball on its arc](../figures/arc.png "Figure 1. The path of a ball.")

Each item of a list under "Key terms" that starts in bold becomes a term. The paragraphs under
"Worked example" become one example. `structure.py` finds roles and captions, as for HTML.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from data.documents import Document, Problem
from data.readers.files import decode, format_of, read_text_bytes
from data.readers.formulas import FormulaMask
from data.readers.html import parse_html
from data.readers.markdown_blocks import fence_html
from data.readers.markdown_syntax import markdown_parser
from data.readers.page import HtmlPage, document_of
from data.readers.page_text import headings_of

__all__ = ["MarkdownReader", "parse_markdown", "render_markdown"]

_VERBATIM = frozenset({"code_inline", "code_block", "fence", "colon_fence", "myst_role"})
_MAX_DEPTH = 6  # of directives inside directives


class MarkdownReader:
    """Read `.md` and `.markdown` files."""

    name = "markdown"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "markdown"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        yield document_of(path, root, _parse)


def _parse(path: Path, name: str) -> HtmlPage:
    return parse_markdown(decode(read_text_bytes(path, name), name), name)


def parse_markdown(text: str, name: str) -> HtmlPage:
    """Return a text in Markdown as a page. Raises `BadInput`, starting with `name`."""
    body, front_text = _render(text)
    front, problems = _front_matter(front_text)
    root = parse_html(f"<body>{body}</body>", name)
    return HtmlPage(
        root=root,
        title=front.get("title") or next(iter(headings_of(root, 1)), ""),
        licence=front.get("licence") or front.get("license") or "",
        attribution=front.get("attribution") or front.get("author") or "",
        language=front.get("language") or front.get("lang") or "en",
        problems=problems,
    )


def render_markdown(text: str) -> str:
    """Return Markdown as HTML, for the page reader."""
    return _render(text)[0]


def _render(text: str, depth: int = 0) -> tuple[str, str]:
    """Return Markdown as HTML, and its front matter."""

    def render_fence(marks: str, info: str, content: str) -> str:
        return fence_html(marks, info, content, lambda inner: _render(inner, depth + 1)[0])

    if depth > _MAX_DEPTH:
        return f"<pre>{html.escape(text)}</pre>", ""
    formulas = FormulaMask()
    parser = markdown_parser(render_fence)
    tokens = parser.parse(formulas.hide(text))
    for token in (t for outer in tokens for t in (outer, *(outer.children or ()))):
        if token.type in _VERBATIM:
            token.content = formulas.reveal(token.content)
    front = tokens[0].content if tokens and tokens[0].type == "front_matter" else ""
    body = parser.renderer.render(tokens, parser.options, {})
    # restored only now: HTML does not read `_` or `*` in a formula as Markdown
    return formulas.restore(body, html.escape), formulas.restore(front)


def _front_matter(text: str) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Return the plain values of the front matter, and its problems; ignore lists and mappings."""
    try:
        values: Any = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        message = f"the front matter is not valid YAML ({_first_line(error)})"
        return {}, (Problem("front-matter", message),)
    if not isinstance(values, dict):
        return {}, (Problem("front-matter", "the front matter has no `key: value` lines"),)
    plain = {
        str(key).lower(): " ".join(str(value).split())
        for key, value in values.items()
        if isinstance(key, str) and isinstance(value, str | int | float)
    }
    return plain, ()


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
