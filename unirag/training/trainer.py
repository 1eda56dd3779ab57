"""Train an image encoder on corpora: `unirag train CONFIG`.

B pictures, C channels, F figures, G Gram features.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from platformdirs import user_cache_path

from data.drawing_pairs import read_drawing_pairs, split_by_writer
from data.errors import BadInput
from data.figure_gallery import GalleryFigure, read_gallery, sample_figures
from data.manifest import Split, manifest_figures, read_manifest
from data.styles import DRAWING
from retrieval.checkpoint import ModelCard, load_checkpoint, read_card, save_checkpoint
from retrieval.efficientnet import TAPS, EfficientNetLite0
from retrieval.encoder import ORIGINAL, TextRetriever, Vectors
from retrieval.experts.compression.base import compress_encoder
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.tower import Tower, TowerInputs
from retrieval.training.adapters import load_adapters
from retrieval.training.loop import Evaluator, StepCallback, train
from retrieval.training.methods import build
from retrieval.training.pairs import (
    TEXT,
    CachedPairs,
    Pairs,
    PicturePairs,
    pooled_features,
)
from retrieval.training.validation import build_evaluator
from retrieval.training.views import View, Views, compute_views
from retrieval.training.words import encode_words
from retrieval.uni_retrieval import UniRetrieval
from unirag.models.devices import choose_device
from unirag.models.encoders import build_mini_tower
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore
from unirag.settings import Settings
from unirag.training.run_config import CompressionConfig, RunConfig, chosen_method

__all__ = ["TRAINING_VIEWS", "Trainer", "run_training"]

ProgressCallback = Callable[[int, int], None]  # called with the finished and the total count
TRAINING_VIEWS: tuple[View, ...] = (
    (ORIGINAL, 0),
    ("sketch", 0),
    ("art", 0),
    ("lowres", 0),
    ("photo", 0),
    ("screenshot", 0),
    ("photocopy", 0),
    *((DRAWING, number) for number in range(3)),
)
_DRAWING_VIEWS: tuple[View, ...] = (
    (ORIGINAL, 0),
    *((DRAWING, number) for number in range(8)),
)
_ORIGINAL_VIEW: tuple[View, ...] = ((ORIGINAL, 0),)
_COPY_COSINE = 0.97  # above it the pooled features of two figures count as copies
_SAMPLE_VIEWS = 1000  # sample for the means and deviations of the features
_COMPRESSION_PICTURES = 64  # a compression weighs the experts by them
_SAMPLE_PICTURES = 200  # fewer, if each must be decoded and restyled first


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
        self,
        config: RunConfig,
        progress: ProgressCallback = lambda *_: None,
        split: Split = "train",
    ) -> CachedPairs:
        """Return the pairs of books, drawings and manifest as features, for the mini towers."""
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
        if config.drawings is not None:
            pairs, _ = split_by_writer(read_drawing_pairs(config.drawings))
            figures = [pair.figure for pair in pairs]
            books.append(self.compute_views(figures, _DRAWING_VIEWS, config.views_seed, progress))
            words.append(self.encode_words(figures))
            usable.append(np.ones(len(figures), bool))
        for style, figures in _manifest_figures(config, split).items():
            kinds = dict.fromkeys(((ORIGINAL, 0), (style, 0)))
            books.append(self.compute_views(figures, tuple(kinds), config.views_seed, progress))
            words.append(self.encode_words(figures))
            usable.append(np.ones(len(figures), bool))
        return CachedPairs(books, words, usable, config.styles)

    def evaluator(
        self,
        config: RunConfig,
        tower: Tower | None = None,
        progress: ProgressCallback = lambda *_: None,
    ) -> Evaluator | None:
        """Return what scores the encoder on the validation book and the manifest's rows for it.

        None if there are neither. `tower` is given if it takes pixels.
        """
        split: Split = "validation"
        rows = sum(len(figures) for figures in _manifest_figures(config, split).values())
        if config.validation is None and not rows:
            if config.train.patience is not None:
                raise BadInput(
                    f"{config.manifest}: no row has the split validation, by which train.patience "
                    "stops; add some, or leave patience out"
                )
            return None
        books = (config.validation,) if config.validation else ()
        only = config.model_copy(
            update={"books": books, "held_out": (), "validation": None, "drawings": None}
        )
        pairs: Pairs = (
            self.cached_pairs(only, progress, split)
            if tower is None
            else self.picture_pairs(only, tower, progress, split)
        )
        count = rows + sum(book.figures for book in books)
        return build_evaluator(pairs, count, config.views_seed)

    def picture_pairs(
        self,
        config: RunConfig,
        tower: Tower,
        progress: ProgressCallback = lambda *_: None,
        split: Split = "train",
    ) -> PicturePairs:
        """Return the pairs of books, drawings and manifest as pictures, for other towers."""
        usable: list[GalleryFigure] = []
        held_out_FC = self._held_out_features(config, progress)
        for book in config.books:
            figures = sample_figures(read_gallery(book.path), book.figures, config.views_seed)
            if len(held_out_FC):
                views = self.compute_views(figures, _ORIGINAL_VIEW, config.views_seed, progress)
                is_new_F = _without_copies(views, held_out_FC)
                figures = [f for f, is_new in zip(figures, is_new_F, strict=True) if is_new]
            usable += figures
        if config.drawings is not None:
            pairs, _ = split_by_writer(read_drawing_pairs(config.drawings))
            usable += [pair.figure for pair in pairs]
        for figures in _manifest_figures(config, split).values():
            usable += figures
        return PicturePairs(usable, tower, config.views_seed, config.styles)

    def _held_out_features(self, config: RunConfig, progress: ProgressCallback) -> Vectors:
        """Return the pooled features (F, C) of the figures in the held-out books."""
        features = [
            pooled_features(
                self.compute_views(read_gallery(path), _ORIGINAL_VIEW, config.views_seed, progress)
            )
            for path in config.held_out + ((config.validation.path,) if config.validation else ())
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

        evaluate = self.evaluator(config)
        return _train(config, build_tower, pairs, _SAMPLE_VIEWS, folder, evaluate, report)


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

    if config.manifest is not None:
        read_manifest(config.manifest)  # a wrong row is reported before models are fetched
    if config.image_model is not None:
        settings = settings.model_copy(update={"image_model": config.image_model})
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
    evaluate = trainer.evaluator(config, tower, view_progress)
    encoder = _train(
        config, lambda _: tower, picture_pairs, _SAMPLE_PICTURES, folder, evaluate, report
    )
    _save(config, encoder, tower.name, folder)
    return read_card(folder)


def _manifest_figures(config: RunConfig, split: Split) -> dict[str, list[GalleryFigure]]:
    """Return the figures of a split of the run's manifest, by style of the query."""
    if config.manifest is None:
        return {}
    return manifest_figures([p for p in read_manifest(config.manifest) if p.split == split])


