"""Every design of the layer, forward and backward, on flat and checked tensors.

M rows, G gate rows (each for M / G rows), K in, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from kernels.dispatch import Design, Problem, choose, tile
from kernels.reference import Norm

__all__ = ["Layer", "Saved", "backward", "forward"]


class Layer(NamedTuple):
    """What stays the same from forward to backward; matrices in one dtype, x in its own if normed.

    Without a weight it is only what the experts add.
    """

    weight_NK: Tensor | None
    a_ERK: Tensor
    b_ENR: Tensor
    gates_GE: Tensor
    scale: float
    norm: Norm | None
    gelu: bool

    def problem(self, x_MK: Tensor, *, gradient: bool) -> Problem:
        experts, rank, inputs = self.a_ERK.shape
        major, minor = torch.cuda.get_device_capability(x_MK.device) if x_MK.is_cuda else (9, 0)
        return Problem(
            len(x_MK),
            inputs,
            self.b_ENR.shape[1],
            experts * rank,
            self.a_ERK.dtype,
            10 * major + minor,
            norm=self.norm is not None,
            gelu=self.gelu,
            base=self.weight_NK is not None,
            gradient=gradient,
        )


class Saved(NamedTuple):
    """For backward: x A^T (M, C), the rows' statistics (M,) if normed, what GELU was given."""

    low_MC: Tensor
    mean_M: Tensor
    rstd_M: Tensor
    before_MN: Tensor

    @classmethod
    def like(cls, x_MK: Tensor, layer: Layer) -> Saved:
        """Unwritten; empty where there is no norm or GELU."""
        rows, (experts, rank), outputs = len(x_MK), layer.a_ERK.shape[:2], layer.b_ENR.shape[1]
        normed, bent = rows * (layer.norm is not None), rows * layer.gelu
        return cls(
            x_MK.new_empty(rows, experts * rank, dtype=torch.float32),
            x_MK.new_empty(normed, dtype=torch.float32),
            x_MK.new_empty(normed, dtype=torch.float32),
            x_MK.new_empty(bent, outputs, dtype=layer.a_ERK.dtype),
        )


def forward(
    design: Design | None, x_MK: Tensor, bias_N: Tensor | None, layer: Layer, saved: Saved | None
) -> Tensor:
    """The layer (M, N), by the design that is asked for or the one that suits; fills `saved`.

    `ValueError` for a design that cannot do what is asked.
    """
    problem = layer.problem(x_MK, gradient=saved is not None)
    design = design or choose(problem)
    if layer.weight_NK is None and design not in ("one_pass", "grouped"):
        raise ValueError(f"design {design} without a weight; expected one_pass or grouped")
    if design == "grouped":
        return _grouped(x_MK, bias_N, layer, saved)
    statistics = saved and saved[:3]
    before = saved.before_MN if saved and layer.gelu else None
    if design == "one_pass":
        from kernels.gpu.one_pass import one_pass

        return one_pass(
            x_MK,
            layer.norm,
            layer.weight_NK,
            bias_N,
            layer.a_ERK,
            layer.b_ENR,
            layer.gates_GE,
            layer.scale,
            statistics,
            before,
            tile("one_pass", problem),
            gelu=layer.gelu,
        )
    from kernels.gpu.shrink import shrink

    assert layer.weight_NK is not None
    copy = layer.norm is not None or design == "augmented"
    made = shrink(
        x_MK,
        layer.norm,
        layer.a_ERK,
        layer.gates_GE,
        layer.scale,
        statistics,
        tile("shrink", problem),
        copy=copy,
    )
    if design == "augmented":
        width = made.shape[1] - problem.inputs
        y_MN = F.linear(made, _augmented(layer.weight_NK, layer.b_ENR, width), bias_N)
        if before is not None:
            before.copy_(y_MN)
        return F.gelu(y_MN) if layer.gelu else y_MN
    from kernels.gpu.split import split

    ready, gated = (made[:, : problem.inputs], made[:, problem.inputs :]) if copy else (x_MK, made)
    return split(
        ready,
        layer.weight_NK,
        bias_N,
        gated,
        layer.b_ENR,
        before,
        tile("split", problem),
        gelu=layer.gelu,
    )


