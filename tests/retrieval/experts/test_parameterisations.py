"""What one expert is, and how the router's gates become the experts' gates."""

from __future__ import annotations

import pytest
import torch

from kernels.reference import moe_lora_delta
from retrieval.experts import ExpertConfig
from retrieval.experts.parameterisations import Experts, build_experts

# The methods that the fused kernels serve; `test_registry.py` tests all methods.
ROUTERS = ("softmax", "top_k", "top_p", "null")
PARAMETERISATIONS = ("lora", "rank_wise", "shared")


def _experts(experts: int = 4, **settings) -> Experts:
    torch.manual_seed(0)
    return build_experts(ExpertConfig(experts=experts, **settings), 13, 11, 7, experts)


@pytest.mark.parametrize("name", PARAMETERISATIONS)
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("shape", [(1,), (2, 3)])
def test_every_router_works_with_every_parameterisation(name, router, shape) -> None:
    experts = _experts(parameterisation=name, router=router, rank=3)
    gates, loss = experts(torch.randn(*shape, 7))
    x = torch.randn(*shape, 13)
    assert moe_lora_delta(x, experts.a_ERK, experts.b_ENR, gates, 1.0).shape == (*shape, 11)
    assert torch.isfinite(loss)


@pytest.mark.parametrize("name", PARAMETERISATIONS)
def test_all_have_the_same_number_of_weights_and_start_at_zero(name) -> None:
    experts = _experts(parameterisation=name, rank=3)
    assert experts.a_ERK.numel() == 4 * 3 * 13
    assert experts.b_ENR.numel() == 4 * 3 * 11
    assert (experts.b_ENR == 0).all()
    bound = 13**-0.5
    assert experts.a_ERK.abs().max() <= bound
    assert experts.a_ERK.std() > 0.4 * bound


def test_rank_wise_with_tied_gates_is_lora() -> None:
    coarse = _experts(rank=3)
    fine = _experts(rank=3, parameterisation="rank_wise")
    assert fine.a_ERK.shape == (12, 1, 13)
    coarse.b_ENR.data.normal_()
    # rank r of expert e becomes expert 3 e + r, with the router's row of expert e
    fine.a_ERK.data.copy_(coarse.a_ERK.data.reshape(12, 1, 13))
    fine.b_ENR.data.copy_(coarse.b_ENR.data.mT.reshape(12, 11, 1))
    fine.router.weight.data.copy_(coarse.router.weight.data.repeat_interleave(3, 0))
    h, x = torch.randn(2, 7) * 20, torch.randn(2, 5, 13)
    expected = moe_lora_delta(x, coarse.a_ERK, coarse.b_ENR, coarse(h).gates, 1.0)
    actual = moe_lora_delta(x, fine.a_ERK, fine.b_ENR, fine(h).gates, 1.0)
    torch.testing.assert_close(actual, expected)


def test_rank_wise_takes_top_k_times_rank_and_keeps_the_sum() -> None:
    experts = _experts(rank=3, parameterisation="rank_wise", router="top_k", top_k=2)
    gates, _ = experts(torch.randn(9, 7))
    assert gates.shape == (9, 12)
    assert ((gates > 0).sum(-1) == 6).all()
    torch.testing.assert_close(gates.sum(-1), torch.full((9,), 3.0))
    null = _experts(rank=3, parameterisation="rank_wise", router="null", null_experts=2)
    assert null.router.weight.shape == (12 + 6, 7)


@pytest.mark.parametrize("shared", [1, 2])
def test_shared_experts_are_always_on_with_gate_one(shared) -> None:
    experts = _experts(5, parameterisation="shared", shared=shared, router="top_k", top_k=2)
    gates, _ = experts(torch.randn(3, 9, 7))
    assert gates.shape == (3, 9, 5)
    assert (gates[..., :shared] == 1).all()
    routed_gates = gates[..., shared:]
    assert ((routed_gates > 0).sum(-1) == 2).all()
    torch.testing.assert_close(routed_gates.sum(-1), torch.ones(3, 9))
    assert experts.router.weight.shape == (5 - shared, 7)
