"""The names in a zip archive, whatever program wrote them.

The standard knows UTF-8 (marked by a flag) and code page 437. macOS writes UTF-8 without the flag,
Windows the code page of its country. One encoding is chosen for all names of an archive: the one in
which they look most like words.
"""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Iterable

__all__ = ["member_names"]

_UTF8_FLAG = 0x800
_UNICODE_PATH_FIELD = 0x7075  # of Info-ZIP: the name in UTF-8, after a version and a checksum
# in the order of preference if two fit equally well
_ENCODINGS = (
    *("cp437", "cp850", "cp1252", "cp866", "cp1251", "cp932", "gb2312", "euc_kr", "big5"),
    *("cp852", "cp1250", "cp737", "cp1253", "cp862", "cp1255", "cp720", "cp1256", "gbk"),
)


def member_names(members: Iterable[zipfile.ZipInfo]) -> list[str]:
    """Return the names of the members, with forward slashes and composed letters."""
    members = list(members)
    unmarked = [m for m in members if not m.flag_bits & _UTF8_FLAG and not m.filename.isascii()]
    encoding = _encoding_of([m.filename.encode("cp437") for m in unmarked])
    names = (_name(member, encoding).replace("\\", "/") for member in members)
    return [unicodedata.normalize("NFC", name) for name in names]


def _name(member: zipfile.ZipInfo, encoding: str) -> str:
    if unicode_path := _unicode_path(member.extra):
        return unicode_path
    if member.flag_bits & _UTF8_FLAG or member.filename.isascii():
        return member.filename
    return member.filename.encode("cp437").decode(encoding)


def _unicode_path(extra: bytes) -> str:
    """Return the name in the extra fields of a member, '' if there is none."""
    while len(extra) >= 4:
        kind, size = (int.from_bytes(extra[n : n + 2], "little") for n in (0, 2))
        if kind == _UNICODE_PATH_FIELD:
            return extra[9 : 4 + size].decode("utf-8", "ignore")
        extra = extra[4 + size :]
    return ""


def _encoding_of(names: list[bytes]) -> str:
    """Return the encoding in which the names are most plausible; UTF-8 if they are valid UTF-8."""
    try:
        for name in names:
            name.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    faults = {}
    for encoding in _ENCODINGS:
        try:
            faults[encoding] = sum(_faults(name.decode(encoding)) for name in names)
        except UnicodeDecodeError:
            continue
    return min(faults, key=lambda encoding: faults[encoding])


def _faults(name: str) -> int:
    """Return how often a name breaks a habit of words: letters only, of one script, in one case."""
    faults = 0
    for before, letter in zip(" " + name, name, strict=False):
        if letter.isascii():
            faults += _is_foreign(letter, before)
            continue
        is_word = letter.isalpha() or unicodedata.category(letter) == "Mn"
        is_narrow_kana = "\uff61" <= letter <= "\uff9f"
        faults += 2 * (not is_word or is_narrow_kana)
        faults += before.islower() and letter.isupper()
        # two accents in a row are rare, but letters of other scripts look so in code page 1252
        faults += not before.isascii() and _script(letter) == _script(before) == "LATIN"
        faults += _is_foreign(before, letter)
    return faults


def _is_foreign(one: str, other: str) -> bool:
    """Return whether two neighbouring letters belong to different scripts."""
    return one.isalpha() and other.isalpha() and _script(one) != _script(other)


def _script(letter: str) -> str:
    """Return the first word of a letter's Unicode name: LATIN, GREEK, CYRILLIC, CJK, HIRAGANA."""
    script = unicodedata.name(letter, "").split(" ")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else script
