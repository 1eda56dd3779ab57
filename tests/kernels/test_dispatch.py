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
)

LARGE = Workload(16704, 1024, 1024, 32, torch.bfloat16, 90)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "one_pass"),
        ({"rows": 1600, "norm": True, "gelu": True}, "one_pass"),
        ({"norm": True}, "augmented"),
        ({"norm": True, "gelu": True}, "split"),
        ({"outputs": 4096}, "split"),
        ({"ranks": 128}, "split"),
        ({"dtype": torch.float32}, "augmented"),
        ({"ranks": 129}, "grouped"),
        ({"arch": 75}, "grouped"),
        ({"rows": 0}, "grouped"),
        ({"base": False, "dtype": torch.float32}, "one_pass"),
    ],
)
def test_the_rule_chooses_the_design(change, expected):
    assert choose_design(LARGE._replace(**change)) == expected


def test_a_measured_design_overrides_the_rule(monkeypatch):
    measured = LARGE._replace(rows=next_power_of_two(16704))
    monkeypatch.setitem(dispatch.MEASURED_DESIGNS, measured, "grouped")
    assert choose_design(LARGE) == "grouped"
    assert choose_design(LARGE._replace(rows=20_000)) == "grouped"  # rounds to the same rows
    assert choose_design(LARGE._replace(rows=40_000)) == "one_pass"
    assert choose_design(LARGE._replace(arch=80)) == "one_pass"
    assert choose_design(LARGE._replace(norm=True)) == "augmented"


def test_rows_round_up_to_powers_of_two_and_ranks_to_at_least_16():
    assert [next_power_of_two(n) for n in (0, 1, 2, 3, 64, 65)] == [1, 1, 2, 4, 64, 128]
    assert [padded_ranks(n) for n in (1, 16, 17, 100, 128)] == [16, 16, 32, 128, 128]


def test_every_workload_has_tiles_that_triton_accepts():
    kernels = ("shrink", "split", "one_pass", "matrix_gradient", "gate_gradient")
    for kernel, rows, ranks, dtype, arch, outputs in itertools.product(
        kernels, (1, 50, 5000), (4, 64, 128), (torch.float16, torch.float32), (80, 100), (8, 1024)
    ):
        tile = choose_tile(kernel, Workload(rows, 40, outputs, ranks, dtype, arch))
        for size in tile[:3]:
            assert size == 0 or size >= 16
            assert size & (size - 1) == 0
