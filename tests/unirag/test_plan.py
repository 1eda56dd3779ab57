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
from tests.fakes import FixedOcr, ThumbnailEncoder, WordCountRetriever
from unirag.plan import (
    EncodingRates,
    ItemSample,
    StoreMachine,
    VectorWidths,
    estimate_size,
    measure_rates,
    sample_items,
)

SAMPLE = ItemSample(
    "here",
    items=10,
    figure_share=0.5,
    payload_bytes=1000.0,
    bm25_terms=50.0,
    picture_bytes=40_000.0,
)
RATES = EncodingRates(
    "a CPU", gpu=False, pictures_per_second=10.0, texts_per_second=100.0, labels_per_second=2.0
)
LINKS = 4 * (32 + 16 / 15)  # bytes of a vector's links at m = 16


def test_sizes_are_those_of_the_formula() -> None:
    got = estimate_size(
        1_000_000, 0.25, VectorWidths(image=512, text=384), SAMPLE, RATES, replicas=2
    )
    dense = 4 * (1_000_000 * 384 + 250_000 * 512)  # 2.048 GB
    links, sparse = 1_250_000 * LINKS, 16 * 50 * 1_000_000
    assert got.vectors == 1_250_000
    assert got.ram_bytes == pytest.approx(2 * (1.5 * dense + links + sparse))
    assert got.disk_bytes == pytest.approx(2 * 1.5 * (dense + links + sparse + 1000 * 1_000_000))
    assert got.workspace_bytes == pytest.approx(250_000 * 40_000 + dense)
    assert got.bytes_per_item == pytest.approx((dense + links + sparse) / 1e6 + 1000)
    assert got.encode_hours == pytest.approx((250_000 / 10 + 1_000_000 / 100) / 3600)
    assert got.labels_hours == pytest.approx(250_000 / 2 / 3600)


@pytest.mark.parametrize(("quantization", "smaller"), [("scalar", 4), ("binary", 32)])
def test_quantised_vectors_take_less_memory_and_more_disk(
    quantization: Quantization, smaller: int
) -> None:
    given = (1_000_000, 0.0, VectorWidths(512, 384), SAMPLE, RATES)
    whole, got = estimate_size(*given), estimate_size(*given, quantization=quantization)
    dense = 4 * 1_000_000 * 384
    assert whole.ram_bytes - got.ram_bytes == pytest.approx(1.5 * dense * (1 - 1 / smaller))
    assert got.disk_bytes - whole.disk_bytes == pytest.approx(1.5 * dense / smaller)


@pytest.mark.parametrize(
    ("items", "replicas", "machines", "shards"),
    [(1, 1, 1, 1), (1, 3, 3, 6), (30_000_000, 1, 2, 4), (100_000_000, 2, 9, 18)],
)
def test_shards_spread_over_machines_that_hold_them(
    items: int, replicas: int, machines: int, shards: int
) -> None:
    got = estimate_size(
        items, 0.0, VectorWidths(512, 384), SAMPLE, RATES, replicas, StoreMachine(ram_bytes=96e9)
    )
    assert (got.machines, got.shards) == (machines, shards)
    assert got.ram_bytes <= got.machines * 96e9 * 0.8


def test_what_was_not_measured_is_not_made_up() -> None:
    none = EncodingRates(
        "a CPU", gpu=False, pictures_per_second=None, texts_per_second=100.0, labels_per_second=None
    )
    got = estimate_size(1000, 0.5, VectorWidths(8, 4), SAMPLE, none)
    assert (got.encode_hours, got.labels_hours) == (None, None)
    assert estimate_size(3600, 0.0, VectorWidths(8, 4), SAMPLE, none).encode_hours == pytest.approx(
        0.01
    )


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
    got = sample_items(items, "four", {"a": 100, "b": 300}.__getitem__, Bm25())
    assert got is not None
    assert (got.items, got.figure_share, got.bm25_terms, got.picture_bytes) == (4, 0.5, 3.0, 200.0)
    assert 150 < got.payload_bytes < 1000
    assert sample_items([], "none", len, Bm25()) is None


def test_rates_are_measured_after_a_batch_that_warms_up() -> None:
    encoder, text, ocr = ThumbnailEncoder(), WordCountRetriever(), FixedOcr()
    ticks = count()  # a second for each look at the clock: three batches until it is enough
    rates = measure_rates("a CPU", False, encoder, text, ocr, lambda: float(next(ticks)))
    assert (rates.pictures_per_second, rates.texts_per_second, rates.labels_per_second) == (
        16.0,
        64.0,
        16.0,
    )
    assert (encoder.encoded, text.encoded, ocr.calls) == (4 * 16, 4 * 64, 4 * 16)
    assert (
        measure_rates(
            "a CPU", False, encoder, text, None, lambda: float(next(ticks))
        ).labels_per_second
        is None
    )


def test_the_command_says_what_was_not_measured(
    unirag: Any,
    tmp_path: Path,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    injected: dict[str, Any],
) -> None:
    from unirag import plan

    monkeypatch.setenv("UNIRAG_MODELS", str(models))
    injected.update(encoder=ThumbnailEncoder(), text=WordCountRetriever())
    monkeypatch.setattr(plan, "_MEASURE_SECONDS", 0.0)
    given = f"plan --items 1000000 --gpus 4 --no-ocr --home {tmp_path / 'home'}"
    monkeypatch.setenv("UNIRAG_DEVICE", "cpu")
    said = unirag(given)
    assert said.code == 0, said
    assert "on 4 GPUs  not measured: this machine has no GPU" in said.out
    told = unirag(f"{given} --json").json
    assert told["widths"] == {"image": 192, "text": 64}
    assert told["gpu_hours"] is None
    assert np.isclose(told["sizing"]["vectors"], 1_000_000 * (1 + told["figures"]), atol=1)
    assert unirag("plan --items 0").code == 2
