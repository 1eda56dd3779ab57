"""Experts per layer."""

from __future__ import annotations

import pytest

from retrieval.experts import ExpertConfig, allocate


def _allocate(allocation: str, layers: int, experts: int, minimum: int = 1) -> tuple[int, ...]:
    router = {"router": "top_k", "top_k": minimum} if minimum > 1 else {}
    return allocate(ExpertConfig(allocation=allocation, experts=experts, **router), layers)


@pytest.mark.parametrize("layers", [1, 2, 3, 7, 12, 24])
@pytest.mark.parametrize(("experts", "minimum"), [(2, 1), (4, 1), (4, 2), (5, 3), (13, 1)])
def test_mola_rises_on_a_straight_line_with_the_uniform_total(layers, experts, minimum) -> None:
    counts = _allocate("mola", layers, experts, minimum)
    assert len(counts) == layers
    assert sum(counts) == layers * experts
    assert list(counts) == sorted(counts)
    if layers > 1:
        assert counts[0] == minimum
        assert counts[-1] == 2 * experts - minimum
        line = [minimum + 2 * (experts - minimum) * i / (layers - 1) for i in range(layers)]
        assert all(abs(count - real) < 1 for count, real in zip(counts, line, strict=True))


def test_mola_by_hand() -> None:
    assert _allocate("mola", 4, 5, 2) == (2, 4, 6, 8)  # the paper's 2-4-6-8
    assert _allocate("mola", 3, 4) == (1, 4, 7)


def test_uniform_gives_every_layer_the_same() -> None:
    assert _allocate("uniform", 5, 4) == (4, 4, 4, 4, 4)
