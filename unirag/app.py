"""The application: one home, its collaborators made once and when first needed."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from data.decoder import Decoder
from data.errors import BadInput, UniragError
from data.ocr import LabelCache, LabelReader, OcrCache
from data.pictures import Assets, open_picture
from data.reading_pool import ReaderPool
from data.records import Answer, Item, Query, Sentence, WeightedAudio, WeightedImage
from data.speech import Transcriber
from generation.answer import Answerer
from generation.chat import ChatModel
from generation.followup import standalone
from generation.openai_chat import OpenAIChat
from generation.tasks import EXPLAIN, Wanted
from retrieval.bm25 import Bm25
from retrieval.encoder import TextRetriever
from retrieval.store import Stamp, VectorStore, Where
from unirag.cluster import HomeFiles, RayPool
from unirag.config import ChatSettings, Settings
from unirag.devices import choose_device, choose_dtype
from unirag.home import Home
from unirag.indexing import Indexer, Labels, Progress, Readers, Report, corpus_name
from unirag.manifest import Corpus, Manifest
from unirag.models import ModelStore
from unirag.profiles import Profile, profile_of
from unirag.search import Found, Searcher, check
from unirag.sources import POOL, choose
from unirag.vectors import Encoding, VectorCache, Vectors

if TYPE_CHECKING:  # these load torch, which `unirag --help` need not wait for
    from retrieval.enrolment import Enrolment
    from retrieval.serving import UniEncoder
    from unirag.corpus_file import Head, Written
    from unirag.reembedding import Reembedded
    from unirag.styles import StyleShelf

__all__ = ["App"]

T = TypeVar("T")

_COLLECTION = "unirag"
_OTHERS = 256  # indexed figures against which a new style is learned


class once(cached_property[T]):  # noqa: N801 - used as a decorator
    """A cached property that two threads do not make twice."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance.making:
            return super().__get__(instance, owner)


