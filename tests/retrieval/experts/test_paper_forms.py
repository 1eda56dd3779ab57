"""The defining property of each form of an expert that comes from a paper of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kernels.reference import moe_lora_delta
from retrieval.experts import ExpertConfig, MoELoRALinear, Route
from retrieval.experts.parameterisations import Experts, build_experts

K, N, D = 12, 10, 7


def _experts(name: str, options: dict | None = None, **settings) -> Experts:
    torch.manual_seed(0)
    values = {"parameterisation": name, "rank": 3, "options": {"parameterisation": options or {}}}
    config = ExpertConfig(**values | settings)
    width = K if config.parameterisation in ("flylora", "mora") else D
    return build_experts(config, K, N, width, config.experts)


def _change(experts: Experts, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    return experts.change(x, torch.zeros(*x.shape[:-1], N), gates, None)


@pytest.mark.parametrize("per_token", [False, True])
def test_smora_equals_rank_wise_and_never_reads_an_unchosen_rank(per_token):
    sparse = _experts("smora", router="top_k", top_k=1)
    sparse.b_ENR.data.normal_()
    h = torch.randn(*((2, 5) if per_token else (2,)), D)
    x, gates = torch.randn(2, 5, K), sparse(h).gates
    dense = moe_lora_delta(x, sparse.a_ERK, sparse.b_ENR, gates, sparse.config.scale)
    torch.testing.assert_close(_change(sparse, x, gates), dense)
    unused = (gates == 0).flatten(0, -2).all(0)
    assert unused.any()
    sparse.a_ERK.data[unused] = torch.nan
    sparse.b_ENR.data[unused] = torch.nan
    torch.testing.assert_close(_change(sparse, x, gates), dense)


def test_flylora_has_no_router_and_a_constant_a():
    experts = _experts("flylora", {"density": 0.25})
    assert experts.router is None
    assert {n for n, p in experts.named_parameters() if p.requires_grad} == {"b_ENR"}
    assert ((experts.a_ERK != 0).sum(-1) == 3).all()  # a quarter of 12
    x = torch.randn(2, 5, K)
    gates = experts(x).gates
    low = (x @ experts.a_ERK[:, 0].T).abs()
    chosen = 2 * 3  # top_k of rank 3
    assert ((gates == 1).sum(-1) == chosen).all()
    assert (low.masked_fill(gates == 0, torch.inf).amin(-1) >= (low * (1 - gates)).amax(-1)).all()


def test_the_bias_of_flylora_evens_the_load():
    experts = _experts("flylora", {"bias_rate": 0.05}, top_k=1).train()
    x = torch.randn(64, K) * torch.linspace(0.1, 3, K)

    def spread() -> float:
        return float(experts(x).gates.mean(0).std())

    before, a = spread(), experts.a_ERK.clone()
    for _ in range(60):
        experts(x)
        experts.after_step()
    assert spread() < 0.6 * before
    assert torch.equal(experts.a_ERK, a)


def test_mora_activates_within_its_budget_and_leaves_old_units_bit_equal():
    experts = _experts("mora", {"budget": 4})
    experts.b_ENR.data.normal_()
    x = torch.randn(2, 5, K)
    gates = experts(x).gates
    assert ((gates > 0).sum(-1) == 4).all()
    before = _change(experts, x, gates)
    experts.freeze_and_grow()
    assert torch.equal(_change(experts, x, experts(x).gates), before)
    optimizer = torch.optim.Adam([p for p in experts.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (_change(experts, x, experts(x).gates) - 1).square().mean().backward()
        optimizer.step()
    new = experts(x).gates
    assert ((new > 0).sum(-1) == 8).all()
    old = len(experts.old_a_U1K)
    assert torch.equal(new[..., :old], gates)
    parts = moe_lora_delta(
        x, experts.old_a_U1K, experts.old_b_UN1, new[..., :old], experts.config.scale
    )
    assert torch.equal(parts, before)
    assert not torch.allclose(_change(experts, x, new), before)


def test_mora_is_rebuilt_with_its_tasks():
    experts = _experts("mora")
    experts.freeze_and_grow()
    rebuilt = _experts("mora", {"tasks": 2})
    rebuilt.load_state_dict(experts.state_dict())
    x = torch.randn(3, K)
    assert torch.equal(rebuilt(x).gates, experts(x).gates)


def test_a_film_expert_has_2n_parameters():
    experts = _experts("film")
    own = [p for n, p in experts.named_parameters() if not n.startswith("router")]
    assert sum(p.numel() for p in own) == 4 * 2 * N
    experts.gamma_EN.data.normal_()
    experts.beta_EN.data.normal_()
    x, y = torch.randn(2, 5, K), torch.randn(2, 5, N)
    gates = torch.tensor([[0, 1.0, 0, 0], [0.5, 0, 0, 0.5]])
    change = experts.change(x, y, gates, None)
    torch.testing.assert_close(change[0], experts.gamma_EN[1] * y[0] + experts.beta_EN[1])
    gamma = (experts.gamma_EN[0] + experts.gamma_EN[3]) / 2
    beta = (experts.beta_EN[0] + experts.beta_EN[3]) / 2
    torch.testing.assert_close(change[1], gamma * y[1] + beta)


def test_mos_shares_pools_over_layers_and_dissociates_pairs():
    torch.manual_seed(0)
    route = Route()
    config = ExpertConfig(
        parameterisation="mos", rank=4, options={"parameterisation": {"pool": 8, "private": 1}}
    )
    layers = [MoELoRALinear.wrap(nn.Linear(K, N), config, route, str(i), width=D) for i in range(2)]
    first, second = (layer.experts for layer in layers)
    assert first.pool_a_PK is second.pool_a_PK
    assert first.pool_b_PN is second.pool_b_PN
    assert not torch.equal(first.index_a, second.index_a)
    assert not torch.equal(first.index_a, first.index_b)  # A and B are indexed independently
    assert first.private_a_ERK is not second.private_a_ERK
    a, b = first.matrices()
    assert a.shape == (4, 4, K)
    assert b.shape == (4, N, 4)
    assert torch.equal(a[:, 0], first.private_a_ERK[:, 0])
    shard = first.pool_a_PK.reshape(32, 3)[first.index_a[2, 1, 3]]
    assert torch.equal(a[2, 2, 9:], shard)  # row 2 is the second public vector
    shared = sum(p.numel() for p in nn.ModuleList(layers).parameters() if p.requires_grad)
    alone = sum(p.numel() for p in layers[0].parameters() if p.requires_grad)
    assert shared == 2 * alone - first.pool_a_PK.numel() - first.pool_b_PN.numel()


def test_the_parameters_of_nola_do_not_depend_on_the_rank():
    def count(rank: int) -> int:
        return sum(p.numel() for p in _experts("nola", rank=rank).parameters())

    assert count(1) == count(3) == count(9) == 4 * 64 * 2 + 4 * D
    one, same = _experts("nola"), _experts("nola")
    assert torch.equal(one.basis_a_MRK, same.basis_a_MRK)
    assert not any("basis" in name for name in one.state_dict())  # from the seed


def test_the_update_of_randlora_has_full_rank():
    experts = _experts("randlora", rank=3)
    experts.lambda_EJR.data.normal_()
    a, b = experts.matrices()
    update = b[1] @ a[1]
    assert torch.linalg.matrix_rank(update) == min(K, N)
    lora = _experts("lora", rank=3)
    lora.b_ENR.data.normal_()
    assert torch.linalg.matrix_rank(lora.b_ENR[1] @ lora.a_ERK[1]) == 3
    trained = {n for n, _ in experts.named_parameters() if "router" not in n}
    assert trained == {"lambda_EJR", "gamma_EJK"}


def test_sora_gates_become_exactly_zero_and_pruning_them_changes_nothing():
    experts = _experts("sora", {"threshold": 0.05})
    experts.b_ENR.data.normal_()
    experts.gate_ER.data.copy_(torch.linspace(-0.2, 1, 12).reshape(4, 3))
    for _ in range(5):
        experts.after_step()
    zero = experts.gate_ER == 0
    assert zero.sum() == 5  # those within 0.25 of zero
    x, gates = torch.randn(2, 5, K), torch.rand(2, 4)
    gated = _change(experts, x, gates)
    pruned = torch.zeros_like(gated)
    for e, (a, b) in enumerate(experts.pruned()):
        assert len(a) == int((~zero[e]).sum())
        pruned += experts.config.scale * gates[:, e, None, None] * (x @ a.T @ b.T)
    torch.testing.assert_close(gated, pruned)


@pytest.mark.parametrize("strength", [0.0, 1.0, 0.3])
def test_all_slices_on_equal_the_dense_layer(strength):
    torch.manual_seed(0)
    experts, linear = _experts("split", experts=5), nn.Linear(K, N, bias=False)
    experts.strength.data.fill_(strength)
    x = torch.randn(2, 3, K)
    y = linear(x)
    even = torch.full((2, 5), 0.2)
    torch.testing.assert_close(y + experts.change(x, y, even, linear.weight), y)
    off = torch.tensor([[0.0, 0.25, 0.25, 0.25, 0.25]] * 2)
    change = experts.change(x, y, off, linear.weight)
    if strength == 1:  # the slice of expert 0 is left out
        slices = x.clone()
        slices[..., experts.expert_K == 0] = 0
        torch.testing.assert_close(y + change, 1.25 * linear(slices))


def test_no_normalised_expert_falls_silent():
    experts = _experts("normalised", rank=8)
    x = torch.randn(64, K)
    experts.a_ERK.data[0] = -experts.a_ERK.data[0].abs() * x.abs().mean()
    hidden = experts.activations(x.abs())  # expert 0 has negative values only
    assert (x.abs() @ experts.a_ERK[0].T < 0).all()  # ReLU would give zeros alone
    silent = (hidden.abs() < 1e-6).float().mean((0, 2))
    assert (silent < 0.9).all()
    assert silent[0] < 0.1
