"""What a home and its settings stand for: models, store, journal and caches, each made once."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from data.decoder import Decoder
from data.errors import UniragError
from data.ocr import LabelCache, LabelReader, OcrCache
from data.pictures import Assets
from data.reading_pool import ReaderPool
from data.speech import Transcriber
from generation.chat import ChatModel
from generation.openai_chat import OpenAIChat
from retrieval.bm25 import Bm25
from retrieval.encoder import TextRetriever
from retrieval.store import Stamp, VectorStore
from unirag.cluster import HomeFiles, RayPool
from unirag.config import ChatSettings, Settings
from unirag.devices import choose_device, choose_dtype
from unirag.home import Home
from unirag.indexing import Labels, Readers
from unirag.manifest import Manifest
from unirag.models import ModelStore
from unirag.profiles import Profile, profile_of
from unirag.search import Searcher
from unirag.vectors import Encoding, VectorCache, Vectors

if TYPE_CHECKING:  # these load torch, which `unirag --help` need not wait for
    from retrieval.serving import UniEncoder
    from unirag.styles import StyleShelf

__all__ = ["Parts"]

T = TypeVar("T")

_COLLECTION = "unirag"


class once(cached_property[T]):  # noqa: N801 - used as a decorator
    """A cached property that two threads do not make twice."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance.making:
            return super().__get__(instance, owner)


