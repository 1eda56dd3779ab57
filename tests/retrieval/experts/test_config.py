"""Inconsistent settings are refused, with what to change."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from retrieval.experts import ExpertConfig


def test_the_defaults_are_the_papers() -> None:
    config = ExpertConfig()
    assert (config.experts, config.rank, config.scale) == (4, 8, 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
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
def test_inconsistent_settings_are_refused(settings, message) -> None:
    with pytest.raises(ValidationError, match=message):
        ExpertConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"experts": 1},  # the softmax router ignores top_k = 2
        {"router": "top_k", "top_k": 4},
        {"router": "null", "top_k": 6},
        {"parameterisation": "shared", "router": "top_k", "shared": 2},
    ],
)
def test_settings_at_the_limit_are_accepted(settings) -> None:
    ExpertConfig(**settings)
