"""Extract the visible text of HTML elements, with formulas in `\\(…\\)` or `\\[…\\]`."""

from __future__ import annotations

from lxml.html import HtmlElement

from data.readers.formulas import scripts, subscript, superscript
from data.readers.page_formulas import formula_of, is_formula
from data.readers.white_space import collapse, without_hidden_characters

__all__ = [
    "BLOCKS",
    "DROPPED",
    "HEADINGS",
    "code_of",
    "fallback_of",
    "headings_of",
    "is_hidden",
    "raw_text",
    "squeeze",
    "text_of",
]

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_DROPPED_TAGS = (
    "head script style nav noscript template button iframe svg object canvas audio video select "
    "textarea input dialog rp"
)
DROPPED = frozenset(_DROPPED_TAGS.split())
_BLOCK_TAGS = (
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure "
    "footer form header hr html li main menu ol p pre section summary table tbody td th thead tr ul"
)
BLOCKS = frozenset(_BLOCK_TAGS.split()) | set(HEADINGS)
# Parts of the page around its text, by the role that the page itself gives them.
_FURNITURE_ROLES = frozenset(
    "navigation search contentinfo dialog alertdialog menubar toolbar tooltip".split()
)
_SECTIONING = frozenset("article aside blockquote details figure main section td".split())


def headings_of(root: HtmlElement, level: int) -> list[str]:
    """Return the texts of all headings of one level."""
    return [text for h in root.iter(f"h{level}") if (text := text_of(h))]


def text_of(element: HtmlElement) -> str:
    """Return the text of an element, one line for each line break or block inside it."""
    return squeeze(raw_text(element))


def fallback_of(element: HtmlElement) -> str:
    """Return the text inside an `object`, which stands for what it embeds."""
    return " ".join(squeeze(_inner_text(element, frozenset())).split())


def squeeze(text: str) -> str:
    """Collapse white space as a browser does; `\\v` starts a new line."""
    lines = (collapse(line) for line in text.split("\v"))
    return "\n".join(line for line in lines if line)


def code_of(element: HtmlElement) -> str:
    """Return preformatted text with its lines and indentation."""
    text = without_hidden_characters(_verbatim(element))
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def _verbatim(element: HtmlElement) -> str:
    if element.tag == "br":
        return "\n"
    if not isinstance(element.tag, str) or element.tag in DROPPED:
        return ""
    inner = (_verbatim(child) + (child.tail or "") for child in element)
    return (element.text or "") + "".join(inner)


def raw_text(element: HtmlElement, skip: frozenset[str] = frozenset()) -> str:
    """Return the text of an element with `\\v` at line breaks, to be passed to `squeeze`.

    Elements whose tag is in `skip` are left out.
    """
    tag = element.tag
    if not isinstance(tag, str) or tag in skip:
        return ""
    if is_formula(element):
        return formula_of(element)
    if tag == "button" and _names_something(element):
        return _inner_text(element, skip)  # the heading of a part that opens and closes
    if tag in DROPPED or is_hidden(element):
        return ""
    if tag == "br":
        return "\v"
    if tag == "pre":
        return "\v" + code_of(element).replace("\n", "\v") + "\v"
    text = _inner_text(element, skip)
    if tag in ("sub", "sup"):
        return _script_text(element, text)
    if tag == "q":
        return f"“{text}”"
    if tag == "rt":  # how the word before it is read
        return f"({text.strip()})" if text.strip() else ""
    return f"\v{text}\v" if tag in BLOCKS and tag not in ("td", "th") else text


def _inner_text(element: HtmlElement, skip: frozenset[str]) -> str:
    return (element.text or "") + "".join(
        raw_text(child, skip) + (child.tail or "") for child in element
    )


def _script_text(element: HtmlElement, text: str) -> str:
    """Return a subscript or superscript; both of one base are written as in SO_4^{2-}."""
    if element.tag == "sub":
        follower = element.getnext()
        shares_base = follower is not None and _share_a_base(element, follower)
        return scripts(squeeze(text), "") if shares_base else subscript(text)
    if element.find(".//a") is not None:
        return ""  # the mark of a footnote
    previous = element.getprevious()
    shares_base = previous is not None and _share_a_base(previous, element)
    return scripts("", squeeze(text)) if shares_base else superscript(text)


def _share_a_base(element: HtmlElement, follower: HtmlElement) -> bool:
    is_pair = (element.tag, follower.tag) == ("sub", "sup") and not element.tail
    return is_pair and follower.find(".//a") is None


def _names_something(button: HtmlElement) -> bool:
    return any(e.tag in (*HEADINGS, "dt", "summary") for e in button.iterancestors())


def is_hidden(element: HtmlElement) -> bool:
    """Return whether an element is invisible, is page furniture, or repeats another element."""
    role = element.get("role") or ""
    classes = (element.get("class") or "").split()
    return (
        (element.get("hidden") is not None and role != "tabpanel")
        or role in _FURNITURE_ROLES
        or element.get("aria-modal") == "true"
        or "MathJax_Preview" in classes
        or "footnote-backref" in classes
        or (element.tag == "footer" and _is_of_the_page(element))
    )


def _is_of_the_page(footer: HtmlElement) -> bool:
    return not any(e.tag in _SECTIONING for e in footer.iterancestors())