class App:
    """Index, search and ask in one home. A context manager; `close()` gives the home back.

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
        return self._open_store(self.stamp)

    def _open_store(self, stamp: Stamp | None, *, beside: bool = False) -> VectorStore:
        if self.settings.qdrant_url:
            from retrieval.server import ServerStore

            key = self.settings.qdrant_api_key
            return ServerStore.connect(
                self.settings.qdrant_url,
                key.get_secret_value() if key else None,
                _COLLECTION,
                stamp,
                self.settings.qdrant,
                beside=beside,
            )
        from retrieval.edge import EdgeStore

        return EdgeStore(self.home.collection, stamp, beside=beside)

    @contextmanager
    def _whatever_is_there(self) -> Iterator[VectorStore]:
        """The collection, whichever encoder wrote it; no model is loaded for that."""
        if "store" in self.__dict__:  # an embedded one cannot be opened twice
            yield self.store
            return
        with closing(self._open_store(None)) as store:
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

    def index(
        self,
        paths: Sequence[Path | str],
        *,
        corpus: str | None = None,
        prune: bool = False,
        retry_failed: bool = False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> list[Report]:
        """Index each path as a corpus of its own, named after it unless `corpus` is given.

        With `retry_failed` dead letters that did not change are read again. Raises `Busy` where
        another process is changing what is indexed.
        """
        if not paths:
            raise BadInput("nothing to index; expected at least one file or folder")
        if corpus is not None and len(paths) > 1:
            raise BadInput(
                f"--corpus names one folder, got {len(paths)} paths; index them one at a time, or "
                "the folder above them"
            )
        for path in paths:  # before anything is loaded or stored
            _check_root(Path(path))
        names = [corpus or corpus_name(Path(path)) for path in paths]
        _check_name(names[0])
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise BadInput(
                f"two of the paths would be corpus {twice!r}; index them one at a time, the second "
                "with --corpus OTHER-NAME"
            )
        with self.home.changing():
            indexer = Indexer(
                self.store,
                self.manifest,
                self.encoding,
                self.bm25,
                self._readers,
                self.ocr,
            )
            return [
                indexer.index(
                    Path(path), name, prune=prune, retry_failed=retry_failed, progress=progress
                )
                for path, name in zip(paths, names, strict=True)
            ]

    def _readers(self) -> Readers:
        reading = self.settings.reading
        if self.settings.engine == "local":
            return ReaderPool(reading, self.assets.root)
        cluster = self.settings.cluster
        # a worker has its share of a machine, and would else take all of its cores
        own = reading.model_copy(update={"workers": reading.workers or max(1, int(cluster.cpus))})
        home = HomeFiles(self.home.vectors, self.home.labels, self.home.assets)
        return RayPool(cluster, home, _models(self.settings), partial(ReaderPool, own))

    def search(
        self,
        text: str = "",
        *,
        text_weight: float = 1.0,
        images: Sequence[Path | str | WeightedImage] = (),
        audio: Sequence[Path | str | WeightedAudio] = (),
        limit: int = 10,
        where: Where = Where(),
    ) -> Found:
        """Items that answer a query in words, pictures, speech or any mix of them."""
        query = _query(text, text_weight, images, audio)
        check(query, limit)
        return self.searcher.search(query, limit, where)

    def ask(
        self,
        text: str = "",
        *,
        text_weight: float = 1.0,
        images: Sequence[Path | str | WeightedImage] = (),
        audio: Sequence[Path | str | WeightedAudio] = (),
        limit: int = 10,
        where: Where = Where(),
        earlier: Sequence[str] = (),
        wanted: Wanted = EXPLAIN,
    ) -> Answer:
        """The cited answer, whole."""
        *_, answer = self.stream(
            text,
            text_weight=text_weight,
            images=images,
            audio=audio,
            limit=limit,
            where=where,
            earlier=earlier,
            wanted=wanted,
        )
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self,
        text: str = "",
        *,
        text_weight: float = 1.0,
        images: Sequence[Path | str | WeightedImage] = (),
        audio: Sequence[Path | str | WeightedAudio] = (),
        limit: int = 10,
        where: Where = Where(),
        earlier: Sequence[str] = (),
        wanted: Wanted = EXPLAIN,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Found | Sentence | Answer]:
        """What was found, each sentence as soon as it is checked, then the whole answer.

        `earlier` are the questions before this one, which a follow-up may lean on. `wanted` is
        what to make of what was found. Once `stopped` is true the model is not asked for more.
        """
        found = self.search(
            standalone(text, earlier) if text else text,
            text_weight=text_weight,
            images=images,
            audio=audio,
            limit=max(limit, POOL),
            where=where,
        )
        sources = choose(
            self.searcher, found, wanted, where, limit=limit, items=self.settings.answer.items
        )
        found = replace(found, hits=sources.hits)
        yield found
        if found.no_good_match:
            yield Answer(
                found.words,
                (),
                found.hits,
                refused=True,
                timings_ms=dict(found.timings_ms),
                task=wanted.task,
                level=wanted.level,
            )
            return
        answerer = Answerer(self.chat, self.text.encode_passages, self.settings.answer)
        question = found.words or "Explain what the figure shows."
        # what is read in a picture is no question, and its subject may be anything
        about = found.query.text if images else found.words
        for event in answerer.stream(question, found.hits, stopped, wanted, about, sources.shares):
            if isinstance(event, Answer):
                yield _with_timings(event, found)
            else:
                yield event

    def load(self) -> None:
        """Load what a question needs, which otherwise the first one waits for."""
        self.store.count()
        _ = self.searcher, self.chat
        self.text.encode_queries(["a question"])

    def item(self, item_id: str) -> Item | None:
        try:
            uuid.UUID(item_id)
        except ValueError:  # no id of ours
            return None
        return next(iter(self.store.get([item_id])), None)

    def corpora(self) -> list[dict[str, Any]]:
        """Each corpus with its root and its counts."""
        return [
            {
                "name": c.name,
                "root": c.root,
                "licence": c.licence,
                "attribution": c.attribution,
                **self.manifest.counts(c.name),
            }
            for c in self.manifest.corpora()
        ]

    def coverage(self, name: str, limit: int = 200, offset: int = 0) -> dict[str, Any]:
        """What was taken from each document of a corpus, what was not, and why.

        `covered` are `limit` documents from `offset`, those that need a look first.
        """
        self._known(name)
        return {
            "name": name,
            **self.manifest.counts(name),
            **self.manifest.tally(name),
            "covered": [c.to_json() for c in self.manifest.coverage(name, limit, offset)],
        }

    def _known(self, name: str) -> None:
        if self.manifest.corpus(name) is None:
            known = ", ".join(c.name for c in self.manifest.corpora()) or "none"
            raise BadInput(f"corpus {name!r} is not here; known corpora: {known}")

    def add_corpus(self, name: str, root: Path, licence: str = "", attribution: str = "") -> Corpus:
        """Register a corpus or point a known one at another folder; `index` then reads it.

        A known one keeps its licence and attribution where none is given.
        """
        _check_root(root)
        _check_name(name)
        known = self.manifest.corpus(name) or Corpus(name, "")
        corpus = Corpus(
            name,
            str(root.resolve()),
            licence or known.licence,
            attribution or known.attribution,
        )
        self.manifest.put_corpus(corpus)
        return corpus

    def remove_corpus(self, name: str) -> int:
        """Delete a corpus and its items; pictures that no other corpus shows go too.

        Raises `Busy` as `index` does.
        """
        with self.home.changing():
            self._known(name)
            where = Where(corpora=(name,))
            count = self.store.count(where)
            pictures = self._pictures(where)
            if count:
                self.store.delete_where(where)
            self.manifest.remove_corpus(name)
            self._forget(pictures)
            self.store.flush()
            return count

    def _pictures(self, where: Where) -> set[str]:
        return {i.image for i in self.store.scan(where) if i.image}

    def _forget(self, pictures: set[str]) -> None:
        """Remove those that no item shows any longer."""
        for digest in pictures - self._pictures(Where(kinds=("figure",))):
            self.assets.remove(digest)

    def export_corpus(self, name: str, path: Path) -> Written:
        """Write a corpus to one file, for another home; no model is loaded.

        Raises `Busy` as `index` does.
        """
        from unirag.transfer import export

        with self.home.changing(), self._whatever_is_there() as store:
            return export(name, path, store, self.manifest, self.assets)

    def import_corpus(
        self,
        path: Path,
        *,
        replace: bool = False,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> Head:
        """Store what `export_corpus` wrote; what it has of a corpus here goes with `replace` only.

        Nothing is changed where the file is damaged or another encoder made it. `progress` is told
        how many items of how many are stored. Raises `Busy` as `index` does.
        """
        from unirag.corpus_file import CorpusFile
        from unirag.transfer import bring_in, check_free

        with self.home.changing(), CorpusFile(path) as file:
            name = file.head.corpus.name
            _check_name(name)
            if not replace:
                check_free(name, self.manifest)
            self.stamp.check(
                file.head.stamp.to_json(),
                f"corpus {name!r} in {path}",
                "run `unirag reembed` where it was exported and export it again, or index its "
                "documents here",
            )
            before = self._pictures(Where(corpora=(name,)))
            bring_in(file, self.store, self.manifest, self.assets, self.decoder.decode, progress)
            self._forget(before)
            return file.head

    def reembed(self, progress: Callable[[int, int], None] = lambda *_: None) -> Reembedded:
        """Encode anew what another encoder indexed; until all of it is, what was there stays.

        Where nothing is to do, what an earlier run replaced is deleted. Documents of figures whose
        picture is lost are read again by the next `index`. Raises `Busy` as `index` does.
        """
        from unirag.reembedding import Reembedded, reembed

        with self.home.changing(), self._whatever_is_there() as old:
            if old.stamp == self.stamp:
                old.tidy()
                return Reembedded()
            with closing(self._open_store(self.stamp, beside=True)) as new:
                report = reembed(old, new, self.encoding, self.assets, progress)
                new.promote()
            for item, _ in report.lacking:
                self.manifest.read_again(item.corpus, [item.source])
            return report

    def adapt(self, name: str, examples: Path, originals: Path | None = None) -> Enrolment:
        """Learn a query style from a folder of pictures; what is indexed stays as it is.

        With `originals`, the figures that they show under the same names, more is learned than
        without.
        """
        from unirag.styles import learn, read_examples

        read = read_examples(examples, originals, self.decoder.decode)
        others = [
            open_picture(path)
            for item in islice(self.store.scan(Where(kinds=("figure",))), _OTHERS)
            if item.image and (path := self.assets.path(item.image))
        ]
        version = self.shelf.next_version(name)
        return self.shelf.add(learn(self.encoder, name, version, read, others))

    def styles(self) -> list[dict[str, Any]]:
        """Styles that queries are told apart by: trained ones, and every enrolled version."""
        enrolled = self.shelf.all()
        newest = {e.name: e.version for e in enrolled}
        trained = [
            {"name": name, "version": None, "examples": None, "in_use": True}
            for name in self.encoder.encoder.styles
        ]
        return trained + [
            {
                "name": e.name,
                "version": e.version,
                "examples": e.examples,
                "in_use": newest[e.name] == e.version,
            }
            for e in enrolled
        ]

    def close(self) -> None:
        self.decoder.close()
        if "store" in self.__dict__:
            self.store.close()
        if "vectors" in self.__dict__:
            self.vectors.close()
        self.manifest.close()
        self.home.close()

    def __enter__(self) -> App:
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
        with App(settings.model_copy(update={"home": home})) as app:
            encoding = Encoding(app.encoder, app.text, vectors)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return encoding, LabelReader(cache=labels) if settings.ocr else None


def _check_root(path: Path) -> None:
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; check the path")
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:
        raise BadInput(f"{path}: its path is not UTF-8, expected one that is; rename it") from None


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise BadInput(
            f"corpus name {name!r}: expected lower-case letters, digits and hyphens, such as "
            f"{corpus_name(Path(name))!r}"
        )


def _query(
    text: str,
    text_weight: float,
    images: Sequence[Path | str | WeightedImage],
    audio: Sequence[Path | str | WeightedAudio],
) -> Query:
    return Query(
        text,
        text_weight,
        images=tuple(i if isinstance(i, WeightedImage) else WeightedImage(Path(i)) for i in images),
        audio=tuple(a if isinstance(a, WeightedAudio) else WeightedAudio(Path(a)) for a in audio),
    )


def _with_timings(answer: Answer, found: Found) -> Answer:
    return replace(answer, timings_ms={**found.timings_ms, **answer.timings_ms})
