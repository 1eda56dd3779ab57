"""Walk through the body of a Word document and collect its contents in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from docx.document import Document as WordDocument
from docx.oxml.ns import qn
from lxml import etree

from data.documents import Block, Figure, Problem, ProblemKind
from data.errors import BadInput
from data.readers.docx_drawings import DrawnChart, DrawnText, TextBox, drawings_of
from data.readers.docx_numbering import BULLET, Numbering
from data.readers.docx_styles import WordStyles
from data.readers.docx_tables import cells_of, table_of
from data.readers.docx_text import note_references, text_of
from data.readers.office_markup import simplify
from data.readers.office_symbols import UNKNOWN_SYMBOL
from data.readers.structure import Content, is_caption, role_of
from data.readers.xml import local_name, parse_xml
from data.records import Role
from data.tables import Table, markdown_table

__all__ = ["WordWalker"]

_LONGEST_TERM = 80  # characters
_PICTURES = ("{*}drawing", "{*}pict", "{*}object")
_UNREAD_PARTS: tuple[tuple[str, ProblemKind, str], ...] = (
    ("altChunk", "attachment", "a file inserted into the document is not read; paste its text"),
    ("subDoc", "link", "a linked part of the document is not read; index its file too"),
)


class WordWalker:
    """Collect the contents of a Word document."""

    def __init__(self, title: str, word: WordDocument) -> None:
        self.contents: list[Content] = []
        self._damaged: list[Problem] = []  # parts that are not well formed
        self._title = title
        self._part = word.part
        self._body = word.element.body
        self._styles = WordStyles(self._related("styles"))
        self._numbering = Numbering(self._related("numbering"), self._styles)
        self._notes = {kind: self._texts_of_notes(kind) for kind in ("footnotes", "endnotes")}
        self._headings: list[tuple[int, str]] = []  # levels and texts
        self._heading_end = 0  # number of contents when the last heading came
        self._list: list[str] = []  # the items so far of the current list
        self._due_notes: list[str] = []  # notes of the current list or paragraph
        self._drop_cap = ""  # a large first letter, which Word keeps as a paragraph
        self._pending_caption = ""  # a caption whose table or picture follows
        self._uncaptioned: list[int] = []  # positions of the last paragraph's pictures
        self._last_table: tuple[int, Table] | None = None  # a table without a caption
        self._box_depth = 0

    @property
    def _section(self) -> tuple[str, ...]:
        return (self._title, *(text for _, text in self._headings))

    @property
    def _role(self) -> Role:
        return role_of(heading for _, heading in self._headings)

    def walk(self) -> None:
        """Fill `contents`. What is not read becomes a problem."""
        simplify(self._body)
        self._walk(self._body)
        self._keep_bare_heading(0)
        self.contents += self._problems()

    def _walk(self, container: etree._Element) -> None:
        for child in container:
            name = local_name(child)
            if name == "tbl":
                self._close_list()
                self._add_table(child)
            elif name == "p":
                self._add_paragraph(child)
            elif name in ("oMathPara", "oMath", "r"):
                self._add_text(text_of(child))
        self._close_list()
        self._add_text(self._drop_cap)
        self._drop_cap = ""
        self._add_text(self._take_caption())

    # -- paragraphs --------------------------------------------------------------------------------

    def _add_paragraph(self, paragraph: etree._Element) -> None:
        text = self._drop_cap + text_of(paragraph)
        self._drop_cap = ""
        if _is_drop_cap(paragraph) and not _draws(paragraph):
            self._drop_cap = text
            return
        style = next(iter(self._styles.names(paragraph)), "")
        level = None if self._box_depth else self._styles.heading_level(paragraph)
        numbered = self._numbering.label(paragraph) if text else None
        label, depth = numbered or ("", 0)
        is_caption_style = style == "caption" and bool(text)
        if level is not None or is_caption_style or not (numbered or self._continues_list(style)):
            self._close_list()
        self._due_notes += self._notes_of(paragraph)
        if level is not None and text:
            self._add_heading(level, text if label in ("", BULLET) else f"{label} {text}")
        elif style == "title" and not self._box_depth:
            if text.casefold() != self._title.casefold():
                self._add_heading(0, text)
        elif is_caption_style or (text and self._uncaptioned and is_caption(text)):
            self._add_caption(paragraph, text)
        elif numbered or (self._list and self._continues_list(style)):
            self._add_list_item(text, label, depth)
        else:
            self._add_text(text)
        if not self._list:
            self._add_notes()
        self._add_drawings(paragraph)

    def _continues_list(self, style: str) -> bool:
        return bool(self._list) and style.startswith("list")

    def _add_heading(self, level: int, text: str) -> None:
        self._keep_bare_heading(level)
        self._headings = [h for h in self._headings if h[0] < level]
        if text:
            self._headings.append((level, text))
        self._heading_end = len(self.contents)
        self._forget_captions()

    def _keep_bare_heading(self, level: int) -> None:
        """Make a text of the last heading if nothing stands under it: no word must be lost."""
        is_bare = self._headings and self._headings[-1][0] >= level
        if is_bare and self._heading_end == len(self.contents):
            _, text = self._headings.pop()
            self._add_text(text)

    def _add_list_item(self, text: str, label: str, depth: int) -> None:
        role = self._role
        is_numbered = label not in ("", BULLET)
        if role in ("exercise", "solution"):
            self._add_text(f"{label} {text}" if is_numbered and text else text)
            return
        term, colon, _ = text.partition(":")
        if role == "term" and colon and len(term) <= _LONGEST_TERM:
            self._add_text(text, title=term.strip())
        elif text:
            self._list.append(f"{'  ' * depth}{label} {text}" if label else text)

    def _close_list(self) -> None:
        text = "\n".join(self._list)
        self._list.clear()
        self._add_text(text)
        if text:
            self._add_notes()

    def _add_text(self, text: str, title: str = "") -> None:
        if text:
            self.contents.append(Block(text, self._section, self._role, title))
            self._forget_captions()

    # -- notes -------------------------------------------------------------------------------------

    def _texts_of_notes(self, kind: str) -> dict[str, str]:
        """Return the texts of the footnotes or endnotes by id."""
        root = self._related(kind)
        if root is None:
            return {}
        simplify(root)
        return {note.get(qn("w:id")) or "": _lines_of(note) for note in root}

    def _notes_of(self, element: etree._Element) -> list[str]:
        """Return the texts of the notes that an element refers to, each note once."""
        texts = [self._notes[kind].pop(i, "") for kind, i in note_references(element)]
        return [text for text in texts if text]

    def _add_notes(self) -> None:
        for text in self._due_notes:
            self.contents.append(Block(text, self._section, "note"))
        self._due_notes.clear()

    # -- captions ----------------------------------------------------------------------------------

    def _add_caption(self, paragraph: etree._Element, text: str) -> None:
        follower = _kind_of_follower(paragraph)
        is_of_figure = is_caption(text)
        if follower == "table" and not is_of_figure:
            self._keep_caption(text)
        elif self._uncaptioned and not _draws(paragraph):
            for position in self._uncaptioned:
                figure = self.contents[position]
                assert isinstance(figure, Figure)
                self.contents[position] = replace(figure, caption=text)
            self._forget_captions()
        elif self._last_table and not follower and not is_of_figure:
            position, table = self._last_table
            text_with_caption = markdown_table(replace(table, caption=text))
            block = Block(text_with_caption, self._section, "table", text)
            self.contents[position] = block
            self._forget_captions()
        else:
            self._keep_caption(text)

    def _keep_caption(self, text: str) -> None:
        self._add_text(self._take_caption())
        self._pending_caption = text

    def _take_caption(self) -> str:
        caption, self._pending_caption = self._pending_caption, ""
        return caption

    def _forget_captions(self) -> None:
        self._uncaptioned, self._last_table = [], None

    # -- tables ------------------------------------------------------------------------------------

    def _add_table(self, element: etree._Element) -> None:
        cells = cells_of(element)
        if len(cells) == 1:
            self._walk_box(cells[0])  # a frame around text, not a table
            return
        caption = self._take_caption()
        table = table_of(element, self._text_of_cell, caption)
        self._forget_captions()
        if table is not None:
            self.contents.append(Block(markdown_table(table), self._section, "table", caption))
            self._last_table = None if caption else (len(self.contents) - 1, table)
        self._due_notes += self._notes_of(element)
        self._add_notes()
        last_table = self._last_table
        for cell in cells:
            for paragraph in _own_paragraphs(cell):
                self._add_drawings(paragraph, with_boxes=False)
            for nested in _own_tables(cell):
                self._add_table(nested)
        self._uncaptioned, self._last_table = [], last_table

    def _text_of_cell(self, cell: etree._Element) -> str:
        """Return the text of a cell with its text boxes; tables inside it stand alone."""
        lines: list[str] = []
        for paragraph in _own_paragraphs(cell, with_boxes=True):
            text = text_of(paragraph)
            numbered = self._numbering.label(paragraph) if text else None
            lines.append(f"{numbered[0]} {text}" if numbered and numbered[0] else text)
        return "\n".join(lines)

    # -- drawings ----------------------------------------------------------------------------------

    def _add_drawings(self, paragraph: etree._Element, with_boxes: bool = True) -> None:
        if not _draws(paragraph):
            return
        self._close_list()
        caption = ""
        figures: list[int] = []
        for drawing in drawings_of(paragraph, self._part):
            if isinstance(drawing, TextBox):
                if with_boxes:
                    self._uncaptioned = figures if not caption else []
                    self._walk_box(drawing.element)
                continue
            if isinstance(drawing, DrawnText):
                self.contents.append(Block(drawing.text, self._section, self._role))
                continue
            if isinstance(drawing, Problem):
                self.contents.append(drawing)
                continue
            caption = caption or self._take_caption()
            figures.append(len(self.contents))
            if isinstance(drawing, DrawnChart):
                alt = drawing.alt or drawing.chart.label
                self.contents.append(Figure("", None, caption, alt, section=self._section))
                table = replace(drawing.chart.table, caption=drawing.chart.label)
                title = drawing.chart.label
                block = Block(markdown_table(table), self._section, "table", title)
                self.contents.append(block)
            else:
                self.contents.append(replace(drawing, caption=caption, section=self._section))
        if figures:
            self._uncaptioned = [
                n for n in figures if isinstance(c := self.contents[n], Figure) and not c.caption
            ]
            self._last_table = None

    def _walk_box(self, element: etree._Element) -> None:
        """Read a text box; its headings do not divide the text around it."""
        self._box_depth += 1
        caption, self._pending_caption = self._pending_caption, ""
        self._walk(element)
        self._pending_caption = caption
        self._box_depth -= 1

    # -- parts -------------------------------------------------------------------------------------

    def _related(self, kind: str) -> etree._Element | None:
        """Return the root of the part of a kind, such as "styles"; None if there is none."""
        for relation in self._part.rels.values():
            if not relation.is_external and relation.reltype.endswith(f"/{kind}"):
                try:
                    return parse_xml(relation.target_part.blob, kind)
                except BadInput as error:
                    self._damaged.append(Problem("", f"the part {error}"))
        return None

    def _problems(self) -> Iterator[Problem]:
        """Yield what the whole document has and the reader leaves out."""
        comments = self._related("comments")
        yield from self._damaged
        if comments is not None and len(comments):
            yield Problem("", f"the comments of reviewers ({len(comments)}) are not read")
        for name, kind, message in _UNREAD_PARTS:
            for _ in self._body.iter(f"{{*}}{name}"):
                yield Problem("", message, kind)
        if shapes := sum(_is_lone_shape(shape) for shape in self._body.iter("{*}wsp")):
            message = (
                f"drawn shapes such as arrows ({shapes}) are not kept; paste a picture of them"
            )
            yield Problem("", message, "diagram")
        texts = [c.text for c in self.contents if isinstance(c, Block)]
        if unknown := sum(text.count(UNKNOWN_SYMBOL) for text in texts):
            yield Problem("", f"unknown characters of a symbol font ({unknown})", "text")


def _lines_of(element: etree._Element) -> str:
    return "\n".join(filter(None, (text_of(p) for p in element.iter("{*}p"))))


def _is_drop_cap(paragraph: etree._Element) -> bool:
    frame = paragraph.find("{*}pPr/{*}framePr")
    return frame is not None and frame.get(qn("w:dropCap"), "none") != "none"


def _draws(paragraph: etree._Element) -> bool:
    return next(paragraph.iter(*_PICTURES), None) is not None


def _kind_of_follower(paragraph: etree._Element) -> str:
    """Return "table" or "picture" if one follows a caption directly, else ''."""
    for follower in paragraph.itersiblings():
        if local_name(follower) == "tbl":
            return "table"
        if local_name(follower) == "p":
            if _draws(follower):
                return "picture"
            if text_of(follower):
                break
    return ""


def _own_paragraphs(cell: etree._Element, with_boxes: bool = False) -> Iterator[etree._Element]:
    """Yield the paragraphs of a cell; those of tables inside it are left out."""
    for child in cell:
        name = local_name(child)
        if name == "tbl":
            continue
        if name == "p":
            yield child
            for box in child.iter("{*}txbxContent") if with_boxes else ():
                yield from box.iter("{*}p")
        else:
            yield from _own_paragraphs(child, with_boxes)


def _own_tables(cell: etree._Element) -> Iterator[etree._Element]:
    return (child for child in cell if local_name(child) == "tbl")


def _is_lone_shape(shape: etree._Element) -> bool:
    """Return whether a shape holds neither words nor a picture and belongs to no group."""
    is_grouped = next(shape.iterancestors("{*}wgp", "{*}wpc"), None) is not None
    return not is_grouped and next(shape.iter("{*}txbxContent", "{*}blip"), None) is None