def _without_copies(views: Views, held_out_FC: Vectors) -> NDArray[np.bool_]:
    """Return a mask of the figures that have no copy among the held-out figures."""
    if not len(held_out_FC):
        return np.ones(len(views), bool)
    return np.asarray((pooled_features(views) @ held_out_FC.T).max(1) <= _COPY_COSINE)


def _check_savable(config: RunConfig, *, is_mini: bool) -> None:
    method = chosen_method(config)
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
    evaluate: Evaluator | None,
    report: StepCallback,
) -> UniRetrieval:
    """Train an encoder. `build_tower` receives a sample of the inputs, to measure their scale."""
    torch.manual_seed(config.train.seed)
    rng = np.random.default_rng(config.train.seed)
    sample_inputs = pairs.sample_figures(sample_size, rng)
    method = chosen_method(config)
    encoder = build(method, build_tower(sample_inputs))
    if config.adapters:
        load_adapters(encoder, config.adapters)
    encoder.prototypes.fit(sample_inputs.features_BG)
    train(encoder, pairs, config.train, folder / "run", evaluate, report)
    _set_style_centres(encoder, pairs, sample_size // 5, rng)
    compression = config.compression
    if compression is None and method.compression is not None:
        compression = CompressionConfig(method=method.compression)
    if compression is not None:
        device = encoder.centroids_SK.device
        sample = pairs.sample_figures(_COMPRESSION_PICTURES, rng).to(device)
        compress_encoder(encoder, compression.method, compression.parsed_options(), sample)
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
    for style in pairs.style_names:
        features_BG = pairs.sample_style(style, count, rng).features_BG
        prototypes = encoder.prototypes
        to_prototype = prototypes.from_sentence if style == TEXT else prototypes.from_gram
        centres[style] = to_prototype(features_BG.to(encoder.centroids_SK.device)).mean(0)
    encoder.set_styles(centres)
