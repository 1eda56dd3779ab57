"""The interface of every vector store: one point per item, three channels, fused by the engine.

A new store is a file that implements `VectorStore` and passes the suite in
`tests/retrieval/test_store_contract.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import Mismatch, UniragError
from data.records import Audience, Channel, Item, Kind, Role

__all__ = [
    "FUSION_DEPTH",
    "OVERSAMPLING",
    "PAYLOAD_INDEXES",
    "RRF_K",
    "ChannelQuery",
    "Point",
    "Quantization",
    "ScoredItem",
    "SparseVector",
    "Stamp",
    "Vector",
    "VectorStore",
    "Where",
]

Vector = NDArray[np.float32]
# How dense vectors are kept in memory: whole, as bytes, or as bits. Whole vectors stay on disk.
Quantization = Literal["none", "scalar", "binary"]

PAYLOAD_INDEXES = ("kind", "corpus", "section", "source", "role", "audience", "image")
# Weighted reciprocal rank fusion as the engine computes it, with ranks from 1:
#     score = sum over channels of 1 / (rank / weight + RRF_K - 1)
# after Cormack et al. 2009. Weights divide the rank, so with the paper's k = 60 they would have
# almost no effect.
RRF_K = 4
FUSION_DEPTH = 100  # least number of candidates per channel
# Quantised vectors find this many candidates per hit; whole vectors then rank them.
OVERSAMPLING = 8.0
_REEMBED = "run `unirag reembed` to encode the stored items again"


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Token ids and their weights, of the same length."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """An item and its vectors. Dense vectors are float32, unit length. Passages have no `image`."""

    item: Item
    image: Vector | None
    text: Vector | None
    bm25: SparseVector


@dataclass(frozen=True, slots=True)
class ChannelQuery:
    """A query of one channel, with its weight in the fusion, in (0, 1]."""

    channel: Channel
    vector: Vector | SparseVector
    weight: float = 1.0

    @property
    def is_empty(self) -> bool:
        """Whether this is a sparse query without indices, which matches nothing."""
        return isinstance(self.vector, SparseVector) and not self.vector.indices


@dataclass(frozen=True, slots=True)
class Where:
    """A filter of items. An empty tuple matches every item.

    `sections` matches any level of the section path; `images` are digests of pictures.
    """

    kinds: tuple[Kind, ...] = ()
    corpora: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    audiences: tuple[Audience, ...] = ()
    images: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def conditions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the payload fields to match, each with its accepted values."""
        for name, values in (
            ("kind", self.kinds),
            ("corpus", self.corpora),
            ("section", self.sections),
            ("source", self.sources),
            ("role", self.roles),
            ("audience", self.audiences),
            ("image", self.images),
        ):
            if values:
                yield name, values


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """An item with its fused score, and its score in each channel of the query."""

    item: Item
    score: float
    channels: Mapping[Channel, float]


@dataclass(frozen=True, slots=True)
class Stamp:
    """The models that wrote a collection. Vectors of different stamps cannot be compared.

    `encoder` and `text` name the image encoder and the text retriever.
    """

    profile: str
    encoder: str
    text: str
    image_width: int
    text_width: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a JSON file."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], location: str) -> Stamp:
        """Read the stamp from `value`, which may have other keys too.

        Raises `UniragError` for an incomplete stamp; `location` is for its message.
        """
        names = [value.get(name) for name in ("profile", "encoder", "text")]
        widths = [value.get(name) for name in ("image_width", "text_width")]
        if not all(isinstance(v, str) for v in names) or not all(
            isinstance(v, int) and v > 0 for v in widths
        ):
            raise UniragError(
                f"{location} does not say which models it was indexed with; restore it from a "
                "backup, or index into another --home"
            )
        return cls(*names, *widths)  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that identify the stamp in the name of a collection."""
        content = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    def check(self, stored: Mapping[str, Any], location: str, remedy: str = _REEMBED) -> None:
        """Raise `Mismatch` if `stored` is another stamp.

        `location` and `remedy` go into the message.
        """
        differing = [n for n, v in self.to_json().items() if stored.get(n) != v]
        if not differing:
            return
        stored_values = ", ".join(f"{n} {stored.get(n)!r}" for n in differing)
        current_values = ", ".join(f"{n} {getattr(self, n)!r}" for n in differing)
        remedies = [remedy, "use another --home"]
        if "profile" in differing:
            remedies.insert(1, f"run with --profile {stored.get('profile', 'mini')}")
        raise Mismatch(
            f"{location} was indexed with {stored_values}, but this run uses {current_values}; "
            + ", or ".join(remedies)
        )


class VectorStore(Protocol):
    """A collection of points. Raises only errors of `data.errors`, never an engine's.

    A store is opened with the stamp that the collection must have, or with None to accept any
    (`Missing` if there is no collection). With `replacement` it is a new, empty collection that
    takes the place of the current one when `promote` is called. A `Quantization` sets how vectors
    are kept in memory, and None changes nothing. A change is complete after the next `flush`.
    Results are always ranked by whole vectors.
    """

    @property
    def stamp(self) -> Stamp:
        """The models that wrote the collection."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points. A point replaces the stored one with the same id completely."""
        ...

    def search(
        self, queries: Sequence[ChannelQuery], limit: int, where: Where = ...
    ) -> list[ScoredItem]:
        """Return the best items of all channels, fused by weighted reciprocal rank, best first."""
        ...

    def best_scores(self, queries: Sequence[ChannelQuery], where: Where = ...) -> list[float]:
        """Return the best score of each query on its own, in one round trip.

        A query that matches nothing scores 0.0, and so does a sparse query without indices.
        """
        ...

    def get(self, ids: Sequence[str]) -> list[Item]:
        """Return the items with these ids, in that order, without those that do not exist."""
        ...

    def scan(self, where: Where = ...) -> Iterator[Item]:
        """Yield every matching item, in no particular order; reads a page at a time."""
        ...

    def scan_points(self, where: Where = ...) -> Iterator[Point]:
        """Yield every matching item with its vectors. Indices of sparse vectors are not sorted."""
        ...

    def count(self, where: Where = ...) -> int:
        """Return the number of matching items."""
        ...

    def count_by(self, field: str, where: Where = ...) -> dict[str, int]:
        """Return the number of matching items for each value of an indexed payload field."""
        ...

    def delete(self, ids: Iterable[str]) -> None:
        """Delete the items with these ids; ids that do not exist are ignored."""
        ...

    def delete_where(self, where: Where) -> None:
        """Delete matching items. Raises `BadInput` for an empty filter, which matches all."""
        ...

    def flush(self) -> None:
        """Wait until everything written is on disk and indexed for search."""
        ...

    def promote(self) -> None:
        """Make this replacement the current collection, in one atomic step.

        Stores that have the former collection open go on reading it.
        """
        ...

    def delete_replaced(self) -> None:
        """Delete former collections and replacements that were never promoted."""
        ...

    def close(self) -> None:
        """Release the collection."""
        ...
