"""BM25 sparse vectors with Qdrant's tokeniser, the same for the embedded and the server store.

The collection applies the inverse document frequency (Robertson and Zaragoza, 2009), so a
document's vector does not change when others are added.
"""

from __future__ import annotations

import re

import qdrant_edge

from retrieval.store import SparseVector

__all__ = ["Bm25", "strip_latex"]

# Commands and delimiters such as \frac, \( and \text: they carry no words and would add noise.
_LATEX = re.compile(r"\\(?:[a-zA-Z]+|[()\[\],;:! ])")


class Bm25:
    """Encodes English texts. `avg_len` is the mean length of passages in tokens, not stop words."""

    def __init__(self, avg_len: float = 90.0) -> None:
        self._model = qdrant_edge.Bm25(
            qdrant_edge.Bm25Config(language="english", avg_len=avg_len, ascii_folding=True)
        )

    def encode_document(self, text: str) -> SparseVector:
        """Return the weights of a document's words."""
        return _convert(self._model.embed_document(strip_latex(text)))

    def encode_query(self, text: str) -> SparseVector:
        """Return the words of a query. A query without content words has no indices."""
        return _convert(self._model.embed_query(strip_latex(text)))


def strip_latex(text: str) -> str:
    """Replace LaTeX commands by spaces."""
    return _LATEX.sub(" ", text)


def _convert(vector: qdrant_edge.SparseVector) -> SparseVector:
    return SparseVector(tuple(vector.indices), tuple(vector.values))
