"""How large an index of so many items becomes, and how long it takes to make: `unirag plan`.

Sizes are arithmetic (`estimate_size`), from what a few items of the home or of the sample corpus weigh.
Times come from rates that are measured on the spot (`measure_rates`): a rate that was not is None, and
said to be so, never guessed.
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
    "Machine",
    "Rates",
    "Sample",
    "Sizing",
    "Widths",
    "measure",
    "sample_of",
    "size",
    "weigh",
]

_FLOAT = 4  # bytes of a component, and of a link or token id
# Qdrant's default hnsw_config.m. Each vector has 2 m links in the lowest layer (Malkov & Yashunin
# 2018, 4.1) and m in each above; the layers above hold 1 / (m - 1) times as many together.
_M = 16
_LINKS = 2 * _M + _M / (_M - 1)
# Qdrant's capacity planning guide: half as much again for versions and segments that are rebuilt.
_SPARE = 1.5
_SMALLER: dict[Quantization, int] = {"none": 1, "scalar": 4, "binary": 32}
_FILLED = 0.8  # of a machine's memory
_ENOUGH = 1000  # items that are weighed
_SECONDS = 3.0  # for which each rate is measured, after a first batch that does not count


@dataclass(frozen=True)
class VectorWidths:
    """Components of the vectors, as the collection's stamp has them."""

    image: int
    text: int


@dataclass(frozen=True)
class ItemSample:
    """What items weigh: means over `items` of `source`, in bytes and in BM25 terms."""

    source: str
    items: int
    figures: float  # share
    payload: float
    terms: float
    picture: float  # with its thumbnail; of a figure


@dataclass(frozen=True)
class EncodingRates:
    """Per second, on one `device`; None where nothing was measured."""

    device: str
    gpu: bool
    pictures: float | None
    texts: float | None
    labels: float | None  # pictures read by OCR, on the CPU of this machine


@dataclass(frozen=True)
class StoreMachine:
    """One of a cluster that holds the store."""

    ram: float = 64e9  # bytes


@dataclass(frozen=True)
class IndexSize:
    """Bytes of all replicas together, but `home`, which there is once. Hours are of one pass."""

    vectors: int
    bytes_per_item: float
    ram: float
    disk: float
    home: float
    machines: int
    shards: int
    encode_hours: float | None  # on one device of those measured
    labels_hours: float | None  # on this machine's CPU


def estimate_size(
    items: int,
    figures: float,
    widths: VectorWidths,
    sample: ItemSample,
    rates: EncodingRates,
    replicas: int = 1,
    machine: StoreMachine = StoreMachine(),
    quantization: Quantization = "none",
) -> IndexSize:
    """The sizing of `items`, of which the share `figures` have a picture.

    dense  = 4 bytes * (items * text width + figures * image width)
    links  = 4 bytes * (2 m + m / (m - 1)) * vectors                           with m = 16
    sparse = 2 * 8 bytes * terms * items: token id and weight, as stored and as inverted index
    held   = dense, a quarter of it as bytes (`scalar`), 1 / 32 as bits (`binary`)
    ram    = (1.5 * held + links + sparse) * replicas: payloads on disk, and what held stands for
    disk   = 1.5 * (dense + held, unless it is dense, + links + sparse + payload) * replicas
    home   = pictures and thumbnails + dense, which `embeddings.db` keeps, once
    machines hold ram at 80 % of their memory, and are as many as replicas at least
    shards = 2 for each machine, so that as many machines may join; 1 on a single one
    hours  = figures / pictures a second + items / texts a second; figures / labels a second
    """
    shown = items * figures
    vectors = items + shown
    dense = _FLOAT * (items * widths.text + shown * widths.image)
    links = _FLOAT * _LINKS * vectors
    sparse = 2 * 2 * _FLOAT * sample.terms * items
    held = dense / _SMALLER[quantization]
    kept = dense if quantization == "none" else dense + held
    ram = (_SPARE * held + links + sparse) * replicas
    disk = _SPARE * (kept + links + sparse + sample.payload * items) * replicas
    machines = max(replicas, math.ceil(ram / (_FILLED * machine.ram)))
    encode = None
    if rates.texts and (rates.pictures or not shown):
        encode = (items / rates.texts + (shown / rates.pictures if rates.pictures else 0)) / 3600
    return IndexSize(
        round(vectors),
        (dense + links + sparse) / max(items, 1) + sample.payload,
        ram,
        disk,
        shown * sample.picture + dense,
        machines,
        2 * machines if machines > 1 else 1,
        encode,
        shown / rates.labels / 3600 if rates.labels else None,
    )


