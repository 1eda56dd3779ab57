"""Find the documents of a corpus: each file goes to the first reader that claims it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from data.documents import Block, Document, Figure, Reader
from data.errors import BadInput
from data.readers.archive import UnpackedArchive
from data.readers.cnxml import CnxmlReader
from data.readers.delimited import DelimitedReader
from data.readers.docx import DocxReader
from data.readers.epub import EpubReader
from data.readers.files import format_of, source_of
from data.readers.html import HtmlReader
from data.readers.latex import LatexReader
from data.readers.markdown import MarkdownReader
from data.readers.notebook import NotebookReader
from data.readers.odf import OdfReader
from data.readers.page import IllustratedDocument
from data.readers.pdf import PdfReader
from data.readers.pictures import PictureReader, is_sidecar
from data.readers.plain import PlainReader
from data.readers.pptx import PptxReader
from data.readers.structure import Content
from data.readers.transcript import TranscriptReader
from data.readers.xlsx import XlsxReader

__all__ = ["FORMATS", "READERS", "Rejected", "Unit", "Walk", "find_documents", "scan"]

READERS: tuple[Reader, ...] = (
    CnxmlReader(),
    PictureReader(),
    PdfReader(),
    MarkdownReader(),
    HtmlReader(),
    PlainReader(),
    DelimitedReader(),
    DocxReader(),
    PptxReader(),
    XlsxReader(),
    OdfReader(),
    EpubReader(),
    NotebookReader(),
    LatexReader(),
    TranscriptReader(),
)

# Files that are skipped without a message: styles, code, settings, fonts, data, build products.
_IGNORED_SUFFIX_LIST = (
    ".css .scss .less .js .mjs .ts .jsx .tsx .map .py .pyc .ipynb_checkpoints .sh .bat .ps1 .rb "
    ".c .h .cpp .java .go .rs .r .m .json .jsonl .yml .yaml .toml .ini .cfg .conf .lock .xml "
    ".xsl .xsd .dtd .db .sqlite .woff .woff2 .ttf .otf .eot .ico .bib .sty .cls .aux "
    ".toc .bak .tmp .swp .orig .md5 .sha256 .sig .asc .gitkeep"
)
_IGNORED_SUFFIXES = frozenset(_IGNORED_SUFFIX_LIST.split())
_IGNORED_NAME_LIST = (
    "license licence copying notice authors contributors changelog changes makefile dockerfile "
    "codeowners thumbs.db desktop.ini procfile gemfile rakefile version manifest"
)
_IGNORED_NAMES = frozenset(_IGNORED_NAME_LIST.split())
_IGNORED_FOLDERS = frozenset({"__MACOSX", "__pycache__", "node_modules"})
_HINTS = {
    ".doc": "save it as .docx",
    ".rtf": "save it as .docx",
    ".ppt": "save it as .pptx",
    ".xls": "save it as .xlsx",
    ".xlsb": "save it as .xlsx",
    ".key": "export it as .pptx",
    ".pages": "export it as .docx",
    ".eps": "save it as .png",
    ".rst": "convert it to Markdown or HTML",
    ".tar": "pack it as .zip",
    ".gz": "pack it as .zip",
    ".7z": "pack it as .zip",
    ".rar": "pack it as .zip",
}
FORMATS = (
    "Markdown, HTML, text, CSV, PDF, Word, PowerPoint, Excel, OpenDocument, EPUB, LaTeX, "
    "notebooks, transcripts, pictures and zip archives of these"
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that may hold content but is not indexed, and the reason."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A file, or a container of several documents: an archive or the folder of a repository.

    `source` is the path below `root`, with forward slashes.
    """

    path: Path
    root: Path
    source: str
    is_container: bool = False


