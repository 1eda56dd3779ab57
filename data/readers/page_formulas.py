"""Formulas of saved pages: MathML, MathJax, KaTeX, pictures of Wikipedia, Moodle and WordPress.

Such a page holds each formula several times: as its source, as typeset characters, as MathML for
screen readers or as a picture. The source is read, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import lxml.html
from lxml import etree
from lxml.html import HtmlElement

from data.readers.mathml import to_latex

__all__ = ["formula_of", "is_formula", "unread_formulas"]

_MATHJAX_CLASSES = frozenset(
    "MathJax MathJax_Display MathJax_SVG MathJax_SVG_Display MathJax_CHTML mjx-chtml "
    "MathJax_MathML MJXc-display MathJax_PlainSource".split()
)
_PICTURE_CLASSES = frozenset(
    "latex tex texrender Wirisformula mwe-math-fallback-image-inline "
    "mwe-math-fallback-image-display".split()
)
_MAX_FOLLOWERS = 4  # elements between a typeset formula and its source
_TEX = re.compile(r"(?:^|[/-])(?:la)?tex$", re.IGNORECASE)  # application/x-tex, LaTeX
_DISPLAY_STYLE = re.compile(r"\{\\(?:displaystyle|textstyle)\b\s*(?P<body>.*)\}", re.DOTALL)
# WIRIS writes MathML into an attribute with these signs for those of XML
_WIRIS_SIGNS = str.maketrans("«»¨§`", "<>\"&'")


def is_formula(element: HtmlElement) -> bool:
    """Return whether an element is a formula, as opposed to text that contains one."""
    tag = element.tag
    if tag in ("math", "mjx-container"):
        return True
    if tag == "script":
        return (element.get("type") or "").startswith("math/")
    classes = _classes(element)
    if tag == "img":
        return not classes.isdisjoint(_PICTURE_CLASSES)
    return "katex" in classes or not classes.isdisjoint(_MATHJAX_CLASSES)


def formula_of(element: HtmlElement) -> str:
    """Return a formula as LaTeX in `\\(…\\)` or `\\[…\\]`; '' if another element repeats it."""
    if element.tag == "script":
        return _script_formula(element)
    if element.tag == "img":
        return _picture_formula(element)
    if element.tag != "math" and _has_source_after(element):
        return ""
    math = _math_in(element)
    if math is not None:
        return _delimited(_latex_of(math), _is_displayed(math))
    # without its source only the typeset characters are left
    return "" if element.tag == "math" else " ".join(element.text_content().split())


def unread_formulas(root: HtmlElement) -> int:
    """Return how many formulas of a page have no source: only typeset characters or outlines."""
    return sum(
        is_formula(e)
        and e.tag not in ("math", "script", "img")
        and not any(is_formula(outer) for outer in e.iterancestors())
        and _math_in(e) is None
        and not _has_source_after(e)
        for e in root.iter(etree.Element)
    )


def _classes(element: HtmlElement) -> set[str]:
    return set((element.get("class") or "").split())


def _delimited(latex: str, is_displayed: bool) -> str:
    if not latex:
        return ""
    return f"\\[{latex}\\]" if is_displayed else f"\\({latex}\\)"


def _script_formula(script: HtmlElement) -> str:
    kind, source = script.get("type") or "", script.text or ""
    if kind.startswith("math/mml"):
        math = _parsed_math(source)
        return "" if math is None else _delimited(_latex_of(math), _is_displayed(math))
    if not kind.startswith("math/tex"):
        return ""
    return _delimited(" ".join(source.split()), "mode=display" in kind)


def _picture_formula(image: HtmlElement) -> str:
    if source := image.get("data-mathml"):
        math = _parsed_math(source.translate(_WIRIS_SIGNS))
        if math is not None:
            return _delimited(_latex_of(math), is_displayed=False)
    parent = image.getparent()
    if parent is not None and next(parent.iter("math"), None) is not None:
        return ""  # Wikipedia adds a picture to each formula
    latex = " ".join((image.get("alt") or image.get("title") or "").split()).strip("$")
    return _delimited(_without_style(latex), is_displayed="display" in (image.get("class") or ""))


def _math_in(element: HtmlElement) -> HtmlElement | None:
    """Return the MathML of a formula: in the element, or in an attribute of it."""
    for math in element.iter("math"):
        return math
    for inner in element.iter():
        if isinstance(inner.tag, str) and (source := inner.get("data-mathml")):
            return _parsed_math(source)
    return None


def _parsed_math(source: str) -> HtmlElement | None:
    try:
        fragment = lxml.html.fragment_fromstring(source, create_parent="div")
    except (etree.ParserError, ValueError):
        return None
    return next(fragment.iter("math"), None)


def _has_source_after(element: HtmlElement) -> bool:
    """Return whether a script with the source of the formula follows, as MathJax 2 writes it."""
    for follower in islice(_followers(element), _MAX_FOLLOWERS):
        if follower.tag == "script":
            return (follower.get("type") or "").startswith("math/")
        if not is_formula(follower):
            return False
    return False


def _followers(element: HtmlElement) -> Iterator[HtmlElement]:
    """Yield the elements after a formula, out to the wrapper that MathJax puts around it."""
    yield from element.itersiblings(etree.Element)
    parent = element.getparent()
    if parent is not None and is_formula(parent):
        yield from parent.itersiblings(etree.Element)


def _is_displayed(math: HtmlElement) -> bool:
    if math.get("display") == "block" or math.get("mode") == "display":
        return True
    return any(
        e.get("display") == "true" or "katex-display" in _classes(e) for e in math.iterancestors()
    )


def _latex_of(math: HtmlElement) -> str:
    """Return MathML as LaTeX: the author's own LaTeX if the page includes it, else converted."""
    for annotation in math.iter("annotation"):
        body = " ".join((annotation.text or "").split())
        if body and _TEX.search(annotation.get("encoding") or ""):
            return _without_style(body)
    return to_latex(math)


def _without_style(latex: str) -> str:
    """Remove the `{\\displaystyle …}` that Wikipedia puts around every formula."""
    wrapped = _DISPLAY_STYLE.fullmatch(latex)
    if not wrapped:
        return latex
    depth = 0
    for sign in re.sub(r"\\.", "", wrapped["body"]):
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return latex
    return wrapped["body"].strip()
