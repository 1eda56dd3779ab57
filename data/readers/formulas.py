"""Write every formula in running text as `\\(…\\)` (inline) or `\\[…\\]` (displayed).

Recognised notations: `\\(…\\)` and `\\[…\\]`, the same with doubled backslashes (which Markdown for
MathJax needs), `$…$`, `$$…$$`, and the environments of displayed formulas such as
`\\begin{align}…\\end{align}`. Amounts of money and words between dollar signs are not formulas.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["FormulaMask", "normalise_formulas", "scripts", "subscript", "superscript"]

# Matching takes linear time on any text. No formula contains its own opening sign or a blank line,
# so every attempt ends at the next opening sign. At any position, only one alternative can match.
_FORMULA = re.compile(
    r"(?<!\\)\\\((?P<inline>(?:[^\\\n]|\\[^()]|\n(?![ \t]*\n))+?)\\\)"
    r"|(?<!\\)\\\[(?P<display>(?:[^\\\n]|\\[^\[\]]|\n(?![ \t]*\n))+?)\\\]"
    r"|(?<!\\)\\\\\((?P<inline2>(?:[^\\\n]|\\[^\\]|\\\\(?![()])|\n(?![ \t]*\n))+?)\\\\\)"
    r"|(?<!\\)\\\\\[(?P<display2>(?:[^\\\n]|\\[^\\]|\\\\(?![\[\]])|\n(?![ \t]*\n))+?)\\\\\]"
    r"|(?<![\\$])\$\$(?P<display3>(?:[^\\\n$]|\\[\s\S]|\n(?![ \t]*\n))+?)\$\$(?!\$)"
    r"|(?<![\\$])(?P<environment>\\begin\{(?P<name>(?:equation|align|alignat|gather|multline|"
    r"eqnarray|flalign|displaymath|math)\*?)\}(?:[^\\\n]|\\(?!begin\{(?P=name)\}|end\{(?P=name)\})"
    r"|\n(?![ \t]*\n))+?\\end\{(?P=name)\})"
    r"|(?<![\\$])\$(?P<inline3>(?![\s$])(?:[^\\\n$]|\\[^\n]|\n(?![ \t]*\n))+?)(?<!\s)\$(?![\d$])"
)
_MONEY = re.compile(r"\d[^\\^_={}+*/<>]*\s[^\\^_={}+*/<>]*[A-Za-z]{2}[^\\^_={}+*/<>]*")
_PROSE = re.compile(r"[^\\^_={}+*/<>\d]*[^\W\d_]{2}[^\\^_={}+*/<>\d]*|[\s.,;:!?()-]*")
_PLAIN_WORDS = re.compile(r"[\w\s.,;:'’–-]*")
# Markdown shows code as it is, and reads `](…` as a link: neither contains formulas.
_VERBATIM = (
    r"(?P<verbatim>^[ \t>]*(?P<fence>`{3,}|~{3,})[^\n]*\n(?:[^\n]*\n)*?[ \t>]*(?P=fence)[ \t]*$"
    r"|(?<!`)(?P<ticks>`{1,4})(?!`)(?:[^`\n]|\n(?![ \t]*\n))+(?P=ticks)(?!`)"
    r"|\]\([^)\s]+)"
)
_MARKDOWN = re.compile(f"{_VERBATIM}|{_FORMULA.pattern}", re.MULTILINE)
# Private-use characters take the place of formulas while Markdown is parsed.
_FIRST_PLACEHOLDER, _LAST_PLACEHOLDER = 0xF0000, 0xFFFFD


def _write_in_brackets(match: re.Match[str]) -> str:
    """Return the formula in brackets, or the matched text unchanged if it is not a formula."""
    groups = match.groupdict()
    display = groups["display"] or groups["display2"] or groups["display3"]
    display = display or groups["environment"]
    body = display or groups["inline"] or groups["inline2"] or groups["inline3"]
    if groups["inline3"] and _MONEY.fullmatch(groups["inline3"]):
        return match.group()
    if groups["display3"] and _is_between_dollars(match):
        return match.group()
    body = re.sub(r"\s*\n\s*", " ", body).strip()
    if not body:
        return match.group()
    return f"\\[{body}\\]" if display else f"\\({body}\\)"


def _is_between_dollars(match: re.Match[str]) -> bool:
    """Return whether the words between two `$$` are prose: "prices from $$ to $$"."""
    body = match["display3"]
    if not _PROSE.fullmatch(body):
        return False
    line_start = match.string.rfind("\n", 0, match.start()) + 1
    follows_words = bool(match.string[line_start : match.start()].strip(" \t>"))
    return " " in body.strip() or (follows_words and body != body.strip())


def normalise_formulas(text: str) -> str:
    """Write every formula in `text` between `\\(` and `\\)` or `\\[` and `\\]`."""
    return _FORMULA.sub(_write_in_brackets, text)


class FormulaMask:
    """Hide formulas from a Markdown parser, which would remove their backslashes.

    `hide` replaces each formula by one private-use character; `restore` puts the formulas back.
    """

    def __init__(self) -> None:
        self._formulas: dict[int, str] = {}
        self._sources: dict[int, str] = {}

    def hide(self, markdown: str) -> str:
        """Replace every formula outside code and links by a placeholder character."""
        clean = re.sub(f"[{chr(_FIRST_PLACEHOLDER)}-{chr(_LAST_PLACEHOLDER)}]", "", markdown)
        return _MARKDOWN.sub(self._mask, clean)

    def restore(self, text: str, escape: Callable[[str], str] = str) -> str:
        """Replace the placeholders by their formulas, each passed through `escape`."""
        return text.translate({code: escape(formula) for code, formula in self._formulas.items()})

    def reveal(self, code: str) -> str:
        """Replace the placeholders by what the author wrote, as in code."""
        return code.translate(self._sources)

    def _mask(self, match: re.Match[str]) -> str:
        code = _FIRST_PLACEHOLDER + len(self._formulas)
        if match["verbatim"] or code > _LAST_PLACEHOLDER:
            return match.group()
        if match["display"] and _is_escaped_bracket(match):
            return match.group()  # "\[sic\]" is Markdown for brackets, not a formula
        formula = _write_in_brackets(match)
        if formula == match.group() and not formula.startswith("\\"):
            return formula
        self._formulas[code], self._sources[code] = formula, match.group()
        return chr(code)


def _is_escaped_bracket(match: re.Match[str]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    rest_of_line = text[line_start:start] + text[end : line_end if line_end >= 0 else None]
    return bool(rest_of_line.strip()) and _PLAIN_WORDS.fullmatch(match["display"]) is not None


def subscript(text: str) -> str:
    """Write a subscript on the line: `H₂O` becomes H2O, as people type it in a search."""
    text = text.strip()
    return text if text.isalnum() or not text else f"_{{{text}}}"


def superscript(text: str) -> str:
    """Write a superscript on the line: 10^3, x^{n+1}; 1st stays 1st."""
    text = text.strip()
    if not text or text.lower() in ("st", "nd", "rd", "th"):
        return text
    is_one_word = re.fullmatch(r"[-−+]?\w+", text)
    return f"^{text}" if is_one_word else f"^{{{text}}}"


def scripts(sub: str, sup: str) -> str:
    """Write a subscript and a superscript of one base on the line: SO_4^{2-}."""
    both = (("_", sub.strip()), ("^", sup.strip().replace("−", "-")))
    return "".join(f"{sign}{s}" if len(s) == 1 else f"{sign}{{{s}}}" for sign, s in both if s)
