"""Text with formulas as HTML: everything escaped, LaTeX as MathML, which browsers draw themselves.

No script renders formulas, so they are there from the first streamed sentence on, a screen reader
reads them, and `<` inside one is a sign and not a tag.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape, unescape
from xml.etree.ElementTree import tostring

from latex2mathml.converter import convert_to_element

from data.readers.formulas import normalise_formulas

__all__ = ["html"]

_PARTS = re.compile(r"\\\((?P<inline>.+?)\\\)|\\\[(?P<display>.+?)\\\]", re.DOTALL)


def html(text: str) -> str:
    r"""`text` as HTML; `\(…\)`, `\[…\]`, `$…$` and `$$…$$` become MathML.

    A formula that is not LaTeX, or not whole yet, is shown as it stands.
    """
    made, end = [], 0
    text = normalise_formulas(text)
    for match in _PARTS.finditer(text):
        made.append(_plain(text[end : match.start()]))
        display = match["display"] is not None
        made.append(_formula((match["display"] or match["inline"]).strip(), display))
        end = match.end()
    made.append(_plain(text[end:]))
    return "".join(made)


def _plain(text: str) -> str:
    # Gradio reads {{ }} in a value as a template.
    return escape(text).replace("{", "&#123;").replace("}", "&#125;")


@lru_cache(maxsize=2048)  # a sentence is drawn again with each one that follows it
def _formula(latex: str, display: bool) -> str:
    try:
        math = convert_to_element(latex, display="block" if display else "inline")
    except Exception:  # noqa: BLE001 - its errors have no base; what cannot be drawn is shown
        return f"<code>{_plain(latex)}</code>"
    # The library writes text as it came and links where LaTeX asks for them; documents of others
    # must not bring tags or addresses into the page.
    for part in math.iter():
        part.text = unescape(part.text) if part.text else part.text
        for name in set(part.attrib) & {"href", "style", "class", "id"}:
            del part.attrib[name]
    return tostring(math, encoding="unicode").replace("{", "&#123;").replace("}", "&#125;")
