"""Is the best hit an answer at all? Agreement and margins weighed together, not one cut-off.

A logistic model over a few features of the result list. Its weights are those that
`python -m benchmarks.judge` fits, on books that it does not report on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import snowballstemmer
from pydantic import BaseModel, ConfigDict, Field

from data.records import Channel, Hit

__all__ = ["JudgeSettings", "confidence", "picture_features", "word_features"]

_WORD = re.compile(r"[^\W\d_]{4,}")
_ASKING = frozenset(
    "what which when where does have that this with from about explain describe define show "
    "find tell mean means between difference figure picture diagram give were they their into "
    "would could should there please help understand work works".split()
)
_stem = snowballstemmer.stemmer("english").stemWords


class JudgeSettings(BaseModel):
    """Below `threshold` a result is marked `no_good_match`. Weights: bias first, then features."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(0.5, ge=0, le=1)
    words: tuple[float, ...] = (-6.2, 12.38, 3.1, -2.01, 0.14)
    picture: tuple[float, ...] = (-5.5, 8.16, 3.36)


def confidence(
    asked: str, hits: Sequence[Hit], *, has_picture: bool, settings: JudgeSettings
) -> float:
    """In [0, 1]: the surer of the two judgements, by words and by picture, that could be made."""
    judgements = [0.0]
    if hits and asked:
        judgements.append(_logistic(settings.words, word_features(asked, hits)))
    if hits and has_picture:
        judgements.append(_logistic(settings.picture, picture_features(hits)))
    return max(judgements)


def word_features(asked: str, hits: Sequence[Hit]) -> tuple[float, float, float, float]:
    """Best cosine; words of the query that the best hits hold; margin over the rest; agreement."""
    cosines = _scores("text", hits)
    stems = set(_stem([w for w in _WORD.findall(asked.lower()) if w not in _ASKING]))
    covered = max((_coverage(stems, hit) for hit in hits[:3]), default=0.0)
    tail = sorted(cosines, reverse=True)[len(cosines) // 2 :]
    margin = max(cosines) - sum(tail) / len(tail)
    agree = float(_first("text", hits) == _first("bm25", hits))
    return max(cosines), covered, margin, agree


def picture_features(hits: Sequence[Hit]) -> tuple[float, float]:
    """Best cosine in the `image` channel, and its margin over the second best."""
    ranked = sorted(_scores("image", hits), reverse=True)
    return ranked[0], ranked[0] - ranked[1] if len(ranked) > 1 else 0.0


def _scores(channel: Channel, hits: Sequence[Hit]) -> list[float]:
    return [h.channels[channel] for h in hits if channel in h.channels] or [0.0]


def _first(channel: Channel, hits: Sequence[Hit]) -> str:
    return max(hits, key=lambda h: h.channels.get(channel, -1.0)).item.id


def _coverage(stems: set[str], hit: Hit) -> float:
    if not stems:
        return 0.0
    text = f"{hit.item.title} {hit.item.text} {hit.item.labels} {' '.join(hit.item.section)}"
    return len(stems & set(_stem(_WORD.findall(text.lower())))) / len(stems)


def _logistic(weights: Sequence[float], features: Sequence[float]) -> float:
    z = weights[0] + sum(w * f for w, f in zip(weights[1:], features, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
