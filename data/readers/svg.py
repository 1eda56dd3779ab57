"""SVG drawings: rendered to PNG pictures, and the words that they contain.

A drawing is parsed as untrusted XML. It is rendered without the files, pages and programs that it
links, and never larger than `_SIDE_PIXELS`, because resvg allocates what a drawing asks for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import resvg_py
from lxml import etree
from PIL import ImageFont

from data.errors import BadInput
from data.pictures import MAX_PIXELS, picture_size
from data.readers.data_uri import data_of_uri
from data.readers.white_space import collapse
from data.readers.xml import local_name, parse_xml, read_xml_bytes

__all__ = [
    "is_svg",
    "parse_inline_svg",
    "picture_of_svg",
    "render_svg",
    "svg_size",
    "svg_words",
    "words_of_svg",
]

_NAMESPACE = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_HREFS = ("href", f"{{{_XLINK}}}href")
_SIDE_PIXELS = 1024  # of the longer side: enough for OCR to read the labels
_REMOVED = frozenset({"script", "foreignObject", "iframe", "audio", "video", "animate", "set"})
_FONT_FILE = "labels.ttf"
_DESCRIPTIONS = ("title", "desc")
_NEW_LINE_ATTRIBUTES = ("x", "y", "dy")
# HTML parsers write all names in small letters; these are the names of SVG that have capitals.
# Source: HTML standard, "adjust SVG attributes" and the table of SVG tag names.
_MIXED_CASE_NAMES = {
    name.lower(): name
    for name in (
        "animateMotion animateTransform clipPath feBlend feColorMatrix feComponentTransfer "
        "feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight "
        "feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage feMerge "
        "feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile "
        "feTurbulence foreignObject linearGradient radialGradient textPath "
        "attributeName attributeType baseFrequency calcMode clipPathUnits diffuseConstant edgeMode "
        "filterUnits glyphRef gradientTransform gradientUnits kernelMatrix kernelUnitLength "
        "keyPoints keySplines keyTimes lengthAdjust limitingConeAngle markerHeight markerUnits "
        "markerWidth maskContentUnits maskUnits numOctaves pathLength patternContentUnits "
        "patternTransform patternUnits pointsAtX pointsAtY pointsAtZ preserveAlpha "
        "preserveAspectRatio primitiveUnits refX refY repeatCount repeatDur requiredExtensions "
        "requiredFeatures specularConstant specularExponent spreadMethod startOffset stdDeviation "
        "stitchTiles surfaceScale systemLanguage tableValues targetX targetY textLength viewBox "
        "viewTarget xChannelSelector yChannelSelector zoomAndPan"
    ).split()
}


def is_svg(data: bytes) -> bool:
    """Return whether data that is no other picture looks like an SVG drawing."""
    return b"<svg" in data[:1024]


def picture_of_svg(source: Path | bytes, name: str) -> tuple[bytes, str]:
    """Return an SVG file as a PNG picture, and its words.

    Raises `BadInput`, starting with `name`, if it cannot be rendered.
    """
    root = parse_svg(read_xml_bytes(source) if isinstance(source, Path) else source, name)
    words = words_of_svg(root)
    return render_svg(root, name), words


def words_of_svg(root: etree._Element) -> str:
    """Return the description of a drawing and its labels: "Heat engine: hot; cold"."""
    description, labels = svg_words(root)
    return ": ".join(filter(None, [description, "; ".join(labels)]))


def parse_svg(data: bytes, name: str) -> etree._Element:
    """Return the root of an SVG file. Raises `BadInput`, starting with `name`, if it is none."""
    root = parse_xml(data, name)
    if local_name(root) != "svg":
        raise BadInput(f"{name}: not an SVG drawing; save it as PNG")
    return root


def parse_inline_svg(element: etree._Element) -> etree._Element:
    """Return an `svg` element of an HTML page as SVG: with its name space and mixed-case names."""
    copy = etree.Element(f"{{{_NAMESPACE}}}svg", nsmap={None: _NAMESPACE, "xlink": _XLINK})
    _copy_contents(element, copy)
    return copy


def _copy_contents(source: etree._Element, target: etree._Element) -> None:
    for name, value in source.attrib.items():
        prefix, _, local = name.rpartition(":")
        if prefix == "xlink":
            target.set(f"{{{_XLINK}}}{local}", value)
        elif not prefix and name != "xmlns" and name.isascii() and name.replace("-", "").isalnum():
            target.set(_MIXED_CASE_NAMES.get(name, name), value)
    target.text = source.text
    for child in source:
        tag = child.tag.rpartition(":")[2] if isinstance(child.tag, str) else ""
        if tag.isascii() and tag.replace("-", "").isalnum():
            name = _MIXED_CASE_NAMES.get(tag, tag)
            inner = etree.SubElement(target, f"{{{_NAMESPACE}}}{name}")
            _copy_contents(child, inner)
            inner.tail = child.tail


def svg_size(root: etree._Element) -> tuple[float, float] | None:
    """Return the width and height of a drawing in its own units, or None if it does not say."""
    sizes = [_number(root.get(name, "")) for name in ("width", "height")]
    box = root.get("viewBox", "").replace(",", " ").split()
    if not all(sizes) and len(box) == 4:
        sizes = [_number(number) for number in box[2:]]
    return (sizes[0], sizes[1]) if sizes[0] and sizes[1] else None


def _number(text: str) -> float:
    """Return a length in pixels; 0 for percentages and anything that is no length."""
    try:
        return max(float(text.strip().removesuffix("px")), 0.0)
    except ValueError:
        return 0.0


def svg_words(root: etree._Element) -> tuple[str, list[str]]:
    """Return the description of a drawing and the labels in it, in their order."""
    label = root.get("aria-label", "")
    described = [label, *(collapse(_text(e)) for e in root if local_name(e) in _DESCRIPTIONS)]
    texts: list[str] = []
    for text in described:
        if text and not any(text in longer for longer in described if longer != text):
            texts.append(text.rstrip("."))
    labels = [collapse(_text(e)) for e in _label_elements(root)]
    return ". ".join(dict.fromkeys(texts)), list(dict.fromkeys(filter(None, labels)))


def _label_elements(root: etree._Element) -> Iterator[etree._Element]:
    for element in root.iter(etree.Element):
        if local_name(element) in ("text", "foreignObject"):
            yield element


def _text(element: etree._Element) -> str:
    """Return the text of an element; each line of a label starts after a space."""
    pieces = [element.text or ""]
    for child in element:
        is_new_line = any(child.get(name) for name in _NEW_LINE_ATTRIBUTES)
        is_block = local_name(child) in ("div", "p", "br", "li")
        pieces += [" " if is_new_line or is_block else "", _text(child), child.tail or ""]
    return "".join(pieces)


def render_svg(root: etree._Element, name: str) -> bytes:
    """Return a drawing as a PNG picture on white.

    Raises `BadInput`, starting with `name`, if it cannot be rendered.
    """
    _remove_outside_parts(root)
    if root.tag == "svg":  # written without its name space
        root.set("xmlns", _NAMESPACE)
    font = Path(_font_folder().name) / _FONT_FILE
    try:
        picture = resvg_py.svg_to_bytes(
            svg_string=etree.tostring(root, encoding="unicode", with_tail=False),
            width=_SIDE_PIXELS,
            height=_SIDE_PIXELS,  # the drawing keeps its proportions inside this square
            background="#ffffff",
            font_files=[str(font)],
            serif_family=ImageFont.truetype(str(font)).getname()[0],
        )
    except ValueError as error:
        raise BadInput(f"{name}: cannot be drawn ({error}); save it as PNG") from None
    return bytes(picture)


@cache
def _font_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder with Pillow's font: resvg draws no label whose font is not installed.

    The folder is deleted when the process ends.
    """
    font = ImageFont.load_default(12)
    assert isinstance(font, ImageFont.FreeTypeFont)
    folder = tempfile.TemporaryDirectory(prefix="unirag-")
    (Path(folder.name) / _FONT_FILE).write_bytes(font.font_bytes)
    return folder


def _remove_outside_parts(root: etree._Element) -> None:
    """Remove scripts, and links to anything but elements of the drawing and small pictures in it.

    resvg would read any file that an `image` names.
    """
    for element in list(root.iter(etree.Element)):
        name = local_name(element)
        href = next((value for key in _HREFS if (value := element.get(key))), "")
        is_outside = href and not href.startswith("#") and name != "a"
        if name in _REMOVED or (is_outside and not (name == "image" and _is_small(href))):
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)


def _is_small(href: str) -> bool:
    """Return whether a link holds a picture of bounded size."""
    try:
        width, height = picture_size(data_of_uri(href))
    except BadInput:
        return False
    return width * height <= MAX_PIXELS
