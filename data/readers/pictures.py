"""Bare pictures: each becomes a figure, with the words that stand beside it or inside its file.

Words come from `NAME.json` (keys caption, title, alt or description, licence, attribution), else
from `NAME.txt` or `NAME.md`, else from the file's own EXIF or IPTC description.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from data.documents import Document, Figure, Problem
from data.errors import BadInput
from data.pictures import PICTURE_SUFFIXES, description_of
from data.readers.files import decode, fingerprint, format_of, read_bytes, source_of
from data.readers.formulas import normalise
from data.readers.structure import Part, finish, humanise

__all__ = ["PictureReader", "is_sidecar"]

_TEXT_SIDECARS = (".txt", ".md")
_MAX_SIDECAR = 8 * 1024  # bytes; a longer text is a document of its own
_MARKDOWN_PICTURE = re.compile(rb"!\[|<img\b", re.IGNORECASE)


def is_sidecar(path: Path) -> bool:
    """Whether a file holds the words of a picture of the same stem beside it."""
    suffix = path.suffix.lower()
    if suffix not in (*_TEXT_SIDECARS, ".json") or not _picture_of(path):
        return False
    if suffix == ".json":
        return True
    if path.stat().st_size > _MAX_SIDECAR:
        return False
    return not (suffix == ".md" and _MARKDOWN_PICTURE.search(path.read_bytes()))


def _picture_of(path: Path) -> bool:
    stem = str(path.with_suffix(""))  # `Path` would take half of a walk over a thousand texts
    names = (stem + form for suffix in PICTURE_SUFFIXES for form in (suffix, suffix.upper()))
    return any(os.path.isfile(name) for name in names)  # noqa: PTH113


class PictureReader:
    """Picture files of the forms that `data.pictures` opens."""

    name = "picture"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "picture"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        sidecars = _sidecars(path)
        words, _ = _words(sidecars)
        yield Document(
            source=source,
            path=path,
            fingerprint=fingerprint(path, ((s.name, s) for s in sidecars)),
            title=words.get("title") or humanise(path.stem),
            read=partial(_read, path, source),
            licence=words.get("licence") or words.get("license") or "",
            attribution=words.get("attribution", ""),
        )


def _sidecars(path: Path) -> list[Path]:
    beside = (path.with_suffix(suffix) for suffix in (".json", *_TEXT_SIDECARS))
    return [s for s in beside if s.is_file() and is_sidecar(s)]


def _words(sidecars: Iterable[Path]) -> tuple[dict[str, str], list[Problem]]:
    """What the sidecars say; one that cannot be read costs its words, not the picture."""
    words: dict[str, str] = {}
    problems: list[Problem] = []
    for sidecar in sidecars:
        try:
            text = decode(read_bytes(sidecar, sidecar.name), sidecar.name)
            found = (
                _json_words(text, sidecar.name) if sidecar.suffix == ".json" else {"caption": text}
            )
        except BadInput as error:
            problems.append(Problem("", str(error)))
            continue
        for key, value in found.items():
            words.setdefault(key, normalise(" ".join(value.split())))
    return words, problems


def _json_words(text: str, name: str) -> dict[str, str]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name}: not JSON ({error}); its words are left out") from None
    if not isinstance(values, dict):
        raise BadInput(f'{name}: expected an object such as {{"caption": "…"}}')
    return {k.lower(): v for k, v in values.items() if isinstance(v, str) and v.strip()}


def _read(path: Path, source: str) -> Iterator[Part]:
    if not path.exists() or not path.stat().st_size:
        raise BadInput(f"{source}: empty file; nothing to index")
    inside = description_of(path, source)
    words, problems = _words(_sidecars(path))
    title = words.get("title") or humanise(path.stem)
    caption = words.get("caption") or words.get("title") or inside
    alt = words.get("alt") or words.get("description") or ""
    yield from finish([Figure("picture", path, caption, alt, section=(title,)), *problems])
