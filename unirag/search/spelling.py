"""Corrects the slips in a question: `photosyntesis` is `photosynthesis` if the corpus has it.

Only words that no item holds and that are not English are corrected, by one slip each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from retrieval.spelling import MIN_LETTERS, is_in_dictionary, similar_words

__all__ = ["WordsLike", "correct", "find_corrections"]

# Returns the words of the workspace that may be one slip away from a word, and other ones.
WordsLike = Callable[[str], Sequence[str]]


def find_corrections(
    rarity: Mapping[str, float],
    words_like: WordsLike,
    best_scores: Callable[[Sequence[str]], Sequence[float]],
) -> dict[str, str]:
    """Return the corrected spelling of the words of a question that are slips.

    `rarity` maps each content word to its best BM25 score, 0 if no item that may be searched holds
    it. `best_scores` returns this score for other words. Of several words the most frequent one is
    chosen: the one with the lowest score.
    """
    slips = [
        word
        for word, score in rarity.items()
        if not score and len(word) >= MIN_LETTERS and not is_in_dictionary(word)
    ]
    candidates = {word: similar_words(word, words_like(word)) for word in slips}
    words = sorted({candidate for group in candidates.values() for candidate in group})
    scores = dict(zip(words, best_scores(words), strict=True)) if words else {}
    return {
        word: min(stored, key=scores.__getitem__)
        for word, group in candidates.items()
        if (stored := sorted(candidate for candidate in group if scores[candidate]))
    }


def correct(text: str, corrections: Mapping[str, str]) -> str:
    """Return a text with its slips corrected."""
    for word, correction in corrections.items():
        text = re.sub(rf"\b{re.escape(word)}\b", correction, text, flags=re.IGNORECASE)
    return text
