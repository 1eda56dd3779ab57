"""Which way of adapting a tower finds figures in every style? All of them, in one run.

    python -m benchmarks.encoder table     every method x 3 seeds; results/encoder.json, encoder.md
    python -m benchmarks.encoder ship      train the encoder that is shipped, and test it
    python -m benchmarks.encoder test      test it alone; results/shipped.json

Books: seven to learn from, `openstax-physics` for choices, and two that nothing is learned from or
chosen on; copies of their figures are left out of the training books.

The table's methods start from one plain tower, which has learned figures and words but, like a CLIP
that one downloads, no query style. Each sees the same batches for the same number of steps, at the
learning rate that suits it best on the development book. The table can be stopped, goes on where it
was, and can be shared by processes (`--seeds 0`, `--seeds 1 2`). The shipped encoder stands on a
tower that has learned the styles as well.
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

from benchmarks.environment import CORPORA, HERE, describe
from data.ser import figures_of, sample
from data.styles import SEEN, STYLES, UNSEEN
from retrieval.card import SHIPPED
from retrieval.checkpoint import load
from retrieval.encoder import ORIGINAL, Vectors
from retrieval.evaluation import ranks, scores
from retrieval.experts import MoELoRALinear, expert_cosine
from retrieval.experts.usage import load as load_of
from retrieval.text import SentenceRetriever
from retrieval.tower import Looked
from retrieval.training.config import TrainConfig
from retrieval.training.methods import METHODS
from retrieval.training.pairs import CachedPairs
from retrieval.training.views import Views
from retrieval.uni import UniRetrieval
from unirag.models.encoders import mini_tower
from unirag.training.trainer import Book, RunConfig, Trainer

BOOKS = {
    "openstax-college-physics-bundle": 1200,
    "openstax-university-physics-bundle": 1000,
    "openstax-organic-chemistry": 1000,
    "openstax-calculus-bundle": 800,
    "openstax-college-algebra-bundle": 400,
    "openstax-introductory-statistics-bundle": 400,
    "openstax-psychology": 400,
}
DEVELOPMENT = "openstax-physics"
HELD_OUT = ("openstax-anatomy-physiology", "openstax-chemistry-bundle")
SEEDS = (0, 1, 2)
STYLED = tuple((style, 0) for style in STYLES)
QUERIES = 200  # figures of each book that are asked for in every style
CACHE = user_cache_path("unirag")
RESULTS = HERE / "results" / "encoder.json"
RUNS = CACHE / "runs"
MODELS = user_data_path("unirag") / "models"
TOWER = TrainConfig(method="tower", steps=600, figures=96, dropped=0.5, lr=1e-3, warmup=50)
PLAIN = TOWER.model_copy(update={"steps": 200})
ADAPT = TrainConfig(steps=50, figures=64, dropped=0.5, lr=1e-2, warmup=10, style_weight=0.3)
LR = {"tower": 1e-3, "lora-32": 3e-3}  # of 1e-3, 3e-3 and 1e-2, for the others ADAPT's
SHIP = ADAPT.model_copy(update={"method": "depth", "lr": 1e-3, "steps": 150, "warmup": 20})


@dataclass(frozen=True)
class TestBook:
    """A gallery, the styled views of some of its figures, and every figure's alt text."""

    name: str
    gallery: Views
    queries: Views
    rows: list[int]  # of the queries in the gallery
    words_FS: Vectors


def trainer() -> Trainer:
    sentences = SentenceRetriever("all-minilm-l6-v2", MODELS / "all-minilm-l6-v2")
    return Trainer(MODELS / "efficientnet-lite0", sentences, CACHE)


def run_config(name: str, config: TrainConfig, start: Path | None) -> RunConfig:
    return RunConfig(
        name=name,
        books=tuple(Book(path=CORPORA / book, figures=n) for book, n in BOOKS.items()),
        held_out=tuple(CORPORA / book for book in (DEVELOPMENT, *HELD_OUT)),
        start=start,
        train=config,
    )


def test_book(maker: Trainer, name: str) -> TestBook:
    figures = figures_of(CORPORA / name)
    asked = sample(figures, QUERIES, 0)
    where = {figure.name: i for i, figure in enumerate(figures)}
    return TestBook(
        name,
        maker.views(figures, ((ORIGINAL, 0),), 0),
        maker.views(asked, STYLED, 0),
        [where[figure.name] for figure in asked],
        maker.words(figures)[:, 0],
    )


