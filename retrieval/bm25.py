"""BM25 sparse vectors with Qdrant's tokeniser, the same for the embedded and the server store.

The collection applies the inverse document frequency (Robertson and Zaragoza, 2009), so a
document's vector does not change when others are added. Characters are folded: H₂O is H2O.
"""

from __future__ import annotations

import re

import qdrant_edge

from data.folding import fold
from retrieval.store import SparseVector
from retrieval.units import separate_units, unit_synonyms

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
        return _convert(self._model.embed_document(_plain(text)))

    def encode_query(self, text: str) -> SparseVector:
        """Return the words of a query, and the other names of its units.

        A query without content words has no indices.
        """
        text = _plain(text)
        names = [text, *(name for names in self.unit_synonyms(text).values() for name in names)]
        return _convert(self._model.embed_query(fold(" ".join(names))))

    def unit_synonyms(self, text: str) -> dict[str, tuple[str, ...]]:
        """Return the other names of each unit in `text`, as `retrieval.units` does.

        Stop words are left out: the "in" of "10 in a row" is no inch.
        """
        synonyms = unit_synonyms(fold(text))
        return {u: names for u, names in synonyms.items() if self._model.embed_query(u).indices}


def _plain(text: str) -> str:
    return separate_units(strip_latex(fold(text)))


def strip_latex(text: str) -> str:
    """Replace LaTeX commands by spaces."""
    return _LATEX.sub(" ", text)


def _convert(vector: qdrant_edge.SparseVector) -> SparseVector:
    return SparseVector(tuple(vector.indices), tuple(vector.values))
