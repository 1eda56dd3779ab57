"""The text of a page's elements: what a reader of the page sees, with formulas between brackets."""

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
_DROPPED_WORDS = (
    "head script style nav noscript template button iframe svg object canvas audio video select "
    "textarea input dialog menu footer label"
)
DROPPED = frozenset(_DROPPED_WORDS.split())
_BLOCKS_WORDS = (
    "address article aside blockquote body center dd details div dl dt fieldset figcaption "
    "figure form header hr html li main ol p pre section summary table tbody td th thead tr ul"
)
BLOCKS = frozenset(_BLOCKS_WORDS.split()) | set(HEADINGS)


def headings_of(root: HtmlElement, level: int) -> list[str]:
    """The texts of all headings of one level."""
    return [text for h in root.iter(f"h{level}") if (text := text_of(h))]


def text_of(element: HtmlElement) -> str:
    """The text of an element on one line, formulas between brackets."""
    return squeeze(raw_text(element))


def squeeze(text: str) -> str:
    """White space as a browser shows it, with a line for each `\\v`."""
    lines = (" ".join(line.split()) for line in text.split("\v"))
    return "\n".join(line for line in lines if line)


def raw_text(element: HtmlElement, skip: frozenset[str] = frozenset()) -> str:
    """Text with `\\v` where the author broke the line; white space is squeezed later."""
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
        return "" if element.find(".//a") is not None else superscript(text)  # a footnote's mark
    return f"\v{text}\v" if tag in BLOCKS and tag not in ("td", "th") else text


def is_hidden(element: HtmlElement) -> bool:
    """Whether a reader of the page does not see it, or sees it twice."""
    classes = (element.get("class") or "").split()
    return (
        element.get("hidden") is not None
        or element.get("role") in ("navigation", "search")
        or "katex-html" in classes  # KaTeX writes each formula a second time, for the eye
        or "MathJax_Preview" in classes
    )


def _formula_script(element: HtmlElement) -> str:
    kind, text = element.get("type") or "", " ".join((element.text or "").split())
    if not kind.startswith("math/tex") or not text:
        return ""
    return f"\\[{text}\\]" if "mode=display" in kind else f"\\({text}\\)"


def _formula(math: HtmlElement) -> str:
    """MathML as LaTeX; the author's own LaTeX where the page brought it along."""
    display = math.get("display") == "block"
    for note in math.iter("annotation"):
        if note.get("encoding") == "application/x-tex" and (note.text or "").strip():
            body = " ".join((note.text or "").split())
            return f"\\[{body}\\]" if display else f"\\({body}\\)"
    latex = to_latex(math)
    if not latex:
        return ""
    return f"\\[{latex}\\]" if display else f"\\({latex}\\)"
