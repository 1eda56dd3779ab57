"""Compare ways of adapting the mini tower by how well each finds figures in every query style.

    python -m benchmarks.encoder table     every method x 3 seeds; results/encoder.json, encoder.md
    python -m benchmarks.encoder bracket   the best of three learning rates for each method
    python -m benchmarks.encoder ship      train the shipped encoder and test it
    python -m benchmarks.encoder test      test the shipped encoder; results/shipped.json

Seven books are for training and `openstax-physics` is for choices. Two books are held out: nothing
is learned from them or chosen on them, and copies of their figures are removed from the training
books.

All methods of the table start from one plain tower. It has learned figures and words but no query
style, like a CLIP model that one downloads. Each method sees the same batches for the same number
of steps, at the learning rate that suits it best on the development book. An interrupted table
continues where it stopped, and several processes can share it (`--seeds 0`, `--seeds 1 2`). The
shipped encoder starts from a tower that has learned the styles as well.

`--methods` takes every name of `unirag methods` (as `depth-NAME`). Methods in use start from the
encoder of `depth` with the same seed, and see 16 further figures of each style and book first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from platformdirs import user_cache_path, user_data_path
from safetensors.torch import load_file, save_file

from benchmarks.encoder_methods import (
    active_parameters,
    observe,
    paired_difference,
    prepare_in_use,
    train_adapters,
)
from benchmarks.environment import (
    BENCHMARKS,
    CORPORA,
    RESULTS,
    SHARED,
    describe,
    short_commit,
    write_results,
)
from data.figure_gallery import read_gallery, sample_figures
from data.styles import NEW_STYLES, SEEN_STYLES, STYLES
from retrieval.checkpoint import load_checkpoint, read_card, save_checkpoint
from retrieval.efficientnet import EfficientNetLite0
from retrieval.encoder import ORIGINAL, Vectors
from retrieval.evaluation import rank_answers, score_ranks
from retrieval.experts import expert_cosine
from retrieval.experts.layer import recorded_inputs
from retrieval.experts.usage import expert_load
from retrieval.in_use import InUse
from retrieval.model_card import SHIPPED_ENCODER
from retrieval.sentence_retriever import SentenceRetriever
from retrieval.tower import TowerInputs
from retrieval.training.config import TrainConfig
from retrieval.training.methods import methods
from retrieval.training.pairs import CachedPairs
from retrieval.training.views import Views
from retrieval.uni_retrieval import UniRetrieval
from unirag.evaluation.retrieval import evaluate_retrieval
from unirag.models.encoders import build_mini_tower, load_mini_encoder
from unirag.training.run_config import RunConfig, TrainingBook
from unirag.training.trainer import Trainer

TRAINING_BOOKS = (
    "openstax-college-physics-bundle",
    "openstax-university-physics-bundle",
    "openstax-organic-chemistry",
    "openstax-calculus-bundle",
    "openstax-college-algebra-bundle",
    "openstax-introductory-statistics-bundle",
    "openstax-psychology",
)
FIGURES_PER_BOOK = 200
DRAWINGS = SHARED / "benchmarks" / "hand-drawn"
DEVELOPMENT = "openstax-physics"
HELD_OUT = ("openstax-anatomy-physiology", "openstax-chemistry-bundle")
SEEDS = (0, 1, 2)
STYLED_VIEWS = tuple((style, 0) for style in STYLES)
QUERY_FIGURES = 200  # figures of each book that are queried in every style
BATCH = 64
CACHE = user_cache_path("unirag")
TABLE_RESULTS = RESULTS / "encoder.json"
RUNS = CACHE / "runs"
MODELS = user_data_path("unirag") / "models"
TOWER = TrainConfig(method="tower", steps=600, figures=96, patch_dropout=0.5, lr=1e-3, warmup=50)
PLAIN = TOWER.model_copy(update={"steps": 200})
ADAPT = TrainConfig(steps=50, figures=64, patch_dropout=0.5, lr=1e-2, warmup=10, style_weight=0.3)
# The methods whose best learning rate of 1e-3, 3e-3 and 1e-2 is not ADAPT's.
LEARNING_RATES = {"tower": 1e-3, "lora-32": 3e-3}
# Shares of the trained weights in the shipped ones: the best of five for real drawings and words.
IMAGE_SHARE, TEXT_SHARE = 0.7, 0.3
TEXT_TOWER = ("tower.word", "tower.text", "tower.language")
FITTED = ("mean_C", "deviation_C")  # measured on a sample, not trained
RATES = (1e-3, 3e-3, 1e-2)  # what `bracket` tries
RATES_RESULTS = RESULTS / "encoder_rates.json"
SUPPORT = 16  # figures, behind the queried ones, that methods in use learn from
BASELINE = "lora"  # the method that every row is compared with
SHIP = TOWER.model_copy(update={"steps": 400, "lr": 5e-4, "style_weight": 0.3})


@dataclass(frozen=True)
class TestBook:
    """A gallery of figures, styled queries for some of them, and the alt text of every figure.

    `rows` are the gallery rows of the queries. `words_FS` are the alt texts' sentence vectors.
    """

    name: str
    gallery: Views
    queries: Views
    rows: list[int]
    words_FS: Vectors


def build_trainer() -> Trainer:
    """Return a trainer for the mini towers, with the models from the user's data folder."""
    sentences = SentenceRetriever("all-minilm-l6-v2", MODELS / "all-minilm-l6-v2")
    return Trainer(MODELS / "efficientnet-lite0", sentences, CACHE)