def looked(views: Views, style: str, rows: Sequence[int]) -> Looked:
    view = views.of(style)[0]
    return Looked(
        torch.from_numpy(views.patches_FVTC[list(rows), view]).float(),
        torch.from_numpy(views.gram_FVG[list(rows), view]),
    )


@torch.no_grad()
def encoded(
    encoder: UniRetrieval, views: Views, style: str, count: int
) -> tuple[Vectors, dict[str, list[torch.Tensor]]]:
    """Unit vectors of one view of the first `count` figures, and the experts' gates by layer."""
    parts: list[Vectors] = []
    gates: dict[str, list[torch.Tensor]] = {}
    for start in range(0, count, 64):
        made = encoder.image(looked(views, style, range(start, min(start + 64, count))))
        parts.append(made.vectors_BD.numpy())
        for name, value in made.gates.items():
            gates.setdefault(name, []).append(value)
    return np.concatenate(parts), gates


def score_book(encoder: UniRetrieval, book: TestBook, queries: int = QUERIES) -> dict[str, Any]:
    """R@1 and R@5 of each style in the whole gallery, and of alt texts; the experts' load."""
    encoder.eval()
    gallery_FD, _ = encoded(encoder, book.gallery, ORIGINAL, len(book.gallery))
    rows = book.rows[:queries]
    result: dict[str, Any] = {
        "gallery": len(book.gallery),
        "queries": len(rows),
        "r1": {},
        "r5": {},
    }
    mixed: dict[str, list[torch.Tensor]] = {}

    def note(name: str, vectors_QD: Vectors, answers: Sequence[int]) -> None:
        for key, value in scores(ranks(vectors_QD @ gallery_FD.T, answers)).to_json().items():
            if key != "queries":
                result.setdefault(key, {})[name] = value

    for style in STYLES:
        vectors_QD, gates = encoded(encoder, book.queries, style, len(rows))
        note(style, vectors_QD, rows)
        for name, values in gates.items():
            mixed.setdefault(name, []).extend(values)
    with torch.no_grad():
        words = torch.from_numpy(book.words_FS)
        note("text", encoder.text(Looked(words, words)).vectors_BD.numpy(), range(len(words)))
    if mixed:
        loads = {name: load_of(values) for name, values in mixed.items()}
        result["least_load"] = round(min(x.least for x in loads.values()), 4)
        result["most_load"] = round(max(x.most for x in loads.values()), 4)
    return result


@torch.no_grad()
def cosine_of_experts(encoder: UniRetrieval, book: TestBook) -> float | None:
    """Mean pairwise cosine between the outputs of a layer's experts, over adapted layers."""
    found = []
    hooks = [
        module.register_forward_pre_hook(
            lambda m, args: found.append(expert_cosine(m.experts, args[0].flatten(0, -2)))
        )
        for module in encoder.tower.modules()  # type: ignore[attr-defined]
        if isinstance(module, MoELoRALinear) and len(module.experts.a_ERK) > 1
    ]
    encoded(encoder, book.queries, "sketch", 16)
    for hook in hooks:
        hook.remove()
    return round(float(np.mean(found)), 4) if found else None


