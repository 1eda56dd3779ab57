"""The reference matches a plain loop over experts and has its defining properties."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from kernels.reference import mix_prompts, moe_lora_delta, moe_lora_linear

# batch, tokens (None: x has two dimensions), K, N, experts, rank
SIZES = [(2, 7, 13, 11, 3, 2), (1, 1, 1, 1, 1, 1), (5, None, 7, 3, 4, 5), (3, 2, 5, 17, 1, 8)]
KINDS = ["spread", "idle expert", "all on one", "none"]


def _loop(x: Tensor, a_ERK: Tensor, b_ENR: Tensor, gates: Tensor, scale: float) -> Tensor:
    outputs = []
    for e in range(a_ERK.shape[0]):
        gate = gates[..., e]
        while gate.ndim < x.ndim:
            gate = gate.unsqueeze(-1) if gate.ndim == x.ndim - 1 else gate.unsqueeze(1)
        outputs.append(gate * (x @ a_ERK[e].T @ b_ENR[e].T))
    return scale * torch.stack(outputs).sum(0)


def _inputs(size, per_token: bool, kind: str = "spread") -> list[Tensor]:
    torch.manual_seed(3)
    batch, tokens, inputs, outputs, experts, rank = size
    rows = (batch,) if tokens is None else (batch, tokens)
    gates = torch.rand(*(rows if per_token else rows[:1]), experts, dtype=torch.float64)
    if kind == "idle expert":
        gates[..., 0] = 0
    elif kind == "all on one":
        gates[..., 1:] = 0
    elif kind == "none":
        gates.zero_()
    return [
        torch.randn(*rows, inputs, dtype=torch.float64),
        torch.randn(experts, rank, inputs, dtype=torch.float64),
        torch.randn(experts, outputs, rank, dtype=torch.float64),
        gates,
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_delta_and_all_gradients_match_a_loop_over_experts(size, per_token, kind) -> None:
    leaves = [t.requires_grad_() for t in _inputs(size, per_token, kind)]
    delta, expected = moe_lora_delta(*leaves, 0.7), _loop(*leaves, 0.7)
    torch.testing.assert_close(delta, expected)
    dy = torch.randn_like(expected)
    for grad, expected_grad in zip(
        torch.autograd.grad(delta, leaves, dy),
        torch.autograd.grad(expected, leaves, dy),
        strict=True,
    ):
        torch.testing.assert_close(grad, expected_grad)


@pytest.mark.parametrize("per_token", [False, True])
def test_gradients_match_finite_differences(per_token) -> None:
    leaves = [t.requires_grad_() for t in _inputs((2, 3, 5, 3, 2, 2), per_token)]
    assert torch.autograd.gradcheck(lambda *args: moe_lora_delta(*args, 1.3), leaves)


@pytest.mark.parametrize("biased", [False, True])
def test_linear_adds_the_delta_to_the_base(biased) -> None:
    x, a, b, gates = _inputs((2, 7, 13, 11, 3, 2), per_token=False)
    weight = torch.randn(11, 13, dtype=torch.float64)
    bias = torch.randn(11, dtype=torch.float64) if biased else None
    expected = linear(x, weight, bias) + _loop(x, a, b, gates, 0.5)
    torch.testing.assert_close(moe_lora_linear(x, weight, bias, a, b, gates, 0.5), expected)


def test_delta_keeps_the_dtype_of_x() -> None:
    x, a, b, gates = _inputs((2, 7, 13, 11, 3, 2), per_token=True)
    low = moe_lora_delta(x.bfloat16(), a.float(), b.float(), gates.float(), 1.0)
    assert low.dtype == torch.bfloat16
    expected = _loop(x, a, b, gates, 1.0)
    # bfloat16 has 8 bits, and sums of 13 and 6 products lose a few of them
    assert (low.double() - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize(
    ("position", "shape", "expected"),
    [
        (0, (2, 3, 4, 13), r"x \(2, 3, 4, 13\); expected \(B, T, K\) or \(M, K\)"),
        (1, (3, 2, 12), r"a \(3, 2, 12\).*K 13"),
        (1, (6, 13), r"a \(6, 13\); expected \(E, R, K\)"),
        (2, (3, 11, 4), r"b \(3, 11, 4\); expected \(3, N, 2\)"),
        (2, (1, 11, 2), r"b \(1, 11, 2\)"),
        (3, (2, 4), r"gates \(2, 4\); expected \(2, 3\) or \(2, 7, 3\)"),
        (3, (1, 3), r"gates \(1, 3\)"),
        (3, (7, 3), r"gates \(7, 3\)"),
        (3, (2, 1, 3), r"gates \(2, 1, 3\)"),
    ],
)
def test_wrong_shapes_are_refused(position, shape, expected) -> None:
    args = _inputs((2, 7, 13, 11, 3, 2), per_token=False)
    args[position] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=expected):
        moe_lora_delta(*args, 1.0)


def _bank(entries: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(4)
    return torch.randn(3, 7), torch.randn(entries, 7), torch.randn(entries, 2, 11)


def test_prompts_are_mixed_by_the_softmax_of_cosines() -> None:
    prototype, keys, prompts = _bank()
    mixed, weights = mix_prompts(prototype, keys, prompts, 0.1)
    cosine = torch.nn.functional.cosine_similarity(prototype[:, None], keys[None], dim=-1)
    expected = torch.exp(cosine / 0.1) / torch.exp(cosine / 0.1).sum(1, keepdim=True)
    torch.testing.assert_close(weights, expected)
    for b in range(3):
        weighted_sum = sum(expected[b, n] * prompts[n] for n in range(5))
        torch.testing.assert_close(mixed[b], weighted_sum)


def test_only_the_direction_of_keys_and_prototypes_matters() -> None:
    prototype, keys, prompts = _bank()
    _, weights = mix_prompts(prototype, keys, prompts, 0.1)
    lengths = torch.tensor([1.0, 3.0, 0.2, 50.0, 7.0])[:, None]
    _, scaled_weights = mix_prompts(prototype * 9, keys * lengths, prompts, 0.1)
    torch.testing.assert_close(weights, scaled_weights)


@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_only_the_top_k_entries_have_weight(top_k) -> None:
    prototype, keys, prompts = _bank()
    _, dense = mix_prompts(prototype, keys, prompts, 0.1)
    _, weights = mix_prompts(prototype, keys, prompts, 0.1, top_k=top_k)
    assert ((weights > 0).sum(1) == top_k).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    chosen = dense * (weights > 0)
    torch.testing.assert_close(weights, chosen / chosen.sum(1, keepdim=True))
    assert (chosen.amax(1) == dense.amax(1)).all()


def test_a_single_entry_has_all_the_weight() -> None:
    prototype, keys, prompts = _bank(1)
    mixed, weights = mix_prompts(prototype, keys, prompts, 0.1)
    assert (weights == 1).all()
    torch.testing.assert_close(mixed, prompts.expand(3, -1, -1))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"top_k": 0}, "top_k 0; expected 1 to 5"),
        ({"top_k": 6}, "top_k 6"),
        ({"keys_ND": torch.zeros(5, 8)}, r"keys \(5, 8\)"),
        ({"prompts_NPW": torch.zeros(4, 2, 11)}, r"prompts \(4, 2, 11\)"),
    ],
)
def test_mismatched_banks_are_refused(change, expected) -> None:
    prototype, keys, prompts = _bank()
    args = {"keys_ND": keys, "prompts_NPW": prompts, "temperature": 0.1} | change
    with pytest.raises(ValueError, match=expected):
        mix_prompts(prototype, **args)
