"""Prompts join attention through a gate that is closed at first."""

from __future__ import annotations

import pytest
import torch

from retrieval.attention import PromptedAttention

B, T, W, H = 3, 7, 12, 3
POSITIONS = [
    pytest.param(0, False, id="in front"),
    pytest.param(1, False, id="behind CLS"),
    pytest.param(0, True, id="causal"),
]


@pytest.fixture
def attention() -> PromptedAttention:
    torch.manual_seed(0)
    return PromptedAttention(W, H)


def _open(attention: PromptedAttention) -> PromptedAttention:
    with torch.no_grad():
        attention.gate_H.copy_(torch.tensor([0.5, -1.0, 2.0]))
    return attention


def _insert(x_BTW: torch.Tensor, prompts_BPW: torch.Tensor, start: int) -> torch.Tensor:
    return torch.cat((x_BTW[:, :start], prompts_BPW, x_BTW[:, start:]), dim=1)


def _tokens(y_BTW: torch.Tensor, start: int, prompts: int) -> torch.Tensor:
    return torch.cat((y_BTW[:, :start], y_BTW[:, start + prompts :]), dim=1)


def _naive(attention, x_BTW, start, prompts, causal) -> torch.Tensor:
    """Compute the module's docstring token by token and head by head."""
    q, k, v = attention.qkv(x_BTW).chunk(3, dim=-1)
    size, width = x_BTW.shape[1], W // H
    inserted = range(start, start + prompts)
    rows = []
    for b in range(len(x_BTW)):
        for i in range(size):
            heads = []
            for h in range(H):
                columns = slice(h * width, (h + 1) * width)

                def attend(keys, b=b, i=i, columns=columns):
                    scores = torch.stack([q[b, i, columns] @ k[b, j, columns] for j in keys])
                    weights = (scores / width**0.5).softmax(0)
                    return sum(w * v[b, j, columns] for w, j in zip(weights, keys, strict=True))

                others = [j for j in range(size) if j not in inserted and not (causal and j > i)]
                if i in inserted:
                    heads.append(attend(list(inserted) if causal else range(size)))
                elif prompts:
                    gate = attention.gate_H[h].tanh()
                    heads.append(attend(others) + gate * attend(list(inserted)))
                else:
                    heads.append(attend(others))
            rows.append(torch.cat(heads))
    return attention.out(torch.stack(rows).unflatten(0, (len(x_BTW), size)))


@pytest.mark.parametrize("prompts", [0, 1, 4])
@pytest.mark.parametrize("tokens", [1, T])
@pytest.mark.parametrize(("start", "causal"), POSITIONS)
def test_it_equals_the_naive_computation(attention, start, causal, tokens, prompts):
    _open(attention)
    x_BTW = torch.randn(2, tokens + prompts, W)
    expected = _naive(attention, x_BTW, start, prompts, causal)
    actual = attention(x_BTW, start, prompts, causal=causal)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_without_prompts_it_is_plain_attention(attention, causal):
    reference = torch.nn.MultiheadAttention(W, H, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(attention.qkv.weight)
        reference.in_proj_bias.copy_(attention.qkv.bias)
        reference.out_proj.weight.copy_(attention.out.weight)
        reference.out_proj.bias.copy_(attention.out.bias)
    x_BTW = torch.randn(B, T, W)
    mask = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None
    expected, _ = reference(x_BTW, x_BTW, x_BTW, attn_mask=mask, need_weights=False)
    actual = _open(attention)(x_BTW, causal=causal)  # without prompts gates have no effect
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("prompts", [1, 4])
@pytest.mark.parametrize(("start", "causal"), POSITIONS)
def test_a_closed_gate_leaves_the_tokens_unchanged(attention, start, causal, prompts):
    x_BTW, prompts_BPW = torch.randn(B, T, W), 10 * torch.randn(B, prompts, W)
    plain = attention(x_BTW, causal=causal)
    y_BTW = attention(_insert(x_BTW, prompts_BPW, start), start, prompts, causal=causal)
    torch.testing.assert_close(_tokens(y_BTW, start, prompts), plain, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("start", "causal"), POSITIONS)
def test_an_open_gate_lets_the_prompts_change_every_token(attention, start, causal):
    x_BTW, prompts_BPW = torch.randn(B, T, W), torch.randn(B, 4, W)
    plain = attention(x_BTW, causal=causal)
    _open(attention)
    y_BTW = attention(_insert(x_BTW, prompts_BPW, start), start, 4, causal=causal)
    changed = (_tokens(y_BTW, start, 4) - plain).abs().amax(2)
    assert (changed > 1e-3).all()


def test_prompts_attend_to_the_tokens(attention):
    x_BTW, prompts_BPW = torch.randn(B, T, W), torch.randn(B, 4, W)
    one = attention(_insert(x_BTW, prompts_BPW, 1), 1, 4)[:, 1:5]
    x_BTW[:, -1] += 1
    other = attention(_insert(x_BTW, prompts_BPW, 1), 1, 4)[:, 1:5]
    assert ((one - other).abs().amax(2) > 1e-4).all()


@pytest.mark.parametrize("prompts", [0, 4])
def test_in_a_causal_tower_no_token_attends_to_later_ones(attention, prompts):
    _open(attention)
    x_BTW, prompts_BPW = torch.randn(B, T, W), torch.randn(B, prompts, W)
    before = attention(_insert(x_BTW, prompts_BPW, 0), 0, prompts, causal=True)
    for position in range(T):
        later_BTW = x_BTW.clone()
        later_BTW[:, position] += 1
        after = attention(_insert(later_BTW, prompts_BPW, 0), 0, prompts, causal=True)
        changed = (after - before).abs().amax((0, 2)) > 1e-6
        assert changed.tolist() == [False] * (prompts + position) + [True] * (T - position)


@pytest.mark.parametrize(("start", "causal"), POSITIONS)
def test_a_gradient_reaches_a_closed_gate_but_not_the_prompts_behind_it(attention, start, causal):
    prompts_BPW = torch.randn(B, 4, W, requires_grad=True)
    x_BTW = _insert(torch.randn(B, T, W), prompts_BPW, start)
    y_BTW = attention(x_BTW, start, 4, causal=causal)
    (_tokens(y_BTW, start, 4) * torch.randn(B, T, W)).sum().backward()
    assert (attention.gate_H.grad.abs() > 1e-4).all()
    assert prompts_BPW.grad.abs().max() == 0


@pytest.mark.parametrize(("start", "causal"), POSITIONS)
def test_plain_prompts_are_tokens_like_all_others(attention, start, causal):
    x_BTW = _insert(torch.randn(B, T, W), torch.randn(B, 4, W), start)
    expected = attention(x_BTW, causal=causal)  # the same tokens, none of them marked as prompts
    gated = attention(x_BTW, start, 4, causal=causal)
    attention.plain = True
    plain = attention(x_BTW, start, 4, causal=causal)
    torch.testing.assert_close(plain, expected)
    assert (_tokens(plain, start, 4) - _tokens(gated, start, 4)).abs().max() > 1e-3
