"""Formulas in running text: every spelling becomes `\\(…\\)` (in line) or `\\[…\\]` (displayed).

Known spellings: `\\(…\\)` and `\\[…\\]`, the same with doubled backslashes (as Markdown for MathJax
needs them), `$…$` and `$$…$$`. An amount of money is not taken for a formula.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["Shelter", "normalise", "subscript", "superscript"]

# No body holds its own opening sign or a blank line, and no two of its alternatives start alike:
# every attempt ends at the next opening sign, so the scan is linear whatever was written.
_FORMULA = re.compile(
    r"(?<!\\)\\\((?P<inline>(?:[^\\\n]|\\[^()]|\n(?![ \t]*\n))+?)\\\)"
    r"|(?<!\\)\\\[(?P<display>(?:[^\\\n]|\\[^\[\]]|\n(?![ \t]*\n))+?)\\\]"
    r"|(?<!\\)\\\\\((?P<inline2>(?:[^\\\n]|\\[^\\]|\\\\(?![()])|\n(?![ \t]*\n))+?)\\\\\)"
    r"|(?<!\\)\\\\\[(?P<display2>(?:[^\\\n]|\\[^\\]|\\\\(?![\[\]])|\n(?![ \t]*\n))+?)\\\\\]"
    r"|(?<![\\$])\$\$(?P<display3>(?:[^\\\n$]|\\[\s\S]|\n(?![ \t]*\n))+?)\$\$(?!\$)"
    r"|(?<![\\$])\$(?P<inline3>(?![\s$])(?:[^\\\n$]|\\[^\n]|\n(?![ \t]*\n))+?)(?<!\s)\$(?![\d$])"
)
_MONEY = re.compile(r"\d[^\\^_={}+*/<>]*\s[^\\^_={}+*/<>]*[A-Za-z]{2}[^\\^_={}+*/<>]*")
_WORDS = re.compile(r"[\w\s.,;:'’–-]*")
# What Markdown shows as it stands, or reads as a link: no signs there make a formula.
_VERBATIM = (
    r"(?P<verbatim>^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?:[^\n]*\n)*? {0,3}(?P=fence)[ \t]*$"
    r"|(?<!`)(?P<ticks>`{1,4})(?!`)(?:[^`\n]|\n(?![ \t]*\n))+(?P=ticks)(?!`)"
    r"|\]\([^)\s]+)"
)
_MARKDOWN = re.compile(f"{_VERBATIM}|{_FORMULA.pattern}", re.MULTILINE)
_FIRST, _LAST = 0xF0000, 0xFFFFD  # a private-use plane: no text of ours lives there


def _brackets(match: re.Match[str]) -> str:
    """The formula in brackets, or the text as it was where it is none."""
    groups = match.groupdict()
    display = groups["display"] or groups["display2"] or groups["display3"]
    body = display or groups["inline"] or groups["inline2"] or groups["inline3"]
    if groups["inline3"] and _MONEY.fullmatch(groups["inline3"]):
        return match.group()
    body = re.sub(r"\s*\n\s*", " ", body).strip()
    if not body:
        return match.group()
    return f"\\[{body}\\]" if display else f"\\({body}\\)"


def normalise(text: str) -> str:
    """Write every formula in `text` between `\\(` and `\\)` or `\\[` and `\\]`."""
    return _FORMULA.sub(_brackets, text)


class Shelter:
    """Keeps formulas out of a Markdown parser's sight: it would eat their backslashes.

    `hide` puts one private-use character in the place of each formula; `show` brings them back.
    """

    def __init__(self) -> None:
        self._kept: dict[int, str] = {}

    def hide(self, markdown: str) -> str:
        clean = re.sub(f"[{chr(_FIRST)}-{chr(_LAST)}]", "", markdown)
        return _MARKDOWN.sub(self._keep, clean)

    def show(self, text: str, escape: Callable[[str], str] = str) -> str:
        return text.translate({code: escape(formula) for code, formula in self._kept.items()})

    def _keep(self, match: re.Match[str]) -> str:
        code = _FIRST + len(self._kept)
        if match["verbatim"] or code > _LAST:
            return match.group()
        if match["display"] and _is_escaped_bracket(match):
            return match.group()  # "\[sic\]": an author's way of writing brackets, not a formula
        formula = _brackets(match)
        if formula == match.group() and not formula.startswith("\\"):
            return formula
        self._kept[code] = formula
        return chr(code)


def _is_escaped_bracket(match: re.Match[str]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    alone = not (text[line_start:start] + text[end : line_end if line_end >= 0 else None]).strip()
    return not alone and _WORDS.fullmatch(match["display"]) is not None


def subscript(text: str) -> str:
    """A lowered text on the line: `H₂O` is written, and looked for, as H2O."""
    text = text.strip()
    return text if text.isalnum() or not text else f"_({text})"


def superscript(text: str) -> str:
    """A raised text on the line: 10^3, x^(n+1); 1st stays 1st."""
    text = text.strip()
    if not text or text.lower() in ("st", "nd", "rd", "th"):
        return text
    simple = re.fullmatch(r"[-−+]?\w+", text)
    return f"^{text}" if simple else f"^({text})"
