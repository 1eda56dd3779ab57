"""`unirag plan`: its arithmetic checked by hand, its rates with a fake clock."""

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


def test_sizes_follow_the_formula() -> None:
    size = estimate_size(
        1_000_000, 0.25, VectorWidths(image=512, text=384), SAMPLE, RATES, replicas=2
    )
    dense = 4 * (1_000_000 * 384 + 250_000 * 512)  # 2.048 GB
    links, sparse = 1_250_000 * LINKS, 16 * 50 * 1_000_000
    assert size.vectors == 1_250_000
    assert size.ram_bytes == pytest.approx(2 * (1.5 * dense + links + sparse))
    assert size.disk_bytes == pytest.approx(2 * 1.5 * (dense + links + sparse + 1000 * 1_000_000))
    assert size.workspace_bytes == pytest.approx(250_000 * 40_000 + dense)
    assert size.bytes_per_item == pytest.approx((dense + links + sparse) / 1e6 + 1000)
    assert size.encode_hours == pytest.approx((250_000 / 10 + 1_000_000 / 100) / 3600)
    assert size.labels_hours == pytest.approx(250_000 / 2 / 3600)


@pytest.mark.parametrize(("quantization", "smaller"), [("scalar", 4), ("binary", 32)])
def test_quantised_vectors_take_less_memory_and_more_disk(
    quantization: Quantization, smaller: int
) -> None:
    arguments = (1_000_000, 0.0, VectorWidths(512, 384), SAMPLE, RATES)
    unquantised = estimate_size(*arguments)
    size = estimate_size(*arguments, quantization=quantization)
    dense = 4 * 1_000_000 * 384
    assert unquantised.ram_bytes - size.ram_bytes == pytest.approx(1.5 * dense * (1 - 1 / smaller))
    assert size.disk_bytes - unquantised.disk_bytes == pytest.approx(1.5 * dense / smaller)


@pytest.mark.parametrize(
    ("items", "replicas", "machines", "shards"),
    [(1, 1, 1, 1), (1, 3, 3, 6), (30_000_000, 1, 2, 4), (100_000_000, 2, 9, 18)],
)
def test_shards_spread_over_machines_that_hold_them(
    items: int, replicas: int, machines: int, shards: int
) -> None:
    size = estimate_size(
        items, 0.0, VectorWidths(512, 384), SAMPLE, RATES, replicas, StoreMachine(ram_bytes=96e9)
    )
    assert (size.machines, size.shards) == (machines, shards)
    assert size.ram_bytes <= size.machines * 96e9 * 0.8


def test_times_without_a_measured_rate_are_none() -> None:
    unmeasured = EncodingRates(
        "a CPU", gpu=False, pictures_per_second=None, texts_per_second=100.0, labels_per_second=None
    )
    size = estimate_size(1000, 0.5, VectorWidths(8, 4), SAMPLE, unmeasured)
    assert (size.encode_hours, size.labels_hours) == (None, None)
    passages = estimate_size(3600, 0.0, VectorWidths(8, 4), SAMPLE, unmeasured)
    assert passages.encode_hours == pytest.approx(0.01)


def test_a_sample_has_the_means_of_its_items() -> None:
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
    means = sample_items(items, "four", {"a": 100, "b": 300}.__getitem__, Bm25())
    assert means is not None
    assert (means.items, means.figure_share) == (4, 0.5)
    assert (means.bm25_terms, means.picture_bytes) == (3.0, 200.0)
    assert 150 < means.payload_bytes < 1000
    assert sample_items([], "none", len, Bm25()) is None


def test_rates_are_measured_after_a_batch_that_warms_up() -> None:
    encoder, text, ocr = ThumbnailEncoder(), WordCountRetriever(), FixedOcr()
    seconds = count()  # one second per reading of the clock, so three batches are enough
    rates = measure_rates("a CPU", False, encoder, text, ocr, lambda: float(next(seconds)))
    assert (rates.pictures_per_second, rates.texts_per_second, rates.labels_per_second) == (
        16.0,
        64.0,
        16.0,
    )
    assert (encoder.encoded, text.encoded, ocr.calls) == (4 * 16, 4 * 64, 4 * 16)
    assert (
        measure_rates(
            "a CPU", False, encoder, text, None, lambda: float(next(seconds))
        ).labels_per_second
        is None
    )


def test_the_command_names_rates_that_were_not_measured(
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
    arguments = f"plan --items 1000000 --gpus 4 --no-ocr --home {tmp_path / 'home'}"
    monkeypatch.setenv("UNIRAG_DEVICE", "cpu")
    result = unirag(arguments)
    assert result.code == 0, result
    assert "on 4 GPUs  not measured: this machine has no GPU" in result.out
    plan_json = unirag(f"{arguments} --json").json
    assert plan_json["widths"] == {"image": 192, "text": 64}
    assert plan_json["gpu_hours"] is None
    assert np.isclose(
        plan_json["sizing"]["vectors"], 1_000_000 * (1 + plan_json["figures"]), atol=1
    )
    assert unirag("plan --items 0").code == 2
