"""Assemble the texts and pictures of a CNXML module into blocks and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lxml import etree

from data.documents import Block, Figure, Problem
from data.readers.cnxml_figures import FigureBuilder
from data.readers.cnxml_text import PICTURES, TextRenderer
from data.readers.structure import Anchors, Content
from data.readers.xml import local_name
from data.records import Audience, Role

__all__ = ["MAX_BLOCK_CHARACTERS", "BlockBuilder", "BlockContext", "BlockDraft"]

MAX_BLOCK_CHARACTERS = 2_500  # about 600 tokens, which a text retriever still encodes well


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The surroundings of an element.

    With `joins_paragraphs`, the paragraphs inside the element form one block. With
    `joins_everything`, all its other content joins that block too.
    """

    section: tuple[str, ...]
    role: Role = "text"
    audience: Audience = "student"
    title: str = ""
    joins_paragraphs: bool = False
    joins_everything: bool = False
    partner: str = ""


@dataclass
class BlockDraft:
    """A block under construction. `context` is the context of its first text.

    `set_aside` holds the pictures and other elements that follow the block. `is_open_ended` is True
    after a list or an equation, where a sentence may go on.
    """

    anchor: str = ""
    context: BlockContext | None = None
    texts: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    set_aside: list[etree._Element] = field(default_factory=list)
    is_open_ended: bool = False

    @property
    def size(self) -> int:
        """The number of characters in the texts so far."""
        return sum(map(len, self.texts))


class BlockBuilder:
    """Collect texts and pictures in a `draft`, and finished blocks and figures in `contents`.

    `read` reads the exercises, examples and notes that were set aside inside a text.
    """

    def __init__(
        self,
        renderer: TextRenderer,
        figure_builder: FigureBuilder,
        anchors: Anchors,
        read: Callable[[etree._Element, BlockContext], None],
    ) -> None:
        self.contents: list[Content] = []
        self.draft = BlockDraft()
        self._renderer = renderer
        self._figure_builder = figure_builder
        self._anchors = anchors
        self._read = read

    def add_text(
        self, text: str, anchor: str, context: BlockContext, *, is_open_ended: bool = False
    ) -> None:
        """Add text to the draft. If it does not belong there or fit, finish the draft first."""
        refs, self._renderer.refs = self._renderer.refs, []
        set_aside, self._renderer.set_aside = self._renderer.set_aside, []
        draft = self.draft
        if draft.texts and text:
            belongs = context.joins_paragraphs or is_open_ended or draft.is_open_ended
            is_too_long = draft.size + len(text) > MAX_BLOCK_CHARACTERS
            if not belongs or draft.context != context or is_too_long:
                self.flush()
                draft = self.draft
        draft.context = draft.context or context
        draft.anchor = draft.anchor or anchor
        if text:
            draft.texts.append(text)
            draft.is_open_ended = is_open_ended
        draft.refs += refs
        draft.set_aside += set_aside

    def add_picture(self, element: etree._Element, context: BlockContext) -> None:
        """Add a picture to the draft if the context joins paragraphs, else after the draft."""
        if context.joins_paragraphs:
            self.draft.context = self.draft.context or context
            self.draft.set_aside.append(element)
        else:
            self.flush()
            self.contents += self._build_figures(element, context)

    def flush(self) -> None:
        """Turn the draft into a block, followed by the pictures inside it."""
        draft, self.draft = self.draft, BlockDraft()
        context = draft.context
        if context is None:
            return
        figures: list[Figure | Problem] = []
        other_elements: list[etree._Element] = []
        for element in draft.set_aside:
            if local_name(element) in PICTURES:
                figures += self._build_figures(element, context)
            else:
                other_elements.append(element)
        if not draft.texts and context.joins_everything:  # a drawing only: take its alt text
            alts = (figure.alt for figure in figures if isinstance(figure, Figure))
            draft.texts = [alt for alt in alts if alt]
        if draft.texts:
            self.contents.append(self._block(draft, context, figures))
        self.contents += figures
        separate = replace(context, joins_paragraphs=False, joins_everything=False, partner="")
        for element in other_elements:
            self._read(element, separate)

    def _block(
        self, draft: BlockDraft, context: BlockContext, figures: list[Figure | Problem]
    ) -> Block:
        figure_anchors = [figure.anchor for figure in figures if isinstance(figure, Figure)]
        return Block(
            text="\n".join(draft.texts),
            section=context.section,
            role=context.role,
            title=context.title,
            anchor=self._anchors.claim(draft.anchor or context.role),
            refs=tuple(dict.fromkeys(draft.refs + figure_anchors)),
            partner=context.partner,
            audience=context.audience,
        )

    def _build_figures(
        self, element: etree._Element, context: BlockContext
    ) -> list[Figure | Problem]:
        figures = self._figure_builder.build(
            element, self._renderer, context.section, context.audience
        )
        role: Role = context.role if context.role in ("exercise", "solution") else "text"
        built = [replace(f, role=role) if isinstance(f, Figure) else f for f in figures]
        self._renderer.refs.clear()  # links in a caption belong to the figure, not to the block
        self._renderer.set_aside.clear()
        return built
