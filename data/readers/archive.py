"""Zip archives from outside: looked over before a byte is unpacked, then read like a folder.

Office files are zips too: `open_zip` is the one gate for all of them.
"""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from data.errors import BadInput

__all__ = [
    "ARCHIVE_ERRORS",
    "MAX_MEMBERS",
    "MAX_RATIO",
    "MAX_UNPACKED",
    "Unpacked",
    "directory_size",
    "open_zip",
]

MAX_MEMBERS = 20_000
MAX_UNPACKED = 2 * 1024**3  # bytes
MAX_RATIO = 200  # unpacked to packed; prose stays below 10, XML below 50
_SMALL = 1024**2  # bytes; below this no ratio does harm
_DIRECTORY_LIMIT = MAX_MEMBERS * 1024  # bytes of central directory, read before members are counted
_TAIL = 66_000  # bytes at the end in which a zip's closing records lie
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,  # a compression method that the standard library does not know
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted member
)


def open_zip(path: Path, name: str) -> zipfile.ZipFile:
    """Open a zip whose members are all within bounds; `BadInput` names the first that is not."""
    if directory_size(path) > _DIRECTORY_LIMIT:
        raise BadInput(f"{name}: more than {MAX_MEMBERS:,} members; split the archive")
    try:
        archive = zipfile.ZipFile(path)
    except ARCHIVE_ERRORS as error:
        raise BadInput(
            f"{name}: no zip archive, or a broken one ({error}); save it again"
        ) from None
    try:
        _check(archive, name)
    except BadInput:
        archive.close()
        raise
    return archive


def directory_size(path: Path) -> int:
    """Bytes of the central directory, which `ZipFile` would read into memory unasked."""
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - _TAIL))
        tail = handle.read()
    size = 0
    if (at := tail.rfind(b"PK\x05\x06")) >= 0:
        size = int.from_bytes(tail[at + 12 : at + 16], "little")
        if size == 0xFFFFFFFF:
            size = 0
    if (at := tail.rfind(b"PK\x06\x06")) >= 0:
        size = max(size, int.from_bytes(tail[at + 40 : at + 48], "little"))
    return size


def _check(archive: zipfile.ZipFile, name: str) -> None:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise BadInput(
            f"{name}: {len(members):,} members, more than the {MAX_MEMBERS:,} allowed; "
            "split the archive"
        )
    total = 0
    for member in members:
        where = f"{name}: member {member.filename!r}"
        if not _is_inside(member.filename):
            raise BadInput(f"{where} leads out of the archive; pack it again with relative paths")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise BadInput(f"{where} is a link; pack the file itself")
        if member.flag_bits & 1:
            raise BadInput(f"{where} is encrypted; save the file without a password")
        total += member.file_size
        if total > MAX_UNPACKED:
            raise BadInput(
                f"{where}: more than {MAX_UNPACKED // 1024**3} GiB unpacked; split the archive"
            )
        if member.file_size > max(_SMALL, MAX_RATIO * member.compress_size):
            raise BadInput(
                f"{where} unpacks to over {MAX_RATIO} times its size, as bombs do; "
                "give the file itself"
            )


def _is_inside(filename: str) -> bool:
    path = filename.replace("\\", "/")
    return not (path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/"))


class Unpacked:
    """A checked archive in a temporary folder that goes away with the last reference to it."""

    def __init__(self, path: Path, name: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="unirag-"))
        self._clean = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)
        with open_zip(path, name) as archive:
            for member in archive.infolist():
                try:
                    _unpack(archive, member, self.root)
                except (OSError, *ARCHIVE_ERRORS) as error:
                    raise BadInput(
                        f"{name}: member {member.filename!r} cannot be unpacked ({error}); "
                        "pack the archive again"
                    ) from None


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, root: Path) -> None:
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    target = root.joinpath(*parts)
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, target.open("wb") as handle:
        shutil.copyfileobj(packed, handle)  # ends at the size that was declared, and checked
