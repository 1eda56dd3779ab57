"""The numbers that OpenStax prints (Figure 3.2, Section 3.1), which CNXML itself does not hold.

They are made when a book is baked, by the recipe of its style (openstax/cookbook): figures, tables
and examples are counted through a chapter, after the sections that the recipe gathers at the end of
the chapter have been moved there. `STYLES` holds what the recipes say about that order. Units are
not numbered, nor is a chapter's introduction; appendices have letters. Figures count unless their
class is `unnumbered` or they have no id.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

__all__ = ["STYLES", "Labels", "Place", "Style", "Survey", "classes", "local_name", "survey"]

SOLUTIONS = "+solutions"


@dataclass(frozen=True, slots=True)
class Style:
    """How a recipe numbers.

    `moved` are the section classes that it gathers at the end of the chapter, in that order;
    `SOLUTIONS` among them stands for the solutions of exercises in those sections. Sections in
    `dropped` get no numbers. With `per_module` counting starts again in every module, and at the
    end of the chapter in every moved section, and the chapter is not named.
    """

    moved: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    per_module: bool = False


def _moved(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_COLLEGE_PHYSICS = "section-summary conceptual-questions problems-exercises"
STYLES: dict[str, Style] = {
    "anatomy": Style(_moved("interactive-exercise multiple-choice free-response")),
    "ap-physics-2e": Style(_moved(f"{_COLLEGE_PHYSICS} ap-test-prep")),
    "calculus": Style(_moved("key-equations key-concepts review-exercises")),
    "chemistry": Style(_moved("key-equations summary exercises")),
    "college-physics-2e": Style(_moved(_COLLEGE_PHYSICS), dropped=("ap-test-prep",)),
    "hs-physics": Style(
        _moved(
            "summary key-equations concept critical-thinking problems performance "
            "multiple-choice short-answer extended-response"
        )
    ),
    "organic-chemistry": Style(
        _moved(
            "chemistry-matters key-terms key-equations summary summary-reactions "
            "visualizing-chemistry mechanism-problems energy-reaction additional-problems "
            "general-problems practice-scientific preview-carbonylchemistry"
        )
    ),
    "precalculus": Style(
        _moved("review-exercises practice-test"), dropped=("coreq-skills",), per_module=True
    ),
    "precalculus-coreq": Style(
        _moved("review-exercises practice-test"), dropped=("coreq-skills",), per_module=True
    ),
    "statistics": Style(
        _moved(
            "summary formula-review practice bring-together-exercises free-response "
            f"bring-together-homework references {SOLUTIONS}"
        )
    ),
    "u-physics": Style(
        _moved(
            "key-equations key-concepts review-conceptual-questions review-problems "
            "review-additional-problems review-challenge"
        )
    ),
}

_COUNTED = {"figure": "Figure", "table": "Table", "example": "Example", "equation": "Equation"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that gets a number; `sections` are the classes of the sections around it."""

    kind: str
    anchor: str
    sections: frozenset[str]
    in_solution: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """What the numbering and the fingerprint of a module need, without its text.

    `figures` leads from the id of a figure, or of a picture inside it, to the figure's anchor.
    `named` holds the words for other link targets. `pictures` are as written in the module.
    """

    title: str
    classes: frozenset[str]
    digest: str
    marks: tuple[Mark, ...]
    figures: dict[str, str]
    named: dict[str, str]
    links: tuple[tuple[str, str], ...]
    pictures: tuple[str, ...]

    @property
    def is_introduction(self) -> bool:
        return "introduction" in self.classes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module stands: its document id, the headings above it, and its own number.

    `chapter` is the key of its chapter in the book ("" outside any) and `number` the module's
    printed number: "3.1", "B" for an appendix, "" for an introduction or front matter.
    """

    document: str
    headings: tuple[str, ...]
    chapter: str = ""
    number: str = ""


def local_name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def classes(element: etree._Element) -> frozenset[str]:
    return frozenset(element.get("class", "").split())


def _plain(element: etree._Element | None) -> str:
    return " ".join("".join(map(str, element.itertext())).split()) if element is not None else ""


def _title(element: etree._Element) -> str:
    return next((_plain(child) for child in element if local_name(child) == "title"), "")


def survey(root: etree._Element, data: bytes) -> Survey:
    """Look a module over: what is numbered, what is linked, which pictures it names."""
    marks: list[Mark] = []
    figures: dict[str, str] = {}
    named: dict[str, str] = {}
    links: dict[tuple[str, str], None] = {}
    pictures: dict[str, None] = {}
    own = classes(root)
    for element in root.iter(etree.Element):
        name = local_name(element)
        anchor = element.get("id", "")
        if name == "content":
            own |= classes(element)
        elif name == "link":
            links[element.get("document", ""), element.get("target-id", "")] = None
        elif name == "image":
            pictures[element.get("src", "")] = None
        elif name in ("media", "subfigure") and anchor:
            figures.setdefault(anchor, _figure_around(element) or anchor)
        elif name in ("section", "note", "exercise") and anchor:
            named[anchor] = _title(element) or f"this {name}"
        if name in _COUNTED and anchor:
            if name == "figure":
                figures[anchor] = anchor
            if "unnumbered" not in classes(element):
                marks.append(_mark(element, name, anchor))
    return Survey(
        title=_title(root),
        classes=own,
        digest=hashlib.sha256(data).hexdigest(),
        marks=tuple(marks),
        figures=figures,
        named=named,
        links=tuple(links),
        pictures=tuple(pictures),
    )


def _figure_around(element: etree._Element) -> str:
    return next((e.get("id", "") for e in element.iterancestors() if local_name(e) == "figure"), "")


def _mark(element: etree._Element, name: str, anchor: str) -> Mark:
    around = list(element.iterancestors())
    sections = [classes(e) for e in around if local_name(e) == "section"]
    return Mark(
        _COUNTED[name],
        anchor,
        frozenset().union(*sections),
        any(local_name(e) == "solution" for e in around),
    )


class Labels:
    """The printed names of everything in a repository that can be linked to.

    A module that several books share is numbered as in the first of them.
    """

    def __init__(self) -> None:
        self._surveys: dict[str, Survey] = {}
        self._modules: dict[str, str] = {}
        self._numbers: dict[tuple[str, str], tuple[str, str]] = {}

    def add_book(self, places: Sequence[Place], surveys: dict[str, Survey], style: Style) -> None:
        """Number the modules of a book; `surveys` lacks those that cannot be read."""
        fresh = {place.document for place in places} - self._modules.keys()
        chapters: dict[str, list[Place]] = {}
        for place in places:
            if place.document in fresh:
                found = surveys.get(place.document)
                self._modules[place.document] = _module_label(place, found)
            key = place.chapter or f"{place.document} {place.number}"
            chapters.setdefault(key, []).append(place)
        self._surveys |= {doc: surveys[doc] for doc in fresh if doc in surveys}
        for members in chapters.values():
            counts: Counter[tuple[str, str]] = Counter()
            for document, mark, group in _ordered(members, surveys, style):
                counts[group, mark.kind] += 1
                if document in fresh:
                    number = _number(members[0], counts[group, mark.kind], style)
                    self._numbers[document, mark.anchor] = (mark.kind, number)

    def number(self, document: str, anchor: str) -> str:
        """The printed number, such as "3.2"; '' for what is not numbered."""
        return self._numbers.get((document, anchor), ("", ""))[1]

    def text(self, document: str, anchor: str) -> str:
        """The words of a link: "Figure 3.2", "Section 3.1", a section's title."""
        found = self._surveys.get(document)
        if anchor and found is not None:
            place = document, found.figures.get(anchor, anchor)
            kind, number = self._numbers.get(place, ("", ""))
            if number:
                return f"{kind} {number}"
            if anchor in found.figures:
                return "this figure"
            if anchor in found.named:
                return found.named[anchor]
        return self._modules.get(document, "")

    def figure(self, document: str, anchor: str) -> str:
        """The anchor of the figure that a link leads to, or ''."""
        found = self._surveys.get(document)
        return found.figures.get(anchor, "") if found is not None and anchor else ""


