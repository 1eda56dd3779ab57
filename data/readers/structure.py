"""What headings and labels mean, the same in every format: roles, figure numbers, references."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from data.documents import Block, Figure, Problem
from data.records import Role

__all__ = ["Anchors", "Part", "finish", "humanise", "is_label", "role_of", "slug", "split_label"]

Part = Block | Figure | Problem

_ROLES: tuple[tuple[str, Role], ...] = (
    (r"(worked )?examples?( \d[\d.]*)?([:.].*)?", "example"),
    (r"(key )?terms|glossary|vocabulary|definitions", "term"),
    (r"((chapter|section) )?(summary|recap)|key (points|ideas|concepts|takeaways)", "summary"),
    (r"(learning )?(objectives|outcomes|goals)|what you will learn", "objective"),
    (
        r"(\w+ )?(exercises|problems)|(practice|review) questions|check your understanding",
        "exercise",
    ),
    (r"(\w+ )?(solutions|answers)|answer key", "solution"),
)
_NEXT_EXAMPLE = re.compile(r"(Problem|Example)\b[\s\d.]*[:.]", re.IGNORECASE)
_NUMBER = r"\d+(?:[.\-–]\d+)*[a-z]?(?![a-z])"
_LABEL = re.compile(rf"\s*(?:Figure|Fig\.?)\s*({_NUMBER})\s*(?:[.:–—]|-?\s|$)\s*", re.IGNORECASE)
_STRICT_LABEL = re.compile(rf"\s*(?:Figure|Fig\.?)\s*{_NUMBER}\s*[.:–—]\s*\S", re.IGNORECASE)
_REFERENCE = re.compile(
    rf"\b(?:figures?|figs?\.?)\s*(?P<numbers>{_NUMBER}(?:\s*(?:,|and|&|to|–)\s*{_NUMBER})*)",
    re.IGNORECASE,
)
_ONE_NUMBER = re.compile(_NUMBER, re.IGNORECASE)


def role_of(headings: Iterable[str]) -> Role:
    """The role that the innermost telling heading gives to the text below it."""
    for heading in reversed(tuple(headings)):
        plain = re.sub(r"^[\d.]+\s+", "", heading).strip(" :.")
        for pattern, role in _ROLES:
            if re.fullmatch(pattern, plain, re.IGNORECASE):
                return role
    return "text"


def humanise(stem: str) -> str:
    """A file's stem as a title: `free-body_diagram` becomes "Free body diagram"."""
    words = re.sub(r"[\s_\-]+", " ", stem).strip()
    return words[:1].upper() + words[1:] or stem


def slug(text: str) -> str:
    """`text` as an anchor: lower-case words joined by hyphens."""
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")[:80]


def split_label(caption: str) -> tuple[str, str]:
    """The number that a caption starts with, and the caption without it."""
    found = _LABEL.match(caption)
    return (found[1].replace("–", "-"), caption[found.end() :].strip()) if found else ("", caption)


def is_label(text: str) -> bool:
    """Whether a paragraph reads as a caption ("Figure 2. The …"), not as a sentence about one."""
    return _STRICT_LABEL.match(text) is not None


class Anchors:
    """Gives out each anchor of a document once: a second `figure-1` becomes `figure-1-2`."""

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()

    def claim(self, wanted: str, fallback: str = "part") -> str:
        wanted = wanted or fallback
        anchor = wanted
        while anchor in self._given:
            self._given[wanted] += 1
            anchor = f"{wanted}-{self._given[wanted]}"
        self._given[anchor] = 1
        return anchor


def finish(stream: Iterable[Part]) -> list[Part]:
    """Number the figures by their captions, and join what belongs together.

    A figure captioned "Figure 1. …" gets the anchor `figure-1` (`figure-1-2` if it is taken) unless
    it brought an anchor of its own; figures without number or anchor become `picture-1`, ….
    Each block that says "Figure 1" refers to it. The paragraphs of a worked example become one
    block. Solutions are paired with as many exercises.
    """
    parts = _whole_examples(stream)
    anchors = Anchors()
    for part in parts:
        if isinstance(part, Block) and part.anchor:
            anchors.claim(part.anchor)
    by_number: dict[str, str] = {}
    counted = 0
    anchor = ""
    for index, part in enumerate(parts):
        if isinstance(part, Problem) and not part.anchor:
            parts[index] = replace(part, anchor=anchor)  # about the figure before it
        if not isinstance(part, Figure):
            continue
        number, caption = split_label(part.caption)
        counted += 1
        wanted = part.anchor or (f"figure-{number.lower()}" if number else f"picture-{counted}")
        anchor = anchors.claim(wanted)
        parts[index] = replace(part, anchor=anchor, number=number or part.number, caption=caption)
        if number:
            by_number.setdefault(number.lower(), anchor)
    figures = {part.anchor for part in parts if isinstance(part, Figure)}
    for index, part in enumerate(parts):
        if isinstance(part, Block):
            wanted_refs = [r for r in part.refs if r in figures]
            for span in _REFERENCE.finditer(part.text):
                for number in _ONE_NUMBER.findall(span["numbers"]):
                    if anchor_of := by_number.get(number.replace("–", "-").lower()):
                        wanted_refs.append(anchor_of)
            parts[index] = replace(part, refs=tuple(dict.fromkeys(wanted_refs)))
    return _pair(parts, anchors)


def _whole_examples(stream: Iterable[Part]) -> list[Part]:
    """A worked example reads as one: its problem is no answer without its solution."""
    parts: list[Part] = []
    last: int | None = None  # where the example that is still open stands
    for part in stream:
        if isinstance(part, Block):
            open_one = parts[last] if last is not None else None
            if (
                isinstance(open_one, Block)
                and last is not None
                and part.role == "example"
                and part.section == open_one.section
                and not _NEXT_EXAMPLE.match(part.text)
            ):
                text = f"{open_one.text}\n{part.text}"
                parts[last] = replace(open_one, text=text, refs=open_one.refs + part.refs)
                continue
            last = len(parts) if part.role == "example" else None
        parts.append(part)
    return parts


def _pair(parts: list[Part], anchors: Anchors) -> list[Part]:
    def places(role: Role) -> list[tuple[int, Block]]:
        return [(i, p) for i, p in enumerate(parts) if isinstance(p, Block) and p.role == role]

    exercises, solutions = places("exercise"), places("solution")
    if len(exercises) == len(solutions):
        for count, ((at, exercise), (to, solution)) in enumerate(
            zip(exercises, solutions, strict=True), 1
        ):
            anchor = exercise.anchor or anchors.claim(f"exercise-{count}")
            parts[at] = replace(exercise, anchor=anchor)
            parts[to] = replace(solution, partner=anchor)
    return parts
