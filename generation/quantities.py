"""Numbers with their units, as a student writes them and as LaTeX does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Quantity", "quantities"]

_SPELLED = {
    "kilometre": "km", "kilometer": "km", "centimetre": "cm", "centimeter": "cm",
    "millimetre": "mm", "millimeter": "mm", "metre": "m", "meter": "m", "millisecond": "ms",
    "second": "s", "minute": "min", "hour": "h", "kilogram": "kg", "gram": "g", "newton": "N",
    "kilojoule": "kJ", "joule": "J", "kilowatt": "kW", "watt": "W", "volt": "V", "ampere": "A",
    "amp": "A", "ohm": "Ω", "hertz": "Hz", "pascal": "Pa", "kelvin": "K", "litre": "L",
    "liter": "L", "mole": "mol", "percent": "%", "per cent": "%", "degrees celsius": "°C",
    "degree celsius": "°C", "degree": "°",
}  # fmt: skip
_WORDS = re.compile(rf"\b({'|'.join(sorted(_SPELLED, key=len, reverse=True))})s?\b", re.IGNORECASE)
_BASE = (
    r"(?:[pnµμmckMGhd]?(?:mol|Hz|Pa|eV|bar|cal|m|s|g|N|J|W|V|A|K|C|T|F|L|l|Ω)|min|h|°C|°F|°|%|rad)"
    r"(?:\^?-?\d)?"
)
_UNIT = rf"{_BASE}(?:\s?[/·]\s?{_BASE}|\s{_BASE}(?<=\d))*(?![^\W_])"
_NUMBER = r"(?:(?<![\w^.,)])-)?(?<![\w^.,])(?<!\^-)\d+(?:[.,]\d+)*"
_POWER = r"\^(-?\d+)"
_QUANTITY = re.compile(rf"({_NUMBER})(?:(?<=\b10){_POWER}|\s?[×x]\s?10{_POWER})?(?:\s?({_UNIT}))?")
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


@dataclass(frozen=True, slots=True)
class Quantity:
    """`unit` is empty where none is given; `written` is as in the text, LaTeX taken off.

    `behind` is the word that follows, in small letters: `2.5 times` counts other things than
    `2.5 seconds`.
    """

    value: float
    unit: str
    written: str
    behind: str = field(default="", compare=False)


def quantities(text: str) -> list[Quantity]:
    """Every number of `text` in order. Indices and exponents are none, nor is the 2 of CO2."""
    plain = _plain(text)
    return [
        Quantity(
            _value("1" if match[2] else match[1], match[2] or match[3] or "0"),
            re.sub(r"[\^\s]", "", match[4] or ""),
            match[0].strip(),
            _behind(plain, match.end()),
        )
        for match in _QUANTITY.finditer(plain)
    ]


def _behind(text: str, end: int) -> str:
    word = re.compile(r"\s*([^\W\d_]+)").match(text, end)
    return word[1].lower() if word else ""


def _value(number: str, power: str) -> float:
    # 1,200 has a thousands separator, 3,5 a decimal comma.
    head, *rest = re.sub(r",(?=\d{3}\b)", "", number).replace(",", ".").split(".")
    return float(f"{head}.{''.join(rest)}e{power}")


def _plain(text: str) -> str:
    """LaTeX as plain signs, spelled units as symbols."""
    text = re.sub(r"\\(?:text|mathrm|mathit|rm)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "°", text)
    text = re.sub(r"[\^_]\{([^{}]*)\}", lambda m: m[0][0] + m[1], text)
    text = text.replace("\\times", "×").replace("\\cdot", "·").replace("\\%", "%")
    text = re.sub(r"\\Omega\b", "Ω", text).replace("\\mu ", "µ")
    text = re.sub(r"\\[ ,;:!()\[\]]|~", " ", text).replace("−", "-")
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: "^" + m[0].translate(_SUPER), text)
    text = _WORDS.sub(lambda m: _SPELLED[m[1].lower()], text)
    text = re.sub(r"\s+per\s+", "/", text)
    return re.sub(r"\s+", " ", re.sub(r"\s+squared\b", "^2", text))
