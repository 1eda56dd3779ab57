"""Tell the glossary entries that define what a question asks about."""

from __future__ import annotations

from data.records import Item
from generation.words import stems, topic_words

__all__ = ["defines_topic"]


def defines_topic(item: Item, question: str) -> bool:
    """Return whether a glossary entry defines a term that makes up half of the question's topic.

    The reranker was trained on running text and prefers a mention of the term to its definition.
    """
    term, topic = stems(item.title), topic_words(question)
    return item.role == "term" and bool(term) and term <= topic and 2 * len(term) >= len(topic)