class Walk:
    """Find the units of a file or folder. Nothing is parsed; only first bytes are read.

    `exclude` holds patterns such as `drafts/*` or `*.pdf`, matched with `fnmatch` against the path
    below the root and against the name. Hidden files and folders are skipped, and links that point
    outside the root are not followed. Raises `BadInput` if `path` does not exist.
    """

    def __init__(
        self, path: Path, exclude: Iterable[str] = (), readers: Iterable[Reader] = READERS
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise BadInput(f"{path}: no such file or folder; check the path")
        self.root = self.path if self.path.is_dir() else self.path.parent
        self._exclude, self._readers = tuple(exclude), tuple(readers)
        self._postponed: list[Path] = []  # pictures that documents may link, and sidecars

    def units(self) -> Iterator[Unit | Rejected]:
        """Yield all units except bare pictures, ordered by path."""
        self._postponed = []
        yield from (
            self._walk_folder(self.path) if self.path.is_dir() else self._walk_file(self.path)
        )

    def pictures(self, linked: Container[Path]) -> Iterator[Unit]:
        """Yield the pictures that no document links; call it after `units` is exhausted.

        `linked` holds the resolved paths of the pictures that documents link. The sidecar of a
        linked picture is yielded as a document of its own.
        """
        bare = {p for p in self._postponed if p.resolve() not in linked and not is_sidecar(p)}
        bare_stems = {p.with_suffix("") for p in bare}
        for path in self._postponed:
            is_lone_sidecar = is_sidecar(path) and path.with_suffix("") not in bare_stems
            if (path in bare or is_lone_sidecar) and self._find_reader(path):
                yield self._unit(path)

    def _walk_folder(self, folder: Path) -> Iterator[Unit | Rejected]:
        if self._find_reader(folder):
            yield self._unit(folder, is_container=True)
            return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield self._reject(
                folder, f"cannot be opened ({error.strerror}); check its permissions"
            )
            return
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith(".") or self._is_excluded(path):
                continue
            if not _is_utf8(entry.name):
                yield self._reject(path, "its name is not UTF-8; rename it")
            elif entry.is_symlink() and not self._points_inside(path):
                yield self._reject(
                    path, "a link that points outside the corpus folder; copy the file into it"
                )
            elif entry.is_dir(follow_symlinks=False):
                if entry.name not in _IGNORED_FOLDERS:
                    yield from self._walk_folder(path)
            elif entry.is_file():  # not a link to a folder: the folder is walked anyway
                yield from self._walk_file(path)

    def _walk_file(self, path: Path) -> Iterator[Unit | Rejected]:
        try:
            file_format = format_of(path)
            if file_format in ("picture", "svg") or is_sidecar(path):
                self._postponed.append(path)
            elif file_format == "zip" or self._find_reader(path):
                yield self._unit(path, is_container=file_format == "zip")
            elif not _is_ignored(path):
                yield self._reject(path, _unsupported_reason(path))
        except OSError as error:
            yield self._reject(path, f"cannot be read ({error.strerror}); check the file")

    def _unit(self, path: Path, is_container: bool = False) -> Unit:
        return Unit(path, self.root, source_of(path, self.root), is_container)

    def _find_reader(self, path: Path) -> Reader | None:
        return next((reader for reader in self._readers if reader.claims(path)), None)

    def _is_excluded(self, path: Path) -> bool:
        names = (source_of(path, self.root), path.name)
        return any(fnmatchcase(name, pattern) for name in names for pattern in self._exclude)

    def _points_inside(self, path: Path) -> bool:
        try:
            return path.resolve(strict=True).is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # a missing target, or a circle of links
            return False

    def _reject(self, path: Path, reason: str) -> Rejected:
        return _reject(path, self.root, reason)


def find_documents(
    unit: Unit, exclude: Iterable[str] = (), readers: Iterable[Reader] = READERS, depth: int = 0
) -> Iterator[Document | Rejected]:
    """Yield the documents of a unit in reading order.

    `depth` is the number of archives around the unit; an archive inside an archive is rejected.
    """
    try:
        if unit.path.is_file() and format_of(unit.path) == "zip":
            yield from _archive_documents(unit, exclude, readers, depth)
        elif reader := next((r for r in readers if r.claims(unit.path)), None):
            yield from reader.documents(unit.path, unit.root)
    except BadInput as error:
        yield _reject(unit.path, unit.root, str(error))
    except OSError as error:
        yield _reject(unit.path, unit.root, f"cannot be read ({error.strerror}); check the file")


def scan(
    path: Path, exclude: Iterable[str] = (), readers: Iterable[Reader] = READERS
) -> Iterator[Document | Rejected]:
    """Yield the documents of a file or folder in the order of `Walk`; bare pictures come last."""
    yield from _scan(Walk(path, exclude, readers), tuple(exclude), tuple(readers), 0)


def _scan(
    walk: Walk, exclude: tuple[str, ...], readers: tuple[Reader, ...], depth: int
) -> Iterator[Document | Rejected]:
    linked_pictures: set[Path] = set()
    for unit in walk.units():
        if isinstance(unit, Rejected):
            yield unit
            continue
        for document in find_documents(unit, exclude, readers, depth):
            if isinstance(document, IllustratedDocument):
                linked_pictures |= document.pictures
            yield document
    for unit in walk.pictures(linked_pictures):
        yield from find_documents(unit, exclude, readers, depth)


def _archive_documents(
    unit: Unit, exclude: Iterable[str], readers: Iterable[Reader], depth: int
) -> Iterator[Document | Rejected]:
    if depth:
        yield Rejected(unit.source, "an archive inside an archive; unpack it first")
        return
    unpacked = UnpackedArchive(unit.path, unit.source)
    exclude, readers = tuple(exclude), tuple(readers)
    is_empty = True
    for document in _scan(Walk(unpacked.root, exclude, readers), exclude, readers, depth + 1):
        is_empty = False
        yield _as_member(document, unit.source, unpacked)
    if is_empty:
        yield Rejected(unit.source, f"no supported file in this archive; expected {FORMATS}")


def _reject(path: Path, root: Path, reason: str) -> Rejected:
    source = source_of(path, root).encode(errors="backslashreplace").decode()
    return Rejected(source, reason.removeprefix(f"{source}: "))


def _as_member(
    document: Document | Rejected, archive: str, unpacked: UnpackedArchive
) -> Document | Rejected:
    """Put the archive's name before the document's."""
    source = f"{archive}/{document.source}"
    if isinstance(document, Rejected):
        return Rejected(source, document.reason)
    return replace(document, source=source, read=partial(_read_member, document, archive, unpacked))


def _read_member(document: Document, archive: str, unpacked: UnpackedArchive) -> Iterator[Content]:
    """Read a document of an archive; pictures become bytes, because the folder is temporary.

    The reference to `unpacked` keeps the folder until the document is read.
    """
    assert unpacked.root.is_dir()
    try:
        for content in document.read():
            if isinstance(content, Figure) and isinstance(content.picture, Path):
                yield replace(content, picture=content.picture.read_bytes())
            elif isinstance(content, Block) and any("#" in ref for ref in content.refs):
                refs = tuple(f"{archive}/{ref}" if "#" in ref else ref for ref in content.refs)
                yield replace(content, refs=refs)
            else:
                yield content
    except BadInput as error:
        raise BadInput(f"{archive}/{error}") from None


def _is_utf8(name: str) -> bool:
    """Return whether a file name is valid UTF-8; Python decodes other bytes as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _is_ignored(path: Path) -> bool:
    name = path.name.lower()
    return path.suffix.lower() in _IGNORED_SUFFIXES or name in _IGNORED_NAMES


def _unsupported_reason(path: Path) -> str:
    suffix = path.suffix.lower()
    hint = _HINTS.get(suffix, f"expected {FORMATS}")
    return f"files of the type {suffix or '(no suffix)'} are not read; {hint}"
