"""Train an image encoder on corpora: `unirag train CONFIG`.

B pictures, C channels, F figures, G Gram features.
"""

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
from data.figure_gallery import GalleryFigure, read_gallery, sample_figures
from data.styles import SEEN_STYLES
from retrieval.checkpoint import ModelCard, load_checkpoint, read_card, save_checkpoint
from retrieval.efficientnet import TAPS, EfficientNetLite0
from retrieval.encoder import ORIGINAL, TextRetriever, Vectors
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.tower import Tower, TowerInputs
from retrieval.training.config import TrainConfig
from retrieval.training.loop import StepCallback, train
from retrieval.training.methods import METHODS, build
from retrieval.training.pairs import (
    TEXT,
    TRAINED_STYLES,
    CachedPairs,
    Pairs,
    PicturePairs,
    pooled_features,
)
from retrieval.training.views import View, Views, compute_views
from retrieval.training.words import encode_words
from retrieval.uni_retrieval import UniRetrieval
from unirag.models.devices import choose_device
from unirag.models.encoders import build_mini_tower
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore
from unirag.settings import Settings

__all__ = ["TRAINING_VIEWS", "RunConfig", "Trainer", "read_config", "run_training"]

ProgressCallback = Callable[[int, int], None]  # called with the finished and the total count
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
    ("pencil drawing", 0),
    ("ballpoint drawing", 0),
    ("whiteboard drawing", 0),
    ("tablet drawing", 0),
    ("mouse drawing", 0),
)
_ORIGINAL_VIEW: tuple[View, ...] = ((ORIGINAL, 0),)
_COPY_COSINE = 0.97  # above it the pooled features of two figures count as copies
_SAMPLE_VIEWS = 1000  # sample for the means and deviations of the features
_SAMPLE_PICTURES = 200  # fewer, if each must be decoded and restyled first


class TrainingBook(BaseModel):
    """A corpus to train on. `figures` is the largest number of figures to draw from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    figures: int = Field(1000, ge=2)


class RunConfig(BaseModel):
    """The configuration file of `unirag train`.

    Figures that also occur in a `held_out` book are left out. Training queries are restyled figures
    in `styles`; `original` is an unchanged figure. `start` is a checkpoint whose tower is the
    starting point; without it the mini tower starts from random weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]+([-.][a-z0-9]+)*$")
    books: tuple[TrainingBook, ...] = Field(min_length=1)
    held_out: tuple[Path, ...] = ()
    styles: tuple[str, ...] = Field(SEEN_STYLES, min_length=1)
    start: Path | None = None
    tower: MiniConfig = MiniConfig()
    views_seed: int = 0
    train: TrainConfig = TrainConfig()


def read_config(path: Path) -> RunConfig:
    """Read a configuration, whose paths are relative to it. Raise `BadInput` with the wrong key."""
    try:
        values = yaml.safe_load(path.read_text())
        config = RunConfig.model_validate(values)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{path}: {field}: {first['msg']}; see docs/training.md") from None
    if config.train.method not in METHODS:
        raise BadInput(
            f"{path}: train.method: {config.train.method!r} is not known; expected one of "
            + ", ".join(METHODS)
        )
    folder = path.resolve().parent
    if unknown := set(config.styles) - {ORIGINAL, *SEEN_STYLES}:
        raise BadInput(
            f"{path}: styles: {min(unknown)!r} cannot be trained on; expected some of "
            + ", ".join((ORIGINAL, *SEEN_STYLES))
        )
    return config.model_copy(
        update={
            "books": tuple(b.model_copy(update={"path": folder / b.path}) for b in config.books),
            "held_out": tuple(folder / p for p in config.held_out),
            "start": folder / config.start if config.start else None,
        }
    )


