"""Compute the numbers that OpenStax prints (Figure 3.2, Section 3.1): CNXML does not contain them.

OpenStax numbers a book by the recipe of its style (openstax/cookbook). A recipe first moves some
sections to the end of their chapter, then counts figures, tables and examples through the chapter.
`NUMBERING_STYLES` holds the order of sections in each recipe. Units and chapter introductions have
no number; appendices have letters. A figure is numbered unless its class is `unnumbered` or it has
no id.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from data.readers.xml import local_name

__all__ = [
    "NUMBERING_STYLES",
    "LinkLabels",
    "ModulePlace",
    "ModuleSurvey",
    "NumberedElement",
    "NumberingStyle",
    "classes_of",
    "survey_module",
]

SOLUTIONS = "+solutions"


@dataclass(frozen=True, slots=True)
class NumberingStyle:
    """How a recipe numbers the elements of a book.

    `end_sections` are the classes of the sections that move to the end of the chapter, in order;
    `SOLUTIONS` among them stands for the solutions of exercises in those sections. Elements in
    `unnumbered_sections` get no number. With `restarts_per_module`, counting restarts in every
    module and every end section, and numbers have no chapter prefix ("2", not "3.2").
    """

    end_sections: tuple[str, ...] = ()
    unnumbered_sections: tuple[str, ...] = ()
    restarts_per_module: bool = False


def _names(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_COLLEGE_PHYSICS = "section-summary conceptual-questions problems-exercises"
NUMBERING_STYLES: dict[str, NumberingStyle] = {
    "anatomy": NumberingStyle(_names("interactive-exercise multiple-choice free-response")),
    "ap-physics-2e": NumberingStyle(_names(f"{_COLLEGE_PHYSICS} ap-test-prep")),
    "calculus": NumberingStyle(_names("key-equations key-concepts review-exercises")),
    "chemistry": NumberingStyle(_names("key-equations summary exercises")),
    "college-physics-2e": NumberingStyle(
        _names(_COLLEGE_PHYSICS), unnumbered_sections=("ap-test-prep",)
    ),
    "hs-physics": NumberingStyle(
        _names(
            "summary key-equations concept critical-thinking problems performance "
            "multiple-choice short-answer extended-response"
        )
    ),
    "organic-chemistry": NumberingStyle(
        _names(
            "chemistry-matters key-terms key-equations summary summary-reactions "
            "visualizing-chemistry mechanism-problems energy-reaction additional-problems "
            "general-problems practice-scientific preview-carbonylchemistry"
        )
    ),
    "precalculus": NumberingStyle(
        _names("review-exercises practice-test"),
        unnumbered_sections=("coreq-skills",),
        restarts_per_module=True,
    ),
    "precalculus-coreq": NumberingStyle(
        _names("review-exercises practice-test"),
        unnumbered_sections=("coreq-skills",),
        restarts_per_module=True,
    ),
    "statistics": NumberingStyle(
        _names(
            "summary formula-review practice bring-together-exercises free-response "
            f"bring-together-homework references {SOLUTIONS}"
        )
    ),
    "u-physics": NumberingStyle(
        _names(
            "key-equations key-concepts review-conceptual-questions review-problems "
            "review-additional-problems review-challenge"
        )
    ),
}

_NUMBERED_KINDS = {
    "figure": "Figure",
    "table": "Table",
    "example": "Example",
    "equation": "Equation",
}


@dataclass(frozen=True, slots=True)
class NumberedElement:
    """An element that gets a number, such as a figure or a table.

    `kind` is the word printed before the number. `section_classes` are the classes of all sections
    around the element.
    """

    kind: str
    anchor: str
    section_classes: frozenset[str]
    in_solution: bool


@dataclass(frozen=True, slots=True)
class ModuleSurvey:
    """The facts about a module that numbering and fingerprints need. Its text is not among them.

    `figure_anchors` maps the id of a figure, or of a picture inside it, to the figure's anchor.
    `link_texts` holds the words for links to other elements. `links` are pairs of a module ('' for
    this one) and an anchor. `pictures` are paths as written in the module.
    """

    title: str
    classes: frozenset[str]
    digest: str
    numbered: tuple[NumberedElement, ...]
    figure_anchors: dict[str, str]
    link_texts: dict[str, str]
    links: tuple[tuple[str, str], ...]
    pictures: tuple[str, ...]

    @property
    def is_introduction(self) -> bool:
        """Whether the module introduces a chapter; introductions have no number."""
        return "introduction" in self.classes


@dataclass(frozen=True, slots=True)
class ModulePlace:
    """The place of a module in a book: its document id, the headings above it, and its number.

    `chapter` is the number of its chapter ("" outside any). `number` is the module's printed
    number: "3.1", "B" for an appendix, "" for an introduction or front matter.
    """

    document: str
    headings: tuple[str, ...]
    chapter: str = ""
    number: str = ""


def classes_of(element: etree._Element) -> frozenset[str]:
    """Return the names in an element's `class` attribute."""
    return frozenset(element.get("class", "").split())


def _text(element: etree._Element | None) -> str:
    return " ".join("".join(map(str, element.itertext())).split()) if element is not None else ""


def _title(element: etree._Element) -> str:
    return next((_text(child) for child in element if local_name(child) == "title"), "")


