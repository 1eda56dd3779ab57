"""Choose the evidence of an answer: a few items, cut to the sentences nearest to the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from data.records import Hit, Item
from data.sentences import split_sentences
from data.tables import Table, row_sentences, text_parts
from generation.embedding import Embed, Vector

__all__ = ["LABELS_PREFIX", "Evidence", "assemble", "text_sentences"]

LABELS_PREFIX = "Labels in the figure: "


@dataclass(frozen=True)
class Evidence:
    """An item that an answer may cite, with its sentences.

    `label` is the number of the item in the prompt, from 1. `prompt_text` is the part of the item
    that the model reads. `vectors_SD` are the unit vectors of the S sentences.
    """

    label: int
    item: Item
    sentences: tuple[str, ...]
    vectors_SD: NDArray[np.float32]
    prompt_text: str


def assemble(
    question_vector: Vector,
    hits: Sequence[Hit],
    embed: Embed,
    count_tokens: Callable[[str], int],
    *,
    items: int,
    tokens: int,
) -> list[Evidence]:
    """Return the evidence of up to `items` hits, labelled from 1 in the order of `hits`.

    The prompt texts have about `tokens` tokens in all. They consist of the sentences nearest to the
    question, over all items at once, in reading order. Every item keeps at least its best sentence.
    """
    chosen = _distinct(hits, items)
    if not chosen:
        return []
    groups = [_item_sentences(hit.item) for hit in chosen]
    texts = list(chain.from_iterable(groups))
    vectors_SD = embed(texts)
    ends = list(accumulate(map(len, groups)))
    ranges = [range(end - len(group), end) for end, group in zip(ends, groups, strict=True)]
    selected = _within_budget(texts, vectors_SD @ question_vector, ranges, count_tokens, tokens)
    return [
        Evidence(
            label,
            hit.item,
            tuple(texts[n] for n in sentences),
            vectors_SD[sentences.start : sentences.stop],
            _prompt_text(hit.item.title, [texts[n] for n in sentences if n in selected]),
        )
        for label, (hit, sentences) in enumerate(zip(chosen, ranges, strict=True), 1)
    ]


def _within_budget(
    texts: Sequence[str],
    similarity_S: NDArray[np.float32],
    ranges: Sequence[range],
    count_tokens: Callable[[str], int],
    tokens: int,
) -> set[int]:
    """Return the best sentence of each range, and the most similar others that the budget holds."""
    best = {max(sentences, key=lambda n: similarity_S[n]) for sentences in ranges}
    selected: set[int] = set()
    for n in sorted(range(len(texts)), key=lambda n: (n not in best, -float(similarity_S[n]))):
        cost = count_tokens(texts[n])
        if cost <= tokens or n in best:
            selected.add(n)
            tokens -= cost
    return selected


def _prompt_text(title: str, sentences: Sequence[str]) -> str:
    prefix = f"{title}: " if title and not sentences[0].startswith(title) else ""
    return prefix + " ".join(sentences)


def _distinct(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """Return the first `limit` hits that have a text, without repeated texts."""
    by_text: dict[str, Hit] = {}
    for hit in hits:
        text = " ".join((hit.item.text or hit.item.labels).split())
        if text:
            by_text.setdefault(text, hit)
    return list(by_text.values())[:limit]


def text_sentences(text: str) -> list[str]:
    """Return the sentences of a text. Each row of a table is one, with the names of its columns."""
    sentences: list[str] = []
    for part in text_parts(text):
        if isinstance(part, Table):
            sentences += row_sentences(part).values()
        else:
            sentences += split_sentences(part)
    return sentences


def _item_sentences(item: Item) -> list[str]:
    texts = text_sentences(item.text)
    if item.kind == "figure" and item.labels:
        texts.append(LABELS_PREFIX + ", ".join(item.labels.split("\n")))
    return texts or [item.title]
