"""Text with LaTeX formulas as HTML. Everything is escaped; formulas become MathML.

Browsers draw MathML without a script, so formulas are readable from the first streamed sentence on,
and screen readers read them aloud.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape, unescape
from xml.etree.ElementTree import tostring

from latex2mathml.converter import convert_to_element

from data.readers.formulas import normalise_formulas

__all__ = ["text_to_html"]

_FORMULA = re.compile(r"\\\((?P<inline>.+?)\\\)|\\\[(?P<display>.+?)\\\]", re.DOTALL)
_UNSAFE_ATTRIBUTES = {"href", "style", "class", "id"}


def text_to_html(text: str) -> str:
    r"""Return a text as HTML, with `\(…\)`, `\[…\]`, `$…$` and `$$…$$` as MathML.

    A formula that is incomplete or not valid LaTeX stays as it is written.
    """
    text = normalise_formulas(text)
    fragments, end = [], 0
    for match in _FORMULA.finditer(text):
        fragments.append(_escape(text[end : match.start()]))
        is_display = match["display"] is not None
        fragments.append(_mathml((match["display"] or match["inline"]).strip(), is_display))
        end = match.end()
    fragments.append(_escape(text[end:]))
    return "".join(fragments)


def _escape(text: str) -> str:
    return _escape_braces(escape(text))


def _escape_braces(html: str) -> str:
    """Escape braces, because Gradio reads {{ }} in a value as a template."""
    return html.replace("{", "&#123;").replace("}", "&#125;")


@lru_cache(maxsize=2048)  # each new sentence of a stream renders all earlier ones again
def _mathml(latex: str, is_display: bool) -> str:
    try:
        math = convert_to_element(latex, display="block" if is_display else "inline")
    except Exception:  # noqa: BLE001 - the library's errors share no base class
        return f"<code>{_escape(latex)}</code>"
    # The library copies text unescaped and makes links from \href. Documents are not trusted, so
    # remove their tags and links from the page.
    for element in math.iter():
        element.text = unescape(element.text) if element.text else element.text
        for name in set(element.attrib) & _UNSAFE_ATTRIBUTES:
            del element.attrib[name]
    return _escape_braces(tostring(math, encoding="unicode"))
