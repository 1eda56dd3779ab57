"""CachedEncoders anew what is stored, after a change of the encoder, without the books.

Words are in the items, pictures in the asset folder; what the new encoder has encoded already is in
the cache of vectors, so that a run after a kill encodes only the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from PIL import Image

from data.errors import BadInput
from data.pictures import Assets, open_picture
from data.records import Item
from retrieval.store import Point, Vector, VectorStore
from unirag.indexing.pipeline import searchable
from unirag.workspace.embedding_cache import CachedEncoders

__all__ = ["Reembedded", "reembed"]

_ITEMS = 500  # in a batch
_PICTURES = 32  # decoded pictures at a time, up to 200 MB each in the worst case


@dataclass
class Reembedded:
    """What a run did. `lacking` are figures that are found by their words only from now on."""

    items: int = 0
    lacking: list[tuple[Item, str]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "lacking": [
                {"id": i.id, "corpus": i.corpus, "source": i.source, "reason": why}
                for i, why in self.lacking
            ],
            "seconds": round(self.seconds, 2),
        }


def reembed(
    old: VectorStore,
    new: VectorStore,
    encoding: CachedEncoders,
    assets: Assets,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Reembedded:
    """Fill `new` with the items of `old`, encoded anew; `old` stays as it is.

    `progress` is told how many items of how many are done. A figure whose picture is gone or
    broken keeps its words, and is listed: to stop would keep the others from the new encoder.
    """
    report, total = Reembedded(), old.count()
    began = time.monotonic()
    points = old.points()
    while batch := list(islice(points, _ITEMS)):
        new.upsert(list(_encoded(batch, encoding, assets, report)))
        report.items += len(batch)
        progress(report.items, total)
    new.flush()
    report.seconds = time.monotonic() - began
    return report


def _encoded(
    batch: Sequence[Point], encoding: CachedEncoders, assets: Assets, report: Reembedded
) -> Iterator[Point]:
    images, broken = _pictures({p.item.image for p in batch} - {""}, encoding, assets)
    texts = encoding.passages([searchable(p.item) or p.item.title for p in batch])
    for point, text_D in zip(batch, texts, strict=True):
        if point.item.image in broken:
            report.lacking.append((point.item, broken[point.item.image]))
        # the words are those of before, and so is what BM25 makes of them
        yield Point(point.item, images.get(point.item.image), text_D, point.bm25)


def _pictures(
    digests: set[str], encoding: CachedEncoders, assets: Assets
) -> tuple[dict[str, Vector], dict[str, str]]:
    """The vector of each picture, or why it has none."""
    found, broken = encoding.known(digests), {}
    new = iter(sorted(digests - found.keys()))
    while some := list(islice(new, _PICTURES)):
        pictures: dict[str, Image.Image] = {}
        for digest in some:
            try:
                if (path := assets.path(digest)) is None:
                    raise BadInput(f"picture {digest} is not in {assets.root}")
                pictures[digest] = open_picture(path)
            except BadInput as error:
                broken[digest] = str(error)
        if pictures:
            found |= encoding.pictures(pictures)
    return found, broken
