"""Allocations that learn: which modules adapt at all, and which ranks."""

from __future__ import annotations

import torch
from torch import nn

from retrieval.experts import ExpertConfig, MoELoRALinear, Route
from retrieval.experts.allocations.diffora import ModuleMask, discretise
from retrieval.experts.allocations.rank_selective import merge

WIDTH = 8


def _tower(layers: int = 4, options: dict | None = None, **settings) -> tuple[nn.Sequential, Route]:
    torch.manual_seed(0)
    route = Route()
    config = ExpertConfig(rank=4, options={"allocation": options or {}}, **settings)
    return nn.Sequential(
        *(
            MoELoRALinear.wrap(nn.Linear(WIDTH, WIDTH), config, route, str(i), width=5)
            for i in range(layers)
        )
    ), route


def _train(tower: nn.Sequential, route: Route, x: torch.Tensor, y: torch.Tensor, steps: int):
    prototype, losses = torch.zeros(len(x), 5), []
    optimizer = torch.optim.Adam([p for p in tower.parameters() if p.requires_grad], lr=0.02)
    for _ in range(steps):
        with route.carrying(prototype):
            loss = (tower(x) - y).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for layer in tower:
            layer.experts.after_step()
    return losses


def test_diffora_relaxes_then_keeps_whole_modules():
    tower, route = _tower(allocation="diffora", options={"keep": 0.5})
    x = torch.randn(64, WIDTH)
    losses = _train(tower, route, x, 2 * x.roll(1, 1), 60)
    assert losses[-1] < 0.8 * losses[0]
    masks = [m for m in tower.modules() if isinstance(m, ModuleMask)]
    assert len({round(float(m.logit), 4) for m in masks}) == 4  # they learned different choices
    assert all(0 < float(m()[0, 0]) < 2 for m in masks)
    discretise([tower])
    kept = [m for m in masks if m().max() > 0]
    assert len(kept) == 2
    assert all((m() == 1).all() for m in kept)
    assert min(float(m.logit) for m in kept) > max(float(m.logit) for m in masks if m not in kept)
    for layer in tower:
        if layer.experts.ranks not in kept:  # costs nothing: the layer equals its frozen one
            with route.carrying(torch.zeros(64, 5)):
                torch.testing.assert_close(
                    layer(x), nn.functional.linear(x, layer.weight, layer.bias)
                )


def test_ranks_below_the_threshold_become_zero_and_the_rest_merges_into_the_layer():
    tower, route = _tower(
        1, allocation="rank_selective", options={"threshold": 0.01}, experts=1, alpha=4.0
    )
    layer, experts = tower[0], tower[0].experts
    x = torch.randn(64, WIDTH)
    losses = _train(tower, route, x, layer(x).detach() + x.roll(1, 1), 60)
    assert losses[-1] < 0.8 * losses[0]
    experts.ranks.importance_ER.data.copy_(torch.tensor([[1.0, -0.5, 0.03, -0.02]]))
    for _ in range(4):
        experts.after_step()
    torch.testing.assert_close(experts.ranks(), torch.tensor([[0.96, -0.46, 0, 0]]))
    merged = merge(layer.weight, *experts.matrices(), torch.ones(1), layer.config.scale)
    with route.carrying(torch.zeros(64, 5)):
        torch.testing.assert_close(
            layer(x), nn.functional.linear(x, merged, layer.bias), atol=1e-5, rtol=1e-4
        )
    assert not torch.allclose(merged, layer.weight, atol=1e-2)