def _module_label(place: Place, found: Survey | None) -> str:
    if place.number:
        return f"{'Section' if place.chapter else 'Appendix'} {place.number}"
    if place.chapter and found is not None and found.is_introduction:
        return f"Chapter {place.chapter}"
    return found.title if found is not None else ""


def _number(place: Place, count: int, style: Style) -> str:
    if not place.chapter:
        return f"{place.number}{count}"
    return str(count) if style.per_module else f"{place.chapter}.{count}"


def _ordered(
    places: Sequence[Place], surveys: dict[str, Survey], style: Style
) -> Iterator[tuple[str, Mark, str]]:
    """The marks of a chapter in the order of the printed page, each with its counting group."""
    found: list[tuple[int, str, Mark, str]] = []
    for place in places:
        if place.document not in surveys or not (place.chapter or place.number):
            continue  # front matter has no numbers
        for mark in surveys[place.document].marks:
            if mark.sections & set(style.dropped):
                continue
            at = next((i for i, name in enumerate(style.moved) if name in mark.sections), -1)
            if at >= 0 and mark.in_solution and SOLUTIONS in style.moved:
                at = style.moved.index(SOLUTIONS)
            group = ""
            if style.per_module:
                group = style.moved[at] if at >= 0 else place.document
            found.append((at, place.document, mark, group))
    found.sort(key=lambda entry: entry[0])
    for _, document, mark, group in found:
        yield document, mark, group
