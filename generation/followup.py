"""Make a follow-up question stand alone, so that it can be searched for.

A follow-up leaves its subject out ("and on the moon?", "why does it bend?"). It is searched for
together with the question that named the subject. Concatenating the history is the baseline that
conversational search has to beat (CAsT 2019, arXiv 2003.13624), and it needs no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["standalone"]

_WORD = re.compile(r"[^\W_]+")
# They refer to an earlier question, unless this question has named a subject before them.
_POINTING_WORDS = frozenset(
    "it its itself they them their theirs these those he she his her former latter same".split()
)
_FUNCTION_WORDS = frozenset(
    "a an the of in on at to for from with by and or if when while as than what which who whose "
    "where why how is are was were be been do does did has have had can could will would should "
    "may might must not there".split()
)
_SUBJECT_WORDS = 2  # content words that name a subject
_POINTING_END = re.compile(
    r"\b(?:it|them|this|that|one|ones|there|then|so|instead|again)\W*$", re.IGNORECASE
)
_VERBS = "is|was|are|were|does|do|did|has|have|can|could|will|would|means?|happens?|works?|matters?"
_POINTING_SUBJECT = re.compile(rf"\b(?:this|that)\s+(?:{_VERBS})\b", re.IGNORECASE)
_CONTINUATION = re.compile(
    r"^\W*(?:and|but|or|so|then|also|what about|how about|what if|why not|another|more|give me "
    r"(?:an|another|one)|for example|really|in other words|(?:can you )?(?:explain|say|show) "
    r"(?:that|this|more|again))(?![\w-])",
    re.IGNORECASE,
)
_MIN_WORDS = 3  # of a question that names a subject


def standalone(question: str, earlier: Sequence[str]) -> str:
    """Return `question`, preceded by the question that names its subject if it is a follow-up.

    `earlier` are the questions before it, oldest first. The subject is in the last of them that is
    no follow-up itself; if all look like one, in the first.
    """
    if not earlier or not _is_follow_up(question):
        return question
    subject = next((q for q in reversed(earlier) if not _is_follow_up(q)), earlier[0])
    return f"{subject.strip()} {question.strip()}"


def _is_follow_up(question: str) -> bool:
    words = [word.lower() for word in _WORD.findall(question)]
    patterns = (_POINTING_END, _POINTING_SUBJECT, _CONTINUATION)
    return (
        len(words) < _MIN_WORDS
        or _points_back(words)
        or any(pattern.search(question) for pattern in patterns)
    )


def _points_back(words: Sequence[str]) -> bool:
    """Return whether a pointing word comes before the question has named a subject."""
    content = 0
    for word in words:
        if word in _POINTING_WORDS:
            return content < _SUBJECT_WORDS
        content += word not in _FUNCTION_WORDS
    return False