def backward(
    design: Design | None,
    dy_MN: Tensor,
    x_MK: Tensor,
    layer: Layer,
    saved: Saved,
    *,
    inputs: bool,
    weight: bool,
) -> dict[str, Tensor]:
    """Gradients by name: x, a, b, gates, bias, with a norm gamma and beta; x, weight if asked.

    x's is dz W + ((dz B) * scale * gates) A, the layer itself with its matrices turned; those of A
    and B are sums over rows in the rank space, in fp32.
    """
    dz_MN = dy_MN
    if layer.gelu:
        dz_MN = torch.ops.aten.gelu_backward(dy_MN, saved.before_MN)
    turned = Layer(
        None if layer.weight_NK is None else layer.weight_NK.T,
        layer.b_ENR.transpose(1, 2),
        layer.a_ERK.transpose(1, 2),
        layer.gates_GE,
        layer.scale,
        None,
        False,
    )
    problem = turned.problem(dz_MN, gradient=True)
    if design not in ("one_pass", "split", "grouped"):
        design = choose(problem)
        # A copy of [W | B] turned would cost more memory than the pass over dx that it saves.
        design = "grouped" if design == "augmented" else design
    back = Saved.like(dz_MN, turned)
    grads: dict[str, Tensor] = {}
    if inputs or layer.norm is not None:
        grads["x"] = forward(design, dz_MN, None, turned, back)
    elif design == "grouped":
        back.low_MC.copy_(dz_MN @ _columns(layer.b_ENR))
    else:
        from kernels.gpu.shrink import shrink

        shrink(
            dz_MN,
            None,
            turned.a_ERK,
            layer.gates_GE,
            layer.scale,
            back[:3],
            tile("shrink", problem),
            copy=False,
        )
    grads |= _rank_space(design, dz_MN, x_MK, layer, saved, back.low_MC)
    if weight:
        grads["weight"] = dz_MN.T @ _normed(x_MK, layer)
    grads["bias"] = dz_MN.sum(0)
    if layer.norm is not None:
        grads |= _norm_gradients(grads["x"], x_MK, layer.norm, saved)
    return grads


