"""Estimate how large an index becomes and how long it takes to make: `unirag plan`.

Sizes are arithmetic (`estimate_size`), based on the means of some items of the workspace or of the
sample corpus. Times are based on rates measured on this machine (`measure_rates`). A rate that was
not measured is None, and so is every time that depends on it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

import data.sample
from data.chunking import ItemDraft, chunk
from data.pictures import open_picture
from data.readers.scan import Rejected, scan
from data.records import Item
from retrieval.bm25 import Bm25
from retrieval.encoder import ORIGINAL, ImageEncoder, TextRetriever
from retrieval.store import Quantization
from unirag.app import App
from unirag.indexing.pipeline import LabelSource, searchable_text

__all__ = [
    "EncodingRates",
    "IndexSize",
    "ItemSample",
    "StoreMachine",
    "VectorWidths",
    "estimate_size",
    "measure_rates",
    "sample_items",
    "sample_workspace",
]

_FLOAT_BYTES = 4  # also the size of a link and of a token id
# Qdrant's default hnsw_config.m. A vector has 2 m links in the lowest layer (Malkov & Yashunin
# 2018, 4.1) and m in each layer above. Those layers hold 1 / (m - 1) times as many vectors.
_HNSW_M = 16
_LINKS_PER_VECTOR = 2 * _HNSW_M + _HNSW_M / (_HNSW_M - 1)
# Qdrant's capacity planning guide adds 50 % for old versions and rebuilt segments.
_SPARE_FACTOR = 1.5
_COMPRESSION: dict[Quantization, int] = {"none": 1, "scalar": 4, "binary": 32}
_RAM_SHARE = 0.8  # share of a machine's memory that the store may use
_SAMPLE_ITEMS = 1000
_MEASURE_SECONDS = 3.0  # per rate, after one batch to warm up
_PICTURE_BATCH = 16
_TEXT_BATCH = 64


@dataclass(frozen=True)
class VectorWidths:
    """The number of components of image and text vectors."""

    image: int
    text: int


@dataclass(frozen=True)
class ItemSample:
    """Means over `items` items of `source`.

    `figure_share` is the share of items with a picture. `payload_bytes` and `bm25_terms` are per
    item, `picture_bytes` are per figure with its thumbnail.
    """

    source: str
    items: int
    figure_share: float
    payload_bytes: float
    bm25_terms: float
    picture_bytes: float


@dataclass(frozen=True)
class EncodingRates:
    """The speed of one `device`, None where it was not measured.

    `labels_per_second` counts pictures whose words OCR reads, on the CPU of this machine.
    """

    device: str
    gpu: bool
    pictures_per_second: float | None
    texts_per_second: float | None
    labels_per_second: float | None


@dataclass(frozen=True)
class StoreMachine:
    """A machine of the cluster that holds the vector store."""

    ram_bytes: float = 64e9


@dataclass(frozen=True)
class IndexSize:
    """The size of an index and the hours to make it.

    `ram_bytes` and `disk_bytes` are sums over all replicas. `workspace_bytes` has no replicas.
    `encode_hours` are for the measured device, `labels_hours` for the CPU of this machine.
    """

    vectors: int
    bytes_per_item: float
    ram_bytes: float
    disk_bytes: float
    workspace_bytes: float
    machines: int
    shards: int
    encode_hours: float | None
    labels_hours: float | None


def estimate_size(
    items: int,
    figure_share: float,
    widths: VectorWidths,
    sample: ItemSample,
    rates: EncodingRates,
    replicas: int = 1,
    machine: StoreMachine = StoreMachine(),
    quantization: Quantization = "none",
) -> IndexSize:
    """Estimate the size of an index of `items` items, `figure_share` of them with a picture.

    dense     = 4 bytes * (items * text width + figures * image width)
    links     = 4 bytes * (2 m + m / (m - 1)) * vectors                          with m = 16
    sparse    = 2 * 8 bytes * terms * items: token id and weight, stored and in the inverted index
    in memory = dense, or a quarter of it (`scalar`, bytes), or 1 / 32 of it (`binary`, bits)
    ram       = (1.5 * in memory + links + sparse) * replicas; payloads stay on disk
    disk      = 1.5 * (dense + in memory if quantized + links + sparse + payload) * replicas
    workspace = pictures and thumbnails + dense, for the embedding cache
    machines  = enough to hold ram in 80 % of their memory, at least one per replica
    shards    = 2 per machine, so that the cluster can double; 1 on a single machine
    hours     = figures / pictures per second + items / texts per second
                to encode, and figures / labels per second to read labels
    """
    figures = items * figure_share
    vectors = items + figures
    dense = _FLOAT_BYTES * (items * widths.text + figures * widths.image)
    links = _FLOAT_BYTES * _LINKS_PER_VECTOR * vectors
    sparse = 2 * 2 * _FLOAT_BYTES * sample.bm25_terms * items
    payload = sample.payload_bytes * items
    in_memory = dense / _COMPRESSION[quantization]
    on_disk = dense if quantization == "none" else dense + in_memory
    ram = (_SPARE_FACTOR * in_memory + links + sparse) * replicas
    machines = max(replicas, math.ceil(ram / (_RAM_SHARE * machine.ram_bytes)))
    return IndexSize(
        vectors=round(vectors),
        bytes_per_item=(dense + links + sparse) / max(items, 1) + sample.payload_bytes,
        ram_bytes=ram,
        disk_bytes=_SPARE_FACTOR * (on_disk + links + sparse + payload) * replicas,
        workspace_bytes=figures * sample.picture_bytes + dense,
        machines=machines,
        shards=2 * machines if machines > 1 else 1,
        encode_hours=_encode_hours(items, figures, rates),
        labels_hours=figures / rates.labels_per_second / 3600 if rates.labels_per_second else None,
    )


def _encode_hours(items: int, figures: float, rates: EncodingRates) -> float | None:
    if not rates.texts_per_second or (figures and not rates.pictures_per_second):
        return None
    seconds = items / rates.texts_per_second
    if rates.pictures_per_second:
        seconds += figures / rates.pictures_per_second
    return seconds / 3600


def sample_items(
    items: Iterable[Item], source: str, picture_bytes: Callable[[str], int], bm25: Bm25
) -> ItemSample | None:
    """Return the means of the first thousand items, or None if there is none.

    `picture_bytes` returns the size of a picture and its thumbnail.
    """
    sample = list(islice(items, _SAMPLE_ITEMS))
    if not sample:
        return None
    figures = [item for item in sample if item.image]
    payloads = [len(json.dumps(item.to_json()).encode()) for item in sample]
    terms = [len(bm25.encode_document(searchable_text(item)).indices) for item in sample]
    return ItemSample(
        source=source,
        items=len(sample),
        figure_share=len(figures) / len(sample),
        payload_bytes=sum(payloads) / len(sample),
        bm25_terms=sum(terms) / len(sample),
        picture_bytes=sum(picture_bytes(item.image) for item in figures) / max(len(figures), 1),
    )


def sample_workspace(app: App) -> ItemSample:
    """Return the means of the items of a workspace, or of the sample corpus if it has none."""
    components = app.components

    def asset_bytes(digest: str) -> int:
        paths = (components.assets.path(digest), components.assets.thumbnail(digest))
        return sum(path.stat().st_size for path in paths if path and path.exists())

    if components.catalog.corpora():  # without a corpus the store may not exist
        items = components.store.scan()
        sample = sample_items(items, "this home", asset_bytes, components.bm25)
        if sample:
            return sample
    sample_corpus, files = _read_sample_corpus()
    sizes = {path.name: path.stat().st_size for path in files}
    sample = sample_items(sample_corpus, "the sample corpus", sizes.__getitem__, components.bm25)
    assert sample is not None
    return sample


def _read_sample_corpus() -> tuple[list[Item], list[Path]]:
    """Return the items of the sample corpus and its picture files.

    The `image` of a figure is the name of its file.
    """
    root = Path(data.sample.__file__).parent
    items: list[Item] = []
    for document in scan(root):
        if isinstance(document, Rejected):
            continue
        for draft in chunk(document, "sample"):
            if isinstance(draft, ItemDraft):
                image = draft.picture.name if isinstance(draft.picture, Path) else ""
                items.append(Item.from_json({**draft.item.to_json(), "image": image}))
    return items, sorted((root / "figures").glob("*.png"))


def measure_rates(
    device: str,
    gpu: bool,
    encoder: ImageEncoder,
    text: TextRetriever,
    ocr: LabelSource | None,
    clock: Callable[[], float] = time.perf_counter,
) -> EncodingRates:
    """Encode the sample corpus for a few seconds, in batches as in indexing.

    `device` and `gpu` describe the device of the models in the result.
    """
    items, files = _read_sample_corpus()
    pictures = [open_picture(path) for path in files]
    texts = [searchable_text(item) for item in items]

    def encode_pictures(batch: Sequence[Image.Image]) -> None:
        encoder.encode_image(batch, ORIGINAL)

    def read_labels(batch: Sequence[Image.Image]) -> None:
        assert ocr is not None
        ocr.read_all({str(number): picture for number, picture in enumerate(batch)})

    return EncodingRates(
        device=device,
        gpu=gpu,
        pictures_per_second=_rate(encode_pictures, pictures, _PICTURE_BATCH, clock),
        texts_per_second=_rate(text.encode_passages, texts, _TEXT_BATCH, clock),
        labels_per_second=_rate(read_labels, pictures, _PICTURE_BATCH, clock) if ocr else None,
    )


def _rate(
    work: Callable[..., object],
    inputs: Sequence[object],
    batch_size: int,
    clock: Callable[[], float],
) -> float:
    """Return the inputs per second. Repeat `inputs` for `_MEASURE_SECONDS`."""
    work(inputs[:batch_size])
    done, start, started_at = 0, 0, clock()
    while True:
        batch = inputs[start : start + batch_size] or inputs[:batch_size]
        start = start + batch_size if start + batch_size < len(inputs) else 0
        work(batch)
        done += len(batch)
        if (elapsed := clock() - started_at) >= _MEASURE_SECONDS:
            return done / elapsed
