"""Write the numbers of Office files as Office shows them: percentages, dates, units, no noise."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from openpyxl.styles.numbers import is_date_format
from openpyxl.utils.datetime import from_excel

__all__ = ["format_cell", "format_number"]

_LITERAL = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\-\]]*)[^\]]*\]|([$€£¥°])|\[[^\]]*\]|_.')
_DIGITS = re.compile(r"[#0?][#0?,.]*(?:E[+-]?0+)?")
_MAX_LITERAL = 24  # characters; a longer literal is a sentence, not a unit


def format_cell(value: object, code: str) -> str:
    """Return a cell's value as text. `code` is Excel's number format, such as `0.00%`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return format_number(value, code)
    if isinstance(value, datetime):
        has_time = (value.hour, value.minute, value.second) != (0, 0, 0)
        return value.isoformat(" ", "seconds") if has_time else value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


def format_number(value: float, code: str = "General") -> str:
    """Return a number with the unit, percent sign or date of its number format.

    The digits stay those of the stored value: rounding to the shown digits would lose some.
    """
    if code and is_date_format(code):
        try:
            return format_cell(from_excel(value), "General")
        except (ValueError, OverflowError):
            return _digits(value)
    positive = code.split(";")[0]
    bare = _LITERAL.sub("", positive)
    if "%" in bare:
        return f"{_digits(value * 100)}%"
    number = _DIGITS.search(_LITERAL.sub(lambda match: "x" * len(match[0]), positive))
    if number is None:
        return _digits(value)
    before, after = _literal(positive[: number.start()]), _literal(positive[number.end() :])
    return f"{before}{_digits(value)}{after}"


def _digits(value: float) -> str:
    """Return a number without the noise of binary fractions: 4.3, not 4.2999999999999998."""
    text = f"{value:.15g}"
    return text if "e" not in text else repr(float(text))


def _literal(code: str) -> str:
    text = "".join("".join(groups) for groups in _LITERAL.findall(code))
    return text if len(text) <= _MAX_LITERAL else ""
