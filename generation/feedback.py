"""Comment on a student's answer: hold each of its sentences against the evidence.

A sentence is right if a source entails it, wrong if it is near a source that clearly does not, in
between partly right, and unknown if it is near no source. Every comment cites the source and shows
what it says. No model writes the feedback.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isclose

from data.records import Sentence
from generation.embedding import Embed, Vector
from generation.evidence import Evidence
from generation.grounding import Grounder
from generation.quantities import Quantity, quantities
from generation.reply import split, split_list_number
from generation.settings import FeedbackSettings
from generation.statements import Statement, book_reference
from generation.words import word_count

__all__ = ["feedback"]


def feedback(
    student_answer: str,
    statements: Sequence[Statement],
    evidence: Sequence[Evidence],
    grounder: Grounder,
    embed: Embed,
    settings: FeedbackSettings,
) -> Iterator[Sentence]:
    """Yield a comment on each sentence of the student, then the best statement that is left out.

    `statements` are the sentences of the evidence that stand alone, most similar to the question
    first.
    """
    if not evidence:
        return
    covered: set[tuple[int, int]] = set()  # positions of the statements in the student's answer
    for text in (split_list_number(part)[1] for part in split(student_answer)):
        if not text:
            continue
        if word_count(text) < grounder.settings.min_words:
            first = statements[0] if statements else Statement(evidence[0], 0)
            yield first.cite(f"Too short to check: “{text}” Write it as a whole sentence.", 0.0)
            continue
        vector_D = embed([text])[0]
        comment, nearest, support = _comment(
            text, vector_D, statements, evidence, grounder, settings
        )
        same = [s for s in statements if s.cosine(vector_D) >= settings.same_similarity]
        covered.update(s.position for s in [nearest, *same])
        yield nearest.cite(comment, support)
    related = (s for s in statements if s.similarity >= settings.related_similarity)
    left_out = next((s for s in related if s.position not in covered), None)
    if left_out:
        yield left_out.cite(f"You left out: “{left_out.text}”")


def _comment(
    text: str,
    vector_D: Vector,
    statements: Sequence[Statement],
    evidence: Sequence[Evidence],
    grounder: Grounder,
    settings: FeedbackSettings,
) -> tuple[str, Statement, float]:
    """Return a comment on a student's sentence, the statement that it cites, and the support."""
    labels, support = max(grounder.supports(text, vector_D), key=lambda choice: choice[1])
    nearest = grounder.nearest_statement(vector_D)
    if wrong := _wrong_numbers(text, evidence):
        related = [
            s for s in _numbered(evidence) if s.cosine(vector_D) >= settings.related_similarity
        ]
        related.sort(key=lambda s: -s.cosine(vector_D))
        comment = _number_comment(wrong, text, related)
        return f"Wrong. {comment}: “{text}”", related[0] if related else nearest, support
    if support >= grounder.settings.support:
        statement = grounder.nearest_statement(vector_D, labels)
        return f"Right: “{text}” The source says: “{statement.text}”", statement, support
    if nearest.cosine(vector_D) >= settings.contradiction_similarity:
        verdict = "Wrong" if support < settings.wrong_support else "Partly right or unclear"
        return f"{verdict}: “{text}” The source says: “{nearest.text}”", nearest, support
    if statements and nearest.cosine(vector_D) < settings.related_similarity:
        nearest = statements[0]  # unrelated to the question: show its nearest statement
    return f"The sources do not say this: “{text}” They say: “{nearest.text}”", nearest, support


def _numbered(evidence: Sequence[Evidence]) -> list[Statement]:
    """Return the sentences of the evidence that have a number."""
    return [
        Statement(source, n)
        for source in evidence
        for n, sentence in enumerate(source.sentences)
        if quantities(sentence)
    ]


def _wrong_numbers(text: str, sources: Sequence[Evidence]) -> list[Quantity]:
    """Return the numbers of `text` that none of the sources has."""
    passages = [p for source in sources for p in (source.item.title, *source.sentences)]
    right = [q for passage in passages for q in quantities(book_reference().sub("", passage))]
    return [q for q in quantities(text) if not any(q.equals(r) for r in right)]


def _number_comment(wrong: Sequence[Quantity], text: str, statements: Sequence[Statement]) -> str:
    """Say which numbers are wrong.

    `statements` are sentences of the evidence about the same, nearest first. The right number is
    taken from the first that has one.
    """
    numbers = ", ".join(q.written for q in wrong)
    if len(wrong) > 1:
        return f"The numbers {numbers} are not in the sources"
    in_text = quantities(text)
    for statement in statements:
        if right := _right_number(wrong[0], in_text, statement):
            return f"The sources give {right.written}, not {numbers}"
    return f"The number {numbers} is not in the sources"


def _right_number(
    wrong: Quantity, in_text: Sequence[Quantity], statement: Statement
) -> Quantity | None:
    """Return the number in `statement` that should replace `wrong`, None if in doubt.

    It is the same number in another unit, or the only number of its unit in the whole item, or the
    only number before the same word.
    """
    in_sentence = quantities(statement.text)
    in_item = [q for sentence in statement.source.sentences for q in quantities(sentence)]
    unused = [q for q in in_sentence if q.unit == wrong.unit and q not in in_text]
    if other_unit := [q for q in in_sentence if q.unit and isclose(q.value, wrong.value)]:
        candidates = other_unit
    elif wrong.unit and sum(q.unit == wrong.unit for q in in_item) == 1:
        candidates = unused
    else:
        candidates = [q for q in unused if wrong.next_word and q.next_word == wrong.next_word]
    return candidates[0] if len(candidates) == 1 else None
