"""Settings that do not go together are refused with a way out."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from retrieval.experts import ExpertConfig


def test_the_defaults_are_the_papers() -> None:
    config = ExpertConfig()
    assert (config.experts, config.rank, config.scale) == (4, 8, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"router": "top_k", "top_k": 5}, "experts=4, top_k=5: .* at least 5"),
        ({"router": "top_k", "parameterisation": "shared", "shared": 3}, "shared=3, top_k=2"),
        ({"parameterisation": "shared", "shared": 4}, "experts=4, shared=4: .* at least 5"),
        ({"router": "null", "top_k": 7, "null_experts": 2}, "top_k=7"),
        ({"allocation": "mola", "experts": 1}, "allocation=mola with experts=1"),
        ({"allocation": "mola", "router": "top_k", "top_k": 4}, "allocation=mola"),
        ({"rule": "orthogonal", "experts": 1}, "rule=orthogonal"),
        ({"temperature": 0.0}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"router": "hash"}, "router"),
        ({"expert": 4}, "expert"),
    ],
)
def test_inconsistent_settings_are_refused(given, message) -> None:
    with pytest.raises(ValidationError, match=message):
        ExpertConfig(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"experts": 1},  # top_k = 2 is not read by the softmax router
        {"router": "top_k", "top_k": 4},
        {"router": "null", "top_k": 6},
        {"parameterisation": "shared", "router": "top_k", "shared": 2},
    ],
)
def test_settings_at_the_edge_are_taken(given) -> None:
    ExpertConfig(**given)
