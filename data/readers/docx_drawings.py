"""Find what a Word paragraph draws: pictures, text boxes, charts, SmartArt and embedded objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from docx.opc.part import Part
from lxml import etree

from data.documents import Figure, Problem
from data.errors import BadInput
from data.readers.formulas import normalise_formulas
from data.readers.office import picture_or_problem
from data.readers.office_charts import Chart, read_chart
from data.readers.office_diagrams import read_diagram
from data.readers.office_markup import related_id
from data.readers.xml import local_name, parse_xml

__all__ = ["Drawing", "DrawnChart", "DrawnText", "TextBox", "drawings_of"]

_GROUPS = frozenset({"wgp", "wpc", "group"})  # of shapes; the last is VML's
_SKIPPED = frozenset({"pPr", "rPr", "del", "moveFrom"})
_LINKED = "a picture is linked, not stored in the file; paste the picture itself"


@dataclass(frozen=True, slots=True)
class TextBox:
    """A text box; `element` holds its paragraphs and tables."""

    element: etree._Element


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart with its alt text."""

    chart: Chart
    alt: str


@dataclass(frozen=True, slots=True)
class DrawnText:
    """The words of a diagram."""

    text: str


Drawing = Figure | Problem | TextBox | DrawnChart | DrawnText


def drawings_of(paragraph: etree._Element, part: Part) -> Iterator[Drawing]:
    """Yield what a paragraph draws, in order. `part` resolves its relations."""
    try:
        yield from _drawings(paragraph, part, "")
    except BadInput as error:
        yield Problem("", f"a drawing cannot be read ({error}); paste it as a picture")


def _drawings(element: etree._Element, part: Part, alt: str) -> Iterator[Drawing]:
    name = local_name(element)
    if name in _SKIPPED:
        return
    if name == "txbxContent":
        yield TextBox(element)
    elif name == "object":
        yield from _embedded_object(element, part)
    elif name == "blip":
        yield from _picture(related_id(element, "embed"), part, alt)
    elif name == "imagedata":
        yield from _picture(related_id(element, "id", "pict"), part, alt)
    elif name == "textpath" and element.get("string"):  # words set along a line
        yield DrawnText(element.get("string") or "")
    elif name == "chart" and related_id(element, "id"):
        yield from _chart(related_id(element, "id"), part, alt)
    elif name == "relIds":
        yield from _diagram(related_id(element, "dm"), part)
    else:
        if name in ("drawing", "pic", "shape", "rect"):
            alt = _alt_text(element) or alt
        children = [d for child in element for d in _drawings(child, part, alt)]
        yield from children
        if name in _GROUPS and _counts_shapes(element) > 1:
            message = "a drawing made of shapes is not kept; its words are. Paste it as a picture"
            yield Problem("", message, "diagram")


def _alt_text(element: etree._Element) -> str:
    """Return the alt text of a drawing, a picture in a group, or a VML shape."""
    properties = element.find("{*}inline/{*}docPr")
    for path in ("{*}anchor/{*}docPr", "{*}nvPicPr/{*}cNvPr"):
        properties = element.find(path) if properties is None else properties
    if properties is None:
        properties = element  # VML
    text = properties.get("descr") or properties.get("alt") or ""
    if not text and local_name(properties) == "docPr":
        text = properties.get("title") or ""
    return normalise_formulas(" ".join(text.split()))


def _counts_shapes(group: etree._Element) -> int:
    """Return how many shapes a group draws, pictures apart."""
    return sum(local_name(shape) in ("wsp", "shape", "rect", "line", "oval") for shape in group)


def _picture(relation: str, part: Part, alt: str) -> Iterator[Drawing]:
    image = part.related_parts.get(relation)
    picture: bytes | None = None
    problem = _LINKED
    if image is not None:
        picture, problem = picture_or_problem(image.blob, str(image.partname).rsplit("/", 1)[-1])
    elif relation and relation not in part.rels:
        problem = "a picture is missing from the file; paste it again"
    yield Figure("", picture, alt=alt)
    if problem:
        yield Problem("", problem, "picture")


def _embedded_object(element: etree._Element, part: Part) -> Iterator[Drawing]:
    """Yield the picture that stands for an embedded object. Its contents are a problem."""
    ole = next(element.iter("{*}OLEObject"), None)
    program = (ole.get("ProgID") or "" if ole is not None else "") or "unknown program"
    if program.startswith("Equation"):
        yield Problem(
            "",
            f"an equation of {program} is not read; convert it to an Office equation in Word",
            "formula",
        )
        return
    for child in element:
        yield from _drawings(child, part, _alt_text(child))
    if ole is not None:
        message = f"an embedded object ({program}) is kept as a picture only; paste its contents"
        yield Problem("", message, "attachment")


def _chart(relation: str, part: Part, alt: str) -> Iterator[Drawing]:
    source = part.related_parts.get(relation)
    chart = read_chart(parse_xml(source.blob, str(source.partname))) if source else None
    if chart is not None:
        yield DrawnChart(chart, alt)
    else:
        yield Problem("", "a chart without stored values is not read; paste a picture", "chart")


def _diagram(relation: str, part: Part) -> Iterator[Drawing]:
    source = part.related_parts.get(relation)
    text = read_diagram(parse_xml(source.blob, str(source.partname))) if source else ""
    if text:
        yield DrawnText(text)
    message = "the drawing of a SmartArt diagram is not kept; paste it as a picture"
    yield Problem("", message, "diagram")
