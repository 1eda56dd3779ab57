"""Training of an encoder from corpora: `unirag train CONFIG`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.errors import BadInput
from data.ser import SerFigure, figures_of, sample
from data.styles import SEEN
from retrieval.checkpoint import Card, load, read_card, save
from retrieval.efficientnet import TAPS, EfficientNetLite0
from retrieval.encoder import ORIGINAL, TextRetriever, Vectors
from retrieval.mini import MiniConfig, MiniTower
from retrieval.tower import Looked, Tower
from retrieval.training.config import TrainConfig
from retrieval.training.loop import Report, train
from retrieval.training.methods import METHODS, build
from retrieval.training.pairs import (
    TEXT,
    TRAINED_STYLES,
    CachedPairs,
    Pairs,
    PicturePairs,
    deep,
)
from retrieval.training.views import View, Views, make_views
from retrieval.training.words import make_words
from retrieval.uni import UniRetrieval
from unirag.models.devices import choose_device
from unirag.models.encoders import mini_tower
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore
from unirag.settings import Settings

__all__ = ["TRAINING_VIEWS", "RunConfig", "Trainer", "read_config", "run_training"]

Counted = Callable[[int, int], None]  # how many of how many
TRAINING_VIEWS: tuple[View, ...] = (
    (ORIGINAL, 0),
    ("sketch", 0),
    ("sketch", 1),
    ("art", 0),
    ("art", 1),
    ("lowres", 0),
    ("photo", 0),
    ("screenshot", 0),
    ("photocopy", 0),
)
_COPY = 0.97  # cosine of pooled features at which two figures are taken for one
_MEASURED = 1000  # views on which the features' means and deviations are taken
_MEASURED_PICTURES = 200  # fewer where each has to be decoded and restyled for it


class Book(BaseModel):
    """A corpus to learn from, and at most how many of its figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    figures: int = Field(1000, ge=2)


class RunConfig(BaseModel):
    """What `unirag train` reads. Figures that also stand in a `held_out` book are not learned from.

    Queries are made in `styles`; `original` is a figure as it is. `start` is a checkpoint whose
    tower training begins with; without it the mini tower is new.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]+([-.][a-z0-9]+)*$")
    books: tuple[Book, ...] = Field(min_length=1)
    held_out: tuple[Path, ...] = ()
    styles: tuple[str, ...] = Field(SEEN, min_length=1)
    start: Path | None = None
    tower: MiniConfig = MiniConfig()
    views_seed: int = 0
    train: TrainConfig = TrainConfig()


def read_config(path: Path) -> RunConfig:
    """Paths in the file are relative to it. Raises `BadInput` naming the wrong key."""
    try:
        values = yaml.safe_load(path.read_text())
        config = RunConfig.model_validate(values)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{path}: {where}: {first['msg']}; see docs/training.md") from None
    if config.train.method not in METHODS:
        raise BadInput(
            f"{path}: train.method: {config.train.method!r} is not known; expected one of "
            + ", ".join(METHODS)
        )
    here = path.resolve().parent
    if unknown := set(config.styles) - {ORIGINAL, *SEEN}:
        raise BadInput(
            f"{path}: styles: {min(unknown)!r} is none to train on; expected some of "
            + ", ".join((ORIGINAL, *SEEN))
        )
    return config.model_copy(
        update={
            "books": tuple(b.model_copy(update={"path": here / b.path}) for b in config.books),
            "held_out": tuple(here / p for p in config.held_out),
            "start": here / config.start if config.start else None,
        }
    )


class Trainer:
    """Views and words are kept in `cache` and shared by runs on the same books."""

    def __init__(self, cnn: Path, sentences: TextRetriever, cache: Path, workers: int = 2) -> None:
        self.cnn, self.sentences, self.cache, self.workers = cnn, sentences, cache, workers

    def views(
        self,
        figures: list[SerFigure],
        kinds: tuple[View, ...],
        seed: int,
        progress: Counted = lambda *_: None,
    ) -> Views:
        return make_views(
            figures, kinds, seed, self.cnn, self.cache / "views", self.workers, progress
        )

    def words(self, figures: list[SerFigure]) -> NDArray[np.float32]:
        return make_words(figures, self.sentences, self.cache / "words")

    def pairs(self, config: RunConfig, progress: Counted = lambda *_: None) -> CachedPairs:
        """What `config.books` have to learn from, for the mini towers."""
        books, words, kept = [], [], []
        shown = self._shown(config, progress)
        for book in config.books:
            figures = sample(figures_of(book.path), book.figures, config.views_seed)
            views = self.views(figures, TRAINING_VIEWS, config.views_seed, progress)
            said = self.words(figures)
            books.append(views)
            words.append(said)
            kept.append(~np.isnan(said[:, :, 0]).all(1) & self._new(views, shown))
        return CachedPairs(books, words, kept, config.styles)

    def pictures(
        self, config: RunConfig, tower: Tower, progress: Counted = lambda *_: None
    ) -> PicturePairs:
        """The same for towers that take pixels."""
        kept: list[SerFigure] = []
        shown = self._shown(config, progress)
        for book in config.books:
            figures = sample(figures_of(book.path), book.figures, config.views_seed)
            if len(shown):
                views = self.views(figures, ((ORIGINAL, 0),), config.views_seed, progress)
                new_F = self._new(views, shown)
                figures = [f for f, new in zip(figures, new_F, strict=True) if new]
            kept += figures
        return PicturePairs(kept, tower, config.views_seed, config.styles)

    def _shown(self, config: RunConfig, progress: Counted) -> Vectors:
        """Pooled features of the figures that must not be learned from, without copies of them."""
        held = [
            deep(self.views(figures_of(path), ((ORIGINAL, 0),), config.views_seed, progress))
            for path in config.held_out
        ]
        return np.concatenate([np.empty((0, TAPS[0]), np.float32), *held])

    def _new(self, views: Views, shown_FC: Vectors) -> NDArray[np.bool_]:
        if not len(shown_FC):
            return np.ones(len(views), bool)
        return np.asarray((deep(views) @ shown_FC.T).max(1) <= _COPY)

    def run(
        self, config: RunConfig, pairs: CachedPairs, folder: Path, report: Report = lambda *_: None
    ) -> Path:
        """Train around a mini tower and save the encoder in `folder`; resumes after a kill."""
        _savable(config, whole_tower=True)
        encoder = self.fit(config, pairs, folder, report)
        assert isinstance(encoder.tower, MiniTower)
        return _write(config, encoder, encoder.tower.config, folder)

    def fit(
        self, config: RunConfig, pairs: CachedPairs, folder: Path, report: Report = lambda *_: None
    ) -> UniRetrieval:
        """The trained encoder; `folder` keeps checkpoints and logs of the run."""

        def tower(measured: Looked) -> Tower:
            if config.start is not None:
                return load(config.start, mini_tower).tower
            made = MiniTower(config.tower, None, None)
            made.fit(measured.inputs)
            return made

        return _fit(config, tower, pairs, _MEASURED, folder, report)


def run_training(
    config: RunConfig,
    settings: Settings,
    folder: Path,
    views: Counted = lambda *_: None,
    report: Report = lambda *_: None,
) -> Card:
    """Train with the models of the settings' profile; the encoder is written to `folder`."""
    from retrieval.text import SentenceRetriever

    profile, models = profile_of(settings), ModelStore(settings.models, settings.profile)
    sentences = SentenceRetriever(profile.text.name, models.locate(profile.text))
    cnn = models.locate(profile.cnn)
    trainer = Trainer(cnn, sentences, user_cache_path("unirag"))
    if profile.encoder == "mini":
        trainer.run(config, trainer.pairs(config, views), folder, report)
        return read_card(folder)
    from retrieval.openclip import OpenClipTower

    _savable(config, whole_tower=False)
    device = choose_device(settings.device)
    eye = EfficientNetLite0(cnn, device)
    tower = OpenClipTower(
        profile.image.name, models.locate(profile.image), eye, sentences, device, torch.float32
    )
    pairs = trainer.pictures(config, tower, views)
    encoder = _fit(config, lambda _: tower, pairs, _MEASURED_PICTURES, folder, report)
    _write(config, encoder, tower.name, folder)
    return read_card(folder)


