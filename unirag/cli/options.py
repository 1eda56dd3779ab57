"""The options of `search` and `ask`, and the parsing of their values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, get_args

import typer

from data.errors import BadInput
from data.records import Kind, Query, QueryAudio, QueryImage, Role
from retrieval.store import Where

__all__ = [
    "AudioOption",
    "CorpusOption",
    "ImageOption",
    "KindOption",
    "LevelOption",
    "LimitOption",
    "RoleOption",
    "SectionOption",
    "StudentAnswerOption",
    "StyleOption",
    "TaskOption",
    "TeacherOption",
    "TextArgument",
    "parse_filter",
    "parse_query",
]

_MAX_WEIGHT = 1000.0

TextArgument = Annotated[str, typer.Argument(help="The question.")]
ImageOption = Annotated[
    list[str] | None,
    typer.Option("--image", "-i", help="A picture; PATH or PATH:WEIGHT. Repeatable."),
]
StyleOption = Annotated[
    str,
    typer.Option(
        "--style", help="Style of the pictures; `auto` detects it (`unirag styles list`)."
    ),
]
AudioOption = Annotated[
    list[str] | None,
    typer.Option("--audio", "-a", help="A spoken question; PATH or PATH:WEIGHT. Repeatable."),
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", help="Number of hits.")]
CorpusOption = Annotated[
    list[str] | None, typer.Option("--corpus", help="Search this corpus only. Repeatable.")
]
KindOption = Annotated[str | None, typer.Option("--kind", help="figure or passage.")]
SectionOption = Annotated[
    list[str] | None, typer.Option("--section", help="Search below this heading only. Repeatable.")
]
RoleOption = Annotated[
    list[str] | None,
    typer.Option("--role", help="text, term, example, exercise, solution, summary, … Repeatable."),
]
TeacherOption = Annotated[
    bool, typer.Option("--teacher", help="Search teachers' material as well.")
]
TaskOption = Annotated[
    str, typer.Option("--task", help="explain, steps, compare, define, quiz or feedback.")
]
LevelOption = Annotated[str, typer.Option("--level", help="school or college.")]
StudentAnswerOption = Annotated[
    str, typer.Option("--student-answer", help="The student's answer, for --task feedback.")
]


def parse_query(
    text: str, images: list[str] | None, style: str, recordings: list[str] | None
) -> Query:
    """Return the query of the options. Read the files; raise `BadInput` for a bad one."""
    return Query(
        text,
        images=[
            QueryImage.from_file(path, weight, style)
            for path, weight in (_split_weight(value, "--image") for value in images or ())
        ],
        audio=[
            QueryAudio.from_file(path, weight)
            for path, weight in (_split_weight(value, "--audio") for value in recordings or ())
        ],
    )


def parse_filter(
    corpora: list[str] | None,
    sections: list[str] | None,
    teacher: bool,
    kind: str | None = None,
    roles: list[str] | None = None,
) -> Where:
    """Return the filter of the options. Raise `BadInput` for an unknown kind or role."""
    _check_choices("--kind", [kind] if kind else [], get_args(Kind))
    _check_choices("--role", roles or [], get_args(Role))
    return Where(
        kinds=(kind,) if kind else (),  # type: ignore[arg-type]
        corpora=tuple(corpora or ()),
        sections=tuple(sections or ()),
        roles=tuple(roles or ()),  # type: ignore[arg-type]
        audiences=("student", "teacher") if teacher else (),
    )


def _check_choices(option: str, values: list[str], choices: tuple[str, ...]) -> None:
    for value in values:
        if value not in choices:
            raise BadInput(f"{option}: got {value!r}; expected one of {', '.join(choices)}")


def _split_weight(value: str, option: str) -> tuple[Path, float]:
    """Split `PATH:WEIGHT`; a colon that is part of an existing path belongs to the path."""
    path, colon, suffix = value.rpartition(":")
    if not colon or Path(value).exists():
        return Path(value), 1.0
    try:
        weight = float(suffix)
    except ValueError:
        if not Path(path).is_file():
            return Path(value), 1.0
        weight = math.nan
    if not 0 < weight <= _MAX_WEIGHT:
        raise BadInput(
            f"{option}: got weight {suffix!r}; expected above 0 up to {_MAX_WEIGHT:g}, as in "
            f"{path}:0.5"
        )
    return Path(path), weight
