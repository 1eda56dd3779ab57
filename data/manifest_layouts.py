"""Turn the layouts in which data sets of styled queries are published into manifests.

`dsr` is FreestyleRet's Diverse-Style Retrieval set (arXiv 2312.02428): `images/` with the targets,
a folder of the same file names for each style (`sketch/`, `art/`, `mosaic/`), `text/` with
captions, and JSON lists of {"image", "caption"}, `train.json` and `test.json`. `ser` is the layout
that Uni-Retrieval's training code reads (arXiv 2502.05863): the same, but each entry has an
"image_path" and the caption itself. `hand-drawn` is the layout of `data/drawing_pairs.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from data.drawing_pairs import read_drawing_pairs, split_by_writer
from data.errors import BadInput
from data.manifest import TEXT_STYLE, Split, StyledPair
from data.pictures import PICTURE_SUFFIXES
from data.styles import DRAWING

__all__ = ["LAYOUTS"]

_IMAGES, _CAPTIONS = "images", "text"
_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "dataset": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


def _hand_drawn(folder: Path) -> Iterator[StyledPair]:
    training, held_out = split_by_writer(read_drawing_pairs(folder))
    for split, pairs in (("train", training), ("test", held_out)):
        for pair in pairs:
            assert isinstance(pair.figure.picture, Path)
            yield StyledPair(pair.photo, DRAWING, pair.figure.picture, split)  # type: ignore[arg-type]


def _dsr(folder: Path) -> Iterator[StyledPair]:
    for split, position, entry in _entries(folder):
        caption = folder / _CAPTIONS / _value(entry, position, "caption")
        try:
            lines = caption.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise BadInput(f"{position}: the caption {caption} cannot be read") from None
        image = _value(entry, position, "image")
        yield from _pairs(folder, position, image, lines[0] if lines else "", split)


def _ser(folder: Path) -> Iterator[StyledPair]:
    for split, position, entry in _entries(folder):
        image, caption = (_value(entry, position, key) for key in ("image_path", "caption"))
        yield from _pairs(folder, position, image, caption, split)


LAYOUTS: Mapping[str, Callable[[Path], Iterator[StyledPair]]] = {
    "dsr": _dsr,
    "ser": _ser,
    "hand-drawn": _hand_drawn,
}


def _entries(folder: Path) -> Iterator[tuple[Split, str, Mapping[str, object]]]:
    """Yield the split, the position for messages, and the values of each entry of the lists."""
    lists = [p for p in sorted(folder.glob("*.json")) if p.stem in _SPLITS]
    if not lists or not (folder / _IMAGES).is_dir():
        raise BadInput(f"{folder}: expected {_IMAGES}/ and train.json or test.json")
    for path in lists:
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise BadInput(f"{path}: not JSON ({error})") from None
        if not isinstance(entries, list):
            raise BadInput(f"{path}: expected a list of entries")
        for number, entry in enumerate(entries, 1):
            position = f"{path}: entry {number}"
            if not isinstance(entry, dict):
                raise BadInput(f"{position}: expected an object")
            yield _SPLITS[path.stem], position, entry


def _value(entry: Mapping[str, object], position: str, key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise BadInput(f"{position}: {key!r} is missing; found {', '.join(map(str, entry))}")
    return value


def _pairs(
    folder: Path, position: str, image: str, caption: str, split: Split
) -> Iterator[StyledPair]:
    """Yield the caption and the picture of every style for one target."""
    target = folder / _IMAGES / image
    if not target.is_file():
        raise BadInput(f"{position}: {target} does not exist")
    if caption.strip():
        yield StyledPair(" ".join(caption.split()), TEXT_STYLE, target, split)
    for style in sorted(p for p in folder.iterdir() if p.is_dir()):
        if style.name in (_IMAGES, _CAPTIONS):
            continue
        query = style / image
        candidates = [query, *(query.with_suffix(suffix) for suffix in sorted(PICTURE_SUFFIXES))]
        if found := next((path for path in candidates if path.is_file()), None):
            yield StyledPair(found, style.name.lower(), target, split)
