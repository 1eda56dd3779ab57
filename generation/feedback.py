"""Comment on a student's answer: hold each of its sentences against the evidence.

No model writes the feedback. Common words and near vectors do not show that two sentences say the
same: "from copper to zinc" has every word of "from zinc to copper". So a sentence is called right
only if the source says it in the same words and order. A sentence that is merely near is shown
beside the source, for the student to compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isclose

from data.records import Sentence
from generation.embedding import Embed, Vector
from generation.evidence import Evidence
from generation.grounding import Grounder
from generation.quantities import Quantity, quantities
from generation.reply import split, split_list_number
from generation.settings import FeedbackSettings
from generation.statements import Statement, book_reference
from generation.word_lists import WORDS
from generation.words import stemmed_list, stemmed_words, word_count

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
        sentence = _StudentSentence(text, vector_D, grounder.support(text, vector_D))
        comment, nearest = _comment(sentence, statements, evidence, grounder, settings)
        same = [s for s in statements if s.cosine(vector_D) >= settings.same_similarity]
        covered.update(s.position for s in [nearest, *same])
        yield nearest.cite(comment, sentence.support[nearest.source.label])
    related = (s for s in statements if s.similarity >= settings.related_similarity)
    left_out = next((s for s in related if s.position not in covered), None)
    if left_out:
        yield left_out.cite(f"You left out: “{left_out.text}”")


@dataclass(frozen=True)
class _StudentSentence:
    """A sentence of the student, its unit vector and its support by each source, by label."""

    text: str
    vector_D: Vector
    support: dict[int, float]


def _comment(
    sentence: _StudentSentence,
    statements: Sequence[Statement],
    evidence: Sequence[Evidence],
    grounder: Grounder,
    settings: FeedbackSettings,
) -> tuple[str, Statement]:
    """Return a comment on a student's sentence, and the statement that it cites."""
    text, vector_D, support = sentence.text, sentence.vector_D, sentence.support

    def support_by(statement: Statement) -> float:
        return grounder.statement_support(text, vector_D, statement)

    source = max(evidence, key=lambda e: support[e.label])
    nearest = max((Statement(source, n) for n in range(len(source.sentences))), key=support_by)
    supporting = [e for e in evidence if support[e.label] >= settings.min_support]
    if not supporting:
        if statements:
            nearest = max(statements, key=support_by)
            if nearest.cosine(vector_D) < settings.related_similarity:
                nearest = statements[0]  # unrelated to the question: show its nearest statement
        return f"The sources do not say this: “{text}” They say: “{nearest.text}”", nearest
    if wrong := _wrong_numbers(text, supporting):
        same_but_for_numbers = support_by(nearest) >= grounder.settings.support
        comment = _number_comment(wrong, text, nearest if same_but_for_numbers else None)
        return f"{comment}: “{text}”", nearest
    if support[source.label] >= grounder.settings.support and _says(nearest, text):
        return f"Right so far: “{text}”", nearest
    return f"Compare: you write “{text}” The source says: “{nearest.text}”", nearest


def _wrong_numbers(text: str, sources: Sequence[Evidence]) -> list[Quantity]:
    """Return the numbers of `text` that none of the sources has."""
    passages = [p for source in sources for p in (source.item.title, *source.sentences)]
    right = [q for passage in passages for q in quantities(book_reference().sub("", passage))]
    return [q for q in quantities(text) if not any(q.equals(r) for r in right)]


def _number_comment(wrong: Sequence[Quantity], text: str, statement: Statement | None) -> str:
    """Say which numbers are wrong.

    `statement` is a sentence of the evidence that says `text` with other numbers, or None.
    The right number is taken from it.
    """
    numbers = ", ".join(q.written for q in wrong)
    if len(wrong) > 1:
        return f"The numbers {numbers} are not in the sources"
    right = _right_number(wrong[0], quantities(text), statement) if statement else None
    if right:
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


def _says(statement: Statement, text: str, language: str = "en") -> bool:
    """Return whether one clause of `statement` has the words and numbers of `text`, in order."""
    source = statement.text
    if statement.source.item.role == "term":
        source = source.replace(":", " ", 1)  # `Term: its definition` is one clause
    if not _claims_the_same(text, source, language):
        return False
    function_words = stemmed_list(WORDS[language].function_words, language)
    expected = [word for word in stemmed_words(text, language) if word not in function_words]
    clauses = re.split("[,;:]", source)
    if _contains_verbatim(source, text, language):
        clauses.append(source)
    return any(_contains_in_order(stemmed_words(c, language), expected) for c in clauses)


def _claims_the_same(text: str, source: str, language: str) -> bool:
    """Return whether `text` has the negation and all qualifiers of `source`, and no other number.

    A student who leaves out a qualifier such as "usually" claims more than the source.
    """
    lists = WORDS[language]
    negations = stemmed_list(lists.negations, language)
    qualifiers = stemmed_list(lists.qualifiers, language)
    words, source_words = (set(stemmed_words(t, language)) for t in (text, source))
    source_quantities = quantities(source, language)
    return (
        bool(negations & words) == bool(negations & source_words)
        and qualifiers & source_words <= words
        and all(any(q.equals(s) for s in source_quantities) for q in quantities(text, language))
    )


def _contains_verbatim(source: str, text: str, language: str) -> bool:
    words, source_words = (" ".join(stemmed_words(t, language)) for t in (text, source))
    return f" {words} " in f" {source_words} "


def _contains_in_order(words: Sequence[str], expected: Sequence[str]) -> bool:
    remaining = iter(words)
    return all(word in remaining for word in expected)
