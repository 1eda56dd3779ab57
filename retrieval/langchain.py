"""Hits as LangChain documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from data.records import Hit

__all__ = ["UniRetriever", "document"]


class UniRetriever(BaseRetriever):
    """`find` gives the best hits for a question, at most as many as it is told."""

    search: Callable[[str, int], Sequence[Hit]]
    k: int = 10

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **given: Any
    ) -> list[Document]:
        return [document(hit) for hit in self.search(query, given.get("k", self.k))]


def document(hit: Hit) -> Document:
    """The item's text; where it stands, its licence and its scores are metadata."""
    item = hit.item.to_json()
    text = item.pop("text") or item["labels"] or item["title"]
    scores = {"score": hit.score, "channels": dict(hit.channels)}
    return Document(page_content=text, id=item.pop("id"), metadata={**item, **scores})
