"""Re-embedding: encode the stored items again after a change of the encoder, without their files.

Texts come from the items and pictures from the assets. After a kill, vectors that the new encoder
has made are in the embedding cache, so the next run encodes only the rest.
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
from unirag.indexing.pipeline import searchable_text
from unirag.workspace.embedding_cache import CachedEncoders

__all__ = ["ReembedReport", "reembed"]

_ITEM_BATCH = 500
_PICTURE_BATCH = 32  # decoded pictures, up to 200 MB each in the worst case


@dataclass
class ReembedReport:
    """The result of a run.

    `missing_pictures` pairs each figure without a usable picture with the reason. From now on only
    its words can find it.
    """

    items: int = 0
    missing_pictures: list[tuple[Item, str]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "items": self.items,
            "missing_pictures": [
                {"id": item.id, "corpus": item.corpus, "source": item.source, "reason": reason}
                for item, reason in self.missing_pictures
            ],
            "seconds": round(self.seconds, 2),
        }


def reembed(
    old: VectorStore,
    new: VectorStore,
    encoders: CachedEncoders,
    assets: Assets,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> ReembedReport:
    """Encode the items of `old` again and store them in `new`; `old` does not change.

    `progress` is called with the number of finished items and of all items. If a picture is missing
    or broken, report it and encode only the words of its figure: one lost picture must not stop
    the change of the encoder.
    """
    report, total = ReembedReport(), old.count()
    started_at = time.monotonic()
    points = old.scan_points()
    while batch := list(islice(points, _ITEM_BATCH)):
        new.upsert(list(_encoded(batch, encoders, assets, report)))
        report.items += len(batch)
        progress(report.items, total)
    new.flush()
    report.seconds = time.monotonic() - started_at
    return report


def _encoded(
    batch: Sequence[Point], encoders: CachedEncoders, assets: Assets, report: ReembedReport
) -> Iterator[Point]:
    digests = {point.item.image for point in batch} - {""}
    vectors, errors = _picture_vectors(digests, encoders, assets)
    texts = [searchable_text(point.item) or point.item.title for point in batch]
    for point, text_D in zip(batch, encoders.encode_passages(texts), strict=True):
        digest = point.item.image
        if digest in errors:
            report.missing_pictures.append((point.item, errors[digest]))
        # BM25 vectors do not depend on an encoder
        yield Point(point.item, vectors.get(digest), text_D, point.bm25)


def _picture_vectors(
    digests: set[str], encoders: CachedEncoders, assets: Assets
) -> tuple[dict[str, Vector], dict[str, str]]:
    """Return the vectors of the pictures and the errors of the others, by digest."""
    vectors = encoders.cached_pictures(digests)
    errors: dict[str, str] = {}
    remaining = iter(sorted(digests - vectors.keys()))
    while batch := list(islice(remaining, _PICTURE_BATCH)):
        pictures: dict[str, Image.Image] = {}
        for digest in batch:
            try:
                pictures[digest] = _open_asset(assets, digest)
            except BadInput as error:
                errors[digest] = str(error)
        if pictures:
            vectors |= encoders.encode_pictures(pictures)
    return vectors, errors


def _open_asset(assets: Assets, digest: str) -> Image.Image:
    path = assets.path(digest)
    if path is None:
        raise BadInput(f"picture {digest} is not in {assets.root}")
    return open_picture(path)
