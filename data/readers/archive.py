"""Zip archives from outside: checked before a byte is unpacked, then read like a folder.

Office files are zip archives too. Every archive goes through `open_zip`.
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
from data.readers.archive_names import member_names

__all__ = [
    "ARCHIVE_ERRORS",
    "MAX_COMPRESSION_RATIO",
    "MAX_MEMBERS",
    "MAX_UNPACKED_BYTES",
    "UnpackedArchive",
    "directory_size",
    "open_zip",
]

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_COMPRESSION_RATIO = 200  # unpacked to packed; prose stays below 10, XML below 50
_RATIO_EXEMPT_BYTES = 1024**2  # a smaller member is harmless at any ratio
_MAX_DIRECTORY_BYTES = MAX_MEMBERS * 1024  # limits the directory before `ZipFile` reads it
_TAIL_BYTES = 66_000  # the last bytes of a zip, which hold its closing records
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,  # a compression method that the standard library lacks
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted member
)


def open_zip(path: Path, name: str) -> zipfile.ZipFile:
    """Open a zip archive whose members are all safe to unpack.

    Raises `BadInput`, starting with `name`, for the first member that is not safe.
    """
    if directory_size(path) > _MAX_DIRECTORY_BYTES:
        raise BadInput(f"{name}: more than {MAX_MEMBERS:,} members; split the archive")
    try:
        archive = zipfile.ZipFile(path)
    except ARCHIVE_ERRORS as error:
        raise BadInput(
            f"{name}: not a zip archive, or a broken one ({error}); save it again"
        ) from None
    try:
        _check_members(archive, name)
    except BadInput:
        archive.close()
        raise
    return archive


def directory_size(path: Path) -> int:
    """Return the size in bytes of a zip's central directory.

    `ZipFile` reads the whole directory into memory, so check its size first.
    """
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = handle.read()
    size = 0
    if (offset := tail.rfind(b"PK\x05\x06")) >= 0:
        size = int.from_bytes(tail[offset + 12 : offset + 16], "little")
        if size == 0xFFFFFFFF:
            size = 0
    if (offset := tail.rfind(b"PK\x06\x06")) >= 0:
        size = max(size, int.from_bytes(tail[offset + 40 : offset + 48], "little"))
    return size


def _check_members(archive: zipfile.ZipFile, name: str) -> None:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise BadInput(
            f"{name}: {len(members):,} members, more than the {MAX_MEMBERS:,} allowed; "
            "split the archive"
        )
    total_bytes = 0
    for member in members:
        label = f"{name}: member {member.filename!r}"
        if not _is_inside(member.filename):
            raise BadInput(f"{label} points outside the archive; pack it again with relative paths")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise BadInput(f"{label} is a symbolic link; pack the file itself")
        if member.flag_bits & 1:
            raise BadInput(f"{label} is encrypted; save the file without a password")
        total_bytes += member.file_size
        if total_bytes > MAX_UNPACKED_BYTES:
            raise BadInput(
                f"{label}: more than {MAX_UNPACKED_BYTES // 1024**3} GiB unpacked; "
                "split the archive"
            )
        if member.file_size > max(
            _RATIO_EXEMPT_BYTES, MAX_COMPRESSION_RATIO * member.compress_size
        ):
            raise BadInput(
                f"{label} unpacks to more than {MAX_COMPRESSION_RATIO} times its packed size, "
                "like a zip bomb; add the unpacked file instead"
            )


def _is_inside(filename: str) -> bool:
    path = filename.replace("\\", "/")
    return not (path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/"))


class UnpackedArchive:
    """A checked archive, unpacked into the temporary folder `root`.

    The folder is deleted with the last reference to this object.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="unirag-"))
        self._cleanup = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)
        with open_zip(path, name) as archive:
            members = archive.infolist()
            for member, path_inside in zip(members, member_names(members), strict=True):
                try:
                    _unpack(archive, member, path_inside, self.root)
                except (OSError, *ARCHIVE_ERRORS) as error:
                    raise BadInput(
                        f"{name}: member {member.filename!r} cannot be unpacked ({error}); "
                        "pack the archive again"
                    ) from None


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, root: Path) -> None:
    if not _is_inside(name):
        raise ValueError("its name points outside the archive")
    target = root.joinpath(*PurePosixPath(name).parts)
    if name.endswith("/"):
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, target.open("wb") as handle:
        shutil.copyfileobj(packed, handle)  # stops at the declared size, which is checked
