"""Which design is chosen where: the rules of docs/kernels.md, and that tiles fit any problem."""

from __future__ import annotations

import itertools

import pytest
import torch

from kernels import dispatch
from kernels.dispatch import Problem, bucket, choose, padded, tile

LARGE = Problem(16704, 1024, 1024, 32, torch.bfloat16, 90)


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
def test_the_rule(change, expected):
    assert choose(LARGE._replace(**change)) == expected


def test_a_measured_choice_goes_before_the_rule(monkeypatch):
    monkeypatch.setitem(dispatch.MEASURED, LARGE._replace(rows=bucket(16704)), "grouped")
    assert choose(LARGE) == "grouped"
    assert choose(LARGE._replace(rows=20_000)) == "grouped"  # the same bucket
    assert choose(LARGE._replace(rows=40_000)) == "one_pass"
    assert choose(LARGE._replace(arch=80)) == "one_pass"
    assert choose(LARGE._replace(norm=True)) == "augmented"


def test_buckets_are_powers_of_two_and_rank_spaces_16_at_least():
    assert [bucket(n) for n in (0, 1, 2, 3, 64, 65)] == [1, 1, 2, 4, 64, 128]
    assert [padded(n) for n in (1, 16, 17, 100, 128)] == [16, 16, 32, 128, 128]


def test_every_problem_has_tiles_that_triton_takes():
    kernels = ("shrink", "split", "one_pass", "matrix_gradient", "gate_gradient")
    for kernel, rows, ranks, dtype, arch, outputs in itertools.product(
        kernels, (1, 50, 5000), (4, 64, 128), (torch.float16, torch.float32), (80, 100), (8, 1024)
    ):
        blocks = tile(kernel, Problem(rows, 40, outputs, ranks, dtype, arch))
        for size in blocks[:3]:
            assert size == 0 or size >= 16
            assert size & (size - 1) == 0
