"""How evenly experts are used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from retrieval.experts import ExpertConfig, MoELoRALinear, Route, expert_load, load_by_layer


def test_load_is_each_experts_share_over_all_batches() -> None:
    first = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    second = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    share, least, most = expert_load([first, second])
    torch.testing.assert_close(share, torch.tensor([3.5, 1.5, 0.0]).double() / 5)
    assert (least, most) == (0.0, 0.7)
    assert share.sum() == pytest.approx(1)


def test_load_without_any_gate_is_zero() -> None:
    assert expert_load([torch.zeros(3, 2)]).most == 0


def test_load_by_layer_reads_the_route() -> None:
    torch.manual_seed(0)
    route = Route()
    config = ExpertConfig(router="top_k", top_k=1)
    layers = [
        MoELoRALinear.wrap(nn.Linear(7, 7), config, route, str(n), width=7, experts=n)
        for n in (2, 5)
    ]
    with route.sending(torch.randn(11, 7)):
        for layer in layers:
            layer(torch.randn(11, 3, 7))
    loads = load_by_layer(route)
    assert {name: len(found.share_E) for name, found in loads.items()} == {"2": 2, "5": 5}
    for name, found in loads.items():
        assert found.share_E.sum() == pytest.approx(1)
        chosen = (route.gates[name][0] > 0).double().mean(0)
        torch.testing.assert_close(found.share_E, chosen)
        assert found.least <= 1 / len(chosen) <= found.most
