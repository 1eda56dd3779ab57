"""Walks a corpus: each file goes to the first reader that claims it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
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

__all__ = ["READERS", "Rejected", "scan"]

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


def scan(
    path: Path, exclude: Iterable[str] = (), readers: Iterable[Reader] = READERS
) -> Iterator[Document | Rejected]:
    """The documents of a file or a folder, in the order of their paths; bare pictures come last.

    `exclude` holds patterns such as `drafts/*` or `*.pdf`, matched with `fnmatch` against the path
    below the root and against the name. Hidden files and folders are passed over, and no link is
    followed out of the root. Pictures wait until the end because any document may turn out to show
    them. Raises `BadInput` where `path` itself does not exist.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; check the path")
    root = path if path.is_dir() else path.parent
    walk = _Scan(root, tuple(exclude), tuple(readers))
    yield from walk.folder(path) if path.is_dir() else walk.file(path)
    yield from walk.pictures()


class _Scan:
    def __init__(
        self, root: Path, exclude: tuple[str, ...], readers: tuple[Reader, ...], depth: int = 0
    ) -> None:
        self.root = root
        self.exclude = exclude
        self.readers = readers
        self.depth = depth  # archives around this folder
        self.shown: set[Path] = set()  # pictures that documents show
        self.waiting: list[Path] = []  # pictures that none may show, and their sidecars

    def folder(self, folder: Path) -> Iterator[Document | Rejected]:
        reader = self._reader(folder)
        if reader:
            yield from self._documents(reader, folder)
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
                    yield from self.folder(path)
            elif entry.is_file():  # a link to a folder of the corpus: its files are read in place
                yield from self.file(path)

    def file(self, path: Path) -> Iterator[Document | Rejected]:
        try:
            kind = format_of(path)
            if kind == "picture" or is_sidecar(path):
                self.waiting.append(path)
            elif kind == "zip":
                yield from self._archive(path)
            elif reader := self._reader(path):
                yield from self._documents(reader, path)
            elif not _is_no_content(path):
                yield self._rejected(path, _reason(path))
        except OSError as error:
            yield self._rejected(path, f"cannot be read ({error.strerror}); check the file")

    def pictures(self) -> Iterator[Document | Rejected]:
        """The pictures that no document shows; a sidecar whose picture is shown stands alone."""
        bare = {p for p in self.waiting if p.resolve() not in self.shown and not is_sidecar(p)}
        stems = {p.with_suffix("") for p in bare}
        for path in self.waiting:
            alone = is_sidecar(path) and path.with_suffix("") not in stems
            if (path in bare or alone) and (reader := self._reader(path)):
                yield from self._documents(reader, path)

    def _documents(self, reader: Reader, path: Path) -> Iterator[Document | Rejected]:
        try:
            for document in reader.documents(path, self.root):
                if isinstance(document, PicturedDocument):
                    self.shown |= document.pictures
                yield document
        except BadInput as error:
            yield self._rejected(path, str(error))
        except OSError as error:
            yield self._rejected(path, f"cannot be read ({error.strerror}); check the file")

    def _archive(self, path: Path) -> Iterator[Document | Rejected]:
        if self.depth:
            yield self._rejected(path, "an archive inside an archive; unpack it first")
            return
        source = source_of(path, self.root)
        try:
            unpacked = Unpacked(path, source)
        except BadInput as error:
            yield self._rejected(path, str(error))
            return
        inner = _Scan(unpacked.root, self.exclude, self.readers, self.depth + 1)
        found = False
        for part in chain(inner.folder(unpacked.root), inner.pictures()):
            found = True
            yield _inside(part, source, unpacked)
        if not found:
            yield self._rejected(path, f"nothing in it that is read; expected {FORMATS}")

    def _reader(self, path: Path) -> Reader | None:
        return next((reader for reader in self.readers if reader.claims(path)), None)

    def _excluded(self, path: Path) -> bool:
        names = (source_of(path, self.root), path.name)
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.exclude)

    def _leads_inside(self, path: Path) -> bool:
        try:
            return path.resolve(strict=True).is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # leads nowhere, or in a circle
            return False

    def _rejected(self, path: Path, reason: str) -> Rejected:
        source = source_of(path, self.root).encode(errors="backslashreplace").decode()
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
