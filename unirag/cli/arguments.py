"""The options that commands share, and what they mean."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, get_args

import typer

from data.errors import BadInput
from data.records import Kind, Role, WeightedAudio, WeightedImage
from retrieval.store import Where

__all__ = [
    "AudioOption",
    "ConfigOption",
    "CorpusFilter",
    "HomeOption",
    "ImageOption",
    "JsonOption",
    "KindOption",
    "LevelOption",
    "LimitOption",
    "ProfileOption",
    "RoleOption",
    "SectionOption",
    "StudentAnswerOption",
    "StyleOption",
    "TaskOption",
    "TeacherOption",
    "TextArgument",
    "images_of",
    "sounds_of",
    "where_of",
]

HomeOption = Annotated[Path | None, typer.Option("--home", help="Folder of what was indexed.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="mini, base or paper.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (YAML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TextArgument = Annotated[str, typer.Argument(help="The question.")]
ImageOption = Annotated[
    list[str] | None,
    typer.Option("--image", "-i", help="A picture; PATH or PATH:WEIGHT. Repeatable."),
]
StyleOption = Annotated[
    str, typer.Option("--style", help="The pictures' style; auto tells it (`unirag styles list`).")
]
AudioOption = Annotated[
    list[str] | None,
    typer.Option("--audio", "-a", help="A spoken question; PATH or PATH:WEIGHT. Repeatable."),
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", help="How many hits.")]
CorpusFilter = Annotated[
    list[str] | None, typer.Option("--corpus", help="Only in this corpus. Repeatable.")
]
KindOption = Annotated[str | None, typer.Option("--kind", help="figure or passage.")]
SectionOption = Annotated[
    list[str] | None, typer.Option("--section", help="Only below this heading. Repeatable.")
]
RoleOption = Annotated[
    list[str] | None,
    typer.Option("--role", help="text, term, example, exercise, solution, summary, … Repeatable."),
]
TeacherOption = Annotated[bool, typer.Option("--teacher", help="Search teachers' material too.")]

TaskOption = Annotated[
    str, typer.Option("--task", help="explain, steps, compare, define, quiz or feedback.")
]
LevelOption = Annotated[str, typer.Option("--level", help="school or college.")]
StudentAnswerOption = Annotated[
    str, typer.Option("--student-answer", help="What a student answered, for --task feedback.")
]


def where_of(
    corpus: list[str] | None,
    section: list[str] | None,
    teacher: bool,
    kind: str | None = None,
    role: list[str] | None = None,
) -> Where:
    """The filter that the options describe; unknown kinds and roles are refused."""
    for option, given, known in (
        ("--kind", [kind] if kind else [], get_args(Kind)),
        ("--role", role or [], get_args(Role)),
    ):
        for value in given:
            if value not in known:
                raise BadInput(f"{option}: got {value!r}; expected one of {', '.join(known)}")
    return Where(
        kinds=(kind,) if kind else (),  # type: ignore[arg-type]
        corpora=tuple(corpus or ()),
        sections=tuple(section or ()),
        roles=tuple(role or ()),  # type: ignore[arg-type]
        audiences=("student", "teacher") if teacher else (),
    )


def images_of(given: list[str] | None, style: str) -> list[WeightedImage]:
    """Each `--image` with its weight, in the style that `--style` names."""
    return [WeightedImage(*_weighted(g, "--image"), style) for g in given or ()]


def sounds_of(given: list[str] | None) -> list[WeightedAudio]:
    """Each `--audio` with its weight."""
    return [WeightedAudio(*_weighted(g, "--audio")) for g in given or ()]


def _weighted(given: str, option: str) -> tuple[Path, float]:
    """`PATH` or `PATH:WEIGHT`; a colon that is part of an existing path stays."""
    head, colon, tail = given.rpartition(":")
    if not colon or Path(given).exists():
        return Path(given), 1.0
    try:
        weight = float(tail)
    except ValueError:
        if not Path(head).is_file():
            return Path(given), 1.0
        weight = math.nan
    if not 0 < weight <= 1000:
        raise BadInput(
            f"{option}: got weight {tail!r}; expected above 0 up to 1000, as in {head}:0.5"
        )
    return Path(head), weight
