"""What a home and its settings stand for: models, store, journal and caches, each made once."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from data.cores import cores
from data.decoder import Decoder
from data.errors import Missing, UniragError
from data.ocr import LabelCache, LabelReader, OcrCache, OcrSettings
from data.pictures import Assets
from data.reading_pool import ReaderPool
from data.speech import Transcriber
from generation.chat import ChatModel
from generation.openai_chat import OpenAIChat
from retrieval.bm25 import Bm25
from retrieval.card import SHIPPED, name_of
from retrieval.encoder import ImageEncoder, TextRetriever
from retrieval.store import Stamp, VectorStore
from unirag.indexing.indexer import Readers
from unirag.indexing.pipeline import Labels
from unirag.indexing.ray_pool import RayPool, WorkspaceFiles
from unirag.models.profiles import Profile, profile_of
from unirag.models.store import ModelStore
from unirag.search.searcher import Searcher
from unirag.settings import ChatSettings, Settings
from unirag.workspace.catalog import Catalog
from unirag.workspace.embedding_cache import CachedEncoders, EmbeddingCache, EmbeddingStore
from unirag.workspace.paths import Workspace

if TYPE_CHECKING:  # these load torch, which `unirag --help` need not wait for
    from retrieval.serving import UniEncoder
    from unirag.training.styles import StyleShelf

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
        self.home = Workspace(settings.home)
        self.home.open(shared=bool(settings.qdrant_url))
        try:
            self.catalog = Catalog(self.home.catalog)
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
        from retrieval.efficientnet import EfficientNetLite0
        from unirag.models.devices import choose_device, choose_dtype
        from unirag.models.encoders import mini_encoder, openclip_encoder

        device = choose_device(self.settings.device)
        cnn = EfficientNetLite0(self.models.locate(self.profile.cnn), device)
        trained, follow = self._trained, self.settings.follow_styles
        if self.profile.encoder == "mini":
            assert trained is not None
            return mini_encoder(trained, cnn, self.text, device, follow)
        model, dtype = self.profile.image, choose_dtype(device, self.settings.dtype)
        folder = self.models.locate(model)
        return openclip_encoder(model.name, folder, trained, cnn, self.text, device, dtype, follow)

    @property
    def _trained(self) -> Path | None:
        """The folder of the checkpoint; None for a plain OpenCLIP model."""
        return self.settings.encoder or (SHIPPED if self.profile.encoder == "mini" else None)

    @once
    def shelf(self) -> StyleShelf:
        from unirag.training.styles import StyleShelf

        return StyleShelf(self.home.styles)

    @once
    def text(self) -> TextRetriever:
        from retrieval.text import SentenceRetriever
        from unirag.models.devices import choose_device, choose_dtype

        model = self.profile.text
        folder = self.models.locate(model)
        device = choose_device(self.settings.device)
        return SentenceRetriever(
            model.name, folder, device, choose_dtype(device, self.settings.dtype)
        )

    @once
    def chat(self) -> ChatModel:
        chat = self.settings.chat
        if chat.url:
            key = chat.api_key.get_secret_value() if chat.api_key else None
            return OpenAIChat(chat.url, chat.model or "default", key)
        from generation.transformers_chat import TransformersChat
        from unirag.models.devices import choose_device, choose_dtype

        model = self.profile.chat
        folder = self.models.locate(model)
        device = choose_device(self.settings.device)
        return TransformersChat(
            model.name, folder, device, choose_dtype(device, self.settings.dtype)
        )

    @property
    def names(self) -> tuple[str, str]:
        """Of the image encoder and of the text retriever; neither is loaded for that."""
        trained = self._trained
        return name_of(trained) if trained else self.profile.image.name, self.profile.text.name

    @once
    def stamp(self) -> Stamp:
        """What a collection has to have been indexed with for this run to search it.

        Models are loaded only where the collection that is here was indexed with others.
        """
        return self._there or self.loaded_stamp

    @once
    def loaded_stamp(self) -> Stamp:
        """As `stamp`, with the widths that the models have, which are loaded for that."""
        return Stamp(self.profile.name, *self.names, self.encoder.width, self.text.width)

    @once
    def _there(self) -> Stamp | None:
        """The stamp of the collection that is here, if it has the names of this run."""
        with suppress(Missing):
            there = self._stored_stamp()
            if (there.profile, there.encoder, there.text) == (self.profile.name, *self.names):
                return there
        return None

    def _check_widths(self) -> None:
        """Refuse models that have other widths than when they indexed under the same names."""
        if there := self._there:
            self.loaded_stamp.check(there.to_json(), f"the collection of {self.home.root}")

    def _stored_stamp(self) -> Stamp:
        """Raises `Missing` where there is no collection."""
        if not self.settings.qdrant_url:
            from retrieval.edge import stored_stamp

            return stored_stamp(self.home.collection)
        with closing(self.open_store(None)) as store:
            return store.stamp

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
    def encoding(self) -> CachedEncoders:
        def models() -> tuple[ImageEncoder, TextRetriever]:
            self._check_widths()
            return self.encoder, self.text

        return CachedEncoders(self.stamp, models, self.vectors)

    @once
    def vectors(self) -> EmbeddingCache:
        return EmbeddingCache(self.home.vectors)

    @once
    def bm25(self) -> Bm25:
        return Bm25()

    @once
    def ocr(self) -> LabelReader | None:
        """Of pictures that are asked with."""
        return LabelReader(cache=self._labels) if self.settings.ocr else None

    @once
    def labels(self) -> LabelReader | None:
        """Of pictures that are indexed."""
        many = OcrSettings.for_many(cores())
        return LabelReader(many, self._labels) if self.settings.ocr else None

    @once
    def _labels(self) -> OcrCache:
        return OcrCache(self.home.labels)

    @once
    def speech(self) -> Transcriber:
        return Transcriber(self.models.locate(self.profile.speech))

    @property
    def searcher(self) -> Searcher:
        self._check_widths()
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
        home = WorkspaceFiles(self.home.vectors, self.home.labels, self.home.assets)
        return RayPool(cluster, home, _models(self.settings), partial(ReaderPool, own))

    def close(self) -> None:
        self.decoder.close()
        if "store" in self.__dict__:
            self.store.close()
        if "vectors" in self.__dict__:
            self.vectors.close()
        self.catalog.close()
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


def _models(
    settings: Settings,
) -> Callable[[EmbeddingStore, LabelCache], tuple[CachedEncoders, Labels | None]]:
    """Loads what encodes and labels, on another machine; no secret goes there."""
    hidden = {"qdrant_url": None, "qdrant_api_key": None, "api_keys": (), "chat": ChatSettings()}
    return partial(_load_models, settings.model_copy(update=hidden))


def _load_models(
    settings: Settings, vectors: EmbeddingStore, labels: LabelCache
) -> tuple[CachedEncoders, Labels | None]:
    home = Path(tempfile.mkdtemp(prefix="unirag-worker-"))
    try:
        with Parts(settings.model_copy(update={"home": home})) as parts:
            models = parts.encoder, parts.text
            encoding = CachedEncoders(parts.stamp, lambda: models, vectors)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    many = OcrSettings.for_many(max(1, int(settings.cluster.cpus)))
    return encoding, LabelReader(many, labels) if settings.ocr else None
