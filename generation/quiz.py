"""Make cloze questions: sentences of the evidence with one term left blank.

No model writes them, so question and key are as right as the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from data.records import Sentence
from generation.embedding import Embed
from generation.evidence import Evidence
from generation.settings import QuizSettings
from generation.statements import FORMULA, Statement
from generation.word_lists import WORDS
from generation.words import stem, stems

__all__ = ["BLANK", "quiz"]

BLANK = "____"
_TERM = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")


def quiz(
    question: str,
    statements: Sequence[Statement],
    evidence: Sequence[Evidence],
    embed: Embed,
    settings: QuizSettings,
) -> Iterator[Sentence]:
    """Yield the questions, each followed by its key.

    No two questions share a statement or a key.
    """
    candidates = [s for s in statements if s.similarity >= settings.min_similarity]
    keys: set[str] = set()
    for statement in sorted(candidates, key=lambda s: _suitability(s, settings), reverse=True):
        if len(keys) == settings.questions:
            return
        term = _defined_term(statement) or _best_term(
            statement, question, evidence, embed, settings
        )
        if term is None or stem(term) in keys:
            continue
        keys.add(stem(term))
        yield statement.cite(f"Complete: {_blanked(statement, term)}")
        yield statement.cite(f"Key: {term}.")


def _suitability(statement: Statement, settings: QuizSettings) -> float:
    """Return the similarity to the question. Formulas lower it: they read badly with a blank."""
    return statement.similarity - settings.formula_penalty * bool(FORMULA.search(statement.text))


def _defined_term(statement: Statement) -> str | None:
    """Return the term of a glossary entry, `Term: its definition.`"""
    item = statement.source.item
    if item.role == "term" and statement.text.startswith(f"{item.title}: "):
        return item.title
    return None


def _best_term(
    statement: Statement,
    question: str,
    evidence: Sequence[Evidence],
    embed: Embed,
    settings: QuizSettings,
) -> str | None:
    """Return the word to leave blank, or None if no word is suitable.

    A word of the source's glossary comes first, then the word nearest to the subject of the
    sentence, then the rarest in the evidence, then the longest.
    """
    plain = FORMULA.sub(" ", statement.text)
    candidates = _candidate_terms(statement.text, question, settings)
    if not candidates:
        return None
    item = statement.source.item
    subject = " ".join([question, *item.section, item.title])
    *vectors, subject_D = embed([*candidates, subject])
    similarity = {
        word: float(vector_D @ subject_D) - settings.verb_penalty * _looks_like_verb(word, plain)
        for word, vector_D in zip(candidates, vectors, strict=True)
    }
    titles = [source.item.title for source in evidence if source.item.role == "term"]
    glossary = {stem(word) for title in titles for word in _TERM.findall(title)}
    texts = [sentence for source in evidence for sentence in source.sentences]
    evidence_words = [stem(word) for text in texts for word in _TERM.findall(text)]
    return max(
        candidates,
        key=lambda word: (
            stem(word) in glossary,
            round(similarity[word], 3),
            -evidence_words.count(stem(word)),
            len(word),
        ),
    )


def _candidate_terms(
    text: str, question: str, settings: QuizSettings, language: str = "en"
) -> list[str]:
    """Return the words of a sentence that may be left blank.

    A word that the question contains, or that the sentence has twice, would give itself away.
    """
    words = WORDS[language]
    question_words = stems(question)
    sentence_words = [stem(word) for word in _TERM.findall(text)]  # including formulas
    return [
        word
        for word in dict.fromkeys(_TERM.findall(FORMULA.sub(" ", text)))
        if (len(word) >= settings.min_letters or (len(word) > 1 and word.isupper()))
        and word.lower() not in words.stop_words | words.common_words
        and not word.endswith("ly")
        and stem(word) not in question_words
        and sentence_words.count(stem(word)) == 1
    ]


def _looks_like_verb(word: str, text: str, language: str = "en") -> bool:
    """Return whether a word looks like a verb, as in `the pendulum swings`.

    A blank for a verb could be filled in many ways.
    """
    previous = re.search(rf"([^\W\d_]+) {re.escape(word)}\b", text)
    return bool(
        previous
        and word.endswith("s")
        and not word.endswith("ss")
        and not previous[1].endswith("s")
        and previous[1].lower() not in WORDS[language].stop_words
    )


def _blanked(statement: Statement, term: str) -> str:
    """Return the sentence with its term left blank, outside formulas."""
    if _defined_term(statement) == term:
        return f"{BLANK} means {statement.text.removeprefix(term).lstrip(': ')}"
    word = re.compile(rf"(?<![\w-]){re.escape(term)}(?![\w-])")
    parts, end = [], 0
    for formula in FORMULA.finditer(statement.text):
        parts += [word.sub(BLANK, statement.text[end : formula.start()]), formula[0]]
        end = formula.end()
    return "".join([*parts, word.sub(BLANK, statement.text[end:])])
