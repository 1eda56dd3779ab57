"""Write characters in their plain form, so that H₂O, H_2O and H2O are one word for search."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fold"]

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_RAISED_NUMBER = re.compile(rf"(?<=\d)([{_SUPERSCRIPTS}]+)")
_VULGAR_FRACTION = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")
_UPRIGHT = re.compile(r"\\(?:text|mathrm|rm|ce)\s*\{([^{}]*)\}")
_LOWERED = re.compile(r"(?<=[A-Za-z)\]])_(?:\{(\d+)\}|(\d+))")
# The power of a number is no part of its digits: 10^8 is not 108.
_RAISED = re.compile(r"(?<![\d.])([A-Za-z)\]]\d*)\^(?:\{([+-]?\d*[+-]?)\}|([+-]?\d+[+-]?|[+-]))")
_MINUS = str.maketrans("−‐‑", "---")


def fold(text: str) -> str:
    """Return a text with compatibility characters and typed indices in plain characters.

    Raised and lowered signs join the letter before them: `m²`, `m^2` and `m^{2}` become `m2`,
    `SO₄²⁻` and `SO_4^{2-}` become `SO42-`. A power of a number keeps its sign: `10⁸` is `10^8`.
    """
    text = _RAISED_NUMBER.sub(r"^\1", _VULGAR_FRACTION.sub(" ", text))
    text = unicodedata.normalize("NFKC", text).translate(_MINUS)
    text = _LOWERED.sub(r"\1\2", _UPRIGHT.sub(r"\1", text))
    return _RAISED.sub(r"\1\2\3", text)
