"""File helpers that all readers share: names, fingerprints, formats and text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from charset_normalizer import from_bytes

from data.errors import BadInput
from data.pictures import PICTURE_SUFFIXES
from data.readers.archive import open_zip

__all__ = [
    "MAX_TEXT_BYTES",
    "Format",
    "decode",
    "fingerprint",
    "format_of",
    "is_picture",
    "read_text_bytes",
    "sha256_of",
    "source_of",
]

Format = Literal[
    "markdown",
    "html",
    "plain",
    "delimited",
    "docx",
    "pptx",
    "xlsx",
    "odf",
    "pdf",
    "picture",
    "epub",
    "transcript",
    "notebook",
    "latex",
    "svg",
    "zip",
    "",
]
MAX_TEXT_BYTES = 64 * 1024**2  # the longest textbook has 5 MB of text
_SUFFIXES: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "plain",
    ".text": "plain",
    ".csv": "delimited",
    ".tsv": "delimited",
    ".docx": "docx",
    ".pptx": "pptx",
    **dict.fromkeys((".docm", ".dotx", ".dotm"), "docx"),
    **dict.fromkeys((".pptm", ".ppsx", ".ppsm", ".potx", ".potm"), "pptx"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), "xlsx"),
    **dict.fromkeys((".odt", ".ott", ".odp", ".otp", ".ods", ".ots"), "odf"),
    ".pdf": "pdf",
    ".epub": "epub",
    ".svg": "svg",
    ".vtt": "transcript",
    ".srt": "transcript",
    ".sbv": "transcript",
    ".ipynb": "notebook",
    ".tex": "latex",
    ".zip": "zip",
    **dict.fromkeys(PICTURE_SUFFIXES, "picture"),
}
_PICTURE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_FORMAT_MEMBERS: tuple[tuple[str, Format], ...] = (
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
    ("META-INF/container.xml", "epub"),
)
_ODF_MEMBERS = frozenset({"mimetype", "content.xml", "META-INF/manifest.xml"})
_OFFICE_FORMATS = ("docx", "pptx", "xlsx", "odf")


def source_of(path: Path, root: Path) -> str:
    """Return the path below the corpus root, with forward slashes."""
    return path.relative_to(root).as_posix()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex, without reading it into memory at once."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(path: Path, dependencies: Iterable[tuple[str, Path | None]] = ()) -> str:
    """Return the SHA-256 over a file and the files that its items depend on.

    `dependencies` are pairs of a name and a path; the path is None if the file is missing.
    """
    dependencies = sorted(dependencies, key=lambda pair: pair[0])
    if not dependencies:
        return sha256_of(path)
    digest = hashlib.sha256(sha256_of(path).encode())
    for name, dependency in dependencies:
        state = sha256_of(dependency) if dependency else "missing"
        digest.update(f"\n{name} {state}".encode())
    return digest.hexdigest()


def is_picture(head: bytes) -> bool:
    """Return whether a file that starts with `head` is a picture in a supported format."""
    return head.startswith(_PICTURE_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def format_of(path: Path) -> Format:
    """Return a file's format: by its first bytes if they are clear, else by its suffix.

    Returns "" for a format that no reader supports.
    """
    suffix_format = _SUFFIXES.get(path.suffix.lower(), "")
    with path.open("rb") as handle:
        head = handle.read(1024)
    if is_picture(head):
        return "picture"
    if head.lstrip()[:5] == b"%PDF-":
        return "pdf"
    if head[:4] == b"PK\x03\x04" and suffix_format not in _OFFICE_FORMATS:
        return _format_in_zip(path) if suffix_format else ""
    return suffix_format


def _format_in_zip(path: Path) -> Format:
    try:
        with open_zip(path, path.name) as archive:
            names = set(archive.namelist())
    except BadInput:
        return "zip"  # reading the archive reports the error
    if names >= _ODF_MEMBERS:
        return "odf"
    return next((format_ for member, format_ in _FORMAT_MEMBERS if member in names), "zip")


def read_text_bytes(path: Path, name: str) -> bytes:
    """Return a text file's bytes.

    Raises `BadInput`, starting with `name`, if the file is empty, larger than `MAX_TEXT_BYTES`
    or cannot be opened.
    """
    try:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise BadInput(
                f"{name}: {size:,} bytes, more than the {MAX_TEXT_BYTES // 1024**2} MiB allowed "
                "for a text file; split it"
            )
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name}: cannot be opened ({error.strerror}); check the file") from None
    if not data.strip():
        raise BadInput(f"{name}: empty file; nothing to index")
    return data


def decode(data: bytes, name: str) -> str:
    """Decode a file as UTF-8, as UTF-16 with a byte order mark, or in its likeliest encoding.

    Line ends become `\\n`. Raises `BadInput` for binary data and for an unknown encoding.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decode_strictly(data, "utf-16", name)
    if b"\0" in data:
        raise BadInput(f"{name}: binary data, expected text; save it as UTF-8 text")
    try:
        return _unify_newlines(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        pass
    matches = from_bytes(data)
    best = matches.best()
    if best is None:
        raise BadInput(f"{name}: the text's encoding is unknown; save it as UTF-8")
    # Most files are Western; without this rule the choice among similar encodings is arbitrary.
    is_western = any(m.encoding == "cp1252" and m.chaos <= best.chaos for m in matches)
    if is_western or not best.coherence:
        try:
            return _unify_newlines(data.decode("cp1252"))
        except UnicodeDecodeError:
            pass
    return _unify_newlines(str(best))


def _decode_strictly(data: bytes, encoding: str, name: str) -> str:
    try:
        return _unify_newlines(data.decode(encoding))
    except UnicodeDecodeError:
        raise BadInput(f"{name}: broken {encoding.upper()} text; save it as UTF-8") from None


def _unify_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