def run_config(name: str, config: TrainConfig, start: Path | None) -> RunConfig:
    """Return the configuration of a run on the training books; `start` is an earlier run."""
    return RunConfig(
        name=name,
        books=tuple(
            TrainingBook(path=CORPORA / b, figures=FIGURES_PER_BOOK) for b in TRAINING_BOOKS
        ),
        drawings=DRAWINGS,
        held_out=tuple(CORPORA / book for book in (DEVELOPMENT, *HELD_OUT)),
        start=start,
        train=config,
    )


def load_test_book(trainer: Trainer, name: str) -> TestBook:
    """Compute the views of a book, or load them from the cache."""
    figures = read_gallery(CORPORA / name)
    queried = sample_figures(figures, QUERY_FIGURES, 0)
    row_of = {figure.name: i for i, figure in enumerate(figures)}
    return TestBook(
        name,
        trainer.compute_views(figures, ((ORIGINAL, 0),), 0),
        trainer.compute_views(queried, STYLED_VIEWS, 0),
        [row_of[figure.name] for figure in queried],
        trainer.encode_words(figures)[:, 0],
    )


def tower_inputs(views: Views, style: str, rows: Sequence[int]) -> TowerInputs:
    """Return the tower's inputs for some figures in one style."""
    view = views.indices_of(style)[0]
    return TowerInputs(
        torch.from_numpy(views.patches_FVTC[list(rows), view]).float(),
        torch.from_numpy(views.gram_FVG[list(rows), view]),
    )


@torch.no_grad()
def encode_views(
    encoder: UniRetrieval, views: Views, style: str, count: int, method: InUse | None = None
) -> tuple[Vectors, dict[str, list[torch.Tensor]]]:
    """Return unit vectors of the first `count` figures in one style, and the gates by layer.

    A method in use encodes in place of the encoder, without gates.
    """
    vectors: list[Vectors] = []
    gates: dict[str, list[torch.Tensor]] = {}
    for start in range(0, count, BATCH):
        rows = range(start, min(start + BATCH, count))
        inputs = tower_inputs(views, style, rows).to(encoder.centroids_SK.device)
        if method is not None:
            vectors.append(method.encode(inputs).cpu().numpy())
            continue
        encoded = encoder.forward_image(inputs)
        vectors.append(encoded.vectors_BD.cpu().numpy())
        for name, value in encoded.gates.items():
            gates.setdefault(name, []).append(value.cpu())
    return np.concatenate(vectors), gates


