"""Walk through an OpenDocument file and collect its contents in reading order."""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from data.documents import Block, Figure, Problem, ProblemKind
from data.errors import BadInput
from data.readers.odf_lists import OdfLists
from data.readers.odf_package import OdfPackage, OdfStyles, attribute
from data.readers.odf_tables import cells_of, chart_of, grid_of, table_of
from data.readers.odf_text import OdfText
from data.readers.office import picture_or_problem
from data.readers.office_charts import Chart
from data.readers.sheet_regions import SheetTable, contents_of_grid
from data.readers.structure import Content, is_caption, role_of
from data.readers.xml import local_name
from data.records import Audience, Role
from data.tables import markdown_table

__all__ = ["OdfWalker"]

_DRAWINGS = frozenset(
    "frame custom-shape g rect ellipse circle line polygon path connector".split()
)
_CONTAINERS = frozenset(
    "section index-body table-of-content illustration-index table-index alphabetical-index "
    "bibliography user-index object-index index-title text-box a numbered-paragraph".split()
)
_REPEATED = frozenset({"header", "footer", "date-time", "page-number"})
_FEWEST_SHAPES = 2  # without words; a single line is an ornament


class OdfWalker:
    """Collect the contents of a text, a presentation or a spreadsheet."""

    def __init__(self, title: str, package: OdfPackage) -> None:
        self.contents: list[Content] = []
        content = package.xml("content.xml")
        assert content is not None
        styles = OdfStyles(package.xml("styles.xml"), content)
        self._title = title
        self._package = package
        self._body = content.find("{*}body")
        self._styles = styles
        self._lists = OdfLists(styles)
        self._text = OdfText(package, styles)
        self._headings: list[tuple[int, str]] = []  # levels and texts
        self._heading_end = 0  # number of contents when the last heading came
        self._page: int | None = None
        self._audience: Audience = "student"
        self._uncaptioned: list[int] = []  # positions of pictures that a caption may follow
        self._notes: list[str] = []  # footnotes of the current paragraph
        self._shape_count = 0  # shapes without words

    def walk(self) -> None:
        """Fill `contents`. What is not read becomes a problem."""
        for body in self._body if self._body is not None else ():
            name = local_name(body)
            if name == "presentation":
                self._walk_slides(body)
            elif name == "spreadsheet":
                self._walk_sheets(body)
            elif name in ("text", "drawing"):
                self._walk(body)
                self._keep_bare_heading(0)
        if self._shape_count >= _FEWEST_SHAPES:
            message = f"shapes without words such as arrows ({self._shape_count}) are not kept"
            self._add_problem(f"{message}; paste a picture of the drawing", "diagram", page=None)

    @property
    def _section(self) -> tuple[str, ...]:
        return (self._title, *(text for _, text in self._headings))

    @property
    def _role(self) -> Role:
        return role_of(heading for _, heading in self._headings)

    # -- texts -------------------------------------------------------------------------------------

    def _walk(self, container: etree._Element) -> None:
        for child in container:
            name = local_name(child)
            if name == "h":
                self._add_heading(child)
            elif name == "p":
                self._add_paragraph(child)
            elif name == "list":
                self._add_list(child)
            elif name == "table":
                self._add_table(child)
            elif name in _DRAWINGS:
                self._add_drawing(child)
            elif name in _CONTAINERS or name == "page":
                self._walk(child)

    def _add_heading(self, element: etree._Element) -> None:
        text = self._text.of(element)
        level = attribute(element, "text:outline-level")
        self._push_heading(int(level) if level.isdecimal() else 1, text)
        self._add_rest(element)

    def _push_heading(self, level: int, text: str) -> None:
        if not text:
            return
        self._keep_bare_heading(level)
        self._headings = [h for h in self._headings if h[0] < level]
        if self._headings or text.casefold() != self._title.casefold():
            self._headings.append((level, text))
        self._heading_end = len(self.contents)
        self._uncaptioned = []

    def _keep_bare_heading(self, level: int) -> None:
        """Make a text of the last heading if nothing stands under it: no word must be lost."""
        is_bare = self._headings and self._headings[-1][0] >= level
        if is_bare and self._heading_end == len(self.contents):
            _, text = self._headings.pop()
            self._add_text(text)

    def _add_paragraph(self, element: etree._Element) -> None:
        text = self._text.of(element)
        names = self._styles.names("paragraph", attribute(element, "text:style-name"))
        names.append(attribute(element, "text:style-name"))
        draws = next((True for c in element.iter() if local_name(c) in ("image", "object")), False)
        if text and is_caption(text) and draws:  # LibreOffice puts both into one paragraph
            self._add_rest(element)
            self._add_caption(text)
            return
        if text and self._uncaptioned and is_caption(text):
            self._add_caption(text)
        elif "Title" in names and self._page is None:
            self._push_heading(0, text)
        else:
            self._add_text(text)
        self._add_rest(element)

    def _add_list(self, element: etree._Element) -> None:
        role = self._role
        lines: list[str] = []
        for label, level, child in self._lists.items(element):
            if local_name(child) not in ("p", "h"):
                self._add_text("\n".join(lines))
                lines.clear()
                self._walk_one(child)
                continue
            if local_name(child) == "h":
                self._add_heading(child)
                continue
            text = self._text.of(child)
            self._take_notes(child)
            if text and role in ("exercise", "solution"):
                self._add_text(f"{label} {text}" if label not in ("", "-") else text)
            elif text:
                lines.append(f"{'  ' * (level - 1)}{label} {text}" if label else text)
            if next((True for c in child.iter() if local_name(c) in _DRAWINGS), False):
                self._add_text("\n".join(lines))
                lines.clear()
                self._add_drawings(child)
        self._add_text("\n".join(lines))
        self._add_notes()

    def _walk_one(self, element: etree._Element) -> None:
        if local_name(element) == "table":
            self._add_table(element)
        else:
            self._walk(element)

    def _add_text(self, text: str, role: Role | None = None) -> None:
        if text:
            block = Block(text, self._section, role or self._role, page=self._page)
            self.contents.append(replace(block, audience=self._audience))
            self._uncaptioned = []

    def _add_caption(self, text: str) -> None:
        if not self._uncaptioned:
            self._add_text(text)
        for position in self._uncaptioned:
            figure = self.contents[position]
            assert isinstance(figure, Figure)
            self.contents[position] = replace(figure, caption=" ".join(text.split()))
        self._uncaptioned = []

    def _add_rest(self, element: etree._Element) -> None:
        """Add the drawings and the footnotes of a paragraph after its text."""
        self._take_notes(element)
        self._add_notes()
        self._add_drawings(element)

    def _take_notes(self, element: etree._Element) -> None:
        for body in element.iter("{*}note-body"):
            lines = (self._text.of(p) for p in body.iter("{*}p"))
            self._notes.append("\n".join(filter(None, lines)))

    def _add_notes(self) -> None:
        for text in self._notes:
            self._add_text(text, "note")
        self._notes.clear()

    # -- tables ------------------------------------------------------------------------------------

    def _add_table(self, element: etree._Element) -> None:
        cells = list(cells_of(element))
        if len(cells) == 1:
            self._walk(cells[0])  # a frame around text, not a table
            return
        self._add_table_block(element)
        for cell in cells:
            self._take_notes(cell)
            self._add_notes()
            self._add_drawings(cell)
            for nested in cell.iterfind("{*}table"):
                self._add_table(nested)

    def _add_table_block(self, element: etree._Element) -> None:
        table = table_of(element, self._text_of_cell)
        if table is not None:
            self._add_text(markdown_table(table), "table")

    def _text_of_cell(self, cell: etree._Element) -> str:
        """Return the text of a cell; tables inside it stand alone."""
        lines: list[str] = []
        for child in cell:
            if local_name(child) == "list":
                items = [(n, self._text.of(item)) for n, _, item in self._lists.items(child)]
                is_list = len(items) > 1  # Impress makes a bullet of every cell
                lines += [f"{n} {text}" if n and text and is_list else text for n, text in items]
            elif local_name(child) in ("p", "h"):
                lines.append(self._text.of(child))
        return "\n".join(lines)

    # -- slides and sheets -------------------------------------------------------------------------

    def _walk_slides(self, body: etree._Element) -> None:
        for number, page in enumerate(body.iterfind("{*}page"), start=1):
            self._page = number
            hidden = self._styles.property(
                "drawing-page", attribute(page, "draw:style-name"), "presentation:visibility"
            )
            self._audience = "teacher" if hidden == "hidden" else "student"
            title = next((s for s in page if attribute(s, "presentation:class") == "title"), None)
            words = [self._text.of(p) for p in title.iter("{*}p")] if title is not None else []
            heading = " ".join(" ".join(words).split())
            is_title = heading.casefold() == self._title.casefold()
            self._headings = [] if is_title else [(1, heading or f"Slide {number}")]
            start = len(self.contents)
            for shape in page:
                if shape is not title and attribute(shape, "presentation:class") not in _REPEATED:
                    self._walk_shape(shape)
            if heading and len(self.contents) == start:
                self._headings = []
                self._add_text(heading)  # words that stand nowhere else
            self._uncaptioned = []

    def _walk_shape(self, shape: etree._Element) -> None:
        if local_name(shape) != "notes":
            if local_name(shape) in _DRAWINGS:
                self._add_drawing(shape)
            return
        lines = [self._text.of(p) for p in shape.iter("{*}p")]
        if text := "\n".join(filter(None, lines)):
            note = Block(text, self._section, "note", audience="teacher", page=self._page)
            self.contents.append(note)

    def _walk_sheets(self, body: etree._Element) -> None:
        for sheet in body.iterfind("{*}table"):
            self._headings = [(1, attribute(sheet, "table:name"))]
            display = self._styles.property(
                "table", attribute(sheet, "table:style-name"), "table:display"
            )
            self._audience = "teacher" if display == "false" else "student"
            for content in contents_of_grid(grid_of(sheet, self._text_of_cell)):
                if isinstance(content, SheetTable):
                    self._add_text(markdown_table(content.table), "table")
                else:
                    self._add_text(content.text)
            self._add_drawings(sheet)
            for note in sheet.iter("{*}annotation"):
                lines = (self._text.of(p) for p in note.iter("{*}p"))
                if text := " ".join(filter(None, lines)):
                    self._add_text(f"Comment: {text}", "note")

    # -- drawings ----------------------------------------------------------------------------------

    def _add_drawings(self, element: etree._Element) -> None:
        """Add the drawings inside an element, but not those of tables inside it."""
        for child in element:
            name = local_name(child)
            if name in _DRAWINGS:
                self._add_drawing(child)
            elif name not in ("table", "list", "note", "annotation") or element.tag == child.tag:
                self._add_drawings(child)

    def _add_drawing(self, element: etree._Element) -> None:
        name = local_name(element)
        if name == "g":
            for child in element:
                if local_name(child) in _DRAWINGS:
                    self._add_drawing(child)
        elif name == "frame":
            self._add_frame(element)
        else:
            before = len(self.contents)
            self._walk(element)
            self._shape_count += before == len(self.contents)

    def _add_frame(self, frame: etree._Element) -> None:
        """Add what a frame holds: a text box, a table, a formula, a chart or a picture."""
        children = {local_name(child): child for child in reversed(frame)}
        if "text-box" in children:
            self._walk(children["text-box"])
        elif "table" in children:
            self._add_table(children["table"])
        elif "object" in children or "object-ole" in children:
            self._add_object(frame, children.get("object"))
        elif "image" in children:
            self._add_picture(frame)
        elif "plugin" in children:
            self._add_problem("a film or sound is not read", "attachment", self._page)

    def _add_object(self, frame: etree._Element, element: etree._Element | None) -> None:
        if self._text.formula(frame):
            parent = frame.getparent()
            if parent is None or local_name(parent) not in ("p", "h", "span", "a"):
                self._add_text(f"\\[{self._text.formula(frame)}\\]")
            return  # a formula in a line is part of its text
        path = attribute(element, "xlink:href")
        root = self._part(f"{path}/content.xml") if path else None
        chart = chart_of(root, self._text_of_cell) if root is not None else None
        if chart is not None:
            self._add_chart(frame, chart)
            return
        self._add_picture(frame)
        message = "an embedded object is kept as a picture only; paste its contents"
        self._add_problem(message, "attachment", self._page)

    def _part(self, path: str) -> etree._Element | None:
        """Return the root of a part; None if there is none or if it is not well formed."""
        try:
            return self._package.xml(path)
        except BadInput as error:
            self._add_problem(str(error), "part", self._page)
            return None

    def _add_chart(self, frame: etree._Element, chart: Chart) -> None:
        self._add_picture(frame, chart.label)
        table = replace(chart.table, caption=chart.label)
        block = Block(markdown_table(table), self._section, "table", chart.label, page=self._page)
        self.contents.append(replace(block, audience=self._audience))

    def _add_picture(self, frame: etree._Element, label: str = "") -> None:
        """Add the first version of a picture that can be drawn."""
        names = [attribute(image, "xlink:href") for image in frame.iterfind("{*}image")]
        picture, problem = None, "a picture is missing from the file; paste it again"
        for name in names:
            try:
                data = self._package.data(name)
            except BadInput as error:
                data, problem = None, str(error)
            if data is not None:
                picture, problem = picture_or_problem(data, name.rsplit("/", 1)[-1])
            elif ":" in name:
                problem = f"{name}: a picture is linked, not stored in the file; paste it"
            if picture is not None:
                break
        texts = (frame.findtext(f"{{*}}{tag}") or "" for tag in ("desc", "title"))
        alt = next((" ".join(t.split()) for t in texts if t.strip()), label)
        figure = Figure("", picture, alt=alt, section=self._section, page=self._page)
        self._uncaptioned.append(len(self.contents))
        self.contents.append(replace(figure, audience=self._audience))
        if problem and not label:
            self._add_problem(problem, "picture", self._page)

    def _add_problem(self, message: str, kind: ProblemKind, page: int | None) -> None:
        place = f"slide {page}: " if page else ""
        self.contents.append(Problem("", f"{place}{message}", kind, page))
