"""Decides whether the corpus answers a question, from the hits of its search.

A logistic regression over features of the hits: relevance, cosine, covered words, unknown words.
`python -m benchmarks.answerability` fits its weights on some books and reports results on others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from data.records import Channel, Hit
from generation.words import stem, stems, topic_words
from unirag.settings.search import AnswerabilitySettings

__all__ = [
    "confidence",
    "picture_features",
    "question_words",
    "word_features",
]

_WORD = re.compile(r"[^\W\d_]{3,}")


def question_words(question: str, limit: int) -> list[str]:
    """Return the words that name the topic of a question, one for each stem, `limit` at most."""
    topic = topic_words(question)
    words: dict[str, str] = {}
    for word in _WORD.findall(question.lower()):
        for word_stem in stems(word) & topic:
            words.setdefault(word_stem, word)
    return list(words.values())[:limit]


def confidence(
    question: str,
    hits: Sequence[Hit],
    rarity: Mapping[str, float],
    *,
    has_picture: bool,
    settings: AnswerabilitySettings,
) -> float:
    """Return the probability, in [0, 1], that the best hit answers the question.

    Words and pictures are judged separately; the higher probability counts. `rarity` maps each of
    `question_words` to the best BM25 score of a search for this word alone, 0 if no item has it.
    """
    judgements = [0.0]
    if hits and question:
        judgements.append(_logistic(settings.words, word_features(hits, rarity, settings)))
    if hits and has_picture:
        judgements.append(_logistic(settings.picture, picture_features(hits)))
    return max(judgements)


def word_features(
    hits: Sequence[Hit], rarity: Mapping[str, float], settings: AnswerabilitySettings
) -> tuple[float, float, float, float]:
    """Return four features of a question in words.

    1. the best relevance, as a logit; 0 if the reranker read no hit
    2. the best cosine
    3. the largest share of the question's words in one of the best hits, rare words counting more
    4. the share of words that no item contains
    """
    weights = {stem(word): score for word, score in rarity.items()}
    unknown = [word for word, weight in weights.items() if not weight]
    rarest = max(weights.values(), default=0.0) or 1.0
    weights |= dict.fromkeys(unknown, rarest)
    total = sum(weights.values()) or 1.0
    covered = max(
        sum(weights[word] for word in weights.keys() & _hit_words(hit))
        for hit in hits[: settings.covering_hits]
    )
    # Without a reranker the question is as likely answered as not, and the other features decide.
    relevance = max((h.relevance for h in hits if h.relevance is not None), default=0.5)
    unknown_share = sum(weights[word] for word in unknown) / total
    return _logit(relevance), max(_channel_scores("text", hits)), covered / total, unknown_share


def picture_features(hits: Sequence[Hit]) -> tuple[float, float]:
    """Return the best cosine in the `image` channel and its margin over the second best."""
    ranked = sorted(_channel_scores("image", hits), reverse=True)
    return ranked[0], ranked[0] - ranked[1] if len(ranked) > 1 else 0.0


def _hit_words(hit: Hit) -> frozenset[str]:
    item = hit.item
    return stems(f"{item.title} {item.text} {item.labels} {' '.join(item.section)}")


def _channel_scores(channel: Channel, hits: Sequence[Hit]) -> list[float]:
    return [h.channels[channel] for h in hits if channel in h.channels] or [0.0]


def _logit(probability: float) -> float:
    bounded = min(max(probability, 0.001), 0.999)
    return math.log(bounded / (1 - bounded))


def _logistic(weights: Sequence[float], features: Sequence[float]) -> float:
    bias, *factors = weights
    z = bias + sum(w * f for w, f in zip(factors, features, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
