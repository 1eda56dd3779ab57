"""The fakes of the tests of `unirag/`: models, OCR, stores, and applications made of them."""

from __future__ import annotations

import os
import signal
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image
from qdrant_client import QdrantClient

from data.ocr import LabelCache
from data.pictures import Assets
from data.reading_pool import ReaderPool
from data.reading_settings import ReadingSettings
from generation.intent import Intent
from retrieval.bm25 import Bm25
from retrieval.encoder import StyleDetection, normalize_rows
from retrieval.qdrant_embedded import EdgeStore
from retrieval.qdrant_server import ServerStore
from retrieval.store import Stamp, VectorStore
from unirag.app import App
from unirag.app.build import open_store
from unirag.app.components import Components
from unirag.indexing.indexer import Indexer
from unirag.search.searcher import Searcher
from unirag.settings import Settings, load_settings
from unirag.settings.search import SearchSettings
from unirag.workspace.catalog import Catalog
from unirag.workspace.embedding_cache import CachedEncoders, EmbeddingCache, EmbeddingStore
from unirag.workspace.paths import Workspace

_NO_SIGNS = str.maketrans(".,:;?!", "      ")
STAMP = Stamp("fake", "thumbnails", "word-counts", image_width=192, text_width=64)


class ThumbnailEncoder:
    """An image encoder: the vector of a picture is its 8 x 8 thumbnail. Counts what it encodes."""

    name, width = "thumbnails", 192
    styles = ("sketch",)
    side = 8  # pixels

    def __init__(self) -> None:
        self.encoded = 0  # pictures
        self.encoded_texts: list[str] = []

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> np.ndarray:
        self.encoded += len(images)
        side = (self.side, self.side)
        small = [np.asarray(i.resize(side), dtype=np.float32).ravel() - 127 for i in images]
        return normalize_rows(np.stack(small))

    def encode_with_styles(self, images: Sequence[Image.Image], style: str = "auto"):
        detection = StyleDetection({"sketch": 1.0}, (0.25, 0.75))
        return self.encode_image(images), [detection for _ in images]

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded_texts += texts
        # as far from any figure as from another
        return np.zeros((len(texts), self.width), np.float32)


class SmallThumbnailEncoder(ThumbnailEncoder):
    """Another encoder, whose vectors have another width too."""

    name, width, side = "smaller-thumbnails", 48, 4


class WordCountRetriever:
    """A text retriever: the vector of a text counts its words in 64 buckets."""

    name, width = "word-counts", 64

    def __init__(self) -> None:
        self.encoded = 0
        self.encoded_queries: list[str] = []
        self.encoded_passages: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded_queries += texts
        return self._encode(texts)

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded_passages += texts
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += len(texts)
        rows = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % self.width] += 1
        return normalize_rows(rows)


class WordOverlap:
    """A reranker or an entailment model: the share of the shorter text's words in the longer."""

    name = "word-overlap"

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([self._share(*pair) for pair in pairs], np.float32)

    @staticmethod
    def _share(first: str, second: str) -> float:
        words = [set(text.lower().translate(_NO_SIGNS).split()) for text in (first, second)]
        shorter, longer = sorted(words, key=len)
        return len(shorter & longer) / max(1, len(shorter))


class OnlyQuestions:
    """Takes every message for a question."""

    def intent(self, message: str) -> Intent:
        return "question"


class FixedOcr:
    """OCR that reads the same words in every picture."""

    def __init__(self, words: str = "focal point") -> None:
        self.words, self.calls = words, 0

    def read_all(self, pictures: Mapping[str, Image.Image]) -> dict[str, str]:
        self.calls += len(pictures)
        return dict.fromkeys(pictures, self.words)

    def cached(self, digest: str) -> str | None:
        return None

    def read(self, picture: Image.Image) -> str:
        return self.words

    read_page = read


