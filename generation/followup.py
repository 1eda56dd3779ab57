"""A follow-up question made to stand alone, so that it can be searched for.

A follow-up leaves out what it is about ("and on the moon?", "why does it bend?"). It is searched
for together with the question that named its subject: concatenating the history is the baseline
that conversational search has to beat (CAsT 2019, arXiv 2003.13624), and needs no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["standalone"]

_WORD = re.compile(r"[^\W_]+")
# Words that stand for something said before, unless the question itself has said it by then.
_POINTING = frozenset(
    "it its itself they them their theirs these those he she his her former latter same".split()
)
_SMALL = frozenset(
    "a an the of in on at to for from with by and or if when while as than what which who whose "
    "where why how is are was were be been do does did has have had can could will would should "
    "may might must not there".split()
)
_NAMED = 2  # words of its own that a question has used up before it may point back at them
_LAST = re.compile(
    r"\b(?:it|them|this|that|one|ones|there|then|so|instead|again)\W*$", re.IGNORECASE
)
_VERBS = "is|was|are|were|does|do|did|has|have|can|could|will|would|means?|happens?|works?|matters?"
_ALONE = re.compile(rf"\b(?:this|that)\s+(?:{_VERBS})\b", re.IGNORECASE)
_GOING_ON = re.compile(
    r"^\W*(?:and|but|or|so|then|also|what about|how about|what if|why not|another|more|give me "
    r"(?:an|another|one)|for example|really|in other words|(?:can you )?(?:explain|say|show) "
    r"(?:that|this|more|again))(?![\w-])",
    re.IGNORECASE,
)
_FEWEST = 3  # a question of fewer words names nothing


def standalone(question: str, earlier: Sequence[str]) -> str:
    """`question`, after the last of the `earlier` ones that stands alone if it does not itself.

    The first question of all had nothing to lean on, whatever it looks like.
    """
    if not earlier or not _leans(question):
        return question
    subject = next((past for past in reversed(earlier) if not _leans(past)), earlier[0])
    return f"{subject.strip()} {question.strip()}"


def _leans(question: str) -> bool:
    words = [w.lower() for w in _WORD.findall(question)]
    return (
        len(words) < _FEWEST
        or _points_back(words)
        or any(p.search(question) for p in (_LAST, _ALONE, _GOING_ON))
    )


def _points_back(words: Sequence[str]) -> bool:
    own = 0
    for word in words:
        if word in _POINTING:
            return own < _NAMED
        own += word not in _SMALL
    return False
