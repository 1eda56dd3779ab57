"""Decides whether the corpus answers a question, from the hits of its search.

A logistic regression over features of the hits: cosine, covered words, margin, agreement of the
channels, unknown words. `python -m benchmarks.answerability` fits its weights on some books and
reports results on others. A question with a false premise is always refused: it repeats a sentence
of a hit with another subject or another number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from data.records import Channel, Hit
from data.sentences import split_sentences
from generation.quantities import quantities
from generation.words import stem, stems, topic_words
from unirag.settings.search import AnswerabilitySettings

__all__ = [
    "confidence",
    "has_false_premise",
    "picture_features",
    "question_words",
    "word_features",
]

_WORD = re.compile(r"[^\W\d_]{3,}")
_CHOICE = re.compile(r"\s*(?:\([a-h]\)|[a-h][.)])\s", re.IGNORECASE)  # such as `(a) `


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
    if hits and question and not has_false_premise(question, hits, rarity, settings):
        judgements.append(_logistic(settings.words, word_features(hits, rarity, settings)))
    if hits and has_picture:
        judgements.append(_logistic(settings.picture, picture_features(hits)))
    return max(judgements)


def word_features(
    hits: Sequence[Hit], rarity: Mapping[str, float], settings: AnswerabilitySettings
) -> tuple[float, float, float, float, float]:
    """Return five features of a question in words.

    1. the best cosine
    2. the largest share of the question's words in one of the best hits, rare words counting more
    3. the margin of the best cosine over the mean of the lower half
    4. 1.0 if the channels agree on the first hit, else 0.0
    5. the share of words that no item contains
    """
    cosines = _channel_scores("text", hits)
    weights = {stem(word): score for word, score in rarity.items()}
    unknown = [word for word, weight in weights.items() if not weight]
    rarest = max(weights.values(), default=0.0) or 1.0
    weights |= dict.fromkeys(unknown, rarest)
    total = sum(weights.values()) or 1.0
    covered = max(
        sum(weights[word] for word in weights.keys() & _hit_words(hit))
        for hit in hits[: settings.covering_hits]
    )
    lower_half = sorted(cosines, reverse=True)[len(cosines) // 2 :]
    margin = max(cosines) - sum(lower_half) / len(lower_half)
    agreement = float(_first_hit("text", hits) == _first_hit("bm25", hits))
    unknown_share = sum(weights[word] for word in unknown) / total
    return max(cosines), covered / total, margin, agreement, unknown_share


def picture_features(hits: Sequence[Hit]) -> tuple[float, float]:
    """Return the best cosine in the `image` channel and its margin over the second best."""
    ranked = sorted(_channel_scores("image", hits), reverse=True)
    return ranked[0], ranked[0] - ranked[1] if len(ranked) > 1 else 0.0


def has_false_premise(
    question: str,
    hits: Sequence[Hit],
    rarity: Mapping[str, float],
    settings: AnswerabilitySettings,
) -> bool:
    """Return whether the question repeats a sentence of a hit, but changes a word or a number.

    A word is changed if the hit does not contain it but other items do. A number is changed if the
    sentence has a quantity, but the hit does not contain the quantity of the question. If several
    hits are repeated, the best repeated one decides. Multiple-choice options are ignored.
    """
    statement = "\n".join(line for line in question.splitlines() if not _CHOICE.match(line))
    topic = topic_words(statement)
    numbers = [(q.value, q.unit) for q in quantities(statement)]
    indexed_words = {stem(word) for word, score in rarity.items() if score}
    repeated: list[tuple[float, bool]] = []  # overlap, is changed
    for hit, sentence in _hit_sentences(hits):
        words = stems(sentence)
        overlap = len(words & topic)
        if len(words) < settings.premise_words or overlap < max(
            settings.premise_overlap * len(words), settings.premise_share * len(topic)
        ):
            continue
        changed_word = bool((topic & indexed_words) - _hit_words(hit))
        changed_number = bool(quantities(sentence)) and not _holds(hit, numbers)
        repeated.append((overlap / len(topic), changed_word or changed_number))
    return bool(repeated) and max(repeated, key=lambda r: (r[0], not r[1]))[1]


def _holds(hit: Hit, numbers: Sequence[tuple[float, str]]) -> bool:
    """Return whether a hit contains all of these quantities, each a value with its unit."""
    of_hit = {(q.value, q.unit) for q in quantities(hit.item.text)}
    return all(number in of_hit for number in numbers)


def _hit_sentences(hits: Sequence[Hit]) -> Iterator[tuple[Hit, str]]:
    """Yield every sentence of the hits; a glossary entry without the term that it defines."""
    for hit in hits:
        text = hit.item.text
        if hit.item.role == "term":
            text = text.removeprefix(f"{hit.item.title}: ")
        for line in text.splitlines():
            for sentence in split_sentences(line):
                yield hit, sentence


def _hit_words(hit: Hit) -> frozenset[str]:
    item = hit.item
    return stems(f"{item.title} {item.text} {item.labels} {' '.join(item.section)}")


def _channel_scores(channel: Channel, hits: Sequence[Hit]) -> list[float]:
    return [h.channels[channel] for h in hits if channel in h.channels] or [0.0]


def _first_hit(channel: Channel, hits: Sequence[Hit]) -> str:
    return max(hits, key=lambda h: h.channels.get(channel, -1.0)).item.id


def _logistic(weights: Sequence[float], features: Sequence[float]) -> float:
    bias, *factors = weights
    z = bias + sum(w * f for w, f in zip(factors, features, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
