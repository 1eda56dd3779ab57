"""File helpers that all readers share: names, fingerprints, formats, text and linked pictures."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from charset_normalizer import from_bytes

from data.errors import BadInput
from data.pictures import PICTURE_SUFFIXES
from data.readers.archive import open_zip

__all__ = [
    "MAX_TEXT_BYTES",
    "Format",
    "decode",
    "find_picture",
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
    ".zip": "zip",
    **dict.fromkeys(PICTURE_SUFFIXES, "picture"),
}
_PICTURE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_FORMAT_MEMBERS: tuple[tuple[str, Format], ...] = (
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
)
_ODF_MEMBERS = frozenset({"mimetype", "content.xml", "META-INF/manifest.xml"})
_OFFICE_FORMATS = ("docx", "pptx", "xlsx", "odf")
_MAX_DATA_URI_CHARACTERS = 32 * 1024**2


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


def find_picture(href: str, folder: Path, root: Path) -> Path | bytes:
    """Return the picture that a document in `folder` links to.

    The result is the path of a file below `root`, or the bytes of an inline picture. A link that
    starts with `/` is relative to `root`, as on a web site. Raises `BadInput`, starting with the
    link, if the picture is on the web, outside `root`, missing, or in an unsupported format.
    """
    short_href = href if len(href) <= 120 else href[:117] + "..."
    if href.startswith("data:"):
        return _inline_picture(href)
    if re.match(r"(https?:)?//", href, re.IGNORECASE):
        raise BadInput(
            f"{short_href}: web pictures are not downloaded; save the picture next to the text"
        )
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        raise BadInput(f"{short_href}: not a relative path; link a file inside the corpus folder")
    relative = unquote(re.split(r"[?#]", href, maxsplit=1)[0]).replace("\\", "/")
    try:
        resolved_root = root.resolve()
        base = resolved_root if relative.startswith("/") else folder.resolve()
        path = (base / relative.lstrip("/")).resolve()
        if not path.is_relative_to(resolved_root):
            raise BadInput(
                f"{short_href}: points outside the corpus folder; copy the picture into it"
            )
        if not path.is_file():
            raise BadInput(f"{short_href}: no such picture; check the link")
        if format_of(path) != "picture":
            raise BadInput(
                f"{short_href}: not a picture in a supported format; save it as PNG or JPEG"
            )
    except (OSError, ValueError, RuntimeError):  # a name too long or with NUL, or a loop of links
        raise BadInput(f"{short_href}: not a valid path; check the link") from None
    return path


def _inline_picture(href: str) -> bytes:
    head, _, body = href.partition(",")
    short_href = head[:60]
    if not head.endswith(";base64") or len(body) > _MAX_DATA_URI_CHARACTERS:
        raise BadInput(
            f"{short_href}: expected a base64 picture of at most 24 MB; save it as a file"
        )
    try:
        data = base64.b64decode(unquote(body))
    except (binascii.Error, ValueError):
        raise BadInput(f"{short_href}: broken base64; save the picture as a file") from None
    if not is_picture(data):
        raise BadInput(f"{short_href}: not a picture in a supported format; save it as PNG or JPEG")
    return data
