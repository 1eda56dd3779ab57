"""Read LaTeX sources: a main file with the files that it includes, as one document.

Nothing is typeset. The commands that the document defines are expanded, pylatexenc parses the rest,
and the page reader reads the result. Formulas stay as the author wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from data.documents import Document, Problem
from data.errors import BadInput
from data.pictures import PICTURE_SUFFIXES
from data.readers.files import decode, format_of, read_text_bytes
from data.readers.html import parse_html
from data.readers.latex_html import LatexConverter
from data.readers.latex_macros import balanced, expand_macros, without_comments
from data.readers.latex_units import write_units
from data.readers.links import find_linked
from data.readers.page import HtmlPage, document_of
from data.readers.page_text import text_of

__all__ = ["LatexReader"]

_MAX_CHARACTERS = 4_000_000
_MAX_INPUT_DEPTH = 8
_INPUT = re.compile(r"\\(?:input|include|subfile|subfileinclude)\s*\{([^{}]+)\}")
_DOCUMENT_CLASS = re.compile(r"\\documentclass\s*(?:\[[^\]]*\])?\s*\{([^{}]*)\}")
_BODY = re.compile(r"\\begin\{document\}(.*?)(?:\\end\{document\}|\Z)", re.DOTALL)
_LISTING = re.compile(
    r"\\begin\{(?P<name>verbatim\*?|lstlisting|minted|Verbatim)\}"
    r"(?:\[[^\]]*\])?(?:\{\w+\})?[ \t]*\n?(?P<body>.*?)\\end\{(?P=name)\}",
    re.DOTALL,
)
_DRAWING = re.compile(
    r"\\begin\{(?P<name>tikzpicture|circuitikz|pspicture\*?|picture|asy|tikzcd)\}"
    r"(?P<body>.*?)\\end\{(?P=name)\}",
    re.DOTALL,
)
_THEOREM = re.compile(r"\\newtheorem\*?\{(\w+)\*?\}(?:\[\w+\])?\{([^{}]*)\}")
_FLOAT = re.compile(
    r"\\begin\{(?P<kind>figure|table)\*?\}(?P<body>.*?)\\end\{(?P=kind)\*?\}", re.DOTALL
)
_LABEL = re.compile(r"\\label\{([^{}]*)\}")
_PICTURE_FOLDERS = re.compile(r"\\graphicspath\s*\{((?:\s*\{[^{}]*\})+)\s*\}")


class LatexReader:
    """Read `.tex` files. A file that another one includes is a part of that document."""

    name = "latex"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "latex"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        if not _is_included(path, root):
            yield document_of(path, root, partial(_parse, root=root))


def _is_included(path: Path, root: Path) -> bool:
    """Return whether a main file here or in a folder above includes this file."""
    if _DOCUMENT_CLASS.search(_source_or_empty(path)):
        return False
    for folder in path.parents:
        for other in sorted(folder.glob("*.tex")):
            source = _source_or_empty(other)
            if other != path and _DOCUMENT_CLASS.search(source):
                links = _INPUT.findall(source)
                if path.resolve() in {_included_file(link, folder, root) for link in links}:
                    return True
        if folder == root:
            break
    return False


def _source_or_empty(path: Path) -> str:
    try:
        return without_comments(decode(read_text_bytes(path, path.name), path.name))
    except BadInput:
        return ""


def _included_file(link: str, folder: Path, root: Path) -> Path | None:
    for name in (link.strip(), f"{link.strip()}.tex"):
        try:
            return find_linked(name, folder, root).resolve()
        except BadInput:
            continue
    return None


@dataclass
class _Sources:
    """The files of a document, joined. `problems` are the files that are missing."""

    folder: Path
    root: Path
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def read(self, path: Path, name: str, depth: int = 0) -> str:
        source = without_comments(decode(read_text_bytes(path, name), name))
        if depth:
            source = _BODY.sub(lambda m: m[1], source) if _BODY.search(source) else source
        return _INPUT.sub(lambda match: self._included(match[1], depth), source)

    def _included(self, link: str, depth: int) -> str:
        path = _included_file(link, self.folder, self.root)
        if path is None or depth >= _MAX_INPUT_DEPTH or path in self.files:
            message = f"{link}: this included file is not found; put it beside the main file"
            self.problems.append(Problem(link, message, "link"))
            return ""
        self.files.append(path)
        try:
            return self.read(path, path.name, depth + 1)
        except BadInput as error:
            self.problems.append(Problem(link, str(error), "text"))
            return ""


def _parse(path: Path, name: str, root: Path) -> HtmlPage:
    sources = _Sources(path.parent, root)
    source = sources.read(path, name)
    if len(source) > _MAX_CHARACTERS:
        raise BadInput(f"{name}: more than {_MAX_CHARACTERS:,} characters; index its parts")
    listings: list[str] = []
    drawings: list[str] = []
    source = _LISTING.sub(lambda m: _set_aside(m["body"], listings, "listing"), source)
    source = _DRAWING.sub(lambda m: _set_aside(m["body"], drawings, "drawing"), source)
    is_book = _has_chapters(source)
    theorems = dict(_THEOREM.findall(source))
    folders = _picture_folders(source)
    source = write_units(expand_macros(source))
    preamble, body = source, source
    if match := _BODY.search(source):
        preamble, body = source[: match.start()], match[1]
    converter = LatexConverter(
        picture_link=lambda link: _picture_link(link, path.parent, root, folders),
        listings=listings,
        drawings=drawings,
        numbers=_numbers(body, is_book),
        theorems=theorems,
    )
    try:
        rendered = converter.html(body)
        title, author = (
            _plain(_argument(k, preamble + body), converter) for k in ("title", "author")
        )
    except RecursionError:
        raise BadInput(f"{name}: commands nested too deep; split the file") from None
    return HtmlPage(
        root=parse_html(f"<body>{rendered}</body>", name),
        title=title,
        attribution=author,
        problems=tuple(sources.problems),
        files=tuple(sources.files),
    )


def _set_aside(body: str, store: list[str], name: str) -> str:
    store.append(body.strip("\n"))
    return f"\\{name}{{{len(store) - 1}}}"


def _has_chapters(source: str) -> bool:
    name = _DOCUMENT_CLASS.search(source)
    return bool(name and re.search(r"book|report|scrreprt|memoir|thesis", name[1]))


def _argument(command: str, source: str) -> str:
    match = re.search(rf"\\{command}\s*(?:\[[^\]]*\])?\s*(?=\{{)", source)
    return (balanced(source, match.end()) or "") if match else ""


def _plain(source: str, converter: LatexConverter) -> str:
    if not source.strip():
        return ""
    source = re.sub(r"\s*\\and\b", ", ", source)
    root = parse_html(f"<body>{converter.html(source)}</body>", "title")
    return " ".join(text_of(root).replace("\n", ", ").split())


def _numbers(body: str, is_book: bool) -> dict[str, str]:
    """Return the numbers that LaTeX would print for figures and tables, by their labels."""
    numbers: dict[str, str] = {}
    counts: dict[tuple[str, int], int] = {}
    chapters = [m.start() for m in re.finditer(r"\\chapter\s*[\[{]", body)] if is_book else []
    for match in _FLOAT.finditer(body):
        if r"\caption" not in match["body"]:
            continue
        chapter = sum(position < match.start() for position in chapters)
        key = match["kind"], chapter
        counts[key] = counts.get(key, 0) + 1
        number = f"{chapter}.{counts[key]}" if is_book else str(counts[key])
        for label in _LABEL.findall(match["body"]):
            numbers.setdefault(label, number)
    return numbers


def _picture_folders(source: str) -> list[str]:
    match = _PICTURE_FOLDERS.search(source)
    folders = re.findall(r"\{([^{}]*)\}", match[1]) if match else []
    return ["", *(folder.rstrip("/") + "/" for folder in folders if folder.strip())]


def _picture_link(link: str, folder: Path, root: Path, folders: list[str]) -> str:
    """Return the link with the suffix and the folder that LaTeX would add to it."""
    suffixes = ("", *sorted(PICTURE_SUFFIXES), ".svg", ".pdf", ".eps")
    for name in (f"{start}{link}{suffix}" for start in folders for suffix in suffixes):
        try:
            find_linked(name, folder, root)
        except BadInput:
            continue
        return name
    return link