class CachedOcr(FixedOcr):
    """As `FixedOcr`, with the cache of a workspace. A file `kill` makes one process die halfway."""

    def __init__(self, cache: LabelCache, kill: Path | None = None) -> None:
        super().__init__()
        self._cache, self._kill = cache, kill

    def read_all(self, pictures: Mapping[str, Image.Image]) -> dict[str, str]:
        return {digest: self._labels(digest) for digest in pictures}

    def _labels(self, digest: str) -> str:
        self.calls += 1
        text = self._cache.get(digest, "fake")
        if text is None:
            text = f"{self.words} {digest[:4]}"
            self._cache.put(digest, "fake", text)
            self._die()
        return text

    def cached(self, digest: str) -> str | None:
        return self._cache.get(digest, "fake")

    def _die(self) -> None:
        if self._kill is None or self.calls < 3:
            return
        try:
            self._kill.rename(self._kill.with_suffix(f".{os.getpid()}"))
        except OSError:  # another worker was quicker
            return
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def fake_worker_models(
    kill: Path | None, embeddings: EmbeddingStore, labels: LabelCache
) -> tuple[CachedEncoders, CachedOcr]:
    """The models of a Ray worker: it imports this module."""
    models = ThumbnailEncoder(), WordCountRetriever()
    return CachedEncoders(STAMP, lambda: models, embeddings), CachedOcr(labels, kill)


SCRIPT = "Light bends when it enters glass because it slows down there. [1]"


class ScriptedChat:
    """A language model that replies with `script`, one word at a time."""

    name = "scripted"

    def __init__(self) -> None:
        self.script = SCRIPT
        self.prompts: list[str] = []
        self.stopped = threading.Event()
        self.resume = threading.Event()  # clear it to make the model wait
        self.resume.set()

    def count(self, text: str) -> int:
        return len(text.split())

    def stream(self, messages: Sequence[Any], max_tokens: int) -> Iterator[str]:
        self.prompts.append(messages[-1].content)
        try:
            for word in self.script.split(" "):
                self.resume.wait(20)
                yield word + " "
        finally:
            self.stopped.set()


class MemoryQdrant:
    """A client of Qdrant in memory that survives the closing of its stores."""

    def __init__(self) -> None:
        self._client = QdrantClient(":memory:")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def close(self) -> None:
        pass


def fake_components(
    root: Path,
    encoder: type[ThumbnailEncoder] = ThumbnailEncoder,
    client: Any = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    **components: Any,
) -> Components:
    """The components of a workspace with fake models, and with a Qdrant client if one is given."""
    url = "http://127.0.0.1:9" if client else None  # nobody calls it
    all_settings = load_settings(home=root, ocr=False, qdrant_url=url, **settings)

    def open_fake_store(
        settings: Settings, workspace: Workspace, stamp: Stamp | None, *, replacement: bool = False
    ) -> VectorStore:
        if client is None:
            return open_store(settings, workspace, stamp, replacement=replacement)
        return ServerStore(client, "unirag", stamp, replacement=replacement)

    models: dict[str, Any] = {
        "encoder": encoder(),
        "text": WordCountRetriever(),
        "reranker": WordOverlap(),
        "entailment": WordOverlap(),
        "intents": OnlyQuestions(),
        "open_store": open_fake_store,
        **components,
    }
    return Components(all_settings, **models)


def fake_app(
    root: Path,
    encoder: type[ThumbnailEncoder] = ThumbnailEncoder,
    client: Any = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    **components: Any,
) -> App:
    """An application made of `fake_components`."""
    return App(fake_components(root, encoder, client, settings, **components))


class IndexingBench:
    """A workspace with fake models, its indexer and its searcher."""

    def __init__(self, root: Path) -> None:
        self.store = EdgeStore(root / "collection", STAMP)
        self.assets = Assets(root / "assets")
        self.catalog = Catalog(root / "catalog.db")
        self.ocr = FixedOcr()
        self.encoder, self.text = ThumbnailEncoder(), WordCountRetriever()
        cache = EmbeddingCache(root / "embeddings.db")
        self.encoders = CachedEncoders(STAMP, lambda: (self.encoder, self.text), cache)
        self.indexer = Indexer(
            self.store,
            self.catalog,
            self.encoders,
            Bm25(),
            partial(ReaderPool, ReadingSettings(workers=1), root / "assets"),
            self.ocr,
        )
        self.searcher = Searcher(
            self.store,
            ThumbnailEncoder(),
            WordCountRetriever(),
            Bm25(),
            WordOverlap().score,
            SearchSettings(),
            self.ocr,
            lambda recording, terms=(), name="": "lens",
        )

    def encoded(self) -> tuple[int, int]:
        """Return how many pictures and texts were encoded since the last call."""
        counts = self.encoder.encoded, self.text.encoded
        self.encoder.encoded = self.text.encoded = 0
        return counts

    def ids(self) -> dict[str, str]:
        return {i.locator: i.text for i in self.store.scan()}

    def close(self) -> None:
        self.store.close()
        self.catalog.close()
        self.encoders.cache.close()
