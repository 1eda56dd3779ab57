"""Experts added to a frozen linear layer, and to the bank's prompts."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from retrieval.experts import ExpertConfig, MoELoRA, MoELoRALinear, Route
from retrieval.experts.routers import served_gates

# The methods that the fused kernels serve; `test_registry.py` tests all methods.
ROUTERS = ("softmax", "top_k", "top_p", "null")
PARAMETERISATIONS = ("lora", "rank_wise", "shared")
CHOICES = list(itertools.product(ROUTERS, PARAMETERISATIONS, ["prototype", "token"]))


def _config(router="softmax", parameterisation="lora", routed_by="prototype", **settings):
    return ExpertConfig(
        router=router, parameterisation=parameterisation, routed_by=routed_by, rank=3, **settings
    )


def _layer(config: ExpertConfig, **settings) -> tuple[nn.Linear, MoELoRALinear, Route]:
    torch.manual_seed(0)
    base, route = nn.Linear(13, 11), Route()
    return base, MoELoRALinear.wrap(base, config, route, "fc", width=7, **settings), route


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("shape", [(2, 5, 13), (2, 13), (2, 1, 13)])
def test_untrained_experts_change_nothing(choice, shape) -> None:
    base, layer, route = _layer(_config(*choice))
    x = torch.randn(shape)
    with route.carrying(torch.randn(2, 7)):
        assert torch.equal(layer(x), base(x))
    assert len(route.losses) == 1


@pytest.mark.parametrize("routed_by", ["prototype", "token"])
def test_a_layer_with_an_idle_route_equals_its_base(routed_by) -> None:
    base, layer, route = _layer(_config(routed_by=routed_by))
    layer.experts.b_ENR.data.normal_()
    x = torch.randn(2, 5, 13)
    assert torch.equal(layer(x), base(x))
    with route.carrying(torch.randn(2, 7)):
        assert not torch.allclose(layer(x), base(x))
    assert torch.equal(layer(x), base(x))


@pytest.mark.parametrize("choice", CHOICES)
def test_gradients_reach_router_a_and_b_but_not_the_base(choice) -> None:
    _, layer, route = _layer(_config(*choice))
    layer.experts.b_ENR.data.normal_()
    with route.carrying(torch.randn(3, 7)):
        y = layer(torch.randn(3, 5, 13))
    y.square().sum().backward()
    for name, parameter in layer.named_parameters():
        if name in ("weight", "bias"):
            assert not parameter.requires_grad
        else:
            assert parameter.grad.abs().max() > 0, name
    assert {name for name, _ in layer.named_parameters()} == {
        "weight",
        "bias",
        "experts.a_ERK",
        "experts.b_ENR",
        "experts.router.weight",
    }


def test_the_first_step_moves_only_b() -> None:
    _, layer, route = _layer(_config())
    with route.carrying(torch.randn(3, 7)):
        layer(torch.randn(3, 5, 13)).square().sum().backward()
    assert layer.experts.b_ENR.grad.abs().max() > 0
    assert (layer.experts.a_ERK.grad == 0).all()


def test_each_sample_gets_its_own_experts() -> None:
    base, layer, route = _layer(_config(router="top_k", top_k=1, alpha=6.0))
    layer.experts.b_ENR.data.normal_()
    layer.experts.router.weight.data.copy_(torch.eye(4, 7))
    x = torch.randn(2, 5, 13)
    with route.carrying(torch.eye(7)[[2, 0]] * 9):
        y = layer(x)
    for b, e in enumerate((2, 0)):
        update = 2.0 * x[b] @ layer.experts.a_ERK[e].T @ layer.experts.b_ENR[e].T
        torch.testing.assert_close(y[b], base(x[b]) + update)


def test_each_token_gets_its_own_experts() -> None:
    base, layer, route = _layer(_config(router="top_k", top_k=1, routed_by="token", alpha=6.0))
    layer.experts.b_ENR.data.normal_()
    layer.experts.router.weight.data.copy_(torch.eye(4, 13))
    x = torch.eye(13)[[3, 1, 0]][None] * 9
    with route.carrying():
        y = layer(x)
    for t, e in enumerate((3, 1, 0)):
        update = 2.0 * x[0, t] @ layer.experts.a_ERK[e].T @ layer.experts.b_ENR[e].T
        torch.testing.assert_close(y[0, t], base(x[0, t]) + update)


def test_a_layer_can_wrap_a_slice_of_packed_q_k_v_weights() -> None:
    torch.manual_seed(0)
    packed = nn.Parameter(torch.randn(33, 13))
    route = Route()
    layer = MoELoRALinear(packed[11:22], None, _config(), route, "k", width=7)
    x = torch.randn(2, 5, 13)
    with route.carrying(torch.randn(2, 7)):
        torch.testing.assert_close(layer(x), x @ packed[11:22].T)
    trainable = sum(p.numel() for p in layer.parameters() if p.requires_grad)
    assert trainable == 4 * 3 * (13 + 11) + 4 * 7


def test_a_layer_loads_the_weights_of_the_linear_layer_it_replaces() -> None:
    _, layer, _ = _layer(_config())
    other = nn.Linear(13, 11)
    missing = layer.load_state_dict(other.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert torch.equal(layer.weight, other.weight)


def test_a_layer_can_have_its_own_number_of_experts() -> None:
    _, layer, _ = _layer(_config(), experts=6)
    assert layer.experts.a_ERK.shape == (6, 3, 13)


def test_float32_experts_work_on_a_bfloat16_tower() -> None:
    torch.manual_seed(0)
    base, route = nn.Linear(13, 11).bfloat16(), Route()
    layer = MoELoRALinear.wrap(base, _config(), route, "fc", width=7)
    layer.experts.b_ENR.data.normal_()
    with route.carrying(torch.randn(2, 7)):
        y = layer(torch.randn(2, 5, 13).bfloat16())
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.experts.a_ERK.grad.dtype == torch.float32


@pytest.mark.parametrize("choice", CHOICES)
def test_prompts_start_unchanged_and_then_follow_the_formula(choice) -> None:
    torch.manual_seed(0)
    route = Route()
    module = MoELoRA(_config(*choice, alpha=6.0), route, "bank", prompt_width=13, width=7)
    prompts = torch.randn(2, 4, 13)
    assert module(prompts) is prompts
    with route.carrying(torch.randn(2, 7)):
        assert torch.equal(module(prompts), prompts)
        module.experts.b_ENR.data.normal_()
        changed = module(prompts)
    gates = route.gates["bank"][1]
    if gates.ndim == 2:
        gates = gates[:, None].expand(2, 4, -1)
    a, b = module.experts.a_ERK, module.experts.b_ENR
    for i, p in itertools.product(range(2), range(4)):
        terms = [gates[i, p, e] * b[e] @ (a[e] @ prompts[i, p]) for e in range(len(a))]
        torch.testing.assert_close(changed[i, p], prompts[i, p] + 2.0 * sum(terms))


def test_the_route_collects_losses_and_gates_of_one_forward_pass() -> None:
    route = Route()
    config = _config(router="top_k", balance_weight=1.0)
    layers = [MoELoRALinear.wrap(nn.Linear(7, 7), config, route, n, width=7) for n in "ab"]
    assert route.loss == 0
    for batch in (3, 2):
        with route.carrying(torch.randn(batch, 7)):
            for layer in layers:
                layer(torch.randn(batch, 7))
        assert [len(route.gates[n]) for n in "ab"] == [1, 1]
        assert route.gates["a"][0].shape == (batch, 4)
        assert not route.gates["a"][0].requires_grad
        assert route.loss >= 2 * 0.99
    route.loss.backward()
    assert all(layer.experts.router.weight.grad.abs().sum() > 0 for layer in layers)


def test_the_layers_of_a_copied_tower_share_one_new_idle_route() -> None:
    route = Route()
    tower = nn.Sequential(
        *(MoELoRALinear.wrap(nn.Linear(7, 7), _config(), route, n, width=7) for n in "ab")
    )
    with route.carrying(torch.randn(2, 7)):
        tower(torch.randn(2, 7))
        copied = copy.deepcopy(tower)
    assert copied[0].route is copied[1].route
    assert copied[0].route is not route
    assert not copied[0].route.active


def test_a_route_is_idle_after_an_error_and_carries_one_forward_pass_at_a_time() -> None:
    route = Route()
    with pytest.raises(RuntimeError, match="broken"), route.carrying(torch.randn(1, 7)):
        raise RuntimeError("broken")
    assert route.prototype_BD is None
    with route.carrying(), pytest.raises(AssertionError, match="one forward"):
        route.begin()


@pytest.mark.parametrize("routed_by", ["prototype", "token"])
@pytest.mark.parametrize("added", [False, True], ids=["alone", "residual"])
@pytest.mark.parametrize(
    "before",
    [
        None,
        nn.LayerNorm(13),
        nn.LayerNorm(13, bias=False),
        nn.GELU(),
        nn.GELU(approximate="tanh"),
        nn.ReLU(),
    ],
    ids=str,
)
def test_the_layer_runs_the_module_before_it_and_adds_the_residual(routed_by, before, added):
    _, layer, route = _layer(_config(routed_by=routed_by))
    layer.experts.b_ENR.data.normal_()
    x = torch.randn(2, 5, 13)
    residual = torch.randn(2, 5, 11) if added else None

    def separate() -> torch.Tensor:
        y = layer(x if before is None else before(x))
        return y if residual is None else residual + y

    assert torch.equal(layer(x, before, residual), separate())
    with route.carrying(torch.randn(2, 7)):
        assert torch.equal(layer(x, before, residual), separate())


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("parameterisation", PARAMETERISATIONS)
def test_gates_served_together_equal_those_of_each_router(router, parameterisation):
    torch.manual_seed(0)
    config, route = _config(router=router, parameterisation=parameterisation), Route()
    layers = [
        MoELoRALinear.wrap(nn.Linear(7, 7), config, route, str(i), width=7, experts=experts)
        for i, experts in enumerate((4, 6, 4))
    ]
    prototype = torch.randn(3, 7)
    served = served_gates(route.routers, prototype)
    assert len(served) == 3
    for layer in layers:
        router_alone = layer.experts.router
        torch.testing.assert_close(served[router_alone], router_alone(prototype).gates)
        together = layer.experts(prototype, served[router_alone]).gates
        torch.testing.assert_close(together, layer.experts(prototype).gates)


def test_a_copied_tower_serves_the_gates_of_its_own_routers():
    route = Route()
    tower = nn.Sequential(
        *(MoELoRALinear.wrap(nn.Linear(7, 7), _config(), route, n, width=7) for n in "ab")
    )
    copied = copy.deepcopy(tower)
    assert copied[0].route.routers == [layer.experts.router for layer in copied]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.no_grad()
def test_serving_computes_the_gates_of_all_layers_in_one_launch(monkeypatch):
    route = Route()
    tower = nn.Sequential(
        *(MoELoRALinear.wrap(nn.Linear(7, 7), _config(), route, n, width=7) for n in "abc")
    )
    tower.to("cuda").eval()
    launches = []
    monkeypatch.setattr(
        "retrieval.experts.route.served_gates",
        lambda *args: launches.append(args) or served_gates(*args),
    )
    with route.carrying(torch.randn(2, 7, device="cuda")):
        tower(torch.randn(2, 7, device="cuda"))
    assert len(launches) == 1
