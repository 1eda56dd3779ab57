"""Feedback on a student's answer: each of its sentences held against the evidence.

No model writes a word of it. Shared words and near vectors do not show that two sentences say the
same: "from copper to zinc" has every word of "from zinc to copper". So a sentence is called right
only where the source says it in the same words and order; what is merely near is shown beside the
source, for the student to compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import isclose

from data.records import Sentence
from generation.embedding import Embed, Vector
from generation.evidence import Evidence
from generation.grounding import LEAST_WORDS, Grounder
from generation.quantities import Quantity, quantities
from generation.reply import numeral, split
from generation.statements import NUMBERED, Statement, statements
from generation.words import WORD, in_order

__all__ = ["feedback"]

_SAME = 0.7  # cosine from which two sentences say the same thing
_RELATED = 0.3  # cosine below which two sentences have no subject in common
_NEAR = 0.5  # support below which the sources do not speak of it
_DENYING = frozenset(in_order("not no never nor neither none cannot without"))
# A source that says one of these says less than a student who leaves it out.
_LIMITING = frozenset(
    in_order(
        "some only may might can could sometimes often usually mostly most unless except almost "
        "hardly rarely few if partly about nearly"
    )
)
# Words that say nothing of the matter.
_FREE = frozenset(in_order("a an the is are was were be been being so then also and of it its"))


def feedback(
    question_vector: Vector,
    answer: str,
    evidence: Sequence[Evidence],
    grounder: Grounder,
    embed: Embed,
) -> Iterator[Sentence]:
    """A sentence on each of the student's, then what the evidence says and the student did not."""
    if not evidence:
        return
    held = statements(question_vector, evidence)
    met: set[tuple[int, int]] = set()  # where the student has been by now
    for text in (numeral(part)[1] for part in split(answer)):
        if not text:
            continue
        if len(WORD.findall(text)) < LEAST_WORDS:
            first = held[0] if held else Statement(evidence[0], 0)
            yield first.cited(f"Too short to check: “{text}” Write it as a whole sentence.", 0.0)
            continue
        vector_D = embed([text])[0]
        support = grounder.support(text, vector_D)
        holding = [e for e in evidence if support[e.label] >= _NEAR]
        source = max(evidence, key=lambda e: support[e.label])
        near = _nearest([Statement(source, n) for n in range(len(source.parts))], text, vector_D)
        if not holding:
            near = _nearest(held or [near], text, vector_D)
            if held and near.cosine(vector_D) < _RELATED:
                near = held[0]  # the student speaks of something else: back to the question
            said = f"The sources do not say this: “{text}” They say: “{near.text}”"
        elif wrong := _wrong_numbers(text, holding):
            clear = near.nearness(text, vector_D) >= grounder.least
            said = f"{_on_numbers(wrong, text, near if clear else None)}: “{text}”"
        elif support[source.label] >= grounder.least and _says(near, text):
            said = f"Right so far: “{text}”"
        else:
            said = f"Compare: you write “{text}” The source says: “{near.text}”"
        met |= {near.place, *(s.place for s in held if s.cosine(vector_D) >= _SAME)}
        yield near.cited(said, support[near.source.label])
    left_out = (s for s in held if s.value >= _RELATED and s.place not in met)
    if statement := next(left_out, None):
        yield statement.cited(f"You left out: “{statement.text}”")


def _nearest(among: Sequence[Statement], text: str, vector_D: Vector) -> Statement:
    return max(among, key=lambda s: s.nearness(text, vector_D))


def _wrong_numbers(text: str, holding: Sequence[Evidence]) -> list[Quantity]:
    """The numbers of `text` that no source which supports it holds."""
    texts = (NUMBERED.sub("", text) for e in holding for text in (e.item.title, *e.parts))
    known = [q for told in texts for q in quantities(told)]
    return [q for q in quantities(text) if not any(_same(q, k) for k in known)]


def _same(given: Quantity, known: Quantity) -> bool:
    """A unit left out is no other unit."""
    return isclose(given.value, known.value) and (
        given.unit == known.unit or not given.unit or not known.unit
    )


def _on_numbers(wrong: Sequence[Quantity], text: str, near: Statement | None) -> str:
    """`near` is the source sentence that says the same but for its numbers, if there is one."""
    meant = _meant(wrong[0], quantities(text), near) if near and len(wrong) == 1 else None
    if meant:
        return f"The sources give {meant.written}, not {wrong[0].written}"
    named = ", ".join(q.written for q in wrong)
    what = f"number {named} is" if len(wrong) == 1 else f"numbers {named} are"
    return f"The {what} not in the sources"


def _meant(wrong: Quantity, given: Sequence[Quantity], near: Statement) -> Quantity | None:
    """The number of the sentence `near` in whose place `wrong` stands, where only one can be meant.

    It is the same number in another unit, or the only one of its unit in the whole source, or the
    only one with the same word behind it.
    """
    there = quantities(near.text)
    free = [q for q in there if q.unit == wrong.unit and q not in given]
    whole = [q for part in near.source.parts for q in quantities(part) if q.unit == wrong.unit]
    if other := [q for q in there if q.unit and isclose(q.value, wrong.value)]:
        meant = other
    elif wrong.unit and len(whole) == 1:
        meant = free
    else:
        meant = [q for q in free if wrong.behind and q.behind == wrong.behind]
    return meant[0] if len(meant) == 1 else None


def _says(near: Statement, text: str) -> bool:
    """Whether one clause of `near` holds the words and numbers of `text`, in their order."""
    source = near.text
    if near.source.item.role == "term":
        source = source.replace(":", " ", 1)  # `Term: its definition` is one clause
    words, theirs = frozenset(in_order(text)), frozenset(in_order(source))
    there = quantities(source)
    if (
        bool(_DENYING & words) != bool(_DENYING & theirs)
        or _LIMITING & theirs - words
        or not all(any(_same(q, k) for k in there) for q in quantities(text))
    ):
        return False
    own = [word for word in in_order(text) if word not in _FREE]
    clauses = [in_order(clause) for clause in re.split("[,;:]", source)]
    return any(_holds(clause, own) for clause in [*clauses, *_whole(source, text)])


def _whole(source: str, text: str) -> list[list[str]]:
    """The sentence with all its clauses, where the student's is word for word a part of it."""
    plain, part = (f" {' '.join(in_order(t))} " for t in (source, text))
    return [in_order(source)] if part in plain else []


def _holds(words: Sequence[str], own: Sequence[str]) -> bool:
    rest = iter(words)
    return all(word in rest for word in own)
