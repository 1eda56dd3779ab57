"""The defining property of each router. The weight is the identity, so h holds the logits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from retrieval.experts import ExpertConfig
from retrieval.experts.routers import Router, build_router

# The methods that the fused kernels serve; `test_registry.py` tests all methods.
ROUTERS = ("softmax", "top_k", "top_p", "null")


def _router(name: str, width: int = 4, **settings) -> Router:
    config = ExpertConfig(router=name, **settings)
    return build_router(config, width, config.experts)


def _identity_router(name: str, outputs: int = 4, **settings) -> Router:
    router = _router(name, outputs, **{"temperature": 1.0, **settings})
    router.weight.data.copy_(torch.eye(outputs))
    return router


def _log(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities).log()


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3), ()])
def test_gates_have_the_shape_of_the_input_and_the_loss_is_a_scalar(name, shape) -> None:
    gates, loss = _router(name, width=7)(torch.randn(*shape, 7))
    assert gates.shape == (*shape, 4)
    assert loss.shape == ()
    assert (gates >= 0).all()
    assert (gates.sum(-1) <= 1 + 1e-6).all()


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize("experts", [1, 3])
def test_every_router_works_with_few_experts(name, experts) -> None:
    gates, loss = _router(name, 7, experts=experts, top_k=1)(torch.randn(3, 7))
    assert gates.shape == (3, experts)
    assert torch.isfinite(gates).all()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("name", ROUTERS)
def test_new_routers_do_not_give_equal_gates(name) -> None:
    torch.manual_seed(0)
    router = _router(name, width=512)
    assert 0.015 < router.weight.std().item() < 0.025
    gates, _ = router(torch.randn(3, 512))
    assert (gates.std(-1) > 1e-3).all()


@pytest.mark.parametrize("name", ROUTERS)
def test_half_precision_inputs_are_routed_in_float32(name) -> None:
    gates, _ = _router(name, width=7)(torch.randn(3, 7).bfloat16())
    assert gates.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "top_k"), [("softmax", 2), ("top_k", 2), ("top_k", 1), ("top_p", 2), ("null", 2)]
)
def test_the_task_teaches_the_router(name, top_k) -> None:
    torch.manual_seed(1)
    router = _router(name, width=7, top_k=top_k, balance_weight=0.0, entropy_weight=0.0)
    gates, _ = router(torch.randn(11, 7))
    (gates * torch.randn(11, 4)).sum().backward()
    assert router.weight.grad.abs().max() > 1e-4


def test_softmax_uses_all_experts_and_has_no_loss() -> None:
    gates, loss = _identity_router("softmax")(_log(0.1, 0.2, 0.3, 0.4)[None])
    torch.testing.assert_close(gates, torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    assert loss == 0


def test_a_low_temperature_sharpens() -> None:
    default, _ = _identity_router("softmax")(_log(0.1, 0.2, 0.3, 0.4))
    sharp, _ = _identity_router("softmax", temperature=0.5)(_log(0.1, 0.2, 0.3, 0.4))
    torch.testing.assert_close(sharp, default**2 / (default**2).sum())


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_top_k_chooses_exactly_k_and_sums_to_one(k) -> None:
    torch.manual_seed(2)
    gates, _ = _router("top_k", width=7, top_k=k)(torch.randn(13, 7))
    assert ((gates > 0).sum(-1) == k).all()
    torch.testing.assert_close(gates.sum(-1), torch.ones(13))


def test_top_k_keeps_the_ratio_of_the_most_likely() -> None:
    gates, _ = _identity_router("top_k")(_log(0.1, 0.2, 0.3, 0.4))
    torch.testing.assert_close(gates, torch.tensor([0, 0, 3 / 7, 4 / 7]))


def test_top_k_chooses_k_of_equal_experts() -> None:
    gates, _ = _identity_router("top_k")(torch.zeros(3, 4))
    assert (gates.sort(-1).values == torch.tensor([0, 0, 0.5, 0.5])).all()


@pytest.mark.parametrize("name", ["top_k", "top_p"])
def test_balance_loss_is_one_at_even_load_and_more_when_collapsed(name) -> None:
    settings = {"top_k": 1, "top_p": 0.5, "balance_weight": 1.0, "entropy_weight": 0.0}
    router = _identity_router(name, **settings)
    _, even = router(torch.eye(4) * 3)
    _, skewed = router(torch.eye(4)[[0, 0, 0, 1]] * 3)
    _, collapsed = router(torch.eye(4)[[0, 0, 0, 0]] * 50)
    torch.testing.assert_close(even, torch.tensor(1.0))
    assert 1.1 < skewed < collapsed
    torch.testing.assert_close(collapsed, torch.tensor(4.0))


def test_balance_loss_carries_its_weight() -> None:
    _, loss = _identity_router("top_k", top_k=1, balance_weight=0.25)(torch.eye(4) * 3)
    torch.testing.assert_close(loss, torch.tensor(0.25))


def test_descending_the_balance_loss_evens_the_load() -> None:
    torch.manual_seed(5)
    router = _router("top_k", width=7, top_k=1, balance_weight=1.0, temperature=1.0)
    h = torch.randn(64, 7) + 1.0
    router.weight.data[0] += 0.3  # all inputs choose expert 0
    optimiser = torch.optim.SGD(router.parameters(), lr=0.02)
    before = (router(h).gates > 0).sum(0).max()
    for _ in range(100):
        optimiser.zero_grad()
        router(h).loss.backward()
        optimiser.step()
    after = (router(h).gates > 0).sum(0).max()
    assert before == 64
    assert after < 20


@pytest.mark.parametrize("p", [0.3, 0.5, 0.75, 0.9, 1.0])
def test_top_p_chooses_the_fewest_experts_that_reach_p(p) -> None:
    torch.manual_seed(6)
    h = torch.randn(31, 5) * 2
    probs = h.softmax(-1)
    gates, _ = _identity_router("top_p", 5, experts=5, top_p=p)(h)
    chosen = gates > 0
    torch.testing.assert_close(gates, probs * chosen)
    assert (gates.sum(-1) >= p - 1e-5).all()
    smallest = torch.where(chosen, gates, 2.0).amin(-1)
    assert (gates.sum(-1) - smallest < p).all()  # without the least likely, p is missed
    assert (
        smallest >= torch.where(chosen, 0.0, probs).amax(-1)
    ).all()  # the chosen are the most likely
    if p == 0.75:
        assert len(set(chosen.sum(-1).tolist())) > 1


def test_top_p_uses_one_expert_when_certain_and_more_when_uncertain() -> None:
    router = _identity_router("top_p", top_p=0.75)
    assert (router(_log(0.97, 0.01, 0.01, 0.01)).gates > 0).sum() == 1
    assert (router(torch.zeros(4)).gates > 0).sum() == 3
    assert (_identity_router("top_p", top_p=0.76)(torch.zeros(4)).gates > 0).sum() == 4


def test_top_p_loss_includes_the_entropy() -> None:
    router = _identity_router("top_p", balance_weight=0.0, entropy_weight=1.0)
    assert router(torch.zeros(3, 4)).loss.item() == pytest.approx(math.log(4))
    certain = torch.eye(4)[:1] * 200  # probabilities of exactly 0
    certain.requires_grad_()
    loss = router(certain).loss
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(certain.grad).all()


def test_null_experts_let_the_number_of_real_experts_vary() -> None:
    router = _identity_router("null", 6, top_k=2, null_experts=2)  # outputs 4 and 5 are null
    h = torch.stack(
        [
            _log(0.4, 0.3, 0.1, 0.1, 0.05, 0.05),
            _log(0.4, 0.1, 0.1, 0.05, 0.3, 0.05),
            _log(0.1, 0.1, 0.1, 0.1, 0.3, 0.3),
        ]
    )
    gates, _ = router(h)
    expected = torch.tensor([[4 / 7, 3 / 7, 0, 0], [4 / 7, 0, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(gates, expected)


def test_null_balance_ignores_which_null_expert_was_chosen() -> None:
    router = _identity_router("null", 6, top_k=1, balance_weight=1.0)
    real = torch.eye(6)[:4] * 3
    same, spread = torch.eye(6)[[4, 4]] * 3, torch.eye(6)[[4, 5]] * 3
    torch.testing.assert_close(router(torch.cat([real, spread])).loss, torch.tensor(1.0))
    torch.testing.assert_close(
        router(torch.cat([real, same])).loss, router(torch.cat([real, spread])).loss
    )
    assert router(torch.eye(6)[[0] * 6] * 50).loss > 5