def sample_items(
    items: Iterable[Item], source: str, picture: Callable[[str], int], bm25: Bm25
) -> ItemSample | None:
    """What the first thousand items weigh; None without any. `picture` gives the bytes of one."""
    some = list(islice(items, _ENOUGH))
    if not some:
        return None
    shown = [item for item in some if item.image]
    return ItemSample(
        source,
        len(some),
        len(shown) / len(some),
        sum(len(json.dumps(item.to_json()).encode()) for item in some) / len(some),
        sum(len(bm25.encode_document(searchable_text(item)).indices) for item in some) / len(some),
        sum(picture(item.image) for item in shown) / max(len(shown), 1),
    )


def sample_workspace(app: App) -> ItemSample:
    """The items of a home, or those of the sample corpus where there are none."""

    def kept(digest: str) -> int:
        paths = (app.components.assets.path(digest), app.components.assets.thumbnail(digest))
        return sum(path.stat().st_size for path in paths if path and path.exists())

    if app.components.catalog.corpora():  # else there may be no store, and none need be made
        found = sample_items(app.components.store.scan(), "this home", kept, app.components.bm25)
        if found:
            return found
    items, files = sample_corpus()
    sizes = {path.name: path.stat().st_size for path in files}
    found = sample_items(items, "the sample corpus", sizes.__getitem__, app.components.bm25)
    assert found is not None
    return found


def sample_corpus() -> tuple[list[Item], list[Path]]:
    """The items of the sample corpus, a figure's `image` being its file's name, and the files."""
    root = Path(data.sample.__file__).parent
    items: list[Item] = []
    for document in scan(root):
        if isinstance(document, Rejected):
            continue
        for draft in chunk(document, "sample"):
            if isinstance(draft, ItemDraft):
                shown = draft.picture.name if isinstance(draft.picture, Path) else ""
                items.append(Item.from_json({**draft.item.to_json(), "image": shown}))
    return items, sorted((root / "figures").glob("*.png"))


def measure_rates(
    device: str,
    gpu: bool,
    encoder: ImageEncoder,
    text: TextRetriever,
    ocr: LabelSource | None,
    clock: Callable[[], float] = time.perf_counter,
) -> EncodingRates:
    """Encode pictures and texts of the sample corpus for a few seconds each, in usual batches."""
    items, files = sample_corpus()
    pictures = [open_picture(path) for path in files]
    texts = [searchable_text(item) for item in items]

    def labels(some: Sequence[Image.Image]) -> None:
        assert ocr is not None
        ocr.read_all({str(number): picture for number, picture in enumerate(some)})

    return EncodingRates(
        device,
        gpu,
        _rate(lambda some: encoder.encode_image(some, ORIGINAL), pictures, 16, clock),
        _rate(text.encode_passages, texts, 64, clock),
        _rate(labels, pictures, 16, clock) if ocr else None,
    )


def _rate(
    work: Callable[..., object],
    given: Sequence[object],
    batch: int,
    clock: Callable[[], float],
) -> float:
    """How many a second; the first batch warms up."""
    work(given[:batch])
    done, start, began = 0, 0, clock()
    while True:
        some = given[start : start + batch] or given[:batch]
        start = start + batch if start + batch < len(given) else 0
        work(some)
        done += len(some)
        if (took := clock() - began) >= _SECONDS:
            return done / took
