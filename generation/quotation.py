"""The evidence's own words: the sentences that bear on a question, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from data.records import Item, Sentence
from generation.embedding import Vector
from generation.evidence import LABELS, Evidence
from generation.reply import numeral
from generation.statements import Statement, alone, leans
from generation.words import WORD, asked, content, repeats, stems

__all__ = ["quote"]

# What tells which of an exercise's choices is right says nothing without them.
_KEY = re.compile(r"\b(?:correct|right) answer is\b|^\W*\(?[a-e]\)?[.:]?\W*$", re.IGNORECASE)
# Sentences that have the reader do something, or tell what will be told.
_ORDER = re.compile(
    r"(?:\([a-z]\) )?(?:now |then |first,? |next,? |finally,? |please )?"
    r"(?:answer|ask|calculate|check|choose|compare|consider|describe|determine|discuss|disregard|do"
    r"|draw|estimate|explain|find|forget|give|identify|ignore|imagine|label|let|list|look|make"
    r"|measure|note|notice|observe|place|predict|recall|record|refer|remember|repeat|reply|respond"
    r"|rewrite|say|see|show|sketch|solve|state|suppose|take|think|try|use|watch|write)"
    r"(?:[’']s)?\b(?!\s+of\b)|\bin this (?:section|chapter|module|activity)\b"
    r"|\b(?:this|these|the following) (?:video|simulation|animation|applet|lecture|website)s?\b",
    re.IGNORECASE,
)
_ENDS = (".", "!", ".”", '."', ".)", "\\)", "\\]", "$")
_REASON = re.compile(
    r"\b(?:because|since|due to|causes?d?|so that|therefore|thus|as a result|result(?:s|ing) in"
    r"|by means of|in order to|when|depends? on)\b",
    re.IGNORECASE,
)
_WHY = re.compile(r"\b(?:why|how|explain)\b", re.IGNORECASE)
# What a sentence gains or loses beside its cosine with the question.
_DEFINED = 0.2  # the glossary's, where the question asks for its very term; half, for one of two
_REASONED = 0.05  # with a reason, where the question asks for one
_SHARE = 0.2  # of the share that its section has in what was found
_FOUND = 0.2  # of the cosine by which its item was found
_ASIDE = 0.1  # lost: a box beside the text
_NEXT = 0.1  # right before or behind one that is quoted
_WORKED = 0.1  # lost: it solves a problem that is not quoted
_ELSEWHERE = 0.1  # lost: the first one is of another section
_LEANING = 0.1  # lost: it needs the one before, which is not quoted
_BESIDE = 0.15  # how much less the second may be worth
_ECHOED = 0.9  # of a sentence's content words, in a question that only repeats it
_LEAST_BESIDE = 0.65  # worth of a sentence beside one that the question repeats
_LEAST = 0.15  # cosine of a sentence that is about the question at all
_FEWEST = 3  # words


def quote(
    question: str, question_vector: Vector, evidence: Sequence[Evidence], most: int = 2
) -> list[Sentence]:
    """Up to `most` sentences, the nearest to the question first; those of a source in its order.

    A sentence that the question repeats says what is asked about and comes besides: it answers
    nothing, but what stands near it may. What can be read alone goes before what leans on a
    sentence that is not quoted, and what stands beside a quoted sentence before what stands
    elsewhere. Questions, orders to the reader, labels of figures and keys to choices are no
    answers.
    """
    every = [
        Statement(source, part, float(value))
        for source in evidence
        for part, value in enumerate(source.vectors_PD @ question_vector)
    ]
    fit = [s for s in every if s.value >= _LEAST and _says_something(s)]
    echoed = [s for s in fit if _echoed(_bare(s), question)]
    chosen = [max(echoed, key=lambda s: s.value)] if echoed else []
    fit = [s for s in fit if not any(repeats(_bare(s), _bare(c)) for c in chosen)]
    most += len(chosen)
    least = _LEAST_BESIDE if chosen else 0.0
    while len(chosen) < most and fit:
        best = max(fit, key=lambda s: (_worth(s, question, chosen), -s.source.label, -s.part))
        if chosen and _worth(best, question, chosen) < least:
            break
        least = max(least, _worth(best, question, chosen) - _BESIDE)
        chosen.append(best)
        fit = [s for s in fit if not repeats(_bare(s), _bare(best))]
    first = [s.source.label for s in chosen]
    ordered = sorted(chosen, key=lambda s: (first.index(s.source.label), s.part))
    return [replace(s.cited(_bare(s)), quoted=True) for s in ordered]


def _worth(s: Statement, question: str, chosen: Sequence[Statement]) -> float:
    """The cosine of a sentence with the question, and what else speaks for it."""
    item, text = s.source.item, _bare(s)
    beside = {(c.source.label, c.part + step) for c in chosen for step in (-1, 1)}
    follows = any(c.place == (s.source.label, s.part - 1) for c in chosen)
    worth = s.value + _FOUND * s.source.nearness + _SHARE * s.source.share
    if item.role == "term":
        worth += _DEFINED * _named(stems(item.title), asked(question))
    if item.role == "note":
        worth -= _ASIDE
    if _WHY.search(question) and _REASON.search(text):
        worth += _REASONED
    if item.role in ("solution", "example"):
        worth -= _WORKED
    if s.place in beside:
        worth += _NEXT
    if chosen and _section(item) != _section(chosen[0].source.item):
        worth -= _ELSEWHERE
    whole = item.kind == "figure" or item.role == "term"  # these need no paragraph
    if not follows and (leans(text) if whole else not alone(text)):
        worth -= _LEANING
    return worth


def _named(term: frozenset[str], about: frozenset[str]) -> float:
    """What part of a question a term is, from a half on; 0 where it is less, or another term."""
    part = len(term) / len(about) if about and term <= about else 0.0
    return part if part >= 0.5 else 0.0


def _echoed(text: str, question: str) -> bool:
    return len(content(text)) >= _FEWEST and repeats(text, question, _ECHOED)


def _section(item: Item) -> tuple[str, ...]:
    return (item.source, *item.section)


def _bare(statement: Statement) -> str:
    """Without the dash or the number that it has in a list."""
    return numeral(statement.text)[1] or statement.text


def _says_something(statement: Statement) -> bool:
    text, item = _bare(statement), statement.source.item
    # what ends in no full stop is a heading, but for captions and definitions
    said = item.kind == "figure" or item.role == "term" or text.endswith(_ENDS)
    return (
        said
        and len(WORD.findall(text)) >= _FEWEST
        and not text.endswith(("?", ":"))
        and not text.startswith(LABELS)
        and not _KEY.search(text)
        and not _ORDER.match(text)
    )
