"""Read numbers with their units, in plain text and in LaTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from math import isclose

from generation.word_lists import WORDS
from generation.words import any_of

__all__ = ["Quantity", "quantities"]

_BASE_UNIT = (
    r"(?:[pnµμmckMGhd]?(?:mol|Hz|Pa|eV|bar|cal|m|s|g|N|J|W|V|A|K|C|T|F|L|l|Ω)|min|h|°C|°F|°|%|rad)"
    r"(?:\^?-?\d)?"
)
_UNIT = rf"{_BASE_UNIT}(?:\s?[/·]\s?{_BASE_UNIT}|\s{_BASE_UNIT}(?<=\d))*(?![^\W_])"
_NUMBER = r"(?:(?<![\w^.,)])-)?(?<![\w^.,])(?<!\^-)\d+(?:[.,]\d+)*"
_POWER = r"\^(-?\d+)"
_QUANTITY = re.compile(rf"({_NUMBER})(?:(?<=\b10){_POWER}|\s?[×x]\s?10{_POWER})?(?:\s?({_UNIT}))?")
_NEXT_WORD = re.compile(r"\s*([^\W\d_]+)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a text.

    `unit` is its symbol, empty if there is none. `written` is the number with its unit as in the
    text, without LaTeX. `next_word` is the word behind it in lower case, such as `times`.
    """

    value: float
    unit: str
    written: str
    next_word: str = field(default="", compare=False)

    def equals(self, other: Quantity, relative_tolerance: float = 1e-9) -> bool:
        """Return whether two quantities are equal. A missing unit equals every unit."""
        same_unit = self.unit == other.unit or not self.unit or not other.unit
        return same_unit and isclose(self.value, other.value, rel_tol=relative_tolerance)


def quantities(text: str, language: str = "en") -> list[Quantity]:
    """Return the numbers of `text` in order, without indices, exponents and the 2 of CO2."""
    plain = _plain(text, language)
    return [
        Quantity(
            _value("1" if match[2] else match[1], match[2] or match[3] or "0"),
            re.sub(r"[\^\s]", "", match[4] or ""),
            match[0].strip(),
            _next_word(plain, match.end()),
        )
        for match in _QUANTITY.finditer(plain)
    ]


def _next_word(text: str, end: int) -> str:
    word = _NEXT_WORD.match(text, end)
    return word[1].lower() if word else ""


def _value(number: str, power: str) -> float:
    """Return `number` times ten to the `power`. In 1,200 the comma separates thousands."""
    whole, *decimals = re.sub(r",(?=\d{3}\b)", "", number).replace(",", ".").split(".")
    return float(f"{whole}.{''.join(decimals)}e{power}")


@lru_cache(maxsize=8)
def _spelled_unit(language: str) -> re.Pattern[str]:
    return re.compile(rf"\b({any_of(WORDS[language].unit_symbols)})s?\b", re.IGNORECASE)


def _plain(text: str, language: str) -> str:
    """Replace LaTeX by plain signs, and spelled units by their symbols."""
    symbols = WORDS[language].unit_symbols
    text = re.sub(r"\\(?:text|mathrm|mathit|rm)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "°", text)
    text = re.sub(r"[\^_]\{([^{}]*)\}", lambda m: m[0][0] + m[1], text)
    text = text.replace("\\times", "×").replace("\\cdot", "·").replace("\\%", "%")
    text = re.sub(r"\\Omega\b", "Ω", text).replace("\\mu ", "µ")
    text = re.sub(r"\\[ ,;:!()\[\]]|~", " ", text).replace("−", "-")
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    text = _spelled_unit(language).sub(lambda m: symbols[m[1].lower()], text)
    text = re.sub(r"\s+per\s+", "/", text)
    return re.sub(r"\s+", " ", re.sub(r"\s+squared\b", "^2", text))
