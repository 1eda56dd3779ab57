"""OMoE's rule, and how it measures similarity."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from retrieval.experts import ExpertConfig, MoELoRALinear, Route, expert_cosine
from retrieval.experts.parameterisations import Experts, build_experts
from retrieval.experts.rules.orthogonal import OrthogonalRule


def _experts(experts: int = 3, rank: int = 2, inputs: int = 13, **settings) -> Experts:
    torch.manual_seed(0)
    module = build_experts(ExpertConfig(rank=rank, **settings), inputs, 11, 7, experts)
    module.a_ERK.grad = torch.randn_like(module.a_ERK)
    module.b_ENR.grad = torch.randn_like(module.b_ENR)
    return module


def _inner(experts: Experts) -> Tensor:
    """Largest |<row of an expert's gradient, row of another expert's A>|."""
    a, grad = experts.a_ERK.detach().double(), experts.a_ERK.grad.double()
    inner = torch.einsum("erk,fsk->efrs", grad, a).abs().amax((2, 3))
    return inner.fill_diagonal_(0).max()


@pytest.mark.parametrize(("experts", "rank", "inputs"), [(3, 2, 13), (2, 1, 2), (5, 3, 31)])
def test_gradients_become_orthogonal_to_the_other_experts(experts, rank, inputs) -> None:
    module = _experts(experts, rank, inputs)
    before = module.a_ERK.grad.clone()
    assert _inner(module) > 0.1
    OrthogonalRule(module).before_step(0)
    assert _inner(module) < 1e-5
    after = module.a_ERK.grad
    # a projection: the result is a part of the gradient, neither zero nor longer
    torch.testing.assert_close((after * before).sum(), (after * after).sum())
    assert 0 < after.norm() < before.norm()
    again = after.clone()
    OrthogonalRule(module).before_step(0)
    torch.testing.assert_close(module.a_ERK.grad, again)


def test_only_the_gradient_of_a_changes_and_only_on_steps_of_the_rule() -> None:
    module = _experts()
    rule = OrthogonalRule(module, OrthogonalRule.Options(every=3))
    a, grad_a, grad_b = module.a_ERK.clone(), module.a_ERK.grad.clone(), module.b_ENR.grad.clone()
    for step in (1, 2, 4, 5):
        rule.before_step(step)
        assert torch.equal(module.a_ERK.grad, grad_a)
    rule.before_step(3)
    assert not torch.allclose(module.a_ERK.grad, grad_a)
    assert torch.equal(module.b_ENR.grad, grad_b)
    assert torch.equal(module.a_ERK, a)


def test_experts_that_became_alike_lose_only_their_common_directions() -> None:
    module = _experts(3, 2, 13)
    module.a_ERK.data[1] = module.a_ERK.data[2]  # the other rows of expert 0 have rank 2, not 4
    before = module.a_ERK.grad[0].double()
    OrthogonalRule(module).before_step(0)
    assert _inner(module) < 1e-5
    q, _ = torch.linalg.qr(module.a_ERK.detach()[1].double().T)
    expected = before - before @ q @ q.T
    torch.testing.assert_close(module.a_ERK.grad[0].double(), expected, atol=1e-5, rtol=1e-5)


def test_nothing_is_left_if_the_others_span_all_inputs() -> None:
    module = _experts(4, 2, 5)
    OrthogonalRule(module).before_step(0)
    assert module.a_ERK.grad.abs().max() < 1e-5


def test_the_rule_finds_the_experts_of_a_tower_and_skips_single_ones() -> None:
    config, route = ExpertConfig(rank=2), Route()
    tower = nn.Sequential(
        MoELoRALinear.wrap(nn.Linear(13, 13), config, route, "many", width=7),
        MoELoRALinear.wrap(nn.Linear(13, 13), config, route, "one", width=7, experts=1),
    )
    for layer in tower:
        layer.experts.a_ERK.grad = torch.randn_like(layer.experts.a_ERK)
    alone = tower[1].experts.a_ERK.grad.clone()
    OrthogonalRule(tower).before_step(0)
    assert _inner(tower[0].experts) < 1e-5
    assert torch.equal(tower[1].experts.a_ERK.grad, alone)


def test_steps_before_the_first_backward_and_in_bfloat16() -> None:
    module = _experts().bfloat16()
    module.a_ERK.grad = None
    OrthogonalRule(module).before_step(0)
    module.a_ERK.grad = torch.randn_like(module.a_ERK)
    before = _inner(module)
    OrthogonalRule(module).before_step(0)
    assert module.a_ERK.grad.dtype == torch.bfloat16
    assert _inner(module) < 0.02 * before  # rounding to 8 bits of mantissa adds this much


def test_cosine_of_equal_opposite_and_orthogonal_experts() -> None:
    module = _experts(2, 1, 13)
    x = torch.randn(5, 13)
    assert expert_cosine(module, x) == 0  # B is zero
    module.a_ERK.data[1] = module.a_ERK.data[0]
    module.b_ENR.data[0] = torch.randn(11, 1)
    module.b_ENR.data[1] = 3 * module.b_ENR.data[0]
    assert expert_cosine(module, x) == pytest.approx(1)
    module.b_ENR.data[1] *= -1
    assert expert_cosine(module, x) == pytest.approx(-1)
    module.b_ENR.data.zero_()
    module.b_ENR.data[0, 0] = module.b_ENR.data[1, 1] = 1
    assert expert_cosine(module, x) == pytest.approx(0)


def test_cosine_is_the_mean_over_all_pairs_and_inputs() -> None:
    module = _experts(4, 2, 13)
    module.b_ENR.data.normal_()
    x = torch.randn(3, 5, 13)
    out = [x @ module.a_ERK[e].T @ module.b_ENR[e].T for e in range(4)]
    pairs = [
        torch.cosine_similarity(out[e], out[f], dim=-1).mean() for e in range(4) for f in range(e)
    ]
    assert expert_cosine(module, x) == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-6)
