"""Score an answer without a model: compare its sentences with a text.

The scores share no code with the check of sentences in generation/grounding.py, because repeating
that check would prove nothing. They compare words and their order within two neighbouring sentences
of a source. They use no vectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from data.sentences import split_sentences
from generation.expressions import results, same
from generation.quantities import quantities
from generation.words import content_words, longest_common_subsequence

__all__ = ["SUPPORTED", "coverage", "numbers_missing", "rouge_l", "short_answer"]

SUPPORTED = 0.6  # lowest coverage of a supported sentence
_ROUNDING = 0.02  # relative tolerance of results: textbooks round to three figures
_EQUALS_SIGN = re.compile(r"[=≈≅∼]")


def coverage(text: str, sources: Iterable[str]) -> float:
    """Return the share of the content words of `text` that one place in a source has, in order.

    A place is two neighbouring sentences; the best one counts. The order is that of the longest
    common subsequence, so swapped roles cost words. A text without content words claims nothing and
    scores 1.0.
    """
    words = content_words(text)
    if not words:
        return 1.0
    places = (place for source in sources for place in _places(source))
    common = max((longest_common_subsequence(words, place) for place in places), default=0)
    return common / len(words)


def numbers_missing(text: str, sources: Sequence[str]) -> tuple[int, int]:
    """Return how many numbers of `text` no source has, and how many numbers `text` has."""
    in_sources = [q for source in sources for q in quantities(source)]
    in_text = quantities(text)
    return sum(not any(q.equals(s) for s in in_sources) for q in in_text), len(in_text)


def rouge_l(text: str, reference: str) -> float:
    """Return the F-measure of the longest common subsequence, stemmed (ROUGE-L; Lin 2004)."""
    return float(_rouge().score(reference, text)["rougeL"].fmeasure)


def short_answer(text: str, solution: str) -> bool | None:
    """Return whether `text` has the result of `solution`, None if there is no single result.

    The result is the right side of the last equation with names in it, compared as mathematics;
    else the number behind the last equals sign, else the only number.
    """
    if formulas := results(solution):
        return any(same(formulas[-1], formula) for formula in results(text))
    *equations, last = _EQUALS_SIGN.split(solution)
    numbers = quantities(last)
    if not numbers or (not equations and len(numbers) > 1):
        return None
    return any(q.equals(numbers[0], _ROUNDING) for q in quantities(text))


@lru_cache(maxsize=4096)
def _places(source: str) -> tuple[tuple[str, ...], ...]:
    """Return the content words of every two neighbouring sentences."""
    words = [content_words(s) for line in source.splitlines() for s in split_sentences(line)]
    return tuple(a + b for a, b in zip(words, [*words[1:], ()], strict=True))


@lru_cache(maxsize=1)
def _rouge():  # type: ignore[no-untyped-def]
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