def _rank_space(
    design: Design, dz_MN: Tensor, x_MK: Tensor, layer: Layer, saved: Saved, back_MC: Tensor
) -> dict[str, Tensor]:
    """Gradients of a, b and gates, in fp32."""
    experts, rank, inputs = layer.a_ERK.shape
    dtype, norm, rows = layer.a_ERK.dtype, layer.norm, len(x_MK)
    if design == "grouped":
        scaled_MC = _over_ranks(layer, rows)
        a_CK = (back_MC * scaled_MC).to(dtype).T @ _normed(x_MK, layer)
        b_CN = (saved.low_MC * scaled_MC).to(dtype).T @ dz_MN
        each_MER = (saved.low_MC * back_MC).unflatten(1, (experts, rank))
        count = len(layer.gates_GE)
        each_GTE = each_MER.sum(2).unflatten(0, (count, rows // max(1, count)))
        gates_GE = each_GTE.sum(1) * layer.scale
    else:
        from kernels.gpu.reduce import gate_gradient, matrix_gradient

        problem = layer.problem(x_MK, gradient=True)
        shared = (layer.scale, dtype, tile("matrix_gradient", problem))
        known = norm and (norm.weight_K, norm.bias_K, saved.mean_M, saved.rstd_M)
        a_CK = matrix_gradient(back_MC, layer.gates_GE, x_MK, known, *shared)
        b_CN = matrix_gradient(saved.low_MC, layer.gates_GE, dz_MN, None, *shared)
        gates_GE = gate_gradient(
            saved.low_MC,
            back_MC,
            len(layer.gates_GE),
            experts,
            layer.scale,
            tile("gate_gradient", problem),
        )
    return {
        "a": a_CK.view(experts, rank, inputs),
        "b": b_CN.view(experts, rank, -1).transpose(1, 2),
        "gates": gates_GE,
    }


def _norm_gradients(dn_MK: Tensor, x_MK: Tensor, norm: Norm, saved: Saved) -> dict[str, Tensor]:
    wide = torch.promote_types(x_MK.dtype, norm.weight_K.dtype)
    if not x_MK.is_cuda:
        wide = torch.float32  # there torch wants the statistics in x's dtype
    dx_MK, gamma_K, beta_K = torch.ops.aten.native_layer_norm_backward(
        dn_MK.to(wide),
        x_MK.to(wide),
        x_MK.shape[1:],
        saved.mean_M[:, None],
        saved.rstd_M[:, None],
        norm.weight_K.to(wide),
        norm.bias_K.to(wide),
        [True, True, True],
    )
    return {"x": dx_MK, "gamma": gamma_K, "beta": beta_K}


def _normed(x_MK: Tensor, layer: Layer) -> Tensor:
    """x after the norm, in the matrices' dtype."""
    norm, dtype = layer.norm, layer.a_ERK.dtype
    if norm is None:
        return x_MK
    wide = torch.promote_types(x_MK.dtype, norm.weight_K.dtype)
    weight_K, bias_K = norm.weight_K.to(wide), norm.bias_K.to(wide)
    return F.layer_norm(x_MK.to(wide), x_MK.shape[1:], weight_K, bias_K, norm.eps).to(dtype)


def _over_ranks(layer: Layer, rows: int) -> Tensor:
    """scale * gates, for each row and rank: (M, C) in fp32."""
    gates_GC = (layer.gates_GE.float() * layer.scale).repeat_interleave(layer.a_ERK.shape[1], 1)
    return gates_GC.repeat_interleave(rows // len(gates_GC), 0) if rows else gates_GC[:0]


def _columns(b_ENR: Tensor) -> Tensor:
    """(N, C): the experts side by side."""
    return b_ENR.transpose(0, 1).flatten(1)


def _grouped(x_MK: Tensor, bias_N: Tensor | None, layer: Layer, saved: Saved | None) -> Tensor:
    ready_MK = _normed(x_MK, layer)
    low_MC = F.linear(ready_MK, layer.a_ERK.flatten(0, 1))
    gated_MC = (low_MC * _over_ranks(layer, len(x_MK))).to(low_MC.dtype)
    y_MN = F.linear(gated_MC, _columns(layer.b_ENR))
    if layer.weight_NK is not None:
        y_MN = F.linear(ready_MK, layer.weight_NK, bias_N) + y_MN
    elif bias_N is not None:
        y_MN = y_MN + bias_N
    if saved is not None:
        saved.low_MC.copy_(low_MC)
        if layer.norm is not None:
            variance_M, mean_M = torch.var_mean(x_MK.float(), 1, correction=0)
            saved.mean_M.copy_(mean_M)
            saved.rstd_M.copy_((variance_M + layer.norm.eps).rsqrt())
        if layer.gelu:
            saved.before_MN.copy_(y_MN)
    return F.gelu(y_MN) if layer.gelu else y_MN


# A frozen weight's copies with room for B behind each row, by that room's width. They live as long
# as the weight. Filled on one stream at a time.
_copies: Any = WeakTensorKeyDictionary()


def _augmented(weight_NK: Tensor, b_ENR: Tensor, width: int) -> Tensor:
    """[W | B | 0], (N, K + width). W is copied once, and again when it was changed; B every time.

    A CUDA graph keeps the W that it was captured with until a call outside it sees a change.
    """
    outputs, inputs = weight_NK.shape
    # What is made during a capture belongs to the graph, and an inference tensor cannot tell
    # whether it was changed: neither is kept.
    capturing = weight_NK.is_cuda and torch.cuda.is_current_stream_capturing()
    held = {} if weight_NK.is_inference() else _copies.setdefault(weight_NK, {})
    version = None if weight_NK.is_inference() else (weight_NK._version, weight_NK.data_ptr())
    found = held.get(width)
    if found is None:
        with torch.inference_mode(False):  # a copy made while serving may be filled in training
            copy = weight_NK.new_zeros(outputs, inputs + width)
        copy[:, :inputs] = weight_NK
        if not capturing:
            held[width] = (version, copy)
    else:
        copy = found[1]
        if found[0] != version:
            copy[:, :inputs] = weight_NK
            held[width] = (version, copy)
    experts, _, rank = b_ENR.shape
    block = copy[:, inputs : inputs + experts * rank].unflatten(1, (experts, rank))
    block.copy_(b_ENR.transpose(0, 1))
    return copy
