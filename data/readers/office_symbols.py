"""Turn the characters of symbol fonts (Symbol, Wingdings, Webdings) into Unicode.

The table is the one of `dingbat-to-unicode`, as the library mammoth publishes it. Word stores such
characters at 0xF000 and above, PowerPoint at either place.
"""

from __future__ import annotations

from mammoth.docx.dingbats import dingbats

__all__ = ["UNKNOWN_SYMBOL", "from_symbol_font", "symbol"]

UNKNOWN_SYMBOL = "\ufffd"
_PRIVATE = range(0xF000, 0xF100)
_FONTS = frozenset(font for font, _ in dingbats)
_PLAIN_CHARACTERS = {
    ("Symbol", 0x6D): "\u00b5",  # Adobe's table of Symbol names it the micro sign first
    # Word makes `-->` and its kind arrows of Wingdings, whose exact twins few fonts have
    ("Wingdings", 0xDF): "←",
    ("Wingdings", 0xE0): "→",
    ("Wingdings", 0xE1): "↑",
    ("Wingdings", 0xE2): "↓",
    ("Wingdings", 0xE7): "←",
    ("Wingdings", 0xE8): "→",
    ("Wingdings", 0xF3): "⇔",
}


def symbol(font: str, code: int) -> str:
    """Return the Unicode character of a symbol font's character.

    Another font has Unicode characters. A character that no table knows is `UNKNOWN_SYMBOL`.
    """
    if font not in _FONTS and code not in _PRIVATE:
        return chr(code)
    key = (
        font if font in _FONTS else "Symbol",
        code - _PRIVATE.start if code in _PRIVATE else code,
    )
    return _PLAIN_CHARACTERS.get(key) or (chr(dingbats[key]) if key in dingbats else UNKNOWN_SYMBOL)


def from_symbol_font(text: str, font: str | None, private_font: str = "Symbol") -> str:
    """Return the text of a run in Unicode.

    Without a symbol font, only the private characters change, which `private_font` draws.
    """
    if font is None or font not in _FONTS:
        return "".join(symbol(private_font, ord(c)) if ord(c) in _PRIVATE else c for c in text)
    return "".join(symbol(font, ord(c)) if ord(c) in _PRIVATE or ord(c) < 256 else c for c in text)
