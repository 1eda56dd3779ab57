"""Deterministic scores of an answer: what its sentences have in common with a text.

Nothing here is used to make or check an answer (generation/grounding.py is), so that a score does
not repeat the check that let a sentence pass: support here is by words in their order, within two
neighbouring sentences of a source, and no vector takes part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isclose

from data.sentences import sentences
from generation.expressions import results, same
from generation.quantities import quantities
from generation.words import common, content

__all__ = ["SUPPORTED", "coverage", "numbers_missing", "rouge_l", "short_answer"]

SUPPORTED = 0.6  # the least coverage of a sentence that a source says
_TOLERANCE = 0.02  # relative: textbooks round to three figures
_RESULT = re.compile(r"[=≈≅∼]")


def coverage(text: str, sources: Iterable[str]) -> float:
    """The largest share of the content words of `text`, in their order, of one place in a source.

    A place is two neighbouring sentences. Order is that of the longest common subsequence: swapped
    roles cost words. 1.0 for a text without content words, which claims nothing.
    """
    own = content(text)
    if not own:
        return 1.0
    places = (place for source in sources for place in _places(source))
    return max((common(own, place) for place in places), default=0) / len(own)


def numbers_missing(text: str, sources: Sequence[str]) -> tuple[int, int]:
    """Numbers of `text` that no source holds, and all its numbers. A unit left out is no other."""
    known = [q for source in sources for q in quantities(source)]
    given = quantities(text)
    missing = [
        q
        for q in given
        if not any(
            isclose(q.value, k.value) and (q.unit == k.unit or not q.unit or not k.unit)
            for k in known
        )
    ]
    return len(missing), len(given)


def rouge_l(text: str, reference: str) -> float:
    """F-measure of the longest common subsequence, stemmed (Lin 2004), by `rouge-score`."""
    return float(_rouge().score(reference, text)["rougeL"].fmeasure)


def short_answer(text: str, solution: str) -> bool | None:
    """Whether `text` gives the result of `solution`; None where that has no single one.

    The result is the right side of the last equation where that has names in it, as mathematics;
    else the last number behind an equals sign, else the only number.
    """
    if formulas := results(solution):
        return any(same(formulas[-1], given) for given in results(text))
    told = _RESULT.split(solution)
    result = quantities(told[-1]) if len(told) > 1 else quantities(solution)
    if not result or (len(told) == 1 and len(result) > 1):
        return None
    wanted = result[0]
    return any(
        isclose(q.value, wanted.value, rel_tol=_TOLERANCE)
        and (q.unit == wanted.unit or not q.unit or not wanted.unit)
        for q in quantities(text)
    )


@lru_cache(maxsize=4096)
def _places(source: str) -> tuple[tuple[str, ...], ...]:
    parts = [content(s) for line in source.splitlines() for s in sentences(line)]
    return tuple(a + b for a, b in zip(parts, [*parts[1:], ()], strict=True))


@lru_cache(maxsize=1)
def _rouge():  # type: ignore[no-untyped-def]
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
