"""Blocks between fences in Markdown: code, formulas, and the directives of MyST and Quarto."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable

import lxml.html
import yaml

from data.readers.markdown_syntax import parse_attributes

__all__ = ["fence_html"]

_DIRECTIVE = re.compile(r"\{(?P<name>[\w:.+-]+)(?P<rest>[^}]*)\}[ \t]*(?P<argument>.*)", re.DOTALL)
_OPTION = re.compile(r"[ \t]*:(?P<name>[\w-]+):[ \t]*(?P<value>.*)")
_NOTES = frozenset(
    "note tip warning important hint caution danger attention error seealso admonition margin "
    "sidebar aside".split()
)
_CODE = frozenset(
    "code code-block code-cell sourcecode parsed-literal literal eval-rst mermaid graphviz dot "
    "python r julia ojs bash sh sql stan octave javascript js".split()
)
_LISTS_OF_LINKS = frozenset("toctree contents tableofcontents bibliography index".split())
_PAGES = frozenset({"iframe", "video", "youtube", "include", "literalinclude"})

Render = Callable[[str], str]  # of Markdown, as HTML


def fence_html(marks: str, info: str, content: str, render: Render) -> str:
    """Return a block between fences as HTML. `render` does the same for Markdown inside it."""
    if info in ("math", "latex-math"):
        return _formula(content)
    directive = _DIRECTIVE.fullmatch(info)
    if directive and not info.startswith("{."):
        name = directive["name"].removeprefix("-").lower()
        return _directive_html(name, directive["argument"].strip(), content, render)
    if marks.startswith(":"):
        return _division(info, content, render)
    return _code(content)


def _code(content: str) -> str:
    return f"<pre>\n{html.escape(content)}</pre>\n"


def _formula(content: str) -> str:
    body = " ".join(re.sub(r"\\label\{[^}]*\}", "", content).split())
    return "<p>" + html.escape(f"\\[{body}\\]") + "</p>\n" if body else ""


def _division(info: str, content: str, render: Render) -> str:
    """Return a division of Quarto or Pandoc: a callout, or a part of the text."""
    is_plain = not info.startswith("{")
    classes, values = parse_attributes(info.strip("{}"))
    classes += info.split()[:1] if is_plain else []
    is_note = any(c.removeprefix("callout-") in _NOTES or c == "callout" for c in classes)
    tag = "aside" if is_note or "column-margin" in classes else "div"
    title = values.get("title", "")
    name = values.get("id", "")
    if name.startswith(("fig-", "tbl-")):
        tag = "figure"
    return _part(tag, title, render(content), name)


def _part(tag: str, title: str, body: str, name: str = "") -> str:
    heading = f"<p>{title}</p>\n" if title else ""
    return f'<{tag} id="{html.escape(name)}">\n{heading}{body}</{tag}>\n'


def _directive_html(name: str, argument: str, content: str, render: Render) -> str:
    if name in _LISTS_OF_LINKS:
        return ""
    options, body = _split_options(content)
    if name in _PAGES:
        return f'<iframe src="{html.escape(argument)}"></iframe>\n'
    if name == "math":
        return _formula(body)
    if name in ("figure", "image"):
        return _figure(argument, options, render(body))
    if name in _CODE:
        return _code(body)
    if name == "list-table":
        return _list_table(argument, options, render(body))
    if name == "csv-table":
        return _csv_table(argument, options, body)
    title = render(argument).strip().removeprefix("<p>").removesuffix("</p>") if argument else ""
    if name in ("table", "figure-md"):
        caption = f"<figcaption>{title}</figcaption>" if name == "table" else ""
        return f'<figure id="{html.escape(argument)}">{render(body)}{caption}</figure>\n'
    tag = "aside" if name in _NOTES else "div"
    return _part(tag, title, render(body), options.get("name") or options.get("label") or "")


def _split_options(content: str) -> tuple[dict[str, str], str]:
    """Split the content of a directive into its options, `:name: value` or YAML, and its body."""
    lines = content.split("\n")
    if lines[0].strip() == "---" and "---" in (line.strip() for line in lines[1:]):
        end = next(n for n, line in enumerate(lines) if n and line.strip() == "---")
        try:
            values = yaml.safe_load("\n".join(lines[1:end]))
        except (yaml.YAMLError, ValueError, RecursionError):
            values = None
        if isinstance(values, dict):
            return {str(k): str(v) for k, v in values.items()}, "\n".join(lines[end + 1 :])
    options: dict[str, str] = {}
    while lines and (option := _OPTION.fullmatch(lines[0])):
        options[option["name"]] = option["value"].strip()
        lines.pop(0)
    return options, "\n".join(lines)


def _figure(source: str, options: dict[str, str], caption: str) -> str:
    alt, name = html.escape(options.get("alt", "")), html.escape(options.get("name", ""))
    image = f'<img src="{html.escape(source)}" alt="{alt}">'
    return f'<figure id="{name}">{image}<figcaption>{caption}</figcaption></figure>\n'


def _list_table(title: str, options: dict[str, str], rendered: str) -> str:
    """Return a table that is written as a list of rows, each a list of cells."""
    root = lxml.html.fragment_fromstring(rendered, create_parent="div")
    rows = []
    header_rows = int(options.get("header-rows", "0") or 0)
    for index, row in enumerate(root.iterfind("./ul/li")):
        tag = "th" if index < header_rows else "td"
        cells = [_inner_html(cell) for cell in row.iterfind("./ul/li")]
        rows.append("".join(f"<{tag}>{cell}</{tag}>" for cell in cells))
    return _table(title, rows)


def _inner_html(element: lxml.html.HtmlElement) -> str:
    inner = (lxml.html.tostring(child, encoding="unicode") for child in element)
    return html.escape(element.text or "") + "".join(inner)


def _csv_table(title: str, options: dict[str, str], body: str) -> str:
    header = list(csv.reader([options["header"]])) if options.get("header") else []
    lines = [*header, *csv.reader(body.strip().split("\n"), skipinitialspace=True)]
    digits = options.get("header-rows", "0")
    header_rows = len(header) + (int(digits) if digits.isdecimal() else 0)
    rows = []
    for index, cells in enumerate(lines):
        tag = "th" if index < header_rows else "td"
        rows.append("".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells))
    return _table(title, rows)


def _table(title: str, rows: list[str]) -> str:
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    return f"<table>{caption}{''.join(f'<tr>{row}</tr>' for row in rows)}</table>\n"
