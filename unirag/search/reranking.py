"""Puts the hits of a search in the order in which they answer its question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data.folding import fold
from data.records import Hit, Item
from data.tables import statement_text
from generation.definitions import defines_topic
from generation.table_rows import answering_rows
from generation.text_models import with_cosine

__all__ = ["Relevance", "rerank"]

# Pairs of a question and a text to scores, (N,) float32 in [0, 1].
Relevance = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


def rerank(
    question: str,
    hits: Sequence[Hit],
    relevance: Relevance,
    candidates: int,
    cosine_weight: float = 0.0,
    rank_constant: float = 0.0,
) -> list[Hit]:
    """Return the hits with the first `candidates` of them reordered by their relevance.

    `relevance` reads the title, text and figure labels of a hit beside the question. Of a table it
    reads the rows that the question asks for, as sentences. The cosine of the hit in the channel
    `text` is added to its logit with `cosine_weight`; a hit outside that channel counts as its
    farthest. A glossary entry that defines the question's topic has the relevance 1. The new order
    fuses the ranks before and by relevance: 1 / (`rank_constant` + rank), summed (reciprocal rank
    fusion, Cormack et al. 2009).
    """
    first, rest = hits[:candidates], hits[candidates:]
    scores = relevance([(question, _readable(hit.item, question)) for hit in first])
    cosines = [hit.channels.get("text") for hit in first]
    farthest = min((c for c in cosines if c is not None), default=0.0)
    cosine_N = np.array([farthest if c is None else c for c in cosines], np.float32)
    scores = with_cosine(scores, cosine_N, cosine_weight)
    scores[[defines_topic(hit.item, question) for hit in first]] = 1.0
    scored = [
        replace(hit, relevance=round(float(score), 4))
        for hit, score in zip(first, scores, strict=True)
    ]
    ranks = np.arange(1, len(first) + 1)
    by_relevance = np.argsort(np.argsort(-scores, kind="stable")) + 1
    fused = 1 / (rank_constant + ranks) + 1 / (rank_constant + by_relevance)
    return [*(scored[i] for i in np.argsort(-fused, kind="stable")), *rest]


def _readable(item: Item, question: str) -> str:
    wanted = " ".join(answering_rows(question, item.text).values()) if item.role == "table" else ""
    text = " ".join(f"{wanted or statement_text(item.text)} {item.labels}".split())
    is_titled = not item.title or text.startswith(item.title)
    return fold(text if is_titled else f"{item.title}: {text}")
