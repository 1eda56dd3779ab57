"""Find the pictures that documents link: by their path, however it is written, or by their name."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from data.errors import BadInput
from data.readers.data_uri import data_of_uri
from data.readers.files import format_of, is_picture
from data.readers.svg import is_svg

__all__ = ["find_linked", "find_picture"]


def find_picture(href: str, folder: Path, root: Path, by_name: bool = False) -> Path | bytes:
    """Return the picture that a document in `folder` links to.

    The result is the path of a file below `root`, or the bytes of an inline picture; either may be
    an SVG drawing, which `data/readers/svg.py` renders. Raises `BadInput`, starting with the link,
    if the picture is on the web, outside `root`, missing, or in an unsupported format. For the
    other arguments see `find_linked`.
    """
    short_href = _shorten(href)
    if href.startswith("data:"):
        data = data_of_uri(href)
        if is_picture(data) or is_svg(data):
            return data
        raise BadInput(f"{short_href}: not a picture in a supported format; save it as PNG or JPEG")
    path = find_linked(href, folder, root, by_name)
    if format_of(path) not in ("picture", "svg"):
        raise BadInput(f"{short_href}: not a picture in a supported format; save it as PNG or JPEG")
    return path


def find_linked(href: str, folder: Path, root: Path, by_name: bool = False) -> Path:
    """Return the file below `root` that a document in `folder` links to.

    A link that starts with `/` is relative to `root`, as on a web site. Capitals, and the two ways
    in which Unicode writes an accented letter, make no difference: a link made on macOS or Windows
    works. With `by_name`, a file of that name is also sought in every folder below `root`. Raises
    `BadInput`, starting with the link.
    """
    short_href = _shorten(href)
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
            path = _similar_path(path, resolved_root) or path
        if not path.is_file() and by_name and relative:
            path = _file_named(relative, resolved_root) or path
        if not path.is_file() or not path.resolve().is_relative_to(resolved_root):
            raise BadInput(f"{short_href}: no such picture; check the link")
    except (OSError, ValueError, RuntimeError):  # a name too long or with NUL, or a loop of links
        raise BadInput(f"{short_href}: not a valid path; check the link") from None
    return path


def _shorten(href: str) -> str:
    return href if len(href) <= 120 else href[:117] + "..."


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _similar_path(path: Path, root: Path) -> Path | None:
    """Return the file whose path below `root` differs only in capitals or Unicode form."""
    current = root
    for part in path.relative_to(root).parts:
        names = [part] if (current / part).exists() else _names_like(part, current)
        if not names:
            return None
        current /= names[0]
    return current if current.is_file() else None


def _names_like(name: str, folder: Path) -> list[str]:
    """Return the names in a folder that differ from `name` only in form, the likeliest first."""
    if not folder.is_dir():
        return []
    composed = unicodedata.normalize("NFC", name)
    similar = [entry.name for entry in os.scandir(folder) if _key(entry.name) == _key(name)]
    return sorted(similar, key=lambda n: (unicodedata.normalize("NFC", n) != composed, n))


def _file_named(relative: str, root: Path) -> Path | None:
    """Return the file whose path ends in `relative`, in the highest folder below `root`."""
    ending = "/" + _key(relative.lstrip("/"))
    matches: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        base = Path(folder)
        matches += [
            base / name for name in sorted(names) if _key(f"{folder}/{name}").endswith(ending)
        ]
    return min(matches, key=lambda path: len(path.parts), default=None)
