"""What every reader does with files: name, fingerprint, decode, tell apart, find pictures."""

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
    "MAX_TEXT",
    "Format",
    "decode",
    "find_picture",
    "fingerprint",
    "format_of",
    "is_picture",
    "read_bytes",
    "sha256_of",
    "source_of",
]

Format = Literal["markdown", "html", "plain", "docx", "pptx", "pdf", "picture", "zip", ""]
MAX_TEXT = 64 * 1024**2  # bytes; the longest textbook as text has 5 MB
_SUFFIXES: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "plain",
    ".text": "plain",
    ".docx": "docx",
    ".pptx": "pptx",
    ".pdf": "pdf",
    ".zip": "zip",
    **dict.fromkeys(PICTURE_SUFFIXES, "picture"),
}
_PICTURE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_FORMAT_MEMBERS: tuple[tuple[str, Format], ...] = (
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
)
_MAX_DATA_URI = 32 * 1024**2  # characters


def source_of(path: Path, root: Path) -> str:
    """The path below the corpus root with forward slashes."""
    return path.relative_to(root).as_posix()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex, streamed."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(path: Path, others: Iterable[tuple[str, Path | None]] = ()) -> str:
    """SHA-256 over a file and the other files that its items depend on, each under its name."""
    others = sorted(others, key=lambda pair: pair[0])
    if not others:
        return sha256_of(path)
    digest = hashlib.sha256(sha256_of(path).encode())
    for name, other in others:
        digest.update(f"\n{name} {sha256_of(other) if other else 'missing'}".encode())
    return digest.hexdigest()


def is_picture(head: bytes) -> bool:
    """Whether these first bytes are clearly those of a picture."""
    return head.startswith(_PICTURE_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def format_of(path: Path) -> Format:
    """The format by content where its first bytes are clear, else by suffix; "" for any other."""
    by_name = _SUFFIXES.get(path.suffix.lower(), "")
    with path.open("rb") as handle:
        head = handle.read(1024)
    if is_picture(head):
        return "picture"
    if head.lstrip()[:5] == b"%PDF-":
        return "pdf"
    if head[:4] == b"PK\x03\x04" and by_name not in ("docx", "pptx"):
        return _zipped_format(path) if by_name else ""
    return by_name


def _zipped_format(path: Path) -> Format:
    try:
        with open_zip(path, path.name) as archive:
            names = set(archive.namelist())
    except BadInput:
        return "zip"  # its reader says what is wrong
    return next((kind for member, kind in _FORMAT_MEMBERS if member in names), "zip")


def read_bytes(path: Path, name: str) -> bytes:
    """A text file's bytes; `BadInput` for one that is empty, too long or cannot be opened."""
    try:
        size = path.stat().st_size
        if size > MAX_TEXT:
            raise BadInput(
                f"{name}: {size:,} bytes, more than the {MAX_TEXT // 1024**2} MiB allowed for a "
                "text; split it"
            )
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name}: cannot be opened ({error.strerror}); check the file") from None
    if not data.strip():
        raise BadInput(f"{name}: empty file; nothing to index")
    return data


def decode(data: bytes, name: str) -> str:
    """The text of a file: UTF-8, or UTF-16 with its mark, else the most likely encoding.

    Raises `BadInput` for binary data and for text that no encoding explains.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _strict(data, "utf-16", name)
    if b"\0" in data:
        raise BadInput(f"{name}: binary data, expected text; save it as UTF-8 text")
    try:
        return _lines(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        pass
    matches = from_bytes(data)
    best = matches.best()
    if best is None:
        raise BadInput(f"{name}: the text's encoding is unknown; save it as UTF-8")
    # Western files are by far the most; the guess between its look-alikes is a coin toss otherwise
    western = any(m.encoding == "cp1252" and m.chaos <= best.chaos for m in matches)
    if western or not best.coherence:
        try:
            return _lines(data.decode("cp1252"))
        except UnicodeDecodeError:
            pass
    return _lines(str(best))


def _strict(data: bytes, encoding: str, name: str) -> str:
    try:
        return _lines(data.decode(encoding))
    except UnicodeDecodeError:
        raise BadInput(f"{name}: broken {encoding.upper()} text; save it as UTF-8") from None


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def find_picture(href: str, folder: Path, root: Path) -> Path | bytes:
    """The picture that a document in `folder` links: a file below `root`, or an inline one's bytes.

    A link that starts with `/` counts from the root, as on a web site. Raises `BadInput`, starting
    with the link, for anything on the web, outside the root, missing, or of an unread form.
    """
    shown = href if len(href) <= 120 else href[:117] + "..."
    if href.startswith("data:"):
        return _inline_picture(href)
    if re.match(r"(https?:)?//", href, re.IGNORECASE):
        raise BadInput(f"{shown}: pictures on the web are not fetched; save it beside the text")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        raise BadInput(f"{shown}: not a relative path; link a file inside the corpus folder")
    relative = unquote(re.split(r"[?#]", href, maxsplit=1)[0]).replace("\\", "/")
    try:
        base = root.resolve()
        start = base if relative.startswith("/") else folder.resolve()
        path = (start / relative.lstrip("/")).resolve()
        if not path.is_relative_to(base):
            raise BadInput(f"{shown}: leads out of the corpus folder; copy the picture into it")
        if not path.is_file():
            raise BadInput(f"{shown}: no such picture; check the link")
        if format_of(path) != "picture":
            raise BadInput(f"{shown}: not a picture that is read; save it as PNG or JPEG")
    except (OSError, ValueError, RuntimeError):  # too long, a NUL inside, a loop of links
        raise BadInput(f"{shown}: not a usable path; check the link") from None
    return path


def _inline_picture(href: str) -> bytes:
    head, _, body = href.partition(",")
    shown = head[:60]
    if not head.endswith(";base64") or len(body) > _MAX_DATA_URI:
        raise BadInput(f"{shown}: not a base64 picture of at most 24 MB; save it as a file")
    try:
        data = base64.b64decode(unquote(body))
    except (binascii.Error, ValueError):
        raise BadInput(f"{shown}: broken base64; save the picture as a file") from None
    if not is_picture(data):
        raise BadInput(f"{shown}: not a picture that is read; save it as PNG or JPEG")
    return data
