"""Hits as LangChain documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from data.records import Hit

__all__ = ["UniRetriever", "to_document"]


class UniRetriever(BaseRetriever):
    """A LangChain retriever. `search` takes a question and a limit, and returns the best hits."""

    search: Callable[[str, int], Sequence[Hit]]
    k: int = 10

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return [to_document(hit) for hit in self.search(query, kwargs.get("k", self.k))]


def to_document(hit: Hit) -> Document:
    """Convert a hit: the text is its content; location, licence and scores are metadata."""
    item = hit.item.to_json()
    text = item.pop("text") or item["labels"] or item["title"]
    scores = {"score": hit.score, "channels": dict(hit.channels)}
    return Document(page_content=text, id=item.pop("id"), metadata={**item, **scores})