def score_book(
    encoder: UniRetrieval,
    book: TestBook,
    queries: int = QUERY_FIGURES,
    method: InUse | None = None,
) -> dict[str, Any]:
    """Return R@1 and R@5 of each style and of the alt texts in the whole gallery.

    Adds which queries were answered first, and the least and the most load of any expert if the
    encoder has experts. A method in use encodes the queries; the gallery is the encoder's.
    """
    encoder.eval()
    gallery_FD, _ = encode_views(encoder, book.gallery, ORIGINAL, len(book.gallery))
    rows = book.rows[:queries]
    result: dict[str, Any] = {
        "gallery": len(book.gallery),
        "queries": len(rows),
        "r1": {},
        "r5": {},
    }
    gates_by_layer: dict[str, list[torch.Tensor]] = {}

    def add_scores(name: str, vectors_QD: Vectors, answers: Sequence[int]) -> None:
        ranks = rank_answers(vectors_QD @ gallery_FD.T, answers)
        result.setdefault("first", {})[name] = "".join(str(int(r == 1)) for r in ranks)
        scores = score_ranks(ranks).to_json()
        for metric, value in scores.items():
            if metric != "queries":
                result.setdefault(metric, {})[name] = value

    device = encoder.centroids_SK.device
    for style in STYLES:
        if method is not None:
            support = range(len(rows), min(len(rows) + SUPPORT, len(book.rows)))
            observe(
                method,
                tower_inputs(book.queries, style, support).to(device),
                torch.from_numpy(gallery_FD).to(device),
                [book.rows[i] for i in support],
            )
        vectors_QD, gates = encode_views(encoder, book.queries, style, len(rows), method)
        add_scores(style, vectors_QD, rows)
        for name, values in gates.items():
            gates_by_layer.setdefault(name, []).extend(values)
    with torch.no_grad():
        words = torch.from_numpy(book.words_FS).to(device)
        encoded = encoder.forward_text(TowerInputs(words, words))
        add_scores("text", encoded.vectors_BD.cpu().numpy(), range(len(words)))
    if gates_by_layer:
        joined = {name: torch.cat(values) for name, values in gates_by_layer.items()}
        result["active"] = active_parameters(encoder, joined)
        loads = {name: expert_load(values) for name, values in gates_by_layer.items()}
        result["least_load"] = round(min(load.min_share for load in loads.values()), 4)
        result["most_load"] = round(max(load.max_share for load in loads.values()), 4)
    return result


@torch.no_grad()
def mean_expert_cosine(encoder: UniRetrieval, book: TestBook) -> float | None:
    """Return the mean pairwise cosine of the experts' outputs over all layers, None without any."""
    layers = encoder.depth_layers()
    with recorded_inputs(layers) as inputs:
        encode_views(encoder, book.queries, "sketch", min(16, len(book.queries)))
    cosines = [
        expert_cosine(layer.experts, inputs[layer.name].flatten(0, -2), layer.weight)
        for layer in layers
        if layer.experts.count > 1
    ]
    return round(float(np.mean(cosines)), 4) if cosines else None


