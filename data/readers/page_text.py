"""Extract the visible text of HTML elements, with formulas in `\\(…\\)` or `\\[…\\]`."""

from __future__ import annotations

from lxml.html import HtmlElement

from data.readers.formulas import subscript, superscript
from data.readers.mathml import to_latex

__all__ = [
    "BLOCKS",
    "DROPPED",
    "HEADINGS",
    "headings_of",
    "is_hidden",
    "raw_text",
    "squeeze",
    "text_of",
]

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_DROPPED_TAGS = (
    "head script style nav noscript template button iframe svg object canvas audio video select "
    "textarea input dialog menu footer label"
)
DROPPED = frozenset(_DROPPED_TAGS.split())
_BLOCK_TAGS = (
    "address article aside blockquote body center dd details div dl dt fieldset figcaption "
    "figure form header hr html li main ol p pre section summary table tbody td th thead tr ul"
)
BLOCKS = frozenset(_BLOCK_TAGS.split()) | set(HEADINGS)


def headings_of(root: HtmlElement, level: int) -> list[str]:
    """Return the texts of all headings of one level."""
    return [text for h in root.iter(f"h{level}") if (text := text_of(h))]


def text_of(element: HtmlElement) -> str:
    """Return the text of an element, one line for each line break or block inside it."""
    return squeeze(raw_text(element))


def squeeze(text: str) -> str:
    """Collapse white space as a browser does; `\\v` starts a new line."""
    lines = (" ".join(line.split()) for line in text.split("\v"))
    return "\n".join(line for line in lines if line)


def raw_text(element: HtmlElement, skip: frozenset[str] = frozenset()) -> str:
    """Return the text of an element with `\\v` at line breaks, to be passed to `squeeze`.

    Elements whose tag is in `skip` are left out.
    """
    tag = element.tag
    if not isinstance(tag, str) or tag in DROPPED or tag in skip or is_hidden(element):
        return _formula_script(element) if tag == "script" else ""
    if tag == "br":
        return "\v"
    if tag == "math":
        return _formula(element)
    text = (element.text or "") + "".join(
        raw_text(child, skip) + (child.tail or "") for child in element
    )
    if tag == "sub":
        return subscript(text)
    if tag == "sup":
        is_footnote_mark = element.find(".//a") is not None
        return "" if is_footnote_mark else superscript(text)
    return f"\v{text}\v" if tag in BLOCKS and tag not in ("td", "th") else text


def is_hidden(element: HtmlElement) -> bool:
    """Return whether an element is invisible on the page, or repeats another one."""
    classes = (element.get("class") or "").split()
    return (
        element.get("hidden") is not None
        or element.get("role") in ("navigation", "search")
        or "katex-html" in classes  # KaTeX writes each formula twice: as MathML and as HTML
        or "MathJax_Preview" in classes
    )


def _formula_script(element: HtmlElement) -> str:
    kind, text = element.get("type") or "", " ".join((element.text or "").split())
    if not kind.startswith("math/tex") or not text:
        return ""
    return f"\\[{text}\\]" if "mode=display" in kind else f"\\({text}\\)"


def _formula(math: HtmlElement) -> str:
    """Return MathML as LaTeX: the author's own LaTeX if the page includes it, else converted."""
    display = math.get("display") == "block"
    for annotation in math.iter("annotation"):
        if annotation.get("encoding") == "application/x-tex" and (annotation.text or "").strip():
            body = " ".join((annotation.text or "").split())
            return f"\\[{body}\\]" if display else f"\\({body}\\)"
    latex = to_latex(math)
    if not latex:
        return ""
    return f"\\[{latex}\\]" if display else f"\\({latex}\\)"
