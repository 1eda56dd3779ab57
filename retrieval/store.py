"""What every vector store does: one point per item, three channels, fused in the engine.

A new store is one file that fulfils `VectorStore` and passes the suite in
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
# How dense vectors are kept in memory: whole, as bytes, or as bits. Whole ones stay on disk.
Quantization = Literal["none", "scalar", "binary"]

PAYLOAD_INDEXES = ("kind", "corpus", "section", "source", "role", "audience", "image")
# Weighted reciprocal rank fusion as the engine computes it, rank from 1:
#     score = sum over channels of 1 / (rank / weight + RRF_K - 1)
# after Cormack et al. 2009. Their k = 60 would drown the weights: they divide the rank.
RRF_K = 4
# So many times the hits asked for are found by quantised vectors and ranked by the whole ones.
OVERSAMPLING = 8.0
_REEMBED = "run `unirag reembed` to encode anew what is stored"


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Token ids and their weights, of the same length."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """An item and its vectors; a passage has no `image`. Dense ones are unit length, float32."""

    item: Item
    image: Vector | None
    text: Vector | None
    bm25: SparseVector


@dataclass(frozen=True, slots=True)
class ChannelQuery:
    """One ranked list to ask for: its channel, what to compare with, its weight in (0, 1]."""

    channel: Channel
    vector: Vector | SparseVector
    weight: float = 1.0

    @property
    def is_empty(self) -> bool:
        """Whether this is a sparse query without indices, which matches nothing."""
        return isinstance(self.vector, SparseVector) and not self.vector.indices


@dataclass(frozen=True, slots=True)
class Where:
    """Which items may be returned; an empty tuple means any.

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
        """The payload fields to match, each with the values of which one must be present."""
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
    """A hit of the store: its fused score, and its own score in each channel asked."""

    item: Item
    score: float
    channels: Mapping[Channel, float]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What wrote a collection. Vectors of different stamps cannot be compared."""

    profile: str
    encoder: str
    text: str
    image_width: int
    text_width: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Stamp:
        """The stamp among other keys of `value`; raises `UniragError` where it is not whole."""
        names = [value.get(name) for name in ("profile", "encoder", "text")]
        widths = [value.get(name) for name in ("image_width", "text_width")]
        if not all(isinstance(v, str) for v in names) or not all(
            isinstance(v, int) and v > 0 for v in widths
        ):
            raise UniragError(
                f"{where} does not say what it was indexed with; restore it from a backup, or "
                "index into another --home"
            )
        return cls(*names, *widths)  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this stamp from others, for the name of a folder."""
        said = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:8]

    def check(self, stored: Mapping[str, Any], where: str, remedy: str = _REEMBED) -> None:
        """Refuse what was written under another stamp than this one; `remedy` is one way out."""
        differing = [n for n, v in self.to_json().items() if stored.get(n) != v]
        if differing:
            found = ", ".join(f"{n} {stored.get(n)!r}" for n in differing)
            wanted = ", ".join(f"{n} {getattr(self, n)!r}" for n in differing)
            ways = [remedy, "use another --home"]
            if "profile" in differing:
                ways.insert(1, f"run with --profile {stored.get('profile', 'mini')}")
            raise Mismatch(
                f"{where} was indexed with {found}, but this run uses {wanted}; "
                + ", or ".join(ways)
            )


class VectorStore(Protocol):
    """Errors are those of `data.errors` only; no engine's exception escapes.

    A store is opened with the stamp that the collection has to have, or with None for whatever is
    there (`Missing` where nothing is), or with a stamp and `replacement`: an empty collection replacement
    the one that is there, until `promote`.

    And with a `Quantization`, or None to leave the collection as it is (whole vectors in a new
    one). A change is complete after the next `flush`; results are ranked by whole vectors anyway.
    """

    @property
    def stamp(self) -> Stamp:
        """What wrote the collection."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; one with the id of a stored item replaces it whole."""
        ...

    def search(
        self, queries: Sequence[ChannelQuery], limit: int, where: Where = ...
    ) -> list[ScoredItem]:
        """Ask each channel and fuse by weighted reciprocal rank, best first."""
        ...

    def best_scores(self, queries: Sequence[ChannelQuery], where: Where = ...) -> list[float]:
        """Return the best score of each query on its own, in one round trip.

        A query that matches nothing scores 0.0, and so does a sparse query without indices.
        """
        ...

    def get(self, ids: Sequence[str]) -> list[Item]:
        """The items that exist, in the order asked for."""
        ...

    def scan(self, where: Where = ...) -> Iterator[Item]:
        """Every matching item, in no particular order, a page at a time."""
        ...

    def scan_points(self, where: Where = ...) -> Iterator[Point]:
        """As `scan`, with the vectors. The indices of a sparse one come in any order."""
        ...

    def count(self, where: Where = ...) -> int: ...

    def count_by(self, field: str, where: Where = ...) -> dict[str, int]:
        """How many items hold each value of an indexed payload field."""
        ...

    def delete(self, ids: Iterable[str]) -> None: ...

    def delete_where(self, where: Where) -> None:
        """Delete matching items; an empty `where` is refused: nothing is wiped by accident."""
        ...

    def flush(self) -> None:
        """Return once everything written is on disk and indexed for search."""
        ...

    def promote(self) -> None:
        """Make this collection, opened `replacement` another, the one that opens from now on.

        At once or not at all. Whoever has the other one open goes on reading it.
        """
        ...

    def delete_replaced(self) -> None:
        """Delete the collections that this one replaced, and what was begun beside it."""
        ...

    def close(self) -> None: ...
