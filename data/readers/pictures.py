"""Read picture files: each becomes a figure, described by a sidecar file or by its metadata.

A sidecar of the picture `NAME.png` is `NAME.json` (keys caption, title, alt or description,
licence, attribution), `NAME.txt` or `NAME.md`. Without one, the caption is the picture's EXIF or
IPTC description.
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
from data.pictures import PICTURE_SUFFIXES, read_description
from data.readers.files import decode, fingerprint, format_of, read_text_bytes, source_of
from data.readers.formulas import normalise_formulas
from data.readers.structure import Content, assemble, humanise
from data.readers.svg import picture_of_svg

__all__ = ["PictureReader", "is_sidecar"]

_TEXT_SIDECARS = (".txt", ".md")
_MAX_SIDECAR_BYTES = 8 * 1024  # a longer text is a document, not a sidecar
_MARKDOWN_PICTURE = re.compile(rb"!\[|<img\b", re.IGNORECASE)


def is_sidecar(path: Path) -> bool:
    """Return whether a file describes the picture with the same stem in its folder."""
    suffix = path.suffix.lower()
    if suffix not in (*_TEXT_SIDECARS, ".json") or not _has_picture(path):
        return False
    if suffix == ".json":
        return True
    if path.stat().st_size > _MAX_SIDECAR_BYTES:
        return False
    return not (suffix == ".md" and _MARKDOWN_PICTURE.search(path.read_bytes()))


def _has_picture(path: Path) -> bool:
    stem = str(path.with_suffix(""))  # `Path` objects would double the time of a scan
    names = (stem + form for suffix in PICTURE_SUFFIXES for form in (suffix, suffix.upper()))
    return any(os.path.isfile(name) for name in names)  # noqa: PTH113


class PictureReader:
    """Read picture files in the formats that `data.pictures` opens, and SVG drawings."""

    name = "picture"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) in ("picture", "svg")

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        sidecars = _sidecars(path)
        description, _ = _read_sidecars(sidecars)
        yield Document(
            source=source,
            path=path,
            fingerprint=fingerprint(path, ((s.name, s) for s in sidecars)),
            title=description.get("title") or humanise(path.stem),
            read=partial(_read, path, source),
            licence=description.get("licence") or description.get("license") or "",
            attribution=description.get("attribution", ""),
        )


def _sidecars(path: Path) -> list[Path]:
    candidates = (path.with_suffix(suffix) for suffix in (".json", *_TEXT_SIDECARS))
    return [c for c in candidates if c.is_file() and is_sidecar(c)]


def _read_sidecars(sidecars: Iterable[Path]) -> tuple[dict[str, str], list[Problem]]:
    """Return the values of the sidecars by key; an unreadable sidecar becomes a problem."""
    description: dict[str, str] = {}
    problems: list[Problem] = []
    for sidecar in sidecars:
        try:
            text = decode(read_text_bytes(sidecar, sidecar.name), sidecar.name)
            is_json = sidecar.suffix == ".json"
            values = _json_values(text, sidecar.name) if is_json else {"caption": text}
        except BadInput as error:
            problems.append(Problem("", str(error)))
            continue
        for key, value in values.items():
            description.setdefault(key, normalise_formulas(" ".join(value.split())))
    return description, problems


def _json_values(text: str, name: str) -> dict[str, str]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name}: not valid JSON ({error}); the description is ignored") from None
    if not isinstance(values, dict):
        raise BadInput(f'{name}: expected an object such as {{"caption": "…"}}')
    return {k.lower(): v for k, v in values.items() if isinstance(v, str) and v.strip()}


def _read(path: Path, source: str) -> Iterator[Content]:
    if not path.exists() or not path.stat().st_size:
        raise BadInput(f"{source}: empty file; nothing to index")
    picture: Path | bytes = path
    if format_of(path) == "svg":
        picture, embedded_description = picture_of_svg(path, source)
    else:
        embedded_description = read_description(path, source)
    description, problems = _read_sidecars(_sidecars(path))
    title = description.get("title") or humanise(path.stem)
    caption = description.get("caption") or description.get("title") or embedded_description
    alt = description.get("alt") or description.get("description") or ""
    yield from assemble([Figure("picture", picture, caption, alt, section=(title,)), *problems])
