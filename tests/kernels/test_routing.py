"""The fused gates of a router and prompts of a bank match the reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import reference
from kernels.routing import mix_prompts, route

pytestmark = pytest.mark.usefixtures("_nan_filled_memory")

KINDS = [{}, {"k": 1}, {"k": 3}, {"k": 5}, {"p": 0.3}, {"p": 0.9}, {"p": 1.0}]


def _router(device, rows=(21,), width=70, candidates=5, spread=0.3):
    torch.manual_seed(5)
    weight = torch.randn(candidates, width, device=device) * spread
    return torch.randn(*rows, width, device=device), weight


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gates_match_the_reference(kind, device):
    h, weight = _router(device)
    gates = route(h, weight, 0.5, **kind, fused=True)
    expected = route(h.double(), weight.double(), 0.5, **kind, fused=False)
    assert gates.dtype == torch.float32
    torch.testing.assert_close(gates.double(), expected, rtol=1e-5, atol=1e-6)
    assert ((gates > 0) == (expected > 0)).all()


@pytest.mark.parametrize(("rows", "candidates"), [((1,), 1), ((2, 17), 4), ((3,), 100)])
def test_gates_per_token_and_with_many_candidates_match_the_reference(rows, candidates, device):
    h, weight = _router(device, rows, 33, candidates)
    k = min(3, candidates)
    gates = route(h, weight, 1.0, k=k, fused=True)
    expected = route(h.double(), weight.double(), 1.0, k=k, fused=False)
    torch.testing.assert_close(gates.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [{}, {"k": 2}, {"p": 0.7}], ids=str)
@pytest.mark.parametrize("fused", [True, False])
def test_routers_in_one_launch_get_the_gates_of_one_router_each(kind, fused, device):
    h, _ = _router(device, (3, 7), 33)
    weights = torch.randn(9, 5, 33, device=device)
    gates = route(h, weights, 0.5, **kind, fused=fused)
    assert gates.shape == (9, 3, 7, 5)
    for weight, expected in zip(weights, gates, strict=True):
        torch.testing.assert_close(route(h, weight, 0.5, **kind, fused=fused), expected)


@pytest.mark.parametrize("fused", [True, False])
def test_autocast_does_not_change_gates_or_mixed_prompts(fused, device):
    h, weight = _router(device, spread=1.0)
    expected = route(h, weight, 0.5, k=2, fused=fused), *mix_prompts(*_bank(device), 0.1)
    with torch.autocast(device, torch.bfloat16):
        actual = route(h, weight, 0.5, k=2, fused=fused), *mix_prompts(*_bank(device), 0.1)
    assert torch.equal(actual[0], expected[0])
    assert torch.equal(actual[2], expected[2])


def test_equal_candidates_are_chosen_in_order_and_never_more_than_k(device):
    h, weight = torch.ones(2, 8, device=device), torch.ones(6, 8, device=device)
    gates = route(h, weight, 1.0, k=2, fused=True)
    expected = torch.tensor([[0.5, 0.5, 0, 0, 0, 0]] * 2, device=device)
    torch.testing.assert_close(gates, expected)
    top_p_gates = route(h, weight, 1.0, p=0.5, fused=True)
    assert (top_p_gates > 0).sum(1).tolist() == [3, 3]


def test_sixteen_bit_tokens_are_routed_in_fp32(device):
    h, weight = _router(device)
    low = h.bfloat16()
    gates = route(low, weight, 0.5, fused=True)
    torch.testing.assert_close(gates, route(low, weight, 0.5, fused=False), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"k": 0}, "k 0"),
        ({"k": 6}, "k 6, p None; expected k from 1 to 5"),
        ({"k": 2, "p": 0.5}, "not both"),
        ({"p": 0.0}, "p 0.0"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"weight": torch.ones(5, 69)}, r"weight \(5, 69\); expected \(\.\.\., D\) and \(F, D\)"),
    ],
)
def test_bad_routing_arguments_are_refused(change, expected):
    h, weight = _router("cpu")
    with pytest.raises(ValueError, match=expected):
        route(h, **({"weight": weight, "temperature": 1.0} | change))


def _bank(device, rows=3, width=70, entries=5, prompts=2, tower=77):
    torch.manual_seed(4)
    shapes = ((rows, width), (entries, width), (entries, prompts, tower))
    return [torch.randn(shape, device=device) for shape in shapes]


@settings(max_examples=6, deadline=None)
@given(
    rows=st.integers(1, 20),
    entries=st.integers(1, 20),
    top_k=st.none() | st.integers(1, 20),
    prompts=st.integers(1, 4),
)
def test_mixed_prompts_match_the_reference(device, rows, entries, top_k, prompts):
    top_k = top_k and min(top_k, entries)
    bank = _bank(device, rows=rows, entries=entries, prompts=prompts)
    mixed, weights = mix_prompts(*bank, 0.1, top_k, fused=True)
    expected = reference.mix_prompts(*(t.double() for t in bank), 0.1, top_k)
    torch.testing.assert_close(weights.double(), expected[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(mixed.double(), expected[0], rtol=1e-4, atol=1e-5)


def test_a_zero_prototype_and_a_strided_bank_match_the_reference(device):
    prototype, keys, prompts = _bank(device)
    prototype[1] = 0
    strided = keys.T.contiguous().T, prompts.transpose(1, 2).contiguous().transpose(1, 2)
    mixed, weights = mix_prompts(prototype, *strided, 0.1, fused=True)
    expected = reference.mix_prompts(prototype, keys, prompts, 0.1)
    torch.testing.assert_close(weights, expected[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(mixed, expected[0], rtol=1e-4, atol=1e-5)


def test_mismatched_banks_are_refused_by_the_fused_path_too(device):
    prototype, keys, prompts = _bank(device)
    with pytest.raises(ValueError, match="top_k 6"):
        mix_prompts(prototype, keys, prompts, 0.1, 6, fused=True)
    with pytest.raises(ValueError, match=r"prompts \(4, 2, 77\)"):
        mix_prompts(prototype, keys, prompts[:4], 0.1, fused=True)


def test_torch_compile_gives_the_same_results_without_graph_breaks(device):
    h, weight = _router(device)
    bank = _bank(device)

    def both():
        return route(h, weight, 0.5, k=2, fused=True), *mix_prompts(*bank, 0.1, fused=True)

    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for first, second in zip(both(), compiled(), strict=True):
            assert torch.equal(first, second)


def test_a_cpu_runs_the_reference_with_gradients():
    bank = _bank("cpu")
    for first, second in zip(
        mix_prompts(*bank, 0.1, 2), reference.mix_prompts(*bank, 0.1, 2), strict=True
    ):
        assert torch.equal(first, second)
    h, weight = _router("cpu")
    probs = reference.probabilities(h, weight, 0.5)
    assert torch.equal(route(h, weight, 0.5, k=2), reference.top_k_gates(probs, 2)[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gradients_on_cuda_reach_the_router():
    h, weight = _router("cuda")
    weight.requires_grad_()
    route(h, weight, 0.5, k=2).square().sum().backward()
    assert weight.grad.abs().sum() > 0