def train_tower(
    trainer: Trainer, pairs: CachedPairs, name: str, config: TrainConfig, styles: Sequence[str]
) -> Path:
    """Train a tower on queries in `styles`, unless its folder already holds the model."""
    folder = RUNS / name
    if (folder / "model.safetensors").exists():
        return folder
    start = time.perf_counter()
    history: dict[str, list[float]] = {}

    def report(step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            history.setdefault(key, []).append(value)
        if step % 25 == 0:
            means = {k: round(float(np.mean(v[-25:])), 3) for k, v in history.items()}
            log(f"{name} {step} {means} {time.perf_counter() - start:.0f} s")

    pairs.styles = tuple(styles)
    trainer.train_and_save(run_config(f"mini-{name}", config, None), pairs, folder, report)
    pairs.styles = SEEN_STYLES
    return folder


def train_method(
    trainer: Trainer, pairs: CachedPairs, method: str, seed: int, config: TrainConfig
) -> UniRetrieval:
    """Adapt the plain tower by one method; `plain` returns the tower as it is."""
    folder = RUNS / f"{method}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    chosen = methods()[method]
    trained = "depth" if chosen.in_use else method  # what serves is trained like `depth`
    config = config.model_copy(update={"method": trained, "seed": seed, "save_every": 10**6})
    if method == "plain":
        return load_checkpoint(RUNS / "plain", build_mini_tower).requires_grad_(False)
    run = run_config(f"mini-{method}", config, RUNS / "plain")
    if chosen.needs_adapters:
        adapters = train_adapters(trainer, pairs, RUNS, run_config, config)
        run = run.model_copy(update={"adapters": tuple(adapters)})
    encoder = trainer.train(run, pairs, folder)
    shutil.rmtree(folder)
    return encoder


def run_bracket(trainer: Trainer, pairs: CachedPairs, names: Sequence[str], queries: int) -> None:
    """Write the R@1 on the development book of each method at each rate, with seed 0."""
    book = load_test_book(trainer, DEVELOPMENT)
    for method in names:
        if method == "plain" or methods()[method].in_use:
            continue
        for rate in RATES:
            found = json.loads(RATES_RESULTS.read_text()) if RATES_RESULTS.exists() else {}
            if f"{rate:g}" in found.get(method, {}):
                continue
            config = ADAPT.model_copy(update={"lr": rate})
            encoder = train_method(trainer, pairs, method, 0, config)
            r1 = round(mean_r1(score_book(encoder, book, queries), SEEN_STYLES), 2)
            log(f"{method} at {rate:g}: {r1}")
            found.setdefault(method, {})[f"{rate:g}"] = r1
            RATES_RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def run_table(
    trainer: Trainer, pairs: CachedPairs, chosen: Sequence[str], seeds: Sequence[int], queries: int
) -> None:
    """Run every method and seed that the results do not hold yet for the same settings."""
    settings = {"train": ADAPT.model_dump(mode="json"), "lr": all_rates(), "queries": queries}
    books = [load_test_book(trainer, name) for name in (DEVELOPMENT, *HELD_OUT)]
    for seed in seeds:
        for method in chosen:
            key = f"{method}/{seed}"
            if key in stored_rows(settings) or (method == "plain" and seed):
                continue
            start = time.perf_counter()
            config = ADAPT.model_copy(update={"lr": learning_rate(method)})
            encoder = train_method(trainer, pairs, method, seed, config)
            seconds = time.perf_counter() - start
            in_use = None
            if (name := methods()[method].in_use) is not None:
                adapters = train_adapters(trainer, pairs, RUNS, run_config, config)
                in_use = prepare_in_use(name, encoder, adapters)
            row = {
                "method": method,
                "seed": seed,
                "trained": sum(p.numel() for p in encoder.parameters() if p.requires_grad),
                "seconds": round(seconds, 1),
                "encode_seconds": encode_seconds(encoder, books[0], in_use),
                "books": {b.name: score_book(encoder, b, queries, in_use) for b in books},
                "expert_cosine": mean_expert_cosine(encoder, books[0]),
            }
            log(f"{key} {seconds:.0f} s {summary(row)}")
            with FileLock(RUNS / "table.lock"):
                libraries = ("torch", "timm", "peft", "accelerate", "opencv-python-headless")
                results = {
                    **describe(libraries),
                    "settings": settings,
                    "rows": {**stored_rows(settings), key: row},
                }
                TABLE_RESULTS.write_text(json.dumps(results, indent=1))
                (BENCHMARKS / "encoder.md").write_text(markdown(results))


def stored_rows(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of the results file if it was made with `settings`."""
    stored = json.loads(TABLE_RESULTS.read_text()) if TABLE_RESULTS.exists() else {}
    return stored["rows"] if stored.get("settings") == settings else {}


def all_rates() -> dict[str, float]:
    """Return the learning rates that differ from ADAPT's: the fixed and the bracketed ones."""
    stored = json.loads(RATES_RESULTS.read_text()) if RATES_RESULTS.exists() else {}
    best = {m: float(max(scores, key=scores.get)) for m, scores in stored.items()}
    return {**LEARNING_RATES, **{m: rate for m, rate in best.items() if rate != ADAPT.lr}}


def learning_rate(method: str) -> float:
    """Return the learning rate of a method."""
    return all_rates().get("depth" if methods()[method].in_use else method, ADAPT.lr)


def encode_seconds(encoder: UniRetrieval, book: TestBook, method: InUse | None) -> float:
    """Return the least time of three to encode one batch of sketches."""
    encoder.eval()
    count, times = min(BATCH, len(book.queries)), []
    for _ in range(3):
        start = time.perf_counter()
        encode_views(encoder, book.queries, "sketch", count, method)
        times.append(time.perf_counter() - start)
    return round(min(times), 4)


def summary(row: Mapping[str, Any]) -> str:
    """Return the R@1 of one row in one line."""
    return ", ".join(
        f"{name.removeprefix('openstax-')}: seen {mean_r1(book, SEEN_STYLES):.1f} "
        f"unseen {mean_r1(book, NEW_STYLES):.1f} text {book['r1']['text']:.1f}"
        for name, book in row["books"].items()
    )


def mean_r1(book: Mapping[str, Any], styles: Sequence[str]) -> float:
    """Return the mean R@1 over some styles, in per cent."""
    return float(np.mean([book["r1"][s] for s in styles]))


def markdown(results: Mapping[str, Any]) -> str:
    """Format encoder.md."""
    lines = [
        "# Ways of adapting the mini tower to query styles",
        "",
        "Made by `python -m benchmarks.encoder table`. R@1 in per cent in the whole gallery: the "
        f"mean over {len(HELD_OUT)} held-out books, on which nothing was learned or chosen "
        f"({', '.join(HELD_OUT)}; {results['settings']['queries']} queries per style and book), "
        f"then mean and spread (sample standard deviation) over seeds {list(SEEDS)}. `dev` is the "
        f"mean over trained styles on {DEVELOPMENT}. `against LoRA` is the difference of the mean "
        "of trained styles to plain LoRA on the same queries, with the paired bootstrap's 95 % "
        "interval. `active` parameters leave out experts whose gate is 0. `encode` is the time of "
        "a batch relative to the plain tower. Methods in use learn from "
        f"{SUPPORT} other figures of each style and book; xlora mixes adapters that were trained "
        "before with as many steps each. Each method trains for "
        f"{results['settings']['train']['steps']} steps of "
        f"{results['settings']['train']['figures']} figures, from the same plain tower. Device: "
        f"{results['device']}; commit {short_commit(results['commit'])}. Expert load is the least "
        "and the most that any expert of any layer gets on either book, over all styles (MoLA has "
        "layers with one expert, which gets everything). `unseen styles` is the mean over "
        f"{', '.join(NEW_STYLES)}.",
        "",
        "| method | trained | active | encode | learning rate | "
        + " | ".join(SEEN_STYLES)
        + " | mean of these | text | against LoRA | unseen styles | dev | expert load "
        + "| expert cosine |",
        "|---|---|---|---|---|" + "---|" * (len(SEEN_STYLES) + 7),
    ]
    plain = [
        r["encode_seconds"]
        for r in results["rows"].values()
        if r["method"] == "plain" and "encode_seconds" in r
    ]
    baseline = [r for r in results["rows"].values() if r["method"] == BASELINE]
    for method, description in methods().items():
        rows = [r for r in results["rows"].values() if r["method"] == method]
        if not rows:
            continue
        books = [[r["books"][b] for b in HELD_OUT] for r in rows]

        def cell(value: Any, books: list[list[Any]] = books) -> str:
            seed_means = [float(np.mean([value(b) for b in pair])) for pair in books]
            spread = f" ± {sample_deviation(seed_means):.1f}" if len(seed_means) > 1 else ""
            return f"{np.mean(seed_means):.1f}{spread}"

        dev = [mean_r1(r["books"][DEVELOPMENT], SEEN_STYLES) for r in rows]
        with_load = [b for pair in books for b in pair if "least_load" in b]
        least_load = min((b["least_load"] for b in with_load), default=None)
        most_load = max((b["most_load"] for b in with_load), default=None)
        cosines = [r["expert_cosine"] for r in rows if r["expert_cosine"] is not None]
        active = [b["active"] for pair in books for b in pair if "active" in b]
        cost = [r["encode_seconds"] for r in rows if "encode_seconds" in r]
        gap = paired_difference(rows, baseline, HELD_OUT, SEEN_STYLES) if baseline else None
        lines.append(
            f"| {description.title} | {rows[0]['trained']:,} | "
            + f"{f'{np.mean(active):,.0f}' if active else ''} | "
            + f"{f'{np.mean(cost) / np.mean(plain):.2f}' if cost and plain else ''} | "
            + f"{learning_rate(method) if rows[0]['trained'] else 0:g} | "
            + " | ".join(cell(lambda b, s=s: b["r1"][s]) for s in SEEN_STYLES)
            + f" | **{cell(lambda b: mean_r1(b, SEEN_STYLES))}**"
            + f" | {cell(lambda b: b['r1']['text'])}"
            + f" | {'' if gap is None else f'{gap[0]:+.1f} ({gap[1]:+.1f} to {gap[2]:+.1f})'}"
            + f" | {cell(lambda b: mean_r1(b, NEW_STYLES))}"
            + f" | {np.mean(dev):.1f} ± {sample_deviation(dev):.1f}"
            + f" | {'' if not with_load else f'{100 * least_load:.0f} to {100 * most_load:.0f} %'}"
            + f" | {f'{np.mean(cosines):.2f}' if cosines else ''} |"
        )
    return "\n".join([*lines, "", conclusion(results), ""])


def sample_deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of the values as a sample; 0 for one value.

    It leaves out the error of the queries, which every method shares.
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def conclusion(results: Mapping[str, Any]) -> str:
    """Say whether the best MoE-LoRA beats the best baseline by more than the spread over seeds."""

    def mean_and_spread(method: str) -> tuple[float, float]:
        rows = [r for r in results["rows"].values() if r["method"] == method]
        seed_means = [
            np.mean([mean_r1(r["books"][b], SEEN_STYLES) for b in HELD_OUT]) for r in rows
        ]
        return float(np.mean(seed_means)), sample_deviation(seed_means)

    known = methods()
    present = {r["method"] for r in results["rows"].values()}
    scores = {m: mean_and_spread(m) for m in known if m in present and m != "tower"}
    ours = {m: score for m, score in scores.items() if m.startswith(("bank-moe", "depth"))}
    baselines = {m: score for m, score in scores.items() if m not in ours}
    if not ours or not baselines:
        return ""
    best = max(ours, key=lambda m: ours[m])
    baseline = max(baselines, key=lambda m: baselines[m])
    gap = ours[best][0] - baselines[baseline][0]
    spread = max(ours[best][1], baselines[baseline][1])
    ahead = "ahead of" if gap > spread else "not ahead of"
    return (
        f"On the mean of the trained styles, the best MoE-LoRA ({known[best].title}, "
        f"{ours[best][0]:.1f}) is {ahead} the best baseline ({known[baseline].title}, "
        f"{baselines[baseline][0]:.1f}) by more than the spread over seeds ({spread:.1f}). The "
        "fully trained tower is the upper bound, which no adapter reaches in these steps."
    )


def copy_tower(checkpoint: Path, folder: Path) -> Path:
    """Save the tower of a checkpoint without bank and experts, as a run may start from it."""
    card, state = read_card(checkpoint), load_file(checkpoint / "model.safetensors")
    plain = UniRetrieval(build_mini_tower(card), methods()["tower"].config)
    tower_state = {name: state[f"tower.{name}"] for name in plain.tower.state_dict()}  # type: ignore[attr-defined]
    plain.tower.load_state_dict(tower_state)  # type: ignore[attr-defined]
    save_checkpoint(plain, card.model_copy(update={"encoder": plain.config, "styles": ()}), folder)
    return folder


def average_towers(start: Path, trained: Path) -> None:
    """Move the trained tower back towards the one it started from, in place.

    The mean of the weights keeps what the start knew, above all of words, and most of what was
    learned (WiSE-FT, arXiv 2109.01903, section 3).
    """
    before, after = (load_file(folder / "model.safetensors") for folder in (start, trained))
    for name in after:
        if name in before and name.startswith("tower.") and not name.endswith(FITTED):
            share = TEXT_SHARE if name.startswith(TEXT_TOWER) else IMAGE_SHARE
            mixed = share * after[name].float() + (1 - share) * before[name].float()
            after[name] = mixed.to(after[name].dtype)
    save_file(after, trained / "model.safetensors")


def ship(trainer: Trainer, pairs: CachedPairs) -> None:
    """Train the tower that ships today further, and copy it into the package."""
    folder = RUNS / "ship"
    start = copy_tower(SHIPPED_ENCODER, RUNS / "start")
    config = run_config("unirag-mini-3", SHIP, start)
    trainer.train_and_save(config, pairs, folder, progress("ship"))
    average_towers(start, folder)
    for name in ("model.safetensors", "config.json"):
        SHIPPED_ENCODER.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, SHIPPED_ENCODER / name)


def test_shipped(checkpoint: Path, queries: int) -> None:
    """Score a checkpoint on all test books, as a search reads pictures."""
    cnn = EfficientNetLite0(MODELS / "efficientnet-lite0")
    sentences = SentenceRetriever("all-minilm-l6-v2", MODELS / "all-minilm-l6-v2")
    encoder = load_mini_encoder(checkpoint, cnn, sentences, "cpu")
    books = {}
    for name in (DEVELOPMENT, *HELD_OUT):
        books[name] = evaluate_retrieval(CORPORA / name, encoder, queries=queries).to_json()
        r1 = {style: scores["r1"] for style, scores in books[name]["scores"].items()}
        log(f"{name} {r1}")
    libraries = ("torch", "timm", "opencv-python-headless")
    write_results(
        "shipped" if checkpoint == SHIPPED_ENCODER else encoder.name,
        {**describe(libraries), "encoder": encoder.name, "books": books},
    )


def progress(name: str):  # type: ignore[no-untyped-def]
    """Return a callback that logs every 20th step."""

    def report(step: int, values: Mapping[str, float]) -> None:
        if step % 20 == 0:
            log(f"{name} {step} { {k: round(v, 3) for k, v in values.items()} }")

    return report


def log(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=("table", "bracket", "ship", "test"))
    parser.add_argument("--methods", nargs="*", default=list(methods()))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--queries", type=int, default=80)
    parser.add_argument("--encoder", type=Path, default=SHIPPED_ENCODER, help="what to test")
    arguments = parser.parse_args()
    if arguments.part == "test":
        test_shipped(arguments.encoder, arguments.queries)
        return
    trainer = build_trainer()
    pairs = trainer.cached_pairs(run_config("pairs", TOWER, None))
    log(f"{len(pairs)} training figures")
    if arguments.part == "table":
        train_tower(trainer, pairs, "plain", PLAIN, (ORIGINAL,))
        run_table(trainer, pairs, arguments.methods, arguments.seeds, arguments.queries)
    elif arguments.part == "bracket":
        train_tower(trainer, pairs, "plain", PLAIN, (ORIGINAL,))
        run_bracket(trainer, pairs, arguments.methods, arguments.queries)
    else:
        ship(trainer, pairs)
        test_shipped(SHIPPED_ENCODER, arguments.queries)


if __name__ == "__main__":
    main()