class Trainer:
    """Prepares training data and trains mini towers.

    `cnn` is the folder of the frozen CNN, `sentences` the frozen text retriever. Views and words
    are cached in the folder `cache`, and shared by runs on the same books.
    """

    def __init__(self, cnn: Path, sentences: TextRetriever, cache: Path, workers: int = 2) -> None:
        self.cnn, self.sentences, self.cache, self.workers = cnn, sentences, cache, workers

    def compute_views(
        self,
        figures: list[GalleryFigure],
        kinds: tuple[View, ...],
        seed: int,
        progress: ProgressCallback = lambda *_: None,
    ) -> Views:
        """Return the CNN features of each figure in each kind of view."""
        return compute_views(
            figures, kinds, seed, self.cnn, self.cache / "views", self.workers, progress
        )

    def encode_words(self, figures: list[GalleryFigure]) -> NDArray[np.float32]:
        """Return the sentence vectors of the texts of each figure."""
        return encode_words(figures, self.sentences, self.cache / "words")

    def cached_pairs(
        self, config: RunConfig, progress: ProgressCallback = lambda *_: None
    ) -> CachedPairs:
        """Return the training pairs of `config.books` as cached features, for the mini towers."""
        books, words, usable = [], [], []
        held_out_FC = self._held_out_features(config, progress)
        for book in config.books:
            figures = sample_figures(read_gallery(book.path), book.figures, config.views_seed)
            views = self.compute_views(figures, TRAINING_VIEWS, config.views_seed, progress)
            book_words = self.encode_words(figures)
            has_words = ~np.isnan(book_words[:, :, 0]).all(1)
            books.append(views)
            words.append(book_words)
            usable.append(has_words & _without_copies(views, held_out_FC))
        return CachedPairs(books, words, usable, config.styles)

    def picture_pairs(
        self, config: RunConfig, tower: Tower, progress: ProgressCallback = lambda *_: None
    ) -> PicturePairs:
        """Return the training pairs of `config.books` as pictures, for towers that need pixels."""
        usable: list[GalleryFigure] = []
        held_out_FC = self._held_out_features(config, progress)
        for book in config.books:
            figures = sample_figures(read_gallery(book.path), book.figures, config.views_seed)
            if len(held_out_FC):
                views = self.compute_views(figures, _ORIGINAL_VIEW, config.views_seed, progress)
                is_new_F = _without_copies(views, held_out_FC)
                figures = [f for f, is_new in zip(figures, is_new_F, strict=True) if is_new]
            usable += figures
        return PicturePairs(usable, tower, config.views_seed, config.styles)

    def _held_out_features(self, config: RunConfig, progress: ProgressCallback) -> Vectors:
        """Return the pooled features (F, C) of the figures in the held-out books."""
        features = [
            pooled_features(
                self.compute_views(read_gallery(path), _ORIGINAL_VIEW, config.views_seed, progress)
            )
            for path in config.held_out
        ]
        return np.concatenate([np.empty((0, TAPS[0]), np.float32), *features])

    def train_and_save(
        self,
        config: RunConfig,
        pairs: CachedPairs,
        folder: Path,
        report: StepCallback = lambda *_: None,
    ) -> Path:
        """Train an encoder with a mini tower and save it in `folder`. Resume after a kill."""
        _check_savable(config, is_mini=True)
        encoder = self.train(config, pairs, folder, report)
        assert isinstance(encoder.tower, MiniTower)
        return _save(config, encoder, encoder.tower.config, folder)

    def train(
        self,
        config: RunConfig,
        pairs: CachedPairs,
        folder: Path,
        report: StepCallback = lambda *_: None,
    ) -> UniRetrieval:
        """Train an encoder with a mini tower. Checkpoints and logs of the run go to `folder`."""

        def build_tower(sample_inputs: TowerInputs) -> Tower:
            if config.start is not None:
                return load_checkpoint(config.start, build_mini_tower).tower
            tower = MiniTower(config.tower, None, None)
            tower.fit(sample_inputs.inputs)
            return tower

        return _train(config, build_tower, pairs, _SAMPLE_VIEWS, folder, report)


