"""Cloze questions from the evidence: a sentence of a source, one of its terms left blank.

No model writes a word of it, so that neither the question nor the key can be wrong where the source
is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from data.records import Sentence
from generation.embedding import Embed, Vector
from generation.evidence import Evidence
from generation.statements import FORMULA, Statement, statements
from generation.words import STOP, stem, stems

__all__ = ["BLANK", "quiz"]

BLANK = "____"
_QUESTIONS = 3
_LEAST = 0.3  # cosine with the question: below it a sentence speaks of something else
_FORMULA_COST = 0.1
_VERB_COST = 0.2
_TERM = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_SHORTEST = 4  # letters, unless the word is an abbreviation
# Words that carry no subject: a blank for one of them could be filled in many ways.
_COMMON = frozenset(
    "about above across after against along always another appear around away back become becomes "
    "been before behind below beside best better beyond bring called came cannot cause causes "
    "change changes close come comes common complete contain contains depend depends different "
    "does doing done down during each either else equal even every exactly example few find first "
    "follow follows form forms found four full gets give given gives goes gone good great greater "
    "greatest half hand happen happens hard harder have having held help here high higher hold "
    "holds however important increase increases just keep keeps kind know known large larger "
    "largest last late later least leave leaves left less less letter like likely little long "
    "longer look looks made main make makes many matter mean means measured more most move moves "
    "much must near nearly need needs never next often once ones only open other others part parts "
    "pass passes place point points put reach reaches rather right said same second seen several "
    "show shows side similar simple since single slow small smaller smallest some sometimes soon "
    "start starts still such take taken takes tell tells than their themselves there therefore "
    "these they thing things third those three through thus times together told too took turn "
    "turns twice under until upon usually value values various very want ways well went where "
    "whether which whole whose will within without work works year years".split()
)


def quiz(
    question: str, question_vector: Vector, evidence: Sequence[Evidence], embed: Embed
) -> Iterator[Sentence]:
    """Up to three questions, each with its key behind it, all from different sentences."""
    asked = stems(question)
    keys: set[str] = set()
    held = [s for s in statements(question_vector, evidence) if s.value >= _LEAST]
    for statement in sorted(held, key=_plainness, reverse=True):
        if len(keys) == _QUESTIONS:
            return
        term = _defined(statement) or _chosen(statement, question, asked, evidence, embed)
        if term is None or stem(term) in keys:
            continue
        keys.add(stem(term))
        yield statement.cited(f"Complete: {_blanked(statement, term)}")
        yield statement.cited(f"Key: {term}.")


def _plainness(statement: Statement) -> float:
    """How near it is to the question; a formula reads badly beside a blank."""
    return statement.value - _FORMULA_COST * bool(FORMULA.search(statement.text))


def _defined(statement: Statement) -> str | None:
    """The term of a glossary entry, `Term: its definition.`"""
    item = statement.source.item
    if item.role == "term" and statement.text.startswith(f"{item.title}: "):
        return item.title
    return None


def _chosen(
    statement: Statement,
    question: str,
    asked: frozenset[str],
    evidence: Sequence[Evidence],
    embed: Embed,
) -> str | None:
    """The word to leave out: a term of the source's glossary, else the nearest to its subject.

    Words of equal nearness go by rarity in the evidence, then by length. A word that the question
    holds, or that the sentence holds twice, would give itself away.
    """
    plain = FORMULA.sub(" ", statement.text)
    words = _TERM.findall(plain)
    everywhere = [stem(w) for w in _TERM.findall(statement.text)]  # formulas too
    usable = [
        w
        for w in dict.fromkeys(words)
        if (len(w) >= _SHORTEST or (len(w) > 1 and w.isupper()))
        and w.lower() not in STOP | _COMMON
        and not w.endswith("ly")
        and stem(w) not in asked
        and everywhere.count(stem(w)) == 1
    ]
    if not usable:
        return None
    glossary = {
        s for e in evidence if e.item.role == "term" for s in map(stem, _TERM.findall(e.item.title))
    }
    item = statement.source.item
    subject = " ".join([question, *item.section, item.title])
    *near_UD, subject_D = embed([*usable, subject])
    near = {w: float(near_D @ subject_D) for w, near_D in zip(usable, near_UD, strict=True)}
    others = [stem(w) for e in evidence for p in e.parts for w in _TERM.findall(p)]
    return max(
        usable,
        key=lambda w: (
            stem(w) in glossary,
            round(near[w] - _VERB_COST * _verb(w, plain), 3),
            -others.count(stem(w)),
            len(w),
        ),
    )


def _verb(word: str, text: str) -> bool:
    """Whether it looks like one: `the pendulum swings` can be filled in in many ways."""
    before = re.search(rf"([^\W\d_]+) {re.escape(word)}\b", text)
    ends = word.endswith("s") and not word.endswith("ss")
    return bool(ends and before and not before[1].endswith("s") and before[1].lower() not in STOP)


def _blanked(statement: Statement, term: str) -> str:
    """The sentence with its term left out, wherever that stands outside a formula."""
    if _defined(statement) == term:
        return f"{BLANK} means {statement.text.removeprefix(term).lstrip(': ')}"
    word = re.compile(rf"(?<![\w-]){re.escape(term)}(?![\w-])")
    made, end = [], 0
    for formula in FORMULA.finditer(statement.text):
        made += [word.sub(BLANK, statement.text[end : formula.start()]), formula[0]]
        end = formula.end()
    return "".join([*made, word.sub(BLANK, statement.text[end:])])
