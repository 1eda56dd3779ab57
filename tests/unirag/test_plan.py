"""The sizing of an index: its arithmetic by hand, and rates from a clock that is told the time."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.records import Item
from retrieval.bm25 import Bm25
from retrieval.store import Quantization
from tests.unirag.test_indexing import Reads, Thumbnails, WordCounts
from unirag.plan import Machine, Rates, Sample, Widths, measure, sample_of, size

SAMPLE = Sample("here", items=10, figures=0.5, payload=1000.0, terms=50.0, picture=40_000.0)
RATES = Rates("a CPU", gpu=False, pictures=10.0, texts=100.0, labels=2.0)
LINKS = 4 * (32 + 16 / 15)  # bytes of a vector's links at m = 16


def test_sizes_are_those_of_the_formula() -> None:
    got = size(1_000_000, 0.25, Widths(image=512, text=384), SAMPLE, RATES, replicas=2)
    dense = 4 * (1_000_000 * 384 + 250_000 * 512)  # 2.048 GB
    links, sparse = 1_250_000 * LINKS, 16 * 50 * 1_000_000
    assert got.vectors == 1_250_000
    assert got.ram == pytest.approx(2 * (1.5 * dense + links + sparse))
    assert got.disk == pytest.approx(2 * 1.5 * (dense + links + sparse + 1000 * 1_000_000))
    assert got.home == pytest.approx(250_000 * 40_000 + dense)
    assert got.bytes_per_item == pytest.approx((dense + links + sparse) / 1e6 + 1000)
    assert got.encode_hours == pytest.approx((250_000 / 10 + 1_000_000 / 100) / 3600)
    assert got.labels_hours == pytest.approx(250_000 / 2 / 3600)


@pytest.mark.parametrize(("quantization", "smaller"), [("scalar", 4), ("binary", 32)])
def test_quantised_vectors_take_less_memory_and_more_disk(
    quantization: Quantization, smaller: int
) -> None:
    given = (1_000_000, 0.0, Widths(512, 384), SAMPLE, RATES)
    whole, got = size(*given), size(*given, quantization=quantization)
    dense = 4 * 1_000_000 * 384
    assert whole.ram - got.ram == pytest.approx(1.5 * dense * (1 - 1 / smaller))
    assert got.disk - whole.disk == pytest.approx(1.5 * dense / smaller)


@pytest.mark.parametrize(
    ("items", "replicas", "machines", "shards"),
    [(1, 1, 1, 1), (1, 3, 3, 6), (30_000_000, 1, 2, 4), (100_000_000, 2, 9, 18)],
)
def test_shards_spread_over_machines_that_hold_them(
    items: int, replicas: int, machines: int, shards: int
) -> None:
    got = size(items, 0.0, Widths(512, 384), SAMPLE, RATES, replicas, Machine(ram=96e9))
    assert (got.machines, got.shards) == (machines, shards)
    assert got.ram <= got.machines * 96e9 * 0.8


def test_what_was_not_measured_is_not_made_up() -> None:
    none = Rates("a CPU", gpu=False, pictures=None, texts=100.0, labels=None)
    got = size(1000, 0.5, Widths(8, 4), SAMPLE, none)
    assert (got.encode_hours, got.labels_hours) == (None, None)
    assert size(3600, 0.0, Widths(8, 4), SAMPLE, none).encode_hours == pytest.approx(0.01)


def test_items_are_weighed() -> None:
    def item(n: int, image: str) -> Item:
        return Item(
            id=f"00000000-0000-0000-0000-{n:012}",
            kind="figure" if image else "passage",
            corpus="c",
            locator=f"a#{n}",
            title="",
            text="light bends glass",
            source="a",
            image=image,
        )

    items = [item(0, "a"), item(1, ""), item(2, ""), item(3, "b")]
    got = sample_of(items, "four", {"a": 100, "b": 300}.__getitem__, Bm25())
    assert got is not None
    assert (got.items, got.figures, got.terms, got.picture) == (4, 0.5, 3.0, 200.0)
    assert 150 < got.payload < 1000
    assert sample_of([], "none", len, Bm25()) is None


def test_rates_are_measured_after_a_batch_that_warms_up() -> None:
    encoder, text, ocr = Thumbnails(), WordCounts(), Reads()
    ticks = count()  # a second for each look at the clock: three batches until it is enough
    rates = measure("a CPU", False, encoder, text, ocr, lambda: float(next(ticks)))
    assert (rates.pictures, rates.texts, rates.labels) == (16.0, 64.0, 16.0)
    assert (encoder.encoded, text.encoded, ocr.calls) == (4 * 16, 4 * 64, 4 * 16)
    assert measure("a CPU", False, encoder, text, None, lambda: float(next(ticks))).labels is None


def test_the_command_says_what_was_not_measured(
    unirag: Any, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unirag import plan
    from unirag.app import App

    monkeypatch.setenv("UNIRAG_MODELS", str(models))
    monkeypatch.setattr(App, "encoder", Thumbnails())
    monkeypatch.setattr(App, "text", WordCounts())
    monkeypatch.setattr(plan, "_SECONDS", 0.0)
    given = f"plan --items 1000000 --gpus 4 --no-ocr --home {tmp_path / 'home'}"
    monkeypatch.setenv("UNIRAG_DEVICE", "cpu")
    said = unirag(given)
    assert said.code == 0, said
    assert "on 4 GPUs  not measured: no GPU was to be had" in said.out
    told = unirag(f"{given} --json").json
    assert told["widths"] == {"image": 192, "text": 64}
    assert told["gpu_hours"] is None
    assert np.isclose(told["sizing"]["vectors"], 1_000_000 * (1 + told["figures"]), atol=1)
    assert unirag("plan --items 0").code == 2
