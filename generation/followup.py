"""Make a follow-up question stand alone, so that it can be searched for.

A follow-up leaves its subject out ("and on the moon?", "why does it bend?"). It is searched for
together with the question that named the subject. Concatenating the history is the baseline that
conversational search has to beat (CAsT 2019, arXiv 2003.13624), and it needs no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from generation.word_lists import WORDS
from generation.words import any_of

__all__ = ["standalone"]

_WORD = re.compile(r"[^\W_]+")
_SUBJECT_WORDS = 2  # number of content words that name a subject
_MIN_WORDS = 3  # shorter questions name no subject


def standalone(question: str, earlier: Sequence[str], language: str = "en") -> str:
    """Return `question`, preceded by the question that names its subject if it is a follow-up.

    `earlier` are the questions before it, oldest first. The last of them that is not a follow-up
    names the subject. If all are follow-ups, use the first.
    """
    if not earlier or not _is_follow_up(question, language):
        return question
    subject = next((q for q in reversed(earlier) if not _is_follow_up(q, language)), earlier[0])
    return f"{subject.strip()} {question.strip()}"


def _is_follow_up(question: str, language: str) -> bool:
    words = [word.lower() for word in _WORD.findall(question)]
    return (
        len(words) < _MIN_WORDS
        or _points_back(words, language)
        or bool(_first_or_last_words(language).search(question))
    )


@lru_cache(maxsize=8)
def _first_or_last_words(language: str) -> re.Pattern[str]:
    """Return a pattern for the first and last words of a follow-up question."""
    lists = WORDS[language]
    first, last = any_of(lists.continuations), any_of(lists.pointing_endings)
    return re.compile(rf"^\W*(?:{first})(?![\w-])|\b(?:{last})\W*$", re.IGNORECASE)


def _points_back(words: Sequence[str], language: str) -> bool:
    """Return whether a pointing word comes before the question has named a subject."""
    lists = WORDS[language]
    stop_words = lists.stop_words | lists.short_stop_words
    content = 0
    for word in words:
        if word in lists.pointing_words:
            return content < _SUBJECT_WORDS
        content += word not in stop_words
    return False