def survey_module(root: etree._Element, data: bytes) -> ModuleSurvey:
    """Collect the numbered elements, links and pictures of a parsed module; `data` is its file."""
    numbered: list[NumberedElement] = []
    figure_anchors: dict[str, str] = {}
    link_texts: dict[str, str] = {}
    links: dict[tuple[str, str], None] = {}
    pictures: dict[str, None] = {}
    module_classes = classes_of(root)
    for element in root.iter(etree.Element):
        name = local_name(element)
        anchor = element.get("id", "")
        if name == "content":
            module_classes |= classes_of(element)
        elif name == "link":
            links[element.get("document", ""), element.get("target-id", "")] = None
        elif name == "image":
            pictures[element.get("src", "")] = None
        elif name in ("media", "subfigure") and anchor:
            figure_anchors.setdefault(anchor, _enclosing_figure(element) or anchor)
        elif name in ("section", "note", "exercise") and anchor:
            link_texts[anchor] = _title(element) or f"this {name}"
        if name in _NUMBERED_KINDS and anchor:
            if name == "figure":
                figure_anchors[anchor] = anchor
            if "unnumbered" not in classes_of(element):
                numbered.append(_numbered_element(element, name, anchor))
    return ModuleSurvey(
        title=_title(root),
        classes=module_classes,
        digest=hashlib.sha256(data).hexdigest(),
        numbered=tuple(numbered),
        figure_anchors=figure_anchors,
        link_texts=link_texts,
        links=tuple(links),
        pictures=tuple(pictures),
    )


def _enclosing_figure(element: etree._Element) -> str:
    return next((e.get("id", "") for e in element.iterancestors() if local_name(e) == "figure"), "")


def _numbered_element(element: etree._Element, name: str, anchor: str) -> NumberedElement:
    ancestors = list(element.iterancestors())
    section_classes = [classes_of(e) for e in ancestors if local_name(e) == "section"]
    return NumberedElement(
        _NUMBERED_KINDS[name],
        anchor,
        frozenset().union(*section_classes),
        any(local_name(e) == "solution" for e in ancestors),
    )


class LinkLabels:
    """The printed numbers and names of all link targets in a repository.

    A module that several books share is numbered by the first of these books.
    """

    def __init__(self) -> None:
        self._surveys: dict[str, ModuleSurvey] = {}
        self._module_labels: dict[str, str] = {}
        self._numbers: dict[tuple[str, str], tuple[str, str]] = {}

    def add_book(
        self,
        places: Sequence[ModulePlace],
        surveys: dict[str, ModuleSurvey],
        style: NumberingStyle,
    ) -> None:
        """Number the modules of a book; unreadable modules have no entry in `surveys`."""
        new_modules = {place.document for place in places} - self._module_labels.keys()
        chapters: dict[str, list[ModulePlace]] = {}
        for place in places:
            if place.document in new_modules:
                survey = surveys.get(place.document)
                self._module_labels[place.document] = _module_label(place, survey)
            key = place.chapter or f"{place.document} {place.number}"
            chapters.setdefault(key, []).append(place)
        self._surveys |= {doc: surveys[doc] for doc in new_modules if doc in surveys}
        for members in chapters.values():
            counts: Counter[tuple[str, str]] = Counter()
            for document, element, group in _in_printed_order(members, surveys, style):
                counts[group, element.kind] += 1
                if document in new_modules:
                    number = _format_number(members[0], counts[group, element.kind], style)
                    self._numbers[document, element.anchor] = (element.kind, number)

    def number(self, document: str, anchor: str) -> str:
        """Return the printed number of an element, such as "3.2"; '' if it has none."""
        return self._numbers.get((document, anchor), ("", ""))[1]

    def link_text(self, document: str, anchor: str) -> str:
        """Return the words of a link: "Figure 3.2", "Section 3.1" or the title of a section."""
        survey = self._surveys.get(document)
        if anchor and survey is not None:
            target = document, survey.figure_anchors.get(anchor, anchor)
            kind, number = self._numbers.get(target, ("", ""))
            if number:
                return f"{kind} {number}"
            if anchor in survey.figure_anchors:
                return "this figure"
            if anchor in survey.link_texts:
                return survey.link_texts[anchor]
        return self._module_labels.get(document, "")

    def linked_figure(self, document: str, anchor: str) -> str:
        """Return the anchor of the figure that a link points to; '' if it is no figure."""
        survey = self._surveys.get(document)
        return survey.figure_anchors.get(anchor, "") if survey is not None and anchor else ""


def _module_label(place: ModulePlace, survey: ModuleSurvey | None) -> str:
    if place.number:
        return f"{'Section' if place.chapter else 'Appendix'} {place.number}"
    if place.chapter and survey is not None and survey.is_introduction:
        return f"Chapter {place.chapter}"
    return survey.title if survey is not None else ""


def _format_number(place: ModulePlace, count: int, style: NumberingStyle) -> str:
    if not place.chapter:
        return f"{place.number}{count}"
    return str(count) if style.restarts_per_module else f"{place.chapter}.{count}"


def _in_printed_order(
    places: Sequence[ModulePlace], surveys: dict[str, ModuleSurvey], style: NumberingStyle
) -> Iterator[tuple[str, NumberedElement, str]]:
    """Yield (module, element, counting group) for a chapter, in the order of the printed page."""
    entries: list[tuple[int, str, NumberedElement, str]] = []
    for place in places:
        if place.document not in surveys or not (place.chapter or place.number):
            continue  # front matter has no numbers
        for element in surveys[place.document].numbered:
            if element.section_classes & set(style.unnumbered_sections):
                continue
            position = next(
                (
                    index
                    for index, name in enumerate(style.end_sections)
                    if name in element.section_classes
                ),
                -1,
            )
            if position >= 0 and element.in_solution and SOLUTIONS in style.end_sections:
                position = style.end_sections.index(SOLUTIONS)
            group = ""
            if style.restarts_per_module:
                group = style.end_sections[position] if position >= 0 else place.document
            entries.append((position, place.document, element, group))
    entries.sort(key=lambda entry: entry[0])
    for _, document, element, group in entries:
        yield document, element, group
