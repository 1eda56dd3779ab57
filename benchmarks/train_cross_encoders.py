"""Train the reranker and the entailment model that are shipped for profile `mini`.

    python -m benchmarks.train_cross_encoders entailment
    python -m benchmarks.train_cross_encoders reranker

Two CPU cores, half an hour each, seed 0. The training data is that of `cross_encoder_pairs`, from
the shared groups without the held-out book and from data/explanations/train.jsonl. Nothing is
trained on anatomy, chemistry, physics, organic chemistry or microbiology. The weights go to
retrieval/weights; `python -m benchmarks.support` and `python -m benchmarks.reranking` judge them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cross_encoder_pairs import book_pairs, entailment_pairs, relevance_pairs
from benchmarks.explanations import HELD_OUT_BOOK, Group, shared_groups, written_groups
from generation.embedding import EmbedOnce
from retrieval.cross_encoder import ENTAILMENT_WEIGHTS, RERANKER_WEIGHTS
from retrieval.training.cross_encoder import (
    CrossEncoderTraining,
    Pair,
    save_layers,
    train_layers,
)
from unirag.app.build import build_text_retriever
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore
from unirag.settings import load_settings

SEED = 0
BOOK_CONFIG = CrossEncoderTraining(epochs=1, learning_rate=1e-4, max_tokens=160, seed=SEED)
ENTAILMENT_CONFIG = CrossEncoderTraining(epochs=2, learning_rate=1e-4, max_tokens=256, seed=SEED)
RERANKER_CONFIG = CrossEncoderTraining(
    epochs=2, learning_rate=1e-4, tokens_per_batch=2560, max_tokens=192, seed=SEED
)


def main() -> None:
    """Train one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=("entailment", "reranker"))
    model = parser.parse_args().model
    settings = load_settings()
    store, profile = ModelStore(settings.models, settings.profile), profile_of(settings)
    embed = EmbedOnce(build_text_retriever(settings, profile, store).encode_passages, {})
    trunk = store.locate(profile.text)
    groups = training_groups()
    rng = random.Random(SEED)
    if model == "reranker":
        _train_reranker(trunk, relevance_pairs(groups, embed, rng))
    else:
        _train_entailment(trunk, book_pairs(rng), entailment_pairs(groups, embed, rng))


def training_groups() -> list[Group]:
    """Return every group that the weights may learn from."""
    shared = [group for group in shared_groups() if group.book != HELD_OUT_BOOK]
    return [*shared, *written_groups("train")]


def _train_reranker(trunk: Path, pairs: Sequence[Pair]) -> None:
    print(len(pairs), "pairs of a question and a text")
    model = train_layers(trunk, pairs, RERANKER_CONFIG)
    save_layers(model, RERANKER_WEIGHTS, "unirag-reranker-1", RERANKER_CONFIG.max_tokens)


def _train_entailment(trunk: Path, from_books: Sequence[Pair], written: Sequence[Pair]) -> None:
    print(len(from_books), "pairs made of book sentences,", len(written), "written ones")
    with TemporaryDirectory() as folder:
        start = Path(folder)
        save_layers(train_layers(trunk, from_books, BOOK_CONFIG), start, "start", 160)
        model = train_layers(trunk, written, ENTAILMENT_CONFIG, start / "model.safetensors")
    save_layers(model, ENTAILMENT_WEIGHTS, "unirag-entailment-1", ENTAILMENT_CONFIG.max_tokens)


if __name__ == "__main__":
    main()