class Parts:
    """A context manager; `close()` gives the home back.

    Models are loaded when first needed, from disk only: nothing here reaches the network but the
    endpoints that the settings name.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.making = threading.RLock()
        self._styles: tuple[object, ...] | None = None  # the shelf as the encoder knows it
        self.home = Home(settings.home)
        self.home.open(shared=bool(settings.qdrant_url))
        try:
            self.manifest = Manifest(self.home.manifest)
        except UniragError:
            self.home.close()
            raise
        self.assets = Assets(self.home.assets)
        self.decoder = Decoder()
        self.models = ModelStore(settings.models, settings.profile)

    @once
    def profile(self) -> Profile:
        return profile_of(self.settings)

    @property
    def encoder(self) -> UniEncoder:
        """Knows the styles that are enrolled now, by whichever process."""
        encoder = self._encoder
        if not encoder.encoder.styles:  # a plain tower tells none apart
            return encoder
        if self._styles != self.shelf.listing():
            with self.making:
                listing = self.shelf.listing()
                if self._styles != listing:
                    encoder.know(self.shelf.in_use(encoder.name))
                    self._styles = listing
        return encoder

    @once
    def _encoder(self) -> UniEncoder:
        from retrieval.checkpoint import SHIPPED
        from retrieval.efficientnet import EfficientNetLite0
        from unirag.encoders import mini_encoder, openclip_encoder

        device = choose_device(self.settings.device)
        cnn = EfficientNetLite0(self.models.locate(self.profile.cnn), device)
        trained, follow = self.settings.encoder, self.settings.follow_styles
        if self.profile.encoder == "mini":
            return mini_encoder(trained or SHIPPED, cnn, self.text, device, follow)
        model, dtype = self.profile.image, choose_dtype(device)
        folder = self.models.locate(model)
        return openclip_encoder(model.name, folder, trained, cnn, self.text, device, dtype, follow)

    @once
    def shelf(self) -> StyleShelf:
        from unirag.styles import StyleShelf

        return StyleShelf(self.home.styles)

    @once
    def text(self) -> TextRetriever:
        from retrieval.text import SentenceRetriever

        model = self.profile.text
        folder = self.models.locate(model)
        device = choose_device(self.settings.device)
        return SentenceRetriever(model.name, folder, device, choose_dtype(device))

    @once
    def chat(self) -> ChatModel:
        chat = self.settings.chat
        if chat.url:
            key = chat.api_key.get_secret_value() if chat.api_key else None
            return OpenAIChat(chat.url, chat.model or "default", key)
        from generation.transformers_chat import TransformersChat

        model = self.profile.chat
        folder = self.models.locate(model)
        device = choose_device(self.settings.device)
        return TransformersChat(model.name, folder, device, choose_dtype(device))

    @property
    def stamp(self) -> Stamp:
        """What a collection has to have been indexed with for this run to search it."""
        return Stamp(
            self.profile.name,
            self.encoder.name,
            self.text.name,
            self.encoder.width,
            self.text.width,
        )

    @once
    def store(self) -> VectorStore:
        return self.open_store(self.stamp)

    def open_store(self, stamp: Stamp | None, *, beside: bool = False) -> VectorStore:
        if self.settings.qdrant_url:
            from retrieval.server import ServerStore

            key = self.settings.qdrant_api_key
            return ServerStore.connect(
                self.settings.qdrant_url,
                key.get_secret_value() if key else None,
                _COLLECTION,
                stamp,
                self.settings.qdrant,
                self.settings.quantization,
                beside=beside,
            )
        from retrieval.edge import EdgeStore

        return EdgeStore(self.home.collection, stamp, self.settings.quantization, beside=beside)

    @contextmanager
    def whatever_is_there(self) -> Iterator[VectorStore]:
        """The collection, whichever encoder wrote it; no model is loaded for that."""
        if "store" in self.__dict__:  # an embedded one cannot be opened twice
            yield self.store
            return
        with closing(self.open_store(None)) as store:
            yield store

    @once
    def encoding(self) -> Encoding:
        return Encoding(self.encoder, self.text, self.vectors)

    @once
    def vectors(self) -> VectorCache:
        return VectorCache(self.home.vectors)

    @once
    def bm25(self) -> Bm25:
        return Bm25()

    @once
    def ocr(self) -> LabelReader | None:
        return LabelReader(cache=OcrCache(self.home.labels)) if self.settings.ocr else None

    @once
    def speech(self) -> Transcriber:
        return Transcriber(self.models.locate(self.profile.speech))

    @property
    def searcher(self) -> Searcher:
        return Searcher(
            self.store,
            self.encoder,
            self.text,
            self.bm25,
            self.settings.search,
            self.ocr,
            self._hear,
            self.decoder.decode,
        )

    def _hear(self, path: Path, terms: Sequence[str] = ()) -> str:
        return self.speech.transcribe(path, terms).text

    def readers(self) -> Readers:
        reading = self.settings.reading
        if self.settings.engine == "local":
            return ReaderPool(reading, self.assets.root)
        cluster = self.settings.cluster
        # a worker has its share of a machine, and would else take all of its cores
        own = reading.model_copy(update={"workers": reading.workers or max(1, int(cluster.cpus))})
        home = HomeFiles(self.home.vectors, self.home.labels, self.home.assets)
        return RayPool(cluster, home, _models(self.settings), partial(ReaderPool, own))

    def close(self) -> None:
        self.decoder.close()
        if "store" in self.__dict__:
            self.store.close()
        if "vectors" in self.__dict__:
            self.vectors.close()
        self.manifest.close()
        self.home.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _models(settings: Settings) -> Callable[[Vectors, LabelCache], tuple[Encoding, Labels | None]]:
    """Loads what encodes and labels, on another machine; no secret goes there."""
    hidden = {"qdrant_url": None, "qdrant_api_key": None, "api_keys": (), "chat": ChatSettings()}
    return partial(_load_models, settings.model_copy(update=hidden))


def _load_models(
    settings: Settings, vectors: Vectors, labels: LabelCache
) -> tuple[Encoding, Labels | None]:
    home = Path(tempfile.mkdtemp(prefix="unirag-worker-"))
    try:
        with Parts(settings.model_copy(update={"home": home})) as parts:
            encoding = Encoding(parts.encoder, parts.text, vectors)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return encoding, LabelReader(cache=labels) if settings.ocr else None