def train_tower(
    maker: Trainer, pairs: CachedPairs, name: str, config: TrainConfig, styles: Sequence[str]
) -> Path:
    """The tower of that name, trained on queries in `styles`; made once."""
    folder = RUNS / name
    if (folder / "model.safetensors").exists():
        return folder
    began = time.perf_counter()
    seen: dict[str, list[float]] = {}

    def report(step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            seen.setdefault(key, []).append(value)
        if step % 25 == 0:
            means = {k: round(float(np.mean(v[-25:])), 3) for k, v in seen.items()}
            say(f"{name} {step} {means} {time.perf_counter() - began:.0f} s")

    pairs.styles = tuple(styles)
    maker.run(run_config(f"mini-{name}", config, None), pairs, folder, report)
    pairs.styles = SEEN
    return folder


def run_method(
    maker: Trainer, pairs: CachedPairs, method: str, seed: int, config: TrainConfig
) -> UniRetrieval:
    folder = RUNS / f"{method}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    config = config.model_copy(update={"method": method, "seed": seed, "save_every": 10**6})
    if method == "plain":
        return load(RUNS / "plain", mini_tower).requires_grad_(False)
    encoder = maker.fit(run_config(f"mini-{method}", config, RUNS / "plain"), pairs, folder)
    shutil.rmtree(folder)
    return encoder


def table(
    maker: Trainer, pairs: CachedPairs, methods: Sequence[str], seeds: Sequence[int], queries: int
) -> None:
    """Rows already in the results file for the same settings are kept."""
    settings = {"train": ADAPT.model_dump(mode="json"), "lr": LR, "queries": queries}
    books = [test_book(maker, name) for name in (DEVELOPMENT, *HELD_OUT)]
    for seed in seeds:
        for method in methods:
            key = f"{method}/{seed}"
            if key in stored_rows(settings) or (method == "plain" and seed):
                continue
            began = time.perf_counter()
            config = ADAPT.model_copy(update={"lr": learning_rate(method)})
            encoder = run_method(maker, pairs, method, seed, config)
            took = time.perf_counter() - began
            row = {
                "method": method,
                "seed": seed,
                "trained": sum(p.numel() for p in encoder.parameters() if p.requires_grad),
                "seconds": round(took, 1),
                "books": {b.name: score_book(encoder, b, queries) for b in books},
                "expert_cosine": cosine_of_experts(encoder, books[0]),
            }
            say(f"{key} {took:.0f} s {summary(row)}")
            with FileLock(RUNS / "table.lock"):
                about = describe(("torch", "timm", "peft", "accelerate", "opencv-python-headless"))
                stored = {
                    **about,
                    "settings": settings,
                    "rows": {**stored_rows(settings), key: row},
                }
                RESULTS.write_text(json.dumps(stored, indent=1))
                (HERE / "encoder.md").write_text(markdown(stored))


def stored_rows(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the results file that were made with `settings`."""
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return stored["rows"] if stored.get("settings") == settings else {}


def learning_rate(method: str) -> float:
    return LR.get(method, ADAPT.lr)


def summary(row: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.removeprefix('openstax-')}: seen {mean_of(book, SEEN):.1f} "
        f"unseen {mean_of(book, UNSEEN):.1f} text {book['r1']['text']:.1f}"
        for name, book in row["books"].items()
    )


def mean_of(book: Mapping[str, Any], styles: Sequence[str]) -> float:
    return float(np.mean([book["r1"][s] for s in styles]))


def markdown(results: Mapping[str, Any]) -> str:
    held = len(HELD_OUT)
    lines = [
        "# Ways of adapting the mini tower to query styles",
        "",
        "Made by `python -m benchmarks.encoder table`. R@1 in per cent in the whole gallery, mean "
        f"over {held} books that nothing was learned from or chosen on "
        f"({', '.join(HELD_OUT)}; {results['settings']['queries']} queries a style and book), then "
        f"mean and spread (standard deviation) over seeds {list(SEEDS)}. `dev` is the mean over "
        f"trained styles on {DEVELOPMENT}. {results['settings']['train']['steps']} steps of "
        f"{results['settings']['train']['figures']} figures from the same plain tower. Device: "
        f"{results['device']}; commit {results['commit'][:12]}. Expert load: the least and the "
        "most that any expert of any layer gets on either book, styles mixed (MoLA has layers with "
        "one expert, which gets all).",
        "",
        "| method | trained | learning rate | "
        + " | ".join(SEEN)
        + " | mean of these | text | unseen styles | dev | expert load | expert cosine |",
        "|---|---|---|" + "---|" * (len(SEEN) + 6),
    ]
    for method, about in METHODS.items():
        rows = [r for r in results["rows"].values() if r["method"] == method]
        if not rows:
            continue
        books = [[r["books"][b] for b in HELD_OUT] for r in rows]

        def cell(value: Any, books: list[list[Any]] = books) -> str:
            each = [float(np.mean([value(b) for b in pair])) for pair in books]
            spread = f" ± {np.std(each):.1f}" if len(each) > 1 else ""
            return f"{np.mean(each):.1f}{spread}"

        dev = [mean_of(r["books"][DEVELOPMENT], SEEN) for r in rows]
        loads = [b for pair in books for b in pair if "least_load" in b]
        least = min((b["least_load"] for b in loads), default=None)
        most = max((b["most_load"] for b in loads), default=None)
        cosines = [r["expert_cosine"] for r in rows if r["expert_cosine"] is not None]
        lines.append(
            f"| {about.title} | {rows[0]['trained']:,} | "
            + f"{learning_rate(method) if rows[0]['trained'] else 0:g} | "
            + " | ".join(cell(lambda b, s=s: b["r1"][s]) for s in SEEN)
            + f" | **{cell(lambda b: mean_of(b, SEEN))}** | {cell(lambda b: b['r1']['text'])}"
            + f" | {cell(lambda b: mean_of(b, UNSEEN))} | {np.mean(dev):.1f} ± {np.std(dev):.1f}"
            + f" | {'' if least is None else f'{100 * least:.0f} to {100 * most:.0f} %'}"
            + f" | {f'{np.mean(cosines):.2f}' if cosines else ''} |"
        )
    return "\n".join([*lines, "", verdict(results), ""])


def verdict(results: Mapping[str, Any]) -> str:
    """Is MoE-LoRA ahead of what it is compared with, by more than the seeds differ?"""

    def mean(method: str) -> tuple[float, float]:
        rows = [r for r in results["rows"].values() if r["method"] == method]
        each = [np.mean([mean_of(r["books"][b], SEEN) for b in HELD_OUT]) for r in rows]
        return float(np.mean(each)), float(np.std(each))

    here = {r["method"] for r in results["rows"].values()}
    ours = {m: mean(m) for m in METHODS if m in here and m.startswith(("bank-moe", "depth"))}
    others = {m: mean(m) for m in METHODS if m in here and m not in ours and m != "tower"}
    best, other = max(ours, key=lambda m: ours[m]), max(others, key=lambda m: others[m])
    gap, spread = ours[best][0] - others[other][0], max(ours[best][1], others[other][1])
    ahead = "ahead of" if gap > spread else "not ahead of"
    return (
        f"On the mean of the trained styles, the best MoE-LoRA ({METHODS[best].title}, "
        f"{ours[best][0]:.1f}) is {ahead} the best baseline ({METHODS[other].title}, "
        f"{others[other][0]:.1f}) by more than the spread over seeds ({spread:.1f}). The tower "
        "itself, all of it trained, is the bound that no adapter reaches in these steps."
    )


def ship(maker: Trainer, pairs: CachedPairs) -> None:
    folder = RUNS / "ship"
    maker.run(run_config("unirag-mini-2", SHIP, RUNS / "tower"), pairs, folder, progress("ship"))
    for name in ("model.safetensors", "config.json"):
        SHIPPED.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, SHIPPED / name)


def test(maker: Trainer) -> None:
    encoder = load(SHIPPED, mini_tower)
    books = [score_book(encoder, test_book(maker, name)) for name in (DEVELOPMENT, *HELD_OUT)]
    names = (DEVELOPMENT, *HELD_OUT)
    about = describe(("torch", "timm", "opencv-python-headless"))
    results = {**about, "books": dict(zip(names, books, strict=True))}
    (HERE / "results" / "shipped.json").write_text(json.dumps(results, indent=1) + "\n")


def progress(name: str):  # type: ignore[no-untyped-def]
    def report(step: int, values: Mapping[str, float]) -> None:
        if step % 20 == 0:
            say(f"{name} {step} { {k: round(v, 3) for k, v in values.items()} }")

    return report


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=("table", "ship", "test"))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--queries", type=int, default=80)
    arguments = parser.parse_args()
    maker = trainer()
    if arguments.part == "test":
        test(maker)
        return
    pairs = maker.pairs(run_config("pairs", TOWER, None))
    say(f"{len(pairs)} figures to learn from")
    if arguments.part == "table":
        train_tower(maker, pairs, "plain", PLAIN, (ORIGINAL,))
        table(maker, pairs, arguments.methods, arguments.seeds, arguments.queries)
    else:
        train_tower(maker, pairs, "tower", TOWER, SEEN)
        ship(maker, pairs)
        test(maker)


if __name__ == "__main__":
    main()
