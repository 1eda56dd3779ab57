"""Turn one CNXML module into a stream of blocks, figures and problems, in reading order.

A paragraph is a block, together with the equation or list that it introduces. An example, note,
exercise or solution is one block, split between paragraphs if it is longer than
`MAX_BLOCK_CHARACTERS`. A picture comes after its block, and the block refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lxml import etree

from data.documents import Block, Problem
from data.readers.cnxml_draft import BlockBuilder, BlockContext
from data.readers.cnxml_figures import FigureBuilder
from data.readers.cnxml_numbers import LinkLabels, classes_of
from data.readers.cnxml_text import PICTURES, TextRenderer
from data.readers.structure import Anchors, Content, humanise
from data.readers.xml import local_name
from data.records import Role

__all__ = ["read_module"]

_MAX_LIST_INTRODUCTION = 400  # characters of a paragraph that may introduce a list

_SECTION_ROLES: dict[str, Role] = {
    "chapter-review": "summary",
    "formula-review": "summary",
    "key-concepts": "summary",
    "key-equations": "summary",
    "section-summary": "summary",
    "summary": "summary",
    "summary-reactions": "summary",
    "key-terms": "term",
    "section-key-terms": "term",
    "learning-objectives": "objective",
    "chapter-objectives": "objective",
}
_SUBJECTS = frozenset({"anatomy", "chemistry", "precalculus", "psychology", "statistics", "um"})
_TEXT_ELEMENTS = frozenset({"para", "equation", "list", "quote", "code"})
_CONTAINERS = frozenset(
    {"div", "content", "problem", "solution", "commentary", "abstract", "glossary"}
)


def read_module(
    root: etree._Element,
    document: str,
    section: tuple[str, ...],
    folder: Path,
    repository: Path,
    labels: LinkLabels,
    sources: dict[str, str],
) -> Iterator[Content]:
    """Yield the contents of one parsed module.

    `section` is the module's path of headings, its own heading last. `sources` maps the modules of
    the repository to the sources of their documents, for links to figures in other modules.
    """
    anchors = Anchors()
    figure_builder = FigureBuilder(document, folder, repository, labels, anchors)
    renderer = TextRenderer(document, labels, sources)
    reader = _ModuleReader(renderer, figure_builder, anchors, document, labels)
    context = BlockContext(section, audience="teacher" if _is_for_teachers(root) else "student")
    for element in root.iter(etree.Element):
        if local_name(element) == "abstract":
            abstract = replace(context, role="objective", joins_paragraphs=True)
            reader.read_separately(element, abstract)
    for element in root:
        if local_name(element) in ("content", "glossary"):
            reader.read(element, context)
    reader.builder.flush()
    if reader.external_exercises:
        reader.builder.contents.append(
            Problem(
                "",
                f"{reader.external_exercises} exercises are links to OpenStax's exercise server "
                "(os-embed) and not in the repository; they are left out",
            )
        )
    yield from reader.builder.contents


def _is_for_teachers(element: etree._Element) -> bool:
    # one book spells a class with U+2010 in place of the hyphen
    names = (name.replace("\u2010", "-") for name in classes_of(element))
    return any(name.startswith(("os-teacher", "teacher")) for name in names)


class _ModuleReader:
    """Read the elements of one module into the `builder`.

    `external_exercises` counts the exercises that are only links.
    """

    def __init__(
        self,
        renderer: TextRenderer,
        figure_builder: FigureBuilder,
        anchors: Anchors,
        document: str,
        labels: LinkLabels,
    ) -> None:
        self.builder = BlockBuilder(renderer, figure_builder, anchors, self.read)
        self.external_exercises = 0
        self._renderer = renderer
        self._document = document
        self._labels = labels

    def read_separately(self, container: etree._Element, context: BlockContext) -> None:
        """Read a container into blocks of its own; the first block gets the container's id."""
        self.builder.flush()
        self.builder.draft.anchor = container.get("id", "")
        self._read_children(container, context)
        self.builder.flush()

    def _read_children(self, container: etree._Element, context: BlockContext) -> None:
        if (container.text or "").strip():
            self.builder.add_text(self._renderer.clean(container.text or ""), "", context)
        for child in container:
            if isinstance(child.tag, str):
                self.read(child, context)
            if (child.tail or "").strip():
                self.builder.add_text(self._renderer.clean(child.tail or ""), "", context)

    def read(self, element: etree._Element, context: BlockContext) -> None:
        """Add the content of an element to the builder."""
        name = local_name(element)
        if _is_for_teachers(element):
            context = replace(context, audience="teacher")
        if name in ("label", "metadata"):
            return
        if name == "title":
            text = self._renderer.text(element)
            if context.joins_everything and not context.title.endswith(text):
                self.builder.add_text(text, "", context)
        elif name in PICTURES:
            self.builder.add_picture(element, context)
        elif context.joins_everything and name == "note" and _is_for_teachers(element):
            self._read_note(element, replace(context, joins_everything=False, partner=""))
        elif context.joins_everything and name not in _TEXT_ELEMENTS | {"table"}:
            self._read_joined(element, name, context)
        elif name == "section":
            self._read_section(element, context)
        elif name == "note":
            self._read_note(element, context)
        elif name == "example":
            self._read_example(element, context)
        elif name == "exercise":
            self._read_exercise(element, context)
        elif name == "definition":
            self._read_definition(element, context)
        elif name == "table":
            self._read_table(element, context)
        elif name == "glossary":
            self.builder.flush()
            self._read_children(element, replace(context, section=(*context.section, "Glossary")))
        elif name in _CONTAINERS or (name not in _TEXT_ELEMENTS and self._has_blocks(element)):
            self._read_children(element, context)
        else:
            self._read_text(element, name, context)

    @staticmethod
    def _has_blocks(element: etree._Element) -> bool:
        return any(local_name(e) in ("para", "section", "note") for e in element.iterdescendants())

    def _read_text(self, element: etree._Element, name: str, context: BlockContext) -> None:
        if name == "list" and context.role == "term":
            self._add_key_terms(self._renderer.items(element), element, context)
            return
        render = self._renderer.block_text if name in _TEXT_ELEMENTS else self._renderer.text
        text = render(element)
        draft = self.builder.draft
        if (
            name == "list"
            and draft.texts
            and (draft.texts[-1][-1] == ":" or draft.size < _MAX_LIST_INTRODUCTION)
        ):
            draft.is_open_ended = True
        elif name in ("para", "quote") and not text[:1].islower():
            draft.is_open_ended = False
        self.builder.add_text(
            text, element.get("id", ""), context, is_open_ended=name == "equation"
        )
        if name == "list" and text:
            self.builder.draft.is_open_ended = True

    def _read_joined(self, element: etree._Element, name: str, context: BlockContext) -> None:
        """Add an element of an example, exercise or solution to the block that holds all of it."""
        if name == "solution" and context.role == "example":
            has_title = any(local_name(child) == "title" for child in element)
            self.builder.add_text("" if has_title else "Solution:", "", context)
        if name in ("term", "emphasis", "link", "math", "newline"):
            self.builder.add_text(self._renderer.block_text(element), "", context)
        elif self._is_external_exercise(element):
            self.external_exercises += 1
        else:
            self._read_children(element, context)

    def _read_section(self, element: etree._Element, context: BlockContext) -> None:
        self.builder.flush()
        title = self._title(element)
        class_names = sorted(classes_of(element) & _SECTION_ROLES.keys())
        inner = replace(
            context,
            section=(*context.section, title) if title else context.section,
            role=_SECTION_ROLES[class_names[0]] if class_names else context.role,
            title="",
            joins_paragraphs=False,
        )
        self._read_children(element, inner)
        self.builder.flush()

    def _read_note(self, element: etree._Element, context: BlockContext) -> None:
        self.builder.flush()
        names = [name for name in element.get("class", "").split() if name not in _SUBJECTS]
        title = self._title(element)
        if not title and names and not names[0].startswith("os-"):
            title = humanise(names[0].removesuffix("-notitle"))
        if "worked-example" in names:
            self._read_example(element, replace(context, title=title))
            return
        role: Role = "note"
        for name in names:
            role = _SECTION_ROLES.get(name, role)
        note = replace(context, role=role, title=title, joins_paragraphs=True)
        self.read_separately(element, note)

    def _read_example(self, element: etree._Element, context: BlockContext) -> None:
        self.builder.flush()
        number = self._labels.number(self._document, element.get("id", ""))
        title = self._title(element) or next(
            (
                self._renderer.text(e)
                for e in element.iter(etree.Element)
                if local_name(e) == "title"
            ),
            "",
        )
        self._renderer.refs.clear()
        self.read_separately(
            element,
            replace(
                context,
                role="example",
                title=_numbered_title("Example", number, title or context.title),
                joins_paragraphs=True,
                joins_everything=True,
            ),
        )

    def _read_exercise(self, element: etree._Element, context: BlockContext) -> None:
        self.builder.flush()
        if self._is_external_exercise(element):
            self.external_exercises += 1
            return
        exercise = replace(
            context,
            role="exercise",
            title=self._title(element) or context.title,
            joins_paragraphs=True,
            joins_everything=True,
        )
        first_index = len(self.builder.contents)
        self.builder.draft.anchor = element.get("id", "")
        for child in element:
            if local_name(child) not in ("solution", "commentary", "title", "label"):
                self.read(child, exercise)
        self.builder.flush()
        blocks = (c for c in self.builder.contents[first_index:] if isinstance(c, Block))
        anchor = next((block.anchor for block in blocks), "")
        for child in element:
            if local_name(child) in ("solution", "commentary"):
                self.read_separately(child, replace(exercise, role="solution", partner=anchor))

    @staticmethod
    def _is_external_exercise(element: etree._Element) -> bool:
        """Return whether an exercise is only a link to OpenStax's exercise server."""
        # such a link has no address, only a name like #exercise/02-06-OC-P10
        has_name = any(e.get("url", "").startswith("#") for e in element.iter(etree.Element))
        return has_name and not "".join(map(str, element.itertext())).strip()

    def _read_definition(self, element: etree._Element, context: BlockContext) -> None:
        term = ""
        meanings: list[str] = []
        for child in element:
            text = " ".join(self._renderer.text(child).split())
            if local_name(child) == "term":
                term = text
            elif text:
                meanings.append(text)
        definition = ": ".join(text for text in (term, " ".join(meanings)) if text)
        self.builder.add_text(
            definition, element.get("id", ""), replace(context, role="term", title=term)
        )
        self.builder.flush()

    def _read_table(self, element: etree._Element, context: BlockContext) -> None:
        if "section-key-terms" in classes_of(element):
            cells = [cell for row in self._renderer.table(element).rows for cell in row if cell]
            self._add_key_terms(cells, element, context)
            return
        text = self._renderer.block_text(element)
        if context.joins_paragraphs:
            self.builder.add_text(text, element.get("id", ""), context)
            return
        number = self._labels.number(self._document, element.get("id", ""))
        title = _numbered_title("Table", number, self._title(element))
        self.builder.add_text(
            text, element.get("id", ""), replace(context, role="table", title=title)
        )
        self.builder.flush()

    def _add_key_terms(
        self, terms: list[str], element: etree._Element, context: BlockContext
    ) -> None:
        # a bare list of terms defines none of them, so it counts as an objective of the section
        objective = replace(context, role="objective", title="Key terms")
        terms = [term for term in terms if term]
        text = f"Key terms: {'; '.join(terms)}" if terms else ""
        self.builder.add_text(text, element.get("id", ""), objective)
        self.builder.flush()

    def _title(self, element: etree._Element) -> str:
        title = next((child for child in element if local_name(child) == "title"), None)
        return " ".join(self._renderer.text(title).split()) if title is not None else ""


def _numbered_title(kind: str, number: str, title: str) -> str:
    """Return "Example 3.2: Title", without the parts that are empty."""
    label = f"{kind} {number}" if number else ""
    return ": ".join(text for text in (label, title) if text)
