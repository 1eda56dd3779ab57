"""One CNXML module as a stream of blocks, figures and problems, in reading order.

A paragraph is a block; the equation or list that it introduces stays with it. An example, a note,
an exercise and a solution are one block each, split between paragraphs beyond `SPLIT` characters.
A picture comes after the block that it stands in, which then refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lxml import etree

from data.documents import Block, Figure, Problem
from data.readers.cnxml_figures import Pictures
from data.readers.cnxml_numbers import Labels, classes, local_name
from data.readers.cnxml_text import PICTURES, Inline
from data.readers.structure import Anchors, humanise
from data.records import Audience, Role

__all__ = ["SPLIT", "module_blocks"]

SPLIT = 2_500  # characters; about 600 tokens, what a text retriever still reads well
_SHORT = 400  # a paragraph that introduces a list rather than standing for itself

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
_TEXT_LEVEL = frozenset({"para", "equation", "list", "quote", "code"})
_FLOWS = frozenset({"div", "content", "problem", "solution", "commentary", "abstract", "glossary"})


@dataclass(frozen=True, slots=True)
class _Context:
    """What surrounds an element.

    `joined`: its paragraphs form one block. `whole`: so does everything else that is in it.
    """

    section: tuple[str, ...]
    role: Role = "text"
    audience: Audience = "student"
    title: str = ""
    joined: bool = False
    whole: bool = False
    partner: str = ""


@dataclass
class _Draft:
    """A block in the making; `context` is that of its first text."""

    anchor: str = ""
    context: _Context | None = None
    texts: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    apart: list[etree._Element] = field(default_factory=list)
    open_end: bool = False  # it ends with a list or an equation that a sentence may run on from

    @property
    def size(self) -> int:
        return sum(map(len, self.texts))


def module_blocks(
    root: etree._Element,
    document: str,
    section: tuple[str, ...],
    folder: Path,
    repository: Path,
    labels: Labels,
    sources: dict[str, str],
) -> Iterator[Block | Figure | Problem]:
    """The stream of one parsed module; `section` is its heading path, its own heading last.

    `sources` maps the modules of the repository to their documents, for figures referred to there.
    """
    anchors = Anchors()
    pictures = Pictures(document, folder, repository, labels, anchors)
    module = _Module(Inline(document, labels, sources), pictures, anchors, document, labels)
    teacher = _is_teacher(root)
    context = _Context(section, audience="teacher" if teacher else "student")
    for element in root.iter(etree.Element):
        if local_name(element) == "abstract":
            module.flow(element, replace(context, role="objective", joined=True))
    for element in root:
        if local_name(element) in ("content", "glossary"):
            module.element(element, context)
    module.flush()
    if module.elsewhere:
        module.parts.append(
            Problem(
                "",
                f"{module.elsewhere} exercises are only named (os-embed) and not in the "
                "repository; they are left out",
            )
        )
    yield from module.parts


def _is_teacher(element: etree._Element) -> bool:
    # one book spells a class with U+2010, which looks like a hyphen
    names = (name.replace("\u2010", "-") for name in classes(element))
    return any(name.startswith(("os-teacher", "teacher")) for name in names)


class _Module:
    def __init__(
        self,
        inline: Inline,
        pictures: Pictures,
        anchors: Anchors,
        document: str,
        labels: Labels,
    ) -> None:
        self.parts: list[Block | Figure | Problem] = []
        self.elsewhere = 0
        self._inline = inline
        self._pictures = pictures
        self._anchors = anchors
        self._document = document
        self._labels = labels
        self._draft = _Draft()

    # -- drafts ------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Turn the draft into a block, followed by the pictures that stand in it."""
        draft, self._draft = self._draft, _Draft()
        context = draft.context
        if context is None:
            return
        figures: list[Figure | Problem] = []
        pending: list[etree._Element] = []
        for element in draft.apart:
            if local_name(element) in PICTURES:
                figures += self._figures(element, context)
            else:
                pending.append(element)
        if not draft.texts and context.whole:  # a problem or a solution that is only drawn
            drawn = (part.alt for part in figures if isinstance(part, Figure))
            draft.texts = [alt for alt in drawn if alt]
        if draft.texts:
            inside = [part.anchor for part in figures if isinstance(part, Figure)]
            self.parts.append(
                Block(
                    text="\n".join(draft.texts),
                    section=context.section,
                    role=context.role,
                    title=context.title,
                    anchor=self._anchors.claim(draft.anchor or context.role),
                    refs=tuple(dict.fromkeys(draft.refs + inside)),
                    partner=context.partner,
                    audience=context.audience,
                )
            )
        self.parts += figures
        for element in pending:
            self.element(element, replace(context, joined=False, whole=False, partner=""))

    def _figures(self, element: etree._Element, context: _Context) -> list[Figure | Problem]:
        found = self._pictures.of(element, self._inline, context.section, context.audience)
        role: Role = context.role if context.role in ("exercise", "solution") else "text"
        parts = [replace(p, role=role) if isinstance(p, Figure) else p for p in found]
        self._inline.refs.clear()  # links in captions are the figure's own business
        self._inline.apart.clear()
        return parts

    def _add(self, text: str, anchor: str, context: _Context, *, open_end: bool = False) -> None:
        """Add text to the draft, or start a new one where it does not belong to it."""
        refs, self._inline.refs = self._inline.refs, []
        apart, self._inline.apart = self._inline.apart, []
        draft = self._draft
        if draft.texts and text:
            belongs = context.joined or open_end or draft.open_end
            if not belongs or draft.context != context or draft.size + len(text) > SPLIT:
                self.flush()
                draft = self._draft
        draft.context = draft.context or context
        draft.anchor = draft.anchor or anchor
        if text:
            draft.texts.append(text)
            draft.open_end = open_end
        draft.refs += refs
        draft.apart += apart

    # -- elements ----------------------------------------------------------------------------------

    def flow(self, container: etree._Element, context: _Context) -> None:
        """All that is in a container, as drafts of its own; the first takes its id."""
        self.flush()
        self._draft.anchor = container.get("id", "")
        self._children(container, context)
        self.flush()

    def _children(self, container: etree._Element, context: _Context) -> None:
        if (container.text or "").strip():
            self._add(self._inline.clean(container.text or ""), "", context)
        for child in container:
            if isinstance(child.tag, str):
                self.element(child, context)
            if (child.tail or "").strip():
                self._add(self._inline.clean(child.tail or ""), "", context)

    def element(self, element: etree._Element, context: _Context) -> None:
        name = local_name(element)
        if _is_teacher(element):
            context = replace(context, audience="teacher")
        if name in ("label", "metadata"):
            return
        if name == "title":
            text = self._inline.text(element)
            if context.whole and not context.title.endswith(text):
                self._add(text, "", context)
        elif name in PICTURES:
            self._picture(element, context)
        elif context.whole and name == "note" and _is_teacher(element):
            self._note(element, replace(context, whole=False, partner=""))
        elif context.whole and name not in _TEXT_LEVEL | {"table"}:
            self._inside(element, name, context)
        elif name == "section":
            self._section(element, context)
        elif name == "note":
            self._note(element, context)
        elif name == "example":
            self._example(element, context)
        elif name == "exercise":
            self._exercise(element, context)
        elif name == "definition":
            self._definition(element, context)
        elif name == "table":
            self._table(element, context)
        elif name == "glossary":
            self.flush()
            self._children(element, replace(context, section=(*context.section, "Glossary")))
        elif name in _FLOWS or (name not in _TEXT_LEVEL and self._holds_blocks(element)):
            self._children(element, context)
        else:
            self._text(element, name, context)

    @staticmethod
    def _holds_blocks(element: etree._Element) -> bool:
        return any(local_name(e) in ("para", "section", "note") for e in element.iterdescendants())

    def _text(self, element: etree._Element, name: str, context: _Context) -> None:
        if name == "list" and context.role == "term":
            self._key_terms(self._inline.items(element), element, context)
            return
        text = self._inline.whole(element) if name in _TEXT_LEVEL else self._inline.text(element)
        draft = self._draft
        if name == "list" and draft.texts and (draft.texts[-1][-1] == ":" or draft.size < _SHORT):
            draft.open_end = True
        elif name in ("para", "quote") and not text[:1].islower():
            draft.open_end = False
        self._add(text, element.get("id", ""), context, open_end=name == "equation")
        if name == "list" and text:
            self._draft.open_end = True

    def _inside(self, element: etree._Element, name: str, context: _Context) -> None:
        """An element of an example, exercise or solution: its text becomes part of the whole."""
        if name == "solution" and context.role == "example":
            titled = any(local_name(child) == "title" for child in element)
            self._add("" if titled else "Solution:", "", context)
        if name in ("term", "emphasis", "link", "math", "newline"):
            self._add(self._inline.whole(element), "", context)
        elif self._is_linked_only(element):
            self.elsewhere += 1
        else:
            self._children(element, context)

    def _picture(self, element: etree._Element, context: _Context) -> None:
        if context.joined:
            self._draft.context = self._draft.context or context
            self._draft.apart.append(element)
        else:
            self.flush()
            self.parts += self._figures(element, context)

    def _section(self, element: etree._Element, context: _Context) -> None:
        self.flush()
        title = self._title(element)
        roles = [_SECTION_ROLES[name] for name in sorted(classes(element) & _SECTION_ROLES.keys())]
        inner = replace(
            context,
            section=(*context.section, title) if title else context.section,
            role=roles[0] if roles else context.role,
            title="",
            joined=False,
        )
        self._children(element, inner)
        self.flush()

    def _note(self, element: etree._Element, context: _Context) -> None:
        self.flush()
        names = [name for name in element.get("class", "").split() if name not in _SUBJECTS]
        title = self._title(element)
        if not title and names and not names[0].startswith("os-"):
            title = humanise(names[0].removesuffix("-notitle"))
        if "worked-example" in names:
            self._example(element, replace(context, title=title))
            return
        role: Role = "note"
        for name in names:
            role = _SECTION_ROLES.get(name, role)
        self.flow(element, replace(context, role=role, title=title, joined=True))

    def _example(self, element: etree._Element, context: _Context) -> None:
        self.flush()
        number = self._labels.number(self._document, element.get("id", ""))
        title = self._title(element) or next(
            (self._inline.text(e) for e in element.iter(etree.Element) if local_name(e) == "title"),
            "",
        )
        self._inline.refs.clear()
        heading = f"Example {number}" if number else ""
        heading = ": ".join(part for part in (heading, title or context.title) if part)
        whole = replace(context, role="example", title=heading, joined=True, whole=True)
        self.flow(element, whole)

    def _exercise(self, element: etree._Element, context: _Context) -> None:
        self.flush()
        if self._is_linked_only(element):
            self.elsewhere += 1
            return
        title = self._title(element) or context.title
        whole = replace(context, role="exercise", title=title, joined=True, whole=True)
        before = len(self.parts)
        self._draft.anchor = element.get("id", "")
        for child in element:
            if local_name(child) not in ("solution", "commentary", "title", "label"):
                self.element(child, whole)
        self.flush()
        blocks = (part for part in self.parts[before:] if isinstance(part, Block))
        anchor = next((block.anchor for block in blocks), "")
        for child in element:
            if local_name(child) in ("solution", "commentary"):
                self.flow(child, replace(whole, role="solution", partner=anchor))

    @staticmethod
    def _is_linked_only(element: etree._Element) -> bool:
        """True for an exercise that only names its place on OpenStax's exercise server."""
        # its links have no page to go to, only a name such as #exercise/02-06-OC-P10
        embeds = any(e.get("url", "").startswith("#") for e in element.iter(etree.Element))
        return embeds and not "".join(map(str, element.itertext())).strip()

    def _definition(self, element: etree._Element, context: _Context) -> None:
        term = ""
        meanings: list[str] = []
        for child in element:
            text = " ".join(self._inline.text(child).split())
            if local_name(child) == "term":
                term = text
            elif text:
                meanings.append(text)
        text = ": ".join(part for part in (term, " ".join(meanings)) if part)
        own = replace(context, role="term", title=term)
        self._add(text, element.get("id", ""), own)
        self.flush()

    def _table(self, element: etree._Element, context: _Context) -> None:
        if "section-key-terms" in classes(element):
            cells = [cell for row in self._inline.rows(element) for cell in row if cell]
            self._key_terms(cells, element, context)
            return
        text = self._inline.whole(element)
        if context.joined:
            self._add(text, element.get("id", ""), context)
            return
        number = self._labels.number(self._document, element.get("id", ""))
        heading = f"Table {number}" if number else ""
        heading = ": ".join(part for part in (heading, self._title(element)) if part)
        own = replace(context, role="table", title=heading)
        self._add(text, element.get("id", ""), own)
        self.flush()

    def _key_terms(self, terms: list[str], element: etree._Element, context: _Context) -> None:
        # a list of names explains none of them: it says what the section is about
        own = replace(context, role="objective", title="Key terms")
        named = [term for term in terms if term]
        self._add(f"Key terms: {'; '.join(named)}" if named else "", element.get("id", ""), own)
        self.flush()

    def _title(self, element: etree._Element) -> str:
        found = next((child for child in element if local_name(child) == "title"), None)
        return " ".join(self._inline.text(found).split()) if found is not None else ""
