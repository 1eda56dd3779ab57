"""Read a manifest: the pairs of query and target that a researcher brings along.

A manifest is a CSV file with a header, or JSONL. Each row has a query, which is a picture (`query`)
or words (`text`), the `style` of a picture, the `target` picture that it asks for, and a `split`.
Paths are relative to the manifest. Styles may have any name.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args

from data.errors import BadInput
from data.figure_gallery import GalleryFigure
from data.pictures import digest_of, picture_size

__all__ = [
    "MANIFEST_SUFFIXES",
    "Split",
    "StyledPair",
    "manifest_figures",
    "read_manifest",
    "write_manifest",
]

Split = Literal["train", "validation", "test"]
MANIFEST_SUFFIXES = (".csv", ".jsonl")
TEXT_STYLE, ORIGINAL_STYLE = "text", "original"
_COLUMNS = ("query", "text", "style", "target", "split")
_RESERVED = (TEXT_STYLE, ORIGINAL_STYLE, "auto")
_MOST_ERRORS = 20  # in one message


@dataclass(frozen=True, slots=True)
class StyledPair:
    """A query, either a picture in a style or words, and the picture that it asks for."""

    query: Path | str
    style: str
    target: Path
    split: Split = "train"


def read_manifest(path: Path) -> list[StyledPair]:
    """Return the pairs of a manifest in its order.

    Raise `BadInput` with the line and the fault of every wrong row.
    """
    pairs, errors = [], []
    checked: dict[Path, str | None] = {}  # a target stands in many rows
    for line, row in _rows(path):
        fault = row if isinstance(row, str) else _fault(row, path.parent, checked)
        if fault:
            errors.append(f"line {line}: {fault}")
        elif isinstance(row, dict):
            query = row.get("text") or path.parent / row["query"]
            style = TEXT_STYLE if isinstance(query, str) else row["style"]
            target = path.parent / row["target"]
            pairs.append(StyledPair(query, style, target, row.get("split") or "train"))
    if errors:
        more = len(errors) - _MOST_ERRORS
        rest = f"; and {more} more" if more > 0 else ""
        raise BadInput(f"{path}: {'; '.join(errors[:_MOST_ERRORS])}{rest}; mend these rows")
    if not pairs:
        raise BadInput(f"{path}: no rows; expected the columns {', '.join(_COLUMNS)}")
    return pairs


def write_manifest(pairs: Iterable[StyledPair], path: Path) -> int:
    """Write pairs as JSONL, with paths relative to its folder, and return their number."""
    folder = path.resolve().parent
    lines = []
    for pair in pairs:
        picture = isinstance(pair.query, Path)
        query = _relative(pair.query, folder) if isinstance(pair.query, Path) else pair.query
        row = {"query" if picture else "text": query, "style": pair.style}
        lines.append(
            json.dumps(row | {"target": _relative(pair.target, folder), "split": pair.split})
        )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def manifest_figures(pairs: Sequence[StyledPair]) -> dict[str, list[GalleryFigure]]:
    """Return a figure for every picture query, by style, with two texts of its target each.

    Texts that no picture is left for come with the target itself, in the style `original`.
    """
    queries: dict[Path, list[StyledPair]] = {}
    texts: dict[Path, list[str]] = {}
    for pair in pairs:
        queries.setdefault(pair.target, [])
        if isinstance(pair.query, str):
            texts.setdefault(pair.target, []).append(pair.query)
        else:
            queries[pair.target].append(pair)
    figures: dict[str, list[GalleryFigure]] = {}
    for target, styled in queries.items():
        name, words = digest_of(target.read_bytes()), texts.get(target, [])
        couples = [(*words[i : i + 2], "")[:2] for i in range(0, len(words), 2)] or [("", "")]
        for i, (pair, couple) in enumerate(zip_longest(styled, couples)):
            alt, caption = couple or couples[i % len(couples)]
            photo, style = (pair.query, pair.style) if pair else (target, ORIGINAL_STYLE)
            assert isinstance(photo, Path)
            figures.setdefault(style, []).append(
                GalleryFigure(name, target, caption, alt, target.stem, photo, style)
            )
    return figures


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the line number of each row with its values, or with what is wrong with it."""
    if path.suffix.lower() not in MANIFEST_SUFFIXES:
        raise BadInput(f"{path}: expected a manifest, .csv or .jsonl")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise BadInput(f"{path}: cannot be read ({reason})") from None
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(content.splitlines(keepends=True), restkey="a value too many")
        for row in reader:
            yield (
                reader.line_num,
                {k: v.strip() for k, v in row.items() if isinstance(v, str)}
                | {k: v for k, v in row.items() if isinstance(v, list)},
            )
        return
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                yield number, f"not JSON ({error})"
                continue
            yield number, value if isinstance(value, dict) else "expected an object"


def _fault(row: dict[str, Any], folder: Path, checked: dict[Path, str | None]) -> str | None:
    """Return what is wrong with a row, or None."""
    if unknown := sorted(set(row) - set(_COLUMNS)):
        return f"{unknown[0]!r} is unknown; expected {', '.join(_COLUMNS)}"
    if wrong := [k for k, v in row.items() if not isinstance(v, str | None)]:
        return f"{wrong[0]}: expected a text"
    if bool(row.get("query")) == bool(row.get("text")):
        return "expected query (a picture) or text (words), one of them"
    if not row.get("target"):
        return "target is missing; expected the picture that the query asks for"
    if (split := row.get("split")) and split not in get_args(Split):
        return f"split {split!r}; expected one of {', '.join(get_args(Split))}"
    style = row.get("style")
    if row.get("text"):
        if style and style != TEXT_STYLE:
            return f"style {style!r} of a text; leave it out"
    elif not style:
        return "style is missing; expected a name such as sketch"
    elif style in _RESERVED or not re.fullmatch(r"[a-z0-9]+([ -][a-z0-9]+)*", style):
        return (
            f"style {style!r}; expected lower-case letters, digits and hyphens, and none of "
            + ", ".join(_RESERVED)
        )
    for column in ("query", "target"):
        if value := row.get(column):
            file = folder / value
            if file not in checked:
                checked[file] = _picture_fault(file)
            if fault := checked[file]:
                return f"{column} {value}: {fault}"
    return None


def _picture_fault(path: Path) -> str | None:
    try:
        picture_size(path)
    except OSError as error:
        return error.strerror or "cannot be read"
    except BadInput:
        return "not a picture" if path.is_file() else "no such file"
    return None


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder)).as_posix()
