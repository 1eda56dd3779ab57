"""Is the best hit an answer at all? Agreement, margins and premises, not one cut-off.

A logistic model over a few features of the result list. Its weights are those that
`python -m benchmarks.judge` fits, on books that it does not report on. A question that takes for
granted what the sources say of something else, or with another number, is told from its sentences.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from data.records import Channel, Hit
from data.sentences import sentences
from generation.quantities import quantities
from generation.words import asked as about
from generation.words import stem, stems
from unirag.settings.search import AnswerabilitySettings

__all__ = [
    "asked_words",
    "confidence",
    "doubtful",
    "picture_features",
    "word_features",
]

_MOST_WORDS = 24  # of a question; a photographed page has more, which would say no more
_FEWEST = 4  # content words of a sentence that a question can be said to repeat
_REPEATED = 0.75  # the share of them that it then has
_CHOICE = re.compile(r"\s*(?:\([a-h]\)|[a-h][.)])\s", re.IGNORECASE)
_ABOUT = 0.5  # the share of the question that they are


def asked_words(text: str) -> list[str]:
    """The words that say what is asked about, one of each stem."""
    found: dict[str, str] = {}
    for word in re.findall(r"[^\W\d_]{3,}", text.lower()):
        for s in stems(word) & about(text):
            found.setdefault(s, word)
    return list(found.values())[:_MOST_WORDS]


def confidence(
    asked: str,
    hits: Sequence[Hit],
    weights: Mapping[str, float],
    *,
    has_picture: bool,
    settings: AnswerabilitySettings,
) -> float:
    """In [0, 1]: the surer of the two judgements, by words and by picture, that could be made.

    `weights` tells of each of `asked_words` how rare it is in what was searched, as the best BM25
    score that it alone can get; 0 where nothing holds it.
    """
    judgements = [0.0]
    if hits and asked and not doubtful(asked, hits, weights):
        judgements.append(_logistic(settings.words, word_features(hits, weights)))
    if hits and has_picture:
        judgements.append(_logistic(settings.picture, picture_features(hits)))
    return max(judgements)


def word_features(
    hits: Sequence[Hit], weights: Mapping[str, float]
) -> tuple[float, float, float, float, float]:
    """Best cosine; words that one of the best hits holds, by rarity; margin over the rest;
    agreement of the channels; words that nothing holds."""
    cosines = _scores("text", hits)
    rarity = {stem(word): weight for word, weight in weights.items()}
    unknown = [s for s, weight in rarity.items() if not weight]
    rarest = max(rarity.values(), default=0.0) or 1.0
    rarity |= dict.fromkeys(unknown, rarest)
    whole = sum(rarity.values()) or 1.0
    covered = max(sum(rarity[s] for s in rarity.keys() & _held(h)) for h in hits[:3]) / whole
    tail = sorted(cosines, reverse=True)[len(cosines) // 2 :]
    margin = max(cosines) - sum(tail) / len(tail)
    agree = float(_first("text", hits) == _first("bm25", hits))
    return max(cosines), covered, margin, agree, sum(rarity[s] for s in unknown) / whole


def doubtful(asked: str, hits: Sequence[Hit], weights: Mapping[str, float]) -> bool:
    """Whether a source says what the question says, but of something else or in other numbers.

    That is: the question repeats a sentence of a hit and has a word besides, known to the sources
    and none of that hit; or a quantity that the hit has not, where the sentence has another. No
    hit without such a difference repeats the question as well. What is offered to choose from is
    nothing that the question says.
    """
    rarity = {stem(word): weight for word, weight in weights.items()}
    said = "\n".join(line for line in asked.splitlines() if not _CHOICE.match(line))
    own = about(said)
    given = quantities(said)
    told: list[tuple[float, bool]] = []
    for hit, text in _said(hits):
        words = stems(text)
        if len(words) < _FEWEST or len(words & own) < max(
            _REPEATED * len(words), _ABOUT * len(own)
        ):
            continue
        besides = {s for s in own - _held(hit) if rarity.get(s)}
        numbers = {(q.value, q.unit) for q in quantities(hit.item.text)}
        other = quantities(text) and any((q.value, q.unit) not in numbers for q in given)
        told.append((len(words & own) / len(own), bool(besides or other)))
    return bool(told) and max(told, key=lambda t: (t[0], not t[1]))[1]


def picture_features(hits: Sequence[Hit]) -> tuple[float, float]:
    """Best cosine in the `image` channel, and its margin over the second best."""
    ranked = sorted(_scores("image", hits), reverse=True)
    return ranked[0], ranked[0] - ranked[1] if len(ranked) > 1 else 0.0


def _said(hits: Sequence[Hit]) -> Iterator[tuple[Hit, str]]:
    """Every sentence of the hits; that of a glossary without the term that it explains."""
    for hit in hits:
        text = hit.item.text
        if hit.item.role == "term":
            text = text.removeprefix(f"{hit.item.title}: ")
        for line in text.splitlines():
            for sentence in sentences(line):
                yield hit, sentence


def _held(hit: Hit) -> frozenset[str]:
    item = hit.item
    return stems(f"{item.title} {item.text} {item.labels} {' '.join(item.section)}")


def _scores(channel: Channel, hits: Sequence[Hit]) -> list[float]:
    return [h.channels[channel] for h in hits if channel in h.channels] or [0.0]


def _first(channel: Channel, hits: Sequence[Hit]) -> str:
    return max(hits, key=lambda h: h.channels.get(channel, -1.0)).item.id


def _logistic(weights: Sequence[float], features: Sequence[float]) -> float:
    z = weights[0] + sum(w * f for w, f in zip(weights[1:], features, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
