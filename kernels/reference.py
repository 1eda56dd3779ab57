"""MoE-LoRA, routing and prompt mixing in plain PyTorch: the CPU path and the test oracle.

B batch, T tokens, M rows, K in, N out, E experts, R rank, C = E x R the joined rank space.
Routing: X any leading dimensions, D router inputs, F candidates.
`mix_prompts`: N entries, D prototype width, P prompts per entry, W tower width.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import linear, normalize

__all__ = [
    "ROUNDING",
    "Before",
    "Norm",
    "apply_before",
    "check_shapes",
    "mix_prompts",
    "moe_lora_delta",
    "moe_lora_linear",
    "probabilities",
    "top_k_gates",
    "top_p_gates",
]

# The largest rounding error of a cumulative sum of float32 probabilities.
ROUNDING = 1e-6


class Norm(NamedTuple):
    """The parameters of a LayerNorm over K that comes before a layer."""

    weight_K: Tensor
    bias_K: Tensor
    eps: float = 1e-5


# The operation on x before a layer: a LayerNorm, the exact GELU, or nothing.
Before = Norm | Literal["gelu"] | None


def apply_before(x: Tensor, before: Before) -> Tensor:
    """Return x (..., K) after the operation before a layer."""
    if isinstance(before, Norm):
        return F.layer_norm(x, x.shape[-1:], before.weight_K, before.bias_K, before.eps)
    return x if before is None else F.gelu(x)


def moe_lora_delta(x: Tensor, a_ERK: Tensor, b_ENR: Tensor, gates: Tensor, scale: float) -> Tensor:
    """Return scale * sum_e g_e (x A_e^T) B_e^T (Uni-RAG, arXiv 2507.03868).

    x is (B, T, K) with gates per sample (B, E) or per token (B, T, E), or x is (M, K) with gates
    (M, E). The result has x's shape with N in place of K, and x's dtype: the other tensors are
    cast to it. Raises `ValueError` on other shapes.
    """
    check_shapes(x, a_ERK, b_ENR, gates)
    experts, rank = a_ERK.shape[:2]
    if gates.ndim < x.ndim:
        gates = gates[:, None]  # one row of gates for all tokens of a sample
    # Gates act on the narrow rank space, so all experts can be joined into one long matrix.
    a_CK = a_ERK.flatten(0, 1).to(x.dtype)
    b_NC = b_ENR.transpose(0, 1).flatten(1).to(x.dtype)
    low = linear(x, a_CK).unflatten(-1, (experts, rank))
    gated = low * (gates * scale).to(low.dtype)[..., None]
    return linear(gated.flatten(-2), b_NC)


def moe_lora_linear(
    x: Tensor,
    weight_NK: Tensor,
    bias_N: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates: Tensor,
    scale: float,
    *,
    before: Before = None,
    residual: Tensor | None = None,
) -> Tensor:
    """Return residual + z W^T + bias + `moe_lora_delta` of z: a linear layer with its experts.

    z is x after `before`. Without `residual` nothing is added.
    """
    z = apply_before(x, before)
    y = linear(z, weight_NK, bias_N) + moe_lora_delta(z, a_ERK, b_ENR, gates, scale)
    return y if residual is None else residual + y


def probabilities(
    h_XD: Tensor, weight_FD: Tensor, temperature: float, candidates: int | None = None
) -> Tensor:
    """Return the softmax (X, F) of h W^T / temperature, in float32 or wider, also under autocast.

    A bf16 product would move gates by up to 0.008 and change some of the chosen experts. With
    `candidates`, W holds several routers with that many candidates each, and the result is
    (X, routers, candidates).
    """
    dtype = torch.promote_types(weight_FD.dtype, torch.float32)
    with torch.autocast(h_XD.device.type, enabled=False):
        logits_XF = linear(h_XD.to(dtype), weight_FD.to(dtype))
    if candidates is not None:
        logits_XF = logits_XF.unflatten(-1, (-1, candidates))
    return (logits_XF / temperature).softmax(-1)


def top_k_gates(probs_XF: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Keep the k largest probabilities of each row and scale them to sum to 1.

    Returns the gates (X, F), zero elsewhere, and a boolean mask of the chosen candidates.
    """
    assert k <= probs_XF.shape[-1], "the settings and the allocation bound k"
    best_Xk = probs_XF.topk(k, dim=-1).indices
    chosen_XF = torch.zeros_like(probs_XF, dtype=torch.bool).scatter(-1, best_Xk, True)
    kept_XF = probs_XF * chosen_XF
    total_X1 = kept_XF.sum(-1, keepdim=True)
    if k == 1:
        # p / p is constant, so the router would get no gradient from the task.
        total_X1 = total_X1.detach()
    return kept_XF / total_X1, chosen_XF


