"""The words of a language that the rules of this package look for.

There is only English so far. A new language is a new entry of `WORDS`. The functions that look a
word up take its code as `language`; `Answerer` does not choose one yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["WORDS", "LanguageWords"]


@dataclass(frozen=True)
class LanguageWords:
    """Word lists of one language, in lower case. A phrase has one word or several."""

    stemmer: str
    """The Snowball stemmer of the language."""
    stop_words: frozenset[str]
    """Words of three letters or more that carry no content."""
    short_stop_words: frozenset[str]
    """Shorter words that carry no content."""
    question_words: frozenset[str]
    """Words of a question that do not name its topic."""
    instruction_verbs: frozenset[str]
    """Imperatives that begin an instruction to the reader."""
    announcements: frozenset[str]
    """First words of a sentence that announces the text to come."""
    common_words: frozenset[str]
    """Words that are no terms: a quiz does not leave them blank."""
    dependent_openers: frozenset[str]
    """First words of a sentence that refer to the previous one."""
    references: frozenset[str]
    """Words that refer to another place in the book, or to its authors and readers."""
    book_parts: frozenset[str]
    """Parts of a book that have numbers."""
    pointing_words: frozenset[str]
    """Words of a follow-up question that stand for the subject of an earlier question."""
    pointing_endings: frozenset[str]
    """Last words of a follow-up question."""
    continuations: frozenset[str]
    """First words of a follow-up question."""
    unit_symbols: Mapping[str, str]
    """The symbol of each spelled unit, in the singular."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENGLISH = LanguageWords(
    stemmer="english",
    stop_words=_words(
        "the and for that this with from are was were has have had not but its his her their they "
        "them then than which what when where who how why can could will would should may might "
        "does did been being also into onto over under only such more most some any all each "
        "other these those there here because while about between using used use one two"
    ),
    short_stop_words=_words(
        "a an of to in is it on by as at or be if so no we he up do"
    ),
    question_words=_words(
        "explain describe define show find tell know mean meant meaning means term word words "
        "simple difference figure picture diagram give please help understand work works call "
        "called true believe example examples question answer what why how distinguish "
        "differentiate interpret compare contrast discuss identify list outline summarize relate "
        "calculate determine"
    ),
    instruction_verbs=_words(
        "answer ask calculate check choose compare consider describe determine discuss disregard "
        "do draw estimate explain find forget give identify ignore imagine label let list look "
        "make measure note notice observe place predict recall record refer remember repeat reply "
        "respond rewrite say see show sketch solve state suppose take think try use watch "
        "write"
    ),
    announcements=frozenset(
        ("in this section", "in this chapter", "in this module", "in this activity")
    ),
    # The words that 330 quizzes on three textbooks would leave blank without this list.
    common_words=_words(
        "after along another back change changes common contain different done during equal first "
        "four greater hand higher just kind later least matter means measured much need others "
        "part reach same single small start values work"
    ),
    dependent_openers=_words(
        "this that these those it its they their he his she her him such here there both neither "
        "nor then so also however but and or thus therefore hence another other others each either "
        "same former latter once now again instead moreover furthermore similarly likewise "
        "additionally finally consequently"
    ),
    references=_words(
        "this these those following previous earlier we us our shown figure diagram picture "
        "graph"
    ),
    book_parts=_words(
        "fig fig. figs. figure table eq eq. equation example section chapter exercise problem "
        "step"
    ),
    pointing_words=_words(
        "it its itself they them their theirs these those he she his her former latter same"
    ),
    pointing_endings=_words(
        "it them this that one ones there then so instead again"
    ),
    continuations=frozenset(
        (
            "and", "but", "or", "so", "then", "also", "another", "more", "really",
            "what about", "how about", "what if", "why not", "for example", "in other words",
            "give me an", "give me another", "give me one",
            *(
                f"{polite}{verb} {word}"
                for polite in ("", "can you ")
                for verb in ("explain", "say", "show")
                for word in ("that", "this", "more", "again")
            ),
        )
    ),
    unit_symbols=MappingProxyType(
        {
            "kilometre": "km", "kilometer": "km", "centimetre": "cm", "centimeter": "cm",
            "millimetre": "mm", "millimeter": "mm", "metre": "m", "meter": "m",
            "millisecond": "ms", "second": "s", "minute": "min", "hour": "h", "kilogram": "kg",
            "gram": "g", "newton": "N", "kilojoule": "kJ", "joule": "J", "kilowatt": "kW",
            "watt": "W", "volt": "V", "ampere": "A", "amp": "A", "ohm": "Ω", "hertz": "Hz",
            "pascal": "Pa", "kelvin": "K", "litre": "L", "liter": "L", "mole": "mol",
            "percent": "%", "per cent": "%", "degrees celsius": "°C", "degree celsius": "°C",
            "degree": "°",
        }
    ),
)  # fmt: skip

WORDS: Mapping[str, LanguageWords] = MappingProxyType({"en": _ENGLISH})