def run_training(
    config: RunConfig,
    settings: Settings,
    folder: Path,
    view_progress: ProgressCallback = lambda *_: None,
    report: StepCallback = lambda *_: None,
) -> ModelCard:
    """Train with the models of the settings' profile and save the encoder in `folder`.

    `view_progress` follows the computation of views, `report` the training steps. Raise `BadInput`
    if the profile cannot be trained as `config` says.
    """
    from retrieval.sentence_retriever import SentenceRetriever

    profile, models = profile_of(settings), ModelStore(settings.models, settings.profile)
    sentences = SentenceRetriever(profile.text.name, models.locate(profile.text))
    cnn_folder = models.locate(profile.cnn)
    trainer = Trainer(cnn_folder, sentences, user_cache_path("unirag"))
    if profile.encoder == "mini":
        pairs = trainer.cached_pairs(config, view_progress)
        trainer.train_and_save(config, pairs, folder, report)
        return read_card(folder)
    from retrieval.openclip_tower import OpenClipTower

    _check_savable(config, is_mini=False)
    device = choose_device(settings.device)
    tower = OpenClipTower(
        profile.image.name,
        models.locate(profile.image),
        EfficientNetLite0(cnn_folder, device),
        sentences,
        device,
        torch.float32,
    )
    picture_pairs = trainer.picture_pairs(config, tower, view_progress)
    encoder = _train(config, lambda _: tower, picture_pairs, _SAMPLE_PICTURES, folder, report)
    _save(config, encoder, tower.name, folder)
    return read_card(folder)


def _without_copies(views: Views, held_out_FC: Vectors) -> NDArray[np.bool_]:
    """Return a mask of the figures that have no copy among the held-out figures."""
    if not len(held_out_FC):
        return np.ones(len(views), bool)
    return np.asarray((pooled_features(views) @ held_out_FC.T).max(1) <= _COPY_COSINE)


def _check_savable(config: RunConfig, *, is_mini: bool) -> None:
    method = METHODS[config.train.method]
    if method.lora_rank:
        raise BadInput(
            f"method {config.train.method!r} is a baseline of the benchmark and cannot be saved; "
            "train bank, bank-moe or depth"
        )
    if not is_mini and (method.train_tower or config.start is not None):
        raise BadInput(
            "an OpenCLIP tower is not trained itself and brings its own weights; leave `start` "
            "out and train bank, bank-moe or depth around it"
        )


def _train(
    config: RunConfig,
    build_tower: Callable[[TowerInputs], Tower],
    pairs: Pairs,
    sample_size: int,
    folder: Path,
    report: StepCallback,
) -> UniRetrieval:
    """Train an encoder. `build_tower` receives a sample of the inputs, to measure their scale."""
    torch.manual_seed(config.train.seed)
    rng = np.random.default_rng(config.train.seed)
    sample_inputs = pairs.sample_figures(sample_size, rng)
    encoder = build(METHODS[config.train.method], build_tower(sample_inputs))
    encoder.prototypes.fit(sample_inputs.features_BG)
    train(encoder, pairs, config.train, folder / "run", None, report)
    _set_style_centres(encoder, pairs, sample_size // 5, rng)
    return encoder


def _save(config: RunConfig, encoder: UniRetrieval, tower: MiniConfig | str, folder: Path) -> Path:
    card = ModelCard(name=config.name, tower=tower, encoder=encoder.config, styles=encoder.styles)
    distributed = torch.distributed.is_initialized()
    if not distributed or torch.distributed.get_rank() == 0:  # all ranks hold the same encoder
        save_checkpoint(encoder, card, folder)
    if distributed:
        torch.distributed.barrier()
    return folder


@torch.no_grad()
def _set_style_centres(
    encoder: UniRetrieval, pairs: Pairs, count: int, rng: np.random.Generator
) -> None:
    """Set the centre of each trained style: the mean prototype of `count` examples."""
    centres = {}
    for style in TRAINED_STYLES:
        features_BG = pairs.sample_style(style, count, rng).features_BG
        prototypes = encoder.prototypes
        to_prototype = prototypes.from_sentence if style == TEXT else prototypes.from_gram
        centres[style] = to_prototype(features_BG.to(encoder.centroids_SK.device)).mean(0)
    encoder.set_styles(centres)
