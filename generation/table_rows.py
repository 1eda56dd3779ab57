"""Find the rows of a table that a question asks for, so that label and value come from one row.

Only words that tell rows apart choose a row: "oxygen" is in one row of a table of boiling points,
"boiling" in its header and thus in none. In the same way only words that tell columns apart choose
a column.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from data.tables import Table, row_sentences, row_statement, text_parts, with_full_stop
from generation.word_lists import WORDS
from generation.words import stem

__all__ = ["answering_rows", "mixes_rows", "most_specific"]

_TOKEN = re.compile(r"\w+(?:[.,]\d+)*")

Row = tuple[str, ...]
Words = frozenset[str]


def answering_rows(question: str, text: str) -> dict[str, str]:
    """Map the sentences of the rows that `question` asks for to the part that it asks for.

    The sentences are those of `row_sentences`. A question that names no row asks for all of them.
    Of a row that is named by its label, only the columns that the question names are wanted. A row
    with a label alone states nothing.
    """
    words = _words(question)
    return {
        sentence: _wanted_part(words, table, row)
        for table in _tables(text)
        for row, sentence in _chosen_rows(words, table)
    }


def most_specific(question: str, texts: Sequence[str]) -> list[int]:
    """Return the indices of the texts that no other text beats in the words of `question`.

    A row that names both "melting" and "iodine" beats one that names only "iodine".
    """
    chosen = _best_matches(_words(question), [_words(text) for text in texts])
    return chosen or list(range(len(texts)))


def mixes_rows(sentence: str, question: str, text: str) -> bool:
    """Return whether a sentence takes its facts from several rows of a table, or the wrong column.

    "The boiling point of oxygen is 332" does if 332 stands in the row of bromine. So does
    "chlorine" as the answer to a question after the pale yellow halogen, which is fluorine.
    """
    question_words, sentence_words = _words(question), _words(sentence)
    return any(_mixes(question_words, sentence_words, table) for table in _tables(text))


def _mixes(question_words: Words, sentence_words: Words, table: Table) -> bool:
    rows = [_cell_words(row) for row in table.body]
    telling = _telling_words(rows)
    facts = sentence_words & telling
    if not facts:
        return False
    numbers = frozenset(word for word in facts if word[0].isdigit())
    words = question_words | sentence_words
    candidates = [n for n, row in enumerate(rows) if question_words & telling <= row]
    return not any(
        facts <= rows[n] and numbers <= _words(_named_part(words, table, table.body[n]))
        for n in candidates or range(len(rows))
    )


def _chosen_rows(words: Words, table: Table) -> list[tuple[Row, str]]:
    """Return the rows that hold the most of the telling words, each with its sentence."""
    rows = [
        (table.body[n], sentence)
        for n, sentence in row_sentences(table).items()
        if len({cell for cell in table.body[n] if cell}) > 1
    ]
    chosen = _best_matches(words, [_cell_words(row) for row, _ in rows])
    return [rows[n] for n in chosen] or rows


def _wanted_part(words: Words, table: Table, row: Row) -> str:
    """Return the sentence of a row, without the columns that a question about its label skips."""
    telling = _telling_words([_cell_words(other) for other in table.body])
    names_label = bool(words & telling & _words(row[0]))
    return _named_part(words if names_label else frozenset(), table, row)


def _named_part(words: Words, table: Table, row: Row) -> str:
    """Return the sentence of a row with its label and the columns that `words` name, or all."""
    names = table.column_names
    columns = [n + 1 for n in _best_matches(words, [_words(name) for name in names[1:]])]
    columns = [0, *columns] if any(row[n] for n in columns) else list(range(len(row)))
    column_names = [names[n] for n in columns] if names else ()
    return with_full_stop(row_statement(column_names, [row[n] for n in columns]))


def _best_matches(words: Words, groups: Sequence[Words]) -> list[int]:
    """Return the indices of the groups with telling words among `words`, the most specific ones.

    A group is left out if another one has the same of these words and more.
    """
    telling = words & _telling_words(groups)
    matches = [telling & group for group in groups]
    return [n for n, m in enumerate(matches) if m and not any(m < other for other in matches)]


def _telling_words(groups: Sequence[Words]) -> Words:
    """Return the words that some of the groups have and others lack."""
    if not groups:
        return frozenset()
    return frozenset().union(*groups) - frozenset.intersection(*groups)


@lru_cache(maxsize=64)
def _tables(text: str) -> tuple[Table, ...]:
    return tuple(part for part in text_parts(text) if isinstance(part, Table))


def _cell_words(row: Iterable[str]) -> Words:
    return _words(" ".join(row))


@lru_cache(maxsize=4096)
def _words(text: str, language: str = "en") -> Words:
    """Return the stems of the words and the numbers of a text, without stop words and letters."""
    words = WORDS[language]
    stop_words = words.stop_words | words.short_stop_words
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())
    return frozenset(
        stem(token, language)
        for token in tokens
        if token not in stop_words and (len(token) > 1 or token.isdigit())
    )
