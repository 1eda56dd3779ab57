"""Interpret headings and captions, the same for all formats: roles, figure numbers, references."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from data.documents import Block, Figure, Problem
from data.records import Role

__all__ = [
    "Anchors",
    "Content",
    "assemble",
    "humanise",
    "is_caption",
    "role_of",
    "split_label",
]

Content = Block | Figure | Problem  # an entry in the stream of a document

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
_EXAMPLE_START = re.compile(r"(Problem|Example)\b[\s\d.]*[:.]", re.IGNORECASE)
_NUMBER = r"\d+(?:[.\-–]\d+)*[a-z]?(?![a-z])"
_LABEL = re.compile(rf"\s*(?:Figure|Fig\.?)\s*({_NUMBER})\s*(?:[.:–—]|-?\s|$)\s*", re.IGNORECASE)
_CAPTION = re.compile(rf"\s*(?:Figure|Fig\.?)\s*{_NUMBER}\s*[.:–—]\s*\S", re.IGNORECASE)
_REFERENCE = re.compile(
    rf"\b(?:figures?|figs?\.?)\s*(?P<numbers>{_NUMBER}(?:\s*(?:,|and|&|to|–)\s*{_NUMBER})*)",
    re.IGNORECASE,
)
_ONE_NUMBER = re.compile(_NUMBER, re.IGNORECASE)


def role_of(headings: Iterable[str]) -> Role:
    """Return the role of the text below `headings`: the innermost heading with a role decides."""
    for heading in reversed(tuple(headings)):
        unnumbered = re.sub(r"^[\d.]+\s+", "", heading).strip(" :.")
        for pattern, role in _ROLES:
            if re.fullmatch(pattern, unnumbered, re.IGNORECASE):
                return role
    return "text"


def humanise(stem: str) -> str:
    """Turn a file's stem into a title: `free-body_diagram` becomes "Free body diagram"."""
    words = re.sub(r"[\s_\-]+", " ", stem).strip()
    return words[:1].upper() + words[1:] or stem


def split_label(caption: str) -> tuple[str, str]:
    """Split a caption into its figure number ('' if it has none) and the text after it."""
    label = _LABEL.match(caption)
    return (label[1].replace("–", "-"), caption[label.end() :].strip()) if label else ("", caption)


def is_caption(text: str) -> bool:
    """Return whether a paragraph is a figure's caption ("Figure 2. The …"), not a sentence."""
    return _CAPTION.match(text) is not None


class Anchors:
    """Make the anchors of a document unique: a second `figure-1` becomes `figure-1-2`."""

    def __init__(self) -> None:
        self._uses: Counter[str] = Counter()

    def claim(self, preferred: str, fallback: str = "part") -> str:
        """Return `preferred` (or `fallback` if it is empty), with a suffix if it is in use."""
        preferred = preferred or fallback
        anchor = preferred
        while anchor in self._uses:
            self._uses[preferred] += 1
            anchor = f"{preferred}-{self._uses[preferred]}"
        self._uses[anchor] = 1
        return anchor


def assemble(stream: Iterable[Content]) -> list[Content]:
    """Turn a reader's raw stream into the contents of a document.

    - The paragraphs of a worked example become one block.
    - A figure captioned "Figure 1. …" gets the anchor `figure-1`, unless it has an anchor already.
      Figures with neither number nor anchor become `picture-1`, `picture-2`, …
    - A block that mentions "Figure 1" refers to that figure.
    - Solutions are paired with exercises if there are equally many.
    """
    contents = _merge_examples(stream)
    anchors = Anchors()
    for content in contents:
        if isinstance(content, Block) and content.anchor:
            anchors.claim(content.anchor)
    anchor_by_number = _label_figures(contents, anchors)
    _resolve_references(contents, anchor_by_number)
    return _pair_solutions(contents, anchors)


def _label_figures(contents: list[Content], anchors: Anchors) -> dict[str, str]:
    """Give every figure an anchor and a number, in place; return the anchor of each number."""
    anchor_by_number: dict[str, str] = {}
    figure_count = 0
    anchor = ""
    for index, content in enumerate(contents):
        if isinstance(content, Problem) and not content.anchor:
            contents[index] = replace(content, anchor=anchor)  # of the figure before it
        if not isinstance(content, Figure):
            continue
        number, caption = split_label(content.caption)
        figure_count += 1
        default = f"figure-{number.lower()}" if number else f"picture-{figure_count}"
        anchor = anchors.claim(content.anchor or default)
        contents[index] = replace(
            content, anchor=anchor, number=number or content.number, caption=caption
        )
        if number:
            anchor_by_number.setdefault(number.lower(), anchor)
    return anchor_by_number


def _resolve_references(contents: list[Content], anchor_by_number: dict[str, str]) -> None:
    """Let each block refer to the figures that it links or mentions, in place."""
    figure_anchors = {content.anchor for content in contents if isinstance(content, Figure)}
    for index, content in enumerate(contents):
        if isinstance(content, Block):
            refs = [ref for ref in content.refs if ref in figure_anchors]
            for mention in _REFERENCE.finditer(content.text):
                for number in _ONE_NUMBER.findall(mention["numbers"]):
                    if anchor := anchor_by_number.get(number.replace("–", "-").lower()):
                        refs.append(anchor)
            contents[index] = replace(content, refs=tuple(dict.fromkeys(refs)))


def _merge_examples(stream: Iterable[Content]) -> list[Content]:
    """Join the paragraphs of each worked example: a problem needs its solution to be useful."""
    contents: list[Content] = []
    example_index: int | None = None  # of an example that may get more paragraphs
    for content in stream:
        if isinstance(content, Block):
            example = contents[example_index] if example_index is not None else None
            if (
                isinstance(example, Block)
                and example_index is not None
                and content.role == "example"
                and content.section == example.section
                and not _EXAMPLE_START.match(content.text)
            ):
                text = f"{example.text}\n{content.text}"
                refs = example.refs + content.refs
                contents[example_index] = replace(example, text=text, refs=refs)
                continue
            example_index = len(contents) if content.role == "example" else None
        contents.append(content)
    return contents


def _pair_solutions(contents: list[Content], anchors: Anchors) -> list[Content]:
    """Make the n-th exercise the partner of the n-th solution, if there are equally many."""

    def blocks_with(role: Role) -> list[tuple[int, Block]]:
        return [(i, c) for i, c in enumerate(contents) if isinstance(c, Block) and c.role == role]

    exercises, solutions = blocks_with("exercise"), blocks_with("solution")
    if len(exercises) == len(solutions):
        pairs = zip(exercises, solutions, strict=True)
        for count, ((exercise_index, exercise), (solution_index, solution)) in enumerate(pairs, 1):
            anchor = exercise.anchor or anchors.claim(f"exercise-{count}")
            contents[exercise_index] = replace(exercise, anchor=anchor)
            contents[solution_index] = replace(solution, partner=anchor)
    return contents
