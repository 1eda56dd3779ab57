"""The rules of docs/kernels.md choose the design, and every workload gets tiles that fit."""

from __future__ import annotations

import itertools

import pytest
import torch

from kernels import dispatch
from kernels.dispatch import (
    Workload,
    choose_design,
    choose_tile,
    next_power_of_two,
    padded_ranks,
    predicted_microseconds,
    shrunk_width,
)

LARGE = Workload(16704, 1024, 1024, 32, torch.bfloat16, 90)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "one_pass"),
        ({"before": "norm"}, "augmented"),
        ({"before": "norm", "rows": 1600}, "augmented"),
        ({"before": "norm", "outputs": 4096}, "augmented"),
        ({"before": "gelu", "inputs": 4096, "residual": True}, "accumulate"),
        ({"inputs": 384, "outputs": 384, "rows": 1600}, "one_pass"),
        ({"ranks": 129}, "grouped"),
        ({"arch": 75}, "grouped"),
        ({"rows": 0}, "grouped"),
        ({"base": False, "dtype": torch.float32}, "one_pass"),
    ],
)
def test_the_prediction_chooses_the_design(change, expected, monkeypatch):
    monkeypatch.setattr(dispatch, "MEASURED_DESIGNS", {})
    assert choose_design(LARGE._replace(**change)) == expected


def test_the_prediction_is_below_torch_and_above_the_plain_layer_where_experts_are_fused():
    for rows, width, before in itertools.product(
        (50, 1600, 16704), (384, 1024, 4096), ("none", "norm", "gelu")
    ):
        w = LARGE._replace(rows=rows, inputs=width, before=before)
        fastest = predicted_microseconds(choose_design(w), w)
        assert fastest < predicted_microseconds("grouped", w)
        plain = 2 * rows * width * w.outputs / 650e6
        assert fastest > plain


def test_repeating_the_shrink_in_every_column_tile_costs_more_for_wider_outputs():
    few = LARGE._replace(rows=1600, inputs=1024)
    narrow, wide = (few._replace(outputs=n) for n in (256, 8192))
    ratios = [
        predicted_microseconds("one_pass", w) / predicted_microseconds("accumulate", w)
        for w in (narrow, wide)
    ]
    assert ratios[0] < 1 < ratios[1]


def test_a_measured_design_overrides_the_rule(monkeypatch):
    measured = LARGE._replace(rows=next_power_of_two(16704))
    monkeypatch.setattr(dispatch, "MEASURED_DESIGNS", {measured: "grouped"})
    assert choose_design(LARGE) == "grouped"
    assert choose_design(LARGE._replace(rows=20_000)) == "grouped"  # rounds to the same rows
    assert choose_design(LARGE._replace(rows=40_000)) == "one_pass"
    assert choose_design(LARGE._replace(arch=80)) != "grouped"
    assert choose_design(LARGE._replace(before="norm")) == "augmented"


def test_rows_round_up_to_powers_of_two_and_ranks_to_at_least_16():
    assert [next_power_of_two(n) for n in (0, 1, 2, 3, 64, 65)] == [1, 1, 2, 4, 64, 128]
    assert [padded_ranks(n) for n in (1, 16, 17, 100, 128)] == [16, 16, 32, 128, 128]
    assert [shrunk_width(n) for n in (1, 15, 16, 32, 128)] == [16, 16, 32, 48, 144]


def test_every_workload_has_tiles_that_triton_accepts():
    kernels = ("shrink", "expand", "one_pass", "matrix_gradient", "gate_gradient")
    for kernel, rows, ranks, dtype, arch, outputs in itertools.product(
        kernels, (1, 50, 5000), (4, 64, 128), (torch.float16, torch.float32), (80, 100), (8, 1024)
    ):
        tile = choose_tile(kernel, Workload(rows, 40, outputs, ranks, dtype, arch))
        for size in tile[:3]:
            assert size == 0 or size >= 16
            assert size & (size - 1) == 0
