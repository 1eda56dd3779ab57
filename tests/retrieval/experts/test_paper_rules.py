"""Rules of training, each on a tiny encoder."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.experts import ExpertConfig, MoELoRALinear, Route, expert_cosine
from retrieval.experts.rules import RuleBatch, build_rule
from retrieval.experts.rules.staged import StagedRule
from retrieval.tower import TowerInputs
from tests.retrieval.tiny import tiny_encoder

STYLES = 4


def _pictures(count: int, seed: int = 0) -> TowerInputs:
    generator = torch.Generator().manual_seed(seed)
    return TowerInputs(
        torch.randn(count, PATCHES, sum(TAPS), generator=generator),
        torch.randn(count, GRAM, generator=generator),
    )


def _texts(count: int) -> TowerInputs:
    words = F.normalize(torch.randn(count, 16, generator=torch.Generator().manual_seed(3)), dim=1)
    return TowerInputs(words, words)


def _similarity(rule: str) -> float:
    """Train four experts on one task and return how alike they are."""
    torch.manual_seed(0)
    config, route = ExpertConfig(rank=2, rule=rule), Route()
    layer = MoELoRALinear.wrap(nn.Linear(16, 16), config, route, "fc", width=5)
    x, prototype = torch.randn(64, 16), torch.randn(64, 5)
    y = x.roll(1, 1)
    active = build_rule(layer, config, 60)
    optimizer = torch.optim.AdamW([p for p in layer.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for step in range(60):
        with route.carrying(prototype):
            loss = (layer(x) - y).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        if active:
            active.before_step(step)
        optimizer.step()
        if active:
            active.after_step(step)
    assert losses[-1] < 0.9 * losses[0]
    return abs(expert_cosine(layer.experts, x))


def test_omoe_makes_experts_less_alike_than_the_rule_on_gradients_of_a():
    plain, gradients, both = _similarity("none"), _similarity("orthogonal"), _similarity("omoe")
    assert both < 0.5 * plain
    assert both < 0.5 * gradients


def test_omoe_projects_updates_only_on_its_steps():
    torch.manual_seed(0)
    config = ExpertConfig(rank=2, rule="omoe", options={"rule": {"every": 2}})
    layer = MoELoRALinear.wrap(nn.Linear(16, 16), config, Route(), "fc", width=5)
    rule, experts = build_rule(layer, config, 4), layer.experts
    for step in (0, 1):
        before = experts.a_ERK.detach().clone()
        rule.before_step(step)
        update = torch.randn_like(before)
        experts.a_ERK.data += update
        rule.after_step(step)
        made = experts.a_ERK.detach() - before
        if step:
            torch.testing.assert_close(made, update)
        else:  # the last in turn sees the others as they are now
            inner = torch.einsum("rk,osk->ors", made[3], experts.a_ERK.detach()[:3])
            assert inner.abs().max() < 1e-4
            assert made[3].norm() > 0.1


def test_a_new_modality_leaves_the_old_one_bit_equal():
    encoder = tiny_encoder(depth=ExpertConfig(experts=2, rank=2, rule="redundancy"))
    rule = build_rule(encoder, encoder.config.depth, 3)
    assert rule is not None
    pictures, texts = _pictures(4), _texts(4)
    with torch.no_grad():
        before = encoder.forward_image(pictures).vectors_BD
        old_texts = encoder.forward_text(texts).vectors_BD
    trained = [p for p in encoder.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    losses = []
    for _ in range(5):
        loss = -(encoder.forward_text(texts).vectors_BD * before).sum(1).mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    with torch.no_grad():
        assert torch.equal(encoder.forward_image(pictures).vectors_BD, before)
        assert not torch.allclose(encoder.forward_text(texts).vectors_BD, old_texts)


def test_three_stages_train_around_the_experts_then_the_experts_then_everything():
    encoder = tiny_encoder(depth=ExpertConfig(experts=2, rank=2, rule="staged"))
    encoder.requires_grad_(True)
    rule = build_rule(encoder, encoder.config.depth, 10)
    assert isinstance(rule, StagedRule)
    assert [rule.stage(step) for step in range(10)] == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    watched = {
        "bank": encoder.bank.keys_ND,
        "expert": encoder.tower.vision[0].expand.experts.a_ERK,
        "router": encoder.tower.vision[0].expand.experts.router.weight,
    }
    for step, expected in ((0, {"bank"}), (3, {"expert"}), (7, {"bank", "expert", "router"})):
        rule.start_step(step)
        assert {name for name, p in watched.items() if p.requires_grad} == expected


def _domains(rule_name: str, steps: int) -> tuple[float, float]:
    """Train with a rule alone; return its loss before and after."""
    encoder = tiny_encoder(
        trained=False, depth=ExpertConfig(experts=STYLES, rank=2, rule=rule_name)
    ).train()
    rule = build_rule(encoder, encoder.config.depth, steps)
    styles = torch.arange(16) % STYLES
    features = torch.randn(STYLES, GRAM)[styles] + 0.3 * torch.randn(16, GRAM)
    pictures = TowerInputs(_pictures(16).inputs, features)
    optimizer = torch.optim.Adam([p for p in encoder.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for _ in range(steps):
        encoded = encoder.forward_image(pictures)
        loss = rule.loss(
            RuleBatch(encoded.prototypes_BK, styles, torch.arange(16), encoder.route.taught)
        )
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if rule_name == "domain":
        gates = encoder.eval().forward_image(pictures).gates["1.expand"]
        assert (gates.argmax(-1) == styles).float().mean() > 0.9
    return losses[0], losses[-1]


def test_enforced_routing_sends_each_domain_to_its_expert():
    before, after = _domains("domain", 60)
    assert after < 0.3 * before


def test_quality_prototypes_learn_the_distortion():
    before, after = _domains("quality", 30)
    least = 0.1 * math.log(3)  # three others of a style share all the probability
    assert after - least < 0.1 * (before - least)


def test_quality_counts_the_same_content_as_a_negative():
    encoder = tiny_encoder(depth=ExpertConfig(experts=2, rank=2, rule="quality"))
    rule = build_rule(encoder, encoder.config.depth, 1)
    styles, figures = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    by_style = F.normalize(torch.eye(4)[styles] + 0.01, dim=1)
    by_content = F.normalize(torch.eye(4)[figures] + 0.01, dim=1)
    good = rule.loss(RuleBatch(by_style, styles, figures, {}))
    bad = rule.loss(RuleBatch(by_content, styles, figures, {}))
    assert good < 0.1 * bad
