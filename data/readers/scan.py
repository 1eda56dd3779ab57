"""Walks a corpus: each file goes to the first reader that claims it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from data.documents import Block, Document, Figure, Reader
from data.errors import BadInput
from data.readers.archive import Unpacked
from data.readers.cnxml import CnxmlReader
from data.readers.docx import DocxReader
from data.readers.files import format_of, source_of
from data.readers.html import HtmlReader
from data.readers.markdown import MarkdownReader
from data.readers.page import PicturedDocument
from data.readers.pdf import PdfReader
from data.readers.pictures import PictureReader, is_sidecar
from data.readers.plain import PlainReader
from data.readers.pptx import PptxReader
from data.readers.structure import Part

__all__ = ["READERS", "Rejected", "Unit", "Walk", "documents", "scan"]

READERS: tuple[Reader, ...] = (
    CnxmlReader(),
    PictureReader(),
    PdfReader(),
    MarkdownReader(),
    HtmlReader(),
    PlainReader(),
    DocxReader(),
    PptxReader(),
)

# What lies beside content and is none: looks, code, settings, fonts, data, build products.
_NO_CONTENT_SUFFIXES = (
    ".css .scss .less .js .mjs .ts .jsx .tsx .map .py .pyc .ipynb_checkpoints .sh .bat .ps1 .rb "
    ".c .h .cpp .java .go .rs .r .m .json .jsonl .yml .yaml .toml .ini .cfg .conf .lock .xml "
    ".xsl .xsd .dtd .csv .tsv .db .sqlite .woff .woff2 .ttf .otf .eot .ico .bib .sty .cls .aux "
    ".toc .bak .tmp .swp .orig .md5 .sha256 .sig .asc .gitkeep"
)
_NO_CONTENT = frozenset(_NO_CONTENT_SUFFIXES.split())
_NO_CONTENT_STEMS = (
    "license licence copying notice authors contributors changelog changes makefile dockerfile "
    "codeowners thumbs.db desktop.ini procfile gemfile rakefile version manifest"
)
_NO_CONTENT_NAMES = frozenset(_NO_CONTENT_STEMS.split())
_SKIPPED_FOLDERS = frozenset({"__MACOSX", "__pycache__", "node_modules"})
_HINTS = {
    ".doc": "save it as .docx",
    ".rtf": "save it as .docx",
    ".odt": "save it as .docx",
    ".ppt": "save it as .pptx",
    ".odp": "save it as .pptx",
    ".key": "export it as .pptx",
    ".pages": "export it as .docx",
    ".epub": "convert it to PDF or unpack it: its pages are HTML",
    ".svg": "save it as .png",
    ".eps": "save it as .png",
    ".heic": "save it as .jpg",
    ".tex": "convert it to HTML, Markdown or PDF",
    ".rst": "convert it to Markdown or HTML",
    ".tar": "pack it as .zip",
    ".gz": "pack it as .zip",
    ".7z": "pack it as .zip",
    ".rar": "pack it as .zip",
}
FORMATS = "Markdown, HTML, text, PDF, Word, PowerPoint, pictures and zip archives of these"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that looks like content but is not indexed, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unit:
    """What one reader takes whole: a file, or (`many`) a folder or an archive of documents.

    `source` is its path below `root`, with forward slashes.
    """

    path: Path
    root: Path
    source: str
    many: bool = False


class Walk:
    """What lies in a file or folder. Nothing is parsed, only first bytes are looked at.

    `exclude` holds patterns such as `drafts/*` or `*.pdf`, matched with `fnmatch` against the path
    below the root and against the name. Hidden files and folders are passed over, and no link is
    followed out of the root. Raises `BadInput` where `path` itself does not exist.
    """

    def __init__(
        self, path: Path, exclude: Iterable[str] = (), readers: Iterable[Reader] = READERS
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise BadInput(f"{path}: no such file or folder; check the path")
        self.root = self.path if self.path.is_dir() else self.path.parent
        self._exclude, self._readers = tuple(exclude), tuple(readers)
        self._waiting: list[Path] = []  # pictures that documents may show, and their sidecars

    def units(self) -> Iterator[Unit | Rejected]:
        """In the order of their paths; all but bare pictures."""
        self._waiting = []
        yield from self._folder(self.path) if self.path.is_dir() else self._file(self.path)

    def pictures(self, shown: Container[Path]) -> Iterator[Unit]:
        """After `units`: pictures that no document has shown, which any of them may do.

        A sidecar whose picture is shown stands alone.
        """
        bare = {p for p in self._waiting if p.resolve() not in shown and not is_sidecar(p)}
        stems = {p.with_suffix("") for p in bare}
        for path in self._waiting:
            alone = is_sidecar(path) and path.with_suffix("") not in stems
            if (path in bare or alone) and self._reader(path):
                yield self._unit(path)

    def _folder(self, folder: Path) -> Iterator[Unit | Rejected]:
        if self._reader(folder):
            yield self._unit(folder, many=True)
            return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield self._rejected(
                folder, f"cannot be opened ({error.strerror}); check its permissions"
            )
            return
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith(".") or self._excluded(path):
                continue
            if not _is_utf8(entry.name):
                yield self._rejected(path, "its name is not UTF-8; rename it")
            elif entry.is_symlink() and not self._leads_inside(path):
                yield self._rejected(path, "a link out of the corpus folder; copy the file into it")
            elif entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED_FOLDERS:
                    yield from self._folder(path)
            elif entry.is_file():  # a link to a folder of the corpus: its files are read in place
                yield from self._file(path)

    def _file(self, path: Path) -> Iterator[Unit | Rejected]:
        try:
            kind = format_of(path)
            if kind == "picture" or is_sidecar(path):
                self._waiting.append(path)
            elif kind == "zip" or self._reader(path):
                yield self._unit(path, many=kind == "zip")
            elif not _is_no_content(path):
                yield self._rejected(path, _reason(path))
        except OSError as error:
            yield self._rejected(path, f"cannot be read ({error.strerror}); check the file")

    def _unit(self, path: Path, many: bool = False) -> Unit:
        return Unit(path, self.root, source_of(path, self.root), many)

    def _reader(self, path: Path) -> Reader | None:
        return next((reader for reader in self._readers if reader.claims(path)), None)

    def _excluded(self, path: Path) -> bool:
        names = (source_of(path, self.root), path.name)
        return any(fnmatchcase(name, pattern) for name in names for pattern in self._exclude)

    def _leads_inside(self, path: Path) -> bool:
        try:
            return path.resolve(strict=True).is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # leads nowhere, or in a circle
            return False

    def _rejected(self, path: Path, reason: str) -> Rejected:
        return _rejected(path, self.root, reason)


def documents(
    unit: Unit, exclude: Iterable[str] = (), readers: Iterable[Reader] = READERS, depth: int = 0
) -> Iterator[Document | Rejected]:
    """The documents of a unit, in reading order. `depth` counts the archives around it."""
    try:
        if unit.path.is_file() and format_of(unit.path) == "zip":
            yield from _archive(unit, exclude, readers, depth)
        elif reader := next((r for r in readers if r.claims(unit.path)), None):
            yield from reader.documents(unit.path, unit.root)
    except BadInput as error:
        yield _rejected(unit.path, unit.root, str(error))
    except OSError as error:
        yield _rejected(unit.path, unit.root, f"cannot be read ({error.strerror}); check the file")


def scan(
    path: Path, exclude: Iterable[str] = (), readers: Iterable[Reader] = READERS
) -> Iterator[Document | Rejected]:
    """The documents of a file or a folder, as `Walk` finds them; bare pictures come last."""
    yield from _scan(Walk(path, exclude, readers), tuple(exclude), tuple(readers), 0)


def _scan(
    walk: Walk, exclude: tuple[str, ...], readers: tuple[Reader, ...], depth: int
) -> Iterator[Document | Rejected]:
    shown: set[Path] = set()
    for unit in walk.units():
        if isinstance(unit, Rejected):
            yield unit
            continue
        for part in documents(unit, exclude, readers, depth):
            if isinstance(part, PicturedDocument):
                shown |= part.pictures
            yield part
    for unit in walk.pictures(shown):
        yield from documents(unit, exclude, readers, depth)


def _archive(
    unit: Unit, exclude: Iterable[str], readers: Iterable[Reader], depth: int
) -> Iterator[Document | Rejected]:
    if depth:
        yield Rejected(unit.source, "an archive inside an archive; unpack it first")
        return
    unpacked = Unpacked(unit.path, unit.source)
    exclude, readers = tuple(exclude), tuple(readers)
    found = False
    for part in _scan(Walk(unpacked.root, exclude, readers), exclude, readers, depth + 1):
        found = True
        yield _inside(part, unit.source, unpacked)
    if not found:
        yield Rejected(unit.source, f"nothing in it that is read; expected {FORMATS}")


def _rejected(path: Path, root: Path, reason: str) -> Rejected:
    source = source_of(path, root).encode(errors="backslashreplace").decode()
    return Rejected(source, reason.removeprefix(f"{source}: "))


def _inside(part: Document | Rejected, archive: str, unpacked: Unpacked) -> Document | Rejected:
    """A part of an archive under the archive's name."""
    source = f"{archive}/{part.source}"
    if isinstance(part, Rejected):
        return Rejected(source, part.reason)
    return replace(part, source=source, read=partial(_read_inside, part, archive, unpacked))


def _read_inside(document: Document, archive: str, unpacked: Unpacked) -> Iterator[Part]:
    """Reads a member. Holding `unpacked` keeps its folder; pictures leave it as bytes."""
    assert unpacked.root.is_dir()
    try:
        for part in document.read():
            if isinstance(part, Figure) and isinstance(part.picture, Path):
                yield replace(part, picture=part.picture.read_bytes())
            elif isinstance(part, Block) and any("#" in ref for ref in part.refs):
                refs = tuple(f"{archive}/{ref}" if "#" in ref else ref for ref in part.refs)
                yield replace(part, refs=refs)
            else:
                yield part
    except BadInput as error:
        raise BadInput(f"{archive}/{error}") from None


def _is_utf8(name: str) -> bool:
    """Whether a name can be stored: bytes that are no UTF-8 come as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _is_no_content(path: Path) -> bool:
    name = path.name.lower()
    return path.suffix.lower() in _NO_CONTENT or name in _NO_CONTENT_NAMES


def _reason(path: Path) -> str:
    suffix = path.suffix.lower()
    hint = _HINTS.get(suffix, f"expected {FORMATS}")
    return f"files of the type {suffix or '(no suffix)'} are not read; {hint}"