def _savable(config: RunConfig, *, whole_tower: bool) -> None:
    method = METHODS[config.train.method]
    if method.lora:
        raise BadInput(
            f"method {config.train.method!r} is a baseline of the benchmark and cannot be saved; "
            "train bank, bank-moe or depth"
        )
    if not whole_tower and (method.tower or config.start is not None):
        raise BadInput(
            "an OpenCLIP tower is not trained itself, and brings its own weights; leave `start` "
            "out and train bank, bank-moe or depth around it"
        )


def _fit(
    config: RunConfig,
    tower: Callable[[Looked], Tower],
    pairs: Pairs,
    measured: int,
    folder: Path,
    report: Report,
) -> UniRetrieval:
    """`tower` makes it, given a sample of what it will see."""
    torch.manual_seed(config.train.seed)
    rng = np.random.default_rng(config.train.seed)
    seen = pairs.sample(measured, rng)
    encoder = build(METHODS[config.train.method], tower(seen))
    encoder.prototypes.fit(seen.features_BG)
    train(encoder, pairs, config.train, folder / "run", None, report)
    name_styles(encoder, pairs, measured // 5, rng)
    return encoder


def _write(config: RunConfig, encoder: UniRetrieval, tower: MiniConfig | str, folder: Path) -> Path:
    card = Card(name=config.name, tower=tower, encoder=encoder.config, styles=encoder.styles)
    save(encoder, card, folder)
    return folder


@torch.no_grad()
def name_styles(encoder: UniRetrieval, pairs: Pairs, count: int, rng: np.random.Generator) -> None:
    """Give the encoder the mean prototype, of `count` each, of every style it was trained on."""
    centres = {}
    for style in TRAINED_STYLES:
        features = pairs.styled(style, count, rng).features_BG.to(encoder.centroids_SK.device)
        of = encoder.prototypes.of_words if style == TEXT else encoder.prototypes.of_picture
        centres[style] = of(features).mean(0)
    encoder.name_styles(centres)
