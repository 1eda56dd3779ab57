"""The pictures of a page: where their files are, whether they are ornaments, and their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree
from lxml.html import HtmlElement

from data.documents import Problem
from data.errors import BadInput
from data.pictures import PICTURE_SUFFIXES, picture_size
from data.readers.files import is_picture
from data.readers.page_formulas import is_formula
from data.readers.page_text import fallback_of, is_hidden
from data.readers.svg import (
    is_svg,
    parse_inline_svg,
    picture_of_svg,
    render_svg,
    svg_size,
    svg_words,
    words_of_svg,
)

__all__ = ["FindPicture", "PagePicture", "links_of", "pictures_of", "read_picture", "unread_media"]

FindPicture = Callable[[str, bool], Path | bytes]  # of a link, and whether its name is enough

_MEDIA = ("video", "audio", "iframe", "embed", "canvas", "object")
_TRACKING_PIXELS = 2
_ORNAMENT_PIXELS = 40  # on the shorter side: icons, bullets and lines
_PREVIEW_PIXELS = 16  # an inline picture below this stands for one that a script would load
_PICTURE_SUFFIXES = (*PICTURE_SUFFIXES, ".svg", ".avif", ".heic", ".heif")
_STYLE_SIZE = re.compile(r"(?:^|;)\s*(width|height)\s*:\s*([\d.]+)px", re.IGNORECASE)
_DESCRIPTOR = re.compile(r"([\d.]+)[wx]")


@dataclass(frozen=True)
class PagePicture:
    """A picture of a page. `picture` is None if its file cannot be read: see `problems`."""

    picture: Path | bytes | None
    alt: str
    problems: tuple[Problem, ...] = ()


def pictures_of(element: HtmlElement) -> Iterator[HtmlElement]:
    """Yield the visible pictures inside an element (or the element itself) in their order.

    They are `img`, `svg` and `object` elements. Pictures of formulas are text, not pictures.
    """
    if not isinstance(element.tag, str) or is_formula(element) or is_hidden(element):
        return
    if element.tag in ("nav", "template", "script", "style"):
        return
    if element.tag == "svg" or (element.tag == "object" and _is_picture_link(_data_of(element))):
        yield element
        return
    if element.tag == "img" and not _is_fallback(element):
        yield element
    for child in element:
        yield from pictures_of(child)


def _data_of(element: HtmlElement) -> str:
    return (element.get("data") or "").strip()


def _is_picture_link(link: str) -> bool:
    path = re.split(r"[?#]", link, maxsplit=1)[0].lower()
    return path.endswith(_PICTURE_SUFFIXES) or link.startswith("data:image/")


def _is_fallback(image: HtmlElement) -> bool:
    """Return whether a picture only replaces the one beside it where scripts do not run."""
    noscript = next(image.iterancestors("noscript"), None)
    return noscript is not None and any(
        next(sibling.iter("img", "picture"), None) is not None
        for sibling in (noscript.getprevious(), noscript.getnext())
        if sibling is not None and sibling.tag != "noscript"
    )


# -- links -----------------------------------------------------------------------------------------


def links_of(image: HtmlElement) -> list[str]:
    """Return the links of a picture, the one to try first at the head.

    Scripts load a lazy picture from an attribute such as `data-src`, and `src` holds a placeholder.
    """
    if image.tag == "object":
        return [_data_of(image)]
    source = (image.get("src") or "").strip()
    lazy = [link for name, value in image.attrib.items() for link in _lazy_links(name, value)]
    sets = _srcset_links(image.get("srcset") or "")
    picture = next(image.iterancestors("picture"), None)
    if picture is not None:
        sets += [link for s in picture.iter("source") for link in _source_links(s)]
    outermost = picture if picture is not None else image
    sets += [
        (fallback.get("src") or "").strip()
        for sibling in (outermost.getnext(), outermost.getprevious())
        if sibling is not None and sibling.tag == "noscript"
        for fallback in sibling.iter("img")
    ]
    others = [*lazy, *([] if source.startswith("data:") else [source]), *sets]
    return [link for link in dict.fromkeys([*others, source]) if link]


def _lazy_links(name: str, value: str) -> list[str]:
    if not name.startswith("data-"):
        return []
    if name.endswith("srcset"):
        return _srcset_links(value)
    return [value.strip()] if _is_picture_link(value.strip()) else []


def _source_links(source: HtmlElement) -> list[str]:
    return [link for name in ("srcset", "data-srcset") for link in _srcset_links(source.get(name))]


def _srcset_links(srcset: str | None) -> list[str]:
    """Return the links of a `srcset` attribute, the largest picture first."""
    links: list[tuple[float, str]] = []
    rest = (srcset or "").strip(" \t\n\r\f,")
    while rest:
        link, _, rest = re.sub(r"\s+", " ", rest).partition(" ")
        size = 1.0
        if link.endswith(","):
            link = link.rstrip(",")
        else:
            descriptor, _, rest = rest.partition(",")
            if match := _DESCRIPTOR.fullmatch(descriptor.strip()):
                size = float(match[1])
        links.append((size, link))
        rest = rest.strip(" ,")
    return [link for _, link in sorted(links, key=lambda pair: -pair[0])]


# -- reading ---------------------------------------------------------------------------------------


def read_picture(image: HtmlElement, caption: str, find: FindPicture) -> PagePicture | None:
    """Return a picture with its words, or None for an ornament.

    An ornament is small or marked as such; an empty `alt` alone says nothing, because many
    programs write it for every picture.
    """
    if image.get("role") in ("presentation", "none") and not caption:
        return None
    size = _declared_size(image)
    if size and min(size) <= _TRACKING_PIXELS:
        return None
    if image.tag == "svg":
        return _inline_drawing(image, caption, size)
    alt = fallback_of(image) if image.tag == "object" else image.get("alt") or ""
    alt = " ".join((alt or image.get("aria-label") or "").split())
    picture, words, problem = _find_first(links_of(image), image, find)
    if words.casefold() not in alt.casefold():
        alt = f"{alt}: {words}" if alt else words
    if not alt and not caption:
        if image.get("aria-hidden") == "true":
            return None
        size = size or (picture_size(picture) if picture is not None else None)
        if size and min(size) < _ORNAMENT_PIXELS:
            return None
    return PagePicture(picture, alt, (problem,) if problem else ())


def _find_first(
    links: list[str], image: HtmlElement, find: FindPicture
) -> tuple[Path | bytes | None, str, Problem | None]:
    """Return the first picture that can be read and its words, or the problem of the first link."""
    by_name = image.get("data-by-name") is not None
    messages: list[str] = []
    for link in links:
        try:
            picture, words = _drawn(find(link, by_name), link[:60])
            size = picture_size(picture, link[:60])
        except BadInput as error:
            messages.append(str(error))
            continue
        if not (messages and isinstance(picture, bytes) and min(size) < _PREVIEW_PIXELS):
            return picture, words, None
    message = next(iter(messages), "a picture without a link; save it next to the text")
    return None, "", Problem("", message, "picture")


def _drawn(picture: Path | bytes, name: str) -> tuple[Path | bytes, str]:
    """Return a picture, an SVG drawing as PNG, and the words of the drawing."""
    if isinstance(picture, Path):
        is_drawing = picture.suffix.lower() == ".svg"
    else:
        is_drawing = not is_picture(picture) and is_svg(picture)
    return picture_of_svg(picture, name) if is_drawing else (picture, "")


def _declared_size(image: HtmlElement) -> tuple[float, float] | None:
    """Return the width and height on the page in pixels, as far as the page gives them."""
    sizes = {name.lower(): float(value) for name, value in _style_sizes(image)}
    for name in ("width", "height"):
        text = (image.get(name) or "").strip().removesuffix("px")
        if re.fullmatch(r"\d+(\.\d+)?", text):
            sizes.setdefault(name, float(text))
    if not sizes:
        return None
    width = sizes.get("width", sizes.get("height", 0.0))
    return width, sizes.get("height", width)


def _style_sizes(image: HtmlElement) -> list[tuple[str, str]]:
    pairs = _STYLE_SIZE.findall(image.get("style") or "")
    return [(name, value) for name, value in pairs if value.count(".") < 2 and value != "."]


def _inline_drawing(
    element: HtmlElement, caption: str, size: tuple[float, float] | None
) -> PagePicture | None:
    root = parse_inline_svg(element)
    _, labels = svg_words(root)
    size = size or svg_size(root)
    if not caption and not labels:
        if element.get("aria-hidden") == "true" or not len(root):
            return None
        if size and min(size) < _ORNAMENT_PIXELS:
            return None
        if next(element.iterancestors("a", "button", "summary"), None) is not None:
            return None
    alt = words_of_svg(root)
    try:
        return PagePicture(render_svg(root, "inline SVG"), alt)
    except BadInput as error:
        return PagePicture(None, alt, (Problem("", str(error), "diagram"),))


# -- what is not read ------------------------------------------------------------------------------


def unread_media(root: HtmlElement) -> Iterator[Problem]:
    """Yield a problem for each film, recording, embedded page and drawing of a script."""
    for count, element in enumerate(root.iter(*_MEDIA), 1):
        anchor = element.get("id") or f"{element.tag}-{count}"
        source = next(
            (link for name in ("src", "data") if (link := (element.get(name) or "").strip())), ""
        ) or next(((s.get("src") or "").strip() for s in element.iter("source")), "")
        size = _declared_size(element)
        is_tiny = size is not None and min(size) <= _TRACKING_PIXELS
        if is_tiny or _is_picture_link(source) or _is_out_of_sight(element):
            continue
        name = element.get("title") or source[:120] or "without a name"
        if element.tag == "canvas":
            yield Problem(anchor, "a drawing that a program makes; save it as a picture", "diagram")
        elif source or element.tag in ("video", "audio"):
            yield Problem(
                anchor,
                f"{name}: {element.tag} is not read; add its text or transcript",
                "attachment",
            )


def _is_out_of_sight(element: HtmlElement) -> bool:
    outer = [element, *element.iterancestors(etree.Element)]
    return any(is_hidden(e) or e.tag in ("noscript", "nav", "template") for e in outer)
