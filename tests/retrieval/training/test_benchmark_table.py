"""The benchmark's table gets a row for any method, on tiny data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from benchmarks import encoder as table
from benchmarks.encoder_methods import active_parameters, paired_difference
from data.figure_gallery import GalleryFigure
from data.styles import SEEN_STYLES, STYLES
from retrieval.checkpoint import ModelCard, save_checkpoint
from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.encoder import ORIGINAL
from retrieval.experts import ExpertConfig
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.training.methods import build, methods
from retrieval.training.pairs import CachedPairs
from retrieval.training.views import Views
from retrieval.uni_retrieval import UniConfig, UniRetrieval
from tests.retrieval.tiny import tiny_encoder
from unirag.training.trainer import Trainer

SIZES = MiniConfig(width=32, depth=2, heads=2, hidden=48, text_hidden=48, detail=3, out=24)
ROWS = ("plain", "lora", "depth", "depth-xlora", "depth-lego", "depth-c3po", "depth-mova")
F, QUERIES = 12, 8


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def _views(kinds: tuple[tuple[str, int], ...], seed: int) -> Views:
    rng = np.random.default_rng(seed)
    figure = rng.normal(size=(F, 1, 1, sum(TAPS)))
    patches = figure + 0.7 * rng.normal(size=(F, len(kinds), PATCHES, sum(TAPS)))
    gram = rng.normal(size=(F, len(kinds), GRAM))
    figures = [GalleryFigure(str(n), b"", "", "", "") for n in range(F)]
    return Views(figures, kinds, patches.astype(np.float16), gram.astype(np.float32))


def _words() -> np.ndarray:
    words = np.random.default_rng(1).normal(size=(F, 2, SIZES.sentence)).astype(np.float32)
    return words / np.linalg.norm(words, axis=2, keepdims=True)


def _test_book(_: Trainer, name: str) -> table.TestBook:
    seed = len(name)
    gallery = _views(((ORIGINAL, 0),), seed)
    queries = _views(tuple((style, 0) for style in STYLES), seed)
    return table.TestBook(name, gallery, queries, list(range(F)), _words()[:, 0])


def test_every_kind_of_method_gets_a_row(tmp_path, monkeypatch):
    runs, results = tmp_path / "runs", tmp_path / "encoder.json"
    for name, value in {
        "RUNS": runs,
        "BENCHMARKS": tmp_path,
        "TABLE_RESULTS": results,
        "RATES_RESULTS": tmp_path / "rates.json",
        "ADAPT": table.ADAPT.model_copy(update={"steps": 2, "figures": 6, "warmup": 1}),
        "load_test_book": _test_book,
    }.items():
        monkeypatch.setattr(table, name, value)
    plain = UniRetrieval(MiniTower(SIZES, None, None), UniConfig(bank=None))
    card = ModelCard(name="plain", tower=SIZES, encoder=plain.config, styles=())
    save_checkpoint(plain, card, runs / "plain")
    kinds = tuple((style, 0) for style in (ORIGINAL, *SEEN_STYLES))
    pairs = CachedPairs([_views(kinds, 0)], [_words()], [np.ones(F, bool)])
    trainer = Trainer(tmp_path, None, tmp_path)  # type: ignore[arg-type]
    table.run_table(trainer, pairs, ROWS, (0,), QUERIES)
    monkeypatch.setattr(table, "RATES", (1e-3, 1e-2))
    table.run_bracket(trainer, pairs, ("layernorm",), QUERIES)
    rates = json.loads((tmp_path / "rates.json").read_text())["layernorm"]
    assert set(rates) == {"0.001", "0.01"}
    assert rates[f"{table.learning_rate('layernorm'):g}"] == max(rates.values())
    rows = json.loads(results.read_text())["rows"]
    assert set(rows) == {f"{method}/0" for method in ROWS}
    depth = rows["depth/0"]["books"][table.HELD_OUT[0]]
    assert 0 < depth["active"] <= rows["depth/0"]["trained"]
    assert len(depth["first"]["sketch"]) == QUERIES
    page = (tmp_path / "encoder.md").read_text()
    for method in ROWS:
        assert methods()[method].title in page
    rows_of_page = page.splitlines()
    lora = next(line for line in rows_of_page if line.startswith(f"| {methods()['lora'].title} |"))
    assert "+0.0 (+0.0 to +0.0)" in lora  # against itself
    assert len(list((Path(runs)).glob("adapter-0-*"))) == 4


def test_the_paired_difference_is_that_of_the_hits():
    def row(first: str) -> dict[str, object]:
        return {"books": {"a": {"first": {"sketch": first}}}}

    gap = paired_difference([row("1111000011")], [row("1011000010")], ["a"], ["sketch"])
    assert gap is not None
    assert gap[0] == pytest.approx(20)
    assert 0 <= gap[1] <= 20 <= gap[2] <= 60
    assert paired_difference([row("10")], [row("10")], ["a"], ["sketch"]) == (0, 0, 0)
    assert paired_difference([{"books": {"a": {}}}], [row("10")], ["a"], ["sketch"]) is None


def test_active_parameters_leave_out_experts_without_a_gate():
    encoder = tiny_encoder(depth=ExpertConfig(experts=4, rank=2, router="top_k", top_k=1))
    encoder.requires_grad_(False)
    layers = encoder.depth_layers()
    for layer in layers:
        layer.experts.requires_grad_(True)
    total = sum(p.numel() for layer in layers for p in layer.experts.parameters())
    routers = sum(p.numel() for layer in layers for p in layer.experts.router.parameters())
    gates = {layer.name: torch.eye(4) for layer in layers}  # one of four
    assert active_parameters(encoder, gates) == routers + (total - routers) // 4
    assert active_parameters(encoder, {}) == total


def test_every_method_builds_for_the_table():
    for name, method in methods().items():
        assert build(method, MiniTower(SIZES, None, None)) is not None, name