def top_p_gates(probs_XF: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Keep the fewest probabilities of each row whose sum reaches p, unscaled.

    Returns the gates (X, F), zero elsewhere, and a boolean mask of the chosen candidates.
    """
    sorted_XF, order_XF = probs_XF.sort(dim=-1, descending=True)
    before_XF = sorted_XF.cumsum(-1) - sorted_XF
    needed_XF = before_XF < p - ROUNDING
    chosen_XF = torch.zeros_like(needed_XF).scatter(-1, order_XF, needed_XF)
    return probs_XF * chosen_XF, chosen_XF


def mix_prompts(
    prototype_BD: Tensor,
    keys_ND: Tensor,
    prompts_NPW: Tensor,
    temperature: float,
    top_k: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Mix the bank's prompts for each prototype.

    Returns the mixed prompts (B, P, W) and the weights (B, N) of the entries. Weights are a softmax
    of cosine / temperature over all entries, or over the `top_k` nearest. The other entries weigh
    exactly 0, and each row sums to 1. Prototypes and keys need no unit length. Raises `ValueError`
    if the shapes do not fit.
    """
    entries = keys_ND.shape[0]
    if keys_ND.shape[1:] != prototype_BD.shape[1:] or prompts_NPW.shape[0] != entries:
        raise ValueError(
            f"prototype {tuple(prototype_BD.shape)}, keys {tuple(keys_ND.shape)}, prompts "
            f"{tuple(prompts_NPW.shape)}; expected (B, D), (N, D), (N, P, W)"
        )
    if temperature <= 0:
        raise ValueError(f"temperature {temperature}; expected a positive number")
    if top_k is not None and not 1 <= top_k <= entries:
        raise ValueError(f"top_k {top_k}; expected 1 to {entries}, the number of entries")
    dtype = torch.promote_types(prototype_BD.dtype, keys_ND.dtype)
    with torch.autocast(prototype_BD.device.type, enabled=False):
        unit_BD, unit_ND = (normalize(t.to(dtype), dim=-1) for t in (prototype_BD, keys_ND))
        cosine_BN = unit_BD @ unit_ND.T
    logits_BN = cosine_BN / temperature
    if top_k is not None:
        best_BN, index_BN = logits_BN.topk(top_k, dim=-1)
        logits_BN = torch.full_like(logits_BN, -torch.inf).scatter(-1, index_BN, best_BN)
    weights_BN = logits_BN.softmax(-1)
    return torch.einsum("bn,npw->bpw", weights_BN, prompts_NPW.to(weights_BN.dtype)), weights_BN


def check_shapes(x: Tensor, a_ERK: Tensor, b_ENR: Tensor, gates: Tensor) -> None:
    """Raise `ValueError` unless the shapes fit together as in `moe_lora_delta`."""
    if x.ndim not in (2, 3):
        raise ValueError(f"x {tuple(x.shape)}; expected (B, T, K) or (M, K)")
    if a_ERK.ndim != 3 or a_ERK.shape[-1] != x.shape[-1]:
        raise ValueError(f"a {tuple(a_ERK.shape)}; expected (E, R, K) with K {x.shape[-1]} as in x")
    experts, rank = a_ERK.shape[:2]
    if b_ENR.ndim != 3 or (b_ENR.shape[0], b_ENR.shape[2]) != (experts, rank):
        raise ValueError(f"b {tuple(b_ENR.shape)}; expected ({experts}, N, {rank}) to match a")
    gate_shapes = {(x.shape[0], experts), (*x.shape[:-1], experts)}
    if gates.shape not in gate_shapes:
        expected = " or ".join(str(shape) for shape in sorted(gate_shapes, key=len))
        raise ValueError(f"gates {tuple(gates.shape)}; expected {expected} to match x and a")
