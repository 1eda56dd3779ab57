"""The components of an application: models, store, catalog and caches, each built once."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from data.cpu_cores import count_cores
from data.errors import Missing, UniragError
from data.ocr import LabelCache, LabelReader, OcrCache, OcrSettings
from data.picture_decoder import Decoder
from data.pictures import Assets
from data.reading_pool import ReaderPool
from data.speech import Transcriber
from generation.chat import ChatSize
from generation.intent import IntentClassifier
from generation.language import LanguageDetector
from generation.text_models import PairScorer, TextModels
from retrieval.bm25 import Bm25
from retrieval.model_card import checkpoint_name
from retrieval.store import Stamp, VectorStore
from unirag.app import build
from unirag.app.conversation import Intents
from unirag.app.lazy import Lazy
from unirag.indexing.pipeline import LabelSource
from unirag.indexing.ray_pool import RayPool, WorkspaceFiles
from unirag.indexing.reading_plan import DocumentReaders
from unirag.models.profiles import MINI_CHAT, Profile, profile_of
from unirag.models.store import ModelStore
from unirag.search.searcher import Searcher
from unirag.settings import ChatSettings, Settings
from unirag.workspace.catalog import Catalog
from unirag.workspace.embedding_cache import CachedEncoders, EmbeddingCache, EmbeddingStore
from unirag.workspace.paths import Workspace

if TYPE_CHECKING:  # they import torch, which would slow `unirag --help` down
    from generation.chat import ChatModel
    from retrieval.encoder import ImageEncoder, TextRetriever
    from retrieval.uni_encoder import UniEncoder
    from unirag.training.styles import EnrolledStyles

__all__ = ["Components"]

T = TypeVar("T")


class Components:
    """The components of one workspace. A context manager; `close()` releases the workspace.

    A model that is passed in is used as it is. Every other component is built from the settings
    when it is first needed. Models are loaded from disk: nothing here reaches the network except
    for the endpoints that the settings name.

    Raises `Busy` if another process has the workspace open, `UniragError` if its catalog is
    unusable.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        encoder: UniEncoder | None = None,
        text: TextRetriever | None = None,
        chat: ChatModel | None = None,
        reranker: PairScorer | None = None,
        entailment: PairScorer | None = None,
        intents: Intents | None = None,
        ocr: LabelReader | None = None,
        speech: Transcriber | None = None,
        open_store: build.OpenStore = build.open_store,
    ) -> None:
        self.settings = settings
        self._open_store = open_store
        self._lock = threading.RLock()
        self._encoder_styles: tuple[object, ...] | None = None  # the last `shelf.listing()`

        def lazy(build: Callable[[], T], value: T | None = None) -> Lazy[T]:
            return Lazy(self._lock, build, value)

        self._profile = lazy(lambda: profile_of(settings))
        self._given_encoder = encoder
        self._encoder = lazy(
            lambda: build.build_image_encoder(
                settings, self.profile, self.models, lambda: self.text
            )
        )
        self._text = lazy(
            lambda: build.build_text_retriever(settings, self.profile, self.models), text
        )
        self._reranker = lazy(
            lambda: build.build_reranker(settings, self.profile, self.models), reranker
        )
        self._entailment = lazy(
            lambda: build.build_entailment(settings, self.profile, self.models), entailment
        )
        self._chat = lazy(lambda: build.build_chat_model(settings, self.profile, self.models), chat)
        self._speech = lazy(lambda: Transcriber(self.models.locate(self.profile.speech)), speech)
        self._label_cache = lazy(lambda: OcrCache(self.workspace.labels_file))
        self._ocr = lazy(lambda: LabelReader(cache=self._label_cache.get()), ocr)
        self._index_ocr = lazy(
            lambda: LabelReader(OcrSettings.for_many(count_cores()), self._label_cache.get()), ocr
        )
        self._matching_stamp = lazy(self._find_matching_stamp)
        self._stamp = lazy(lambda: self._matching_stamp.get() or self.loaded_stamp)
        self._loaded_stamp = lazy(self._load_stamp)
        self._store = lazy(lambda: self.open_store(self.stamp))
        self._embedding_cache = lazy(lambda: EmbeddingCache(self.workspace.embeddings_file))
        self._intents = lazy(lambda: IntentClassifier(self.text.encode_queries), intents)
        self._languages = lazy(LanguageDetector)
        self._bm25 = lazy(Bm25)
        self._shelf = lazy(self._build_shelf)

        self.workspace = Workspace(settings.home)
        self.workspace.open(shared=bool(settings.qdrant_url))
        try:
            self.catalog = Catalog(self.workspace.catalog_file)
        except UniragError:
            self.workspace.close()
            raise
        self.assets = Assets(self.workspace.assets_folder)
        self.decoder = Decoder()
        self.models = ModelStore(settings.models, settings.profile)

    # Models

    @property
    def profile(self) -> Profile:
        """The models of the profile, with those that the settings replace."""
        return self._profile.get()

    @property
    def encoder(self) -> UniEncoder:
        """The image encoder, with the styles that any process has enrolled so far."""
        if self._given_encoder is not None:
            return self._given_encoder
        encoder = self._encoder.get()
        if encoder.encoder.styles:  # an encoder without a style bank has nothing to refresh
            self._refresh_styles(encoder)
        return encoder

    def _refresh_styles(self, encoder: UniEncoder) -> None:
        if self._encoder_styles == self.shelf.listing():
            return
        with self._lock:
            listing = self.shelf.listing()
            if self._encoder_styles != listing:
                encoder.set_enrolled(self.shelf.in_use(encoder.name))
                self._encoder_styles = listing

    @property
    def text(self) -> TextRetriever:
        """The text retriever."""
        return self._text.get()

    @property
    def chat(self) -> ChatModel:
        """The language model."""
        return self._chat.get()

    @property
    def writer(self) -> ChatModel | None:
        """The language model if the settings let it write answers; else it is not loaded."""
        return self.chat if self.settings.answer.for_size(self.chat_size).writes else None

    @property
    def chat_size(self) -> ChatSize:
        """Whether the language model is the small one of profile `mini`."""
        is_small = self.profile.chat == MINI_CHAT and not self.settings.chat.url
        return "small" if is_small else "large"

    @property
    def reranker(self) -> PairScorer:
        """Scores pairs of a question and a passage."""
        return self._reranker.get()

    @property
    def entailment(self) -> PairScorer:
        """Scores pairs of evidence and a sentence."""
        return self._entailment.get()

    @property
    def text_models(self) -> TextModels:
        """The models that read the texts of an answer."""
        return TextModels(self.text.encode_passages, self.reranker.score, self.entailment.score)

    @property
    def intents(self) -> Intents:
        """Tells what a short message of a conversation wants."""
        return self._intents.get()

    @property
    def languages(self) -> LanguageDetector:
        """Tells the language of a question."""
        return self._languages.get()

    @property
    def speech(self) -> Transcriber:
        """The speech model."""
        return self._speech.get()

    @property
    def ocr(self) -> LabelReader | None:
        """Reads the words in query pictures; None if `ocr` is off."""
        return self._ocr.get() if self.settings.ocr else None

    @property
    def index_ocr(self) -> LabelReader | None:
        """Reads the labels of figures that are indexed, several at once; None if `ocr` is off."""
        return self._index_ocr.get() if self.settings.ocr else None

    @property
    def bm25(self) -> Bm25:
        """Makes BM25 vectors."""
        return self._bm25.get()

    # Stores and caches in the workspace

    @property
    def shelf(self) -> EnrolledStyles:
        """The enrolled styles."""
        return self._shelf.get()

    def _build_shelf(self) -> EnrolledStyles:
        from unirag.training.styles import EnrolledStyles

        return EnrolledStyles(self.workspace.styles_folder)

    @property
    def embedding_cache(self) -> EmbeddingCache:
        """The vectors of everything that was encoded before."""
        return self._embedding_cache.get()

    @property
    def cached_encoders(self) -> CachedEncoders:
        """The encoders behind the embedding cache, for indexing."""

        def models() -> tuple[ImageEncoder, TextRetriever]:
            self.check_widths()
            return self.encoder, self.text

        return CachedEncoders(self.stamp, models, self.embedding_cache)

    @property
    def store(self) -> VectorStore:
        """The collection. Raises `Mismatch` if other encoders than this run's wrote it."""
        return self._store.get()

    def open_store(self, stamp: Stamp | None, *, replacement: bool = False) -> VectorStore:
        """Open the collection; `stamp` and `replacement` mean what `VectorStore` says."""
        return self._open_store(self.settings, self.workspace, stamp, replacement=replacement)

    @contextmanager
    def any_store(self) -> Iterator[VectorStore]:
        """Open the collection, whichever encoder wrote it. Loads no model."""
        if store := self._store.value:  # the embedded store cannot be opened twice
            yield store
            return
        with closing(self.open_store(None)) as store:
            yield store

    # The stamp: which encoders wrote the collection

    @property
    def model_names(self) -> tuple[str, str]:
        """The names of the image encoder and of the text retriever. Loads neither."""
        text = self._text.value
        return self._encoder_name(), text.name if text else self.profile.text.name

    def _encoder_name(self) -> str:
        if self._given_encoder is not None:
            return self._given_encoder.name
        checkpoint = build.checkpoint_folder(self.settings, self.profile)
        return checkpoint_name(checkpoint) if checkpoint else self.profile.image.name

    @property
    def stamp(self) -> Stamp:
        """The stamp that a collection needs so that this run can search it.

        Loads no model if the stored collection carries the names of this run's models.
        """
        return self._stamp.get()

    @property
    def loaded_stamp(self) -> Stamp:
        """The stamp of this run with the widths of the loaded models."""
        return self._loaded_stamp.get()

    def _load_stamp(self) -> Stamp:
        return Stamp(self.profile.name, *self.model_names, self.encoder.width, self.text.width)

    def _find_matching_stamp(self) -> Stamp | None:
        """Return the stored stamp if it names this run's models, else None."""
        with suppress(Missing):
            stored = self._stored_stamp()
            if (stored.profile, stored.encoder, stored.text) == (
                self.profile.name,
                *self.model_names,
            ):
                return stored
        return None

    def _stored_stamp(self) -> Stamp:
        """Return the stamp of the stored collection. Raise `Missing` if there is none."""
        if not self.settings.qdrant_url:
            from retrieval.qdrant_embedded import read_stamp

            return read_stamp(self.workspace.collection_folder)
        with closing(self.open_store(None)) as store:
            return store.stamp

    def check_widths(self) -> None:
        """Raise `Mismatch` if a model of the same name now has vectors of another width."""
        if stored := self._matching_stamp.get():
            self.loaded_stamp.check(stored.to_json(), f"the collection of {self.workspace.root}")

    # Objects made from several components

    def searcher(self) -> Searcher:
        """Return a searcher over the store, with the styles that are enrolled now."""
        self.check_widths()
        return Searcher(
            store=self.store,
            encoder=self.encoder,
            text=self.text,
            bm25=self.bm25,
            relevance=lambda pairs: self.reranker.score(pairs),  # loaded for questions in words
            settings=self.settings.search,
            ocr=self.ocr,
            transcribe=self._transcribe,
            decode=self.decoder.decode,
        )

    def _transcribe(
        self, recording: bytes, terms: Sequence[str] = (), name: str = "recording"
    ) -> str:
        return self.speech.transcribe(recording, terms, name).text

    def readers(self) -> DocumentReaders:
        """Return new reader processes, on this machine or on a Ray cluster."""
        reading = self.settings.reading
        if self.settings.engine == "local":
            return ReaderPool(reading, self.assets.root)
        cluster = self.settings.cluster
        # a Ray worker gets a share of its machine, so it must not start one reader for each core
        workers = reading.workers or max(1, int(cluster.cpus))
        share = reading.model_copy(update={"workers": workers})
        workspace = self.workspace
        files = WorkspaceFiles(
            workspace.embeddings_file, workspace.labels_file, workspace.assets_folder
        )
        return RayPool(cluster, files, _worker_models(self.settings), partial(ReaderPool, share))

    def close(self) -> None:
        """Close what was built and release the workspace."""
        self.decoder.close()
        for component in (self._store.value, self._embedding_cache.value):
            if component is not None:
                component.close()
        self.catalog.close()
        self.workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _worker_models(
    settings: Settings,
) -> Callable[[EmbeddingStore, LabelCache], tuple[CachedEncoders, LabelSource | None]]:
    """Return a function that loads the models on a Ray worker. It contains no secret."""
    public = {"qdrant_url": None, "qdrant_api_key": None, "api_keys": (), "chat": ChatSettings()}
    return partial(_load_worker_models, settings.model_copy(update=public))


def _load_worker_models(
    settings: Settings, embeddings: EmbeddingStore, labels: LabelCache
) -> tuple[CachedEncoders, LabelSource | None]:
    folder = Path(tempfile.mkdtemp(prefix="unirag-worker-"))
    try:
        with Components(settings.model_copy(update={"home": folder})) as components:
            models = components.encoder, components.text
            encoders = CachedEncoders(components.stamp, lambda: models, embeddings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ocr_settings = OcrSettings.for_many(max(1, int(settings.cluster.cpus)))
    return encoders, LabelReader(ocr_settings, labels) if settings.ocr else None
