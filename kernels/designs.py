"""Run the layer forward and backward, with any of its designs. Tensors are flat and checked.

M rows, G gate rows (each serves M / G rows), K in, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from kernels.dispatch import Design, Workload, choose_design, choose_tile
from kernels.reference import Norm

__all__ = ["Layer", "SavedTensors", "backward", "forward"]


class Layer(NamedTuple):
    """The parameters of one call, shared by forward and backward.

    All matrices have one dtype. x has the same dtype, unless a norm comes first. Without
    `weight_NK` the layer is only the sum of its experts.
    """

    weight_NK: Tensor | None
    a_ERK: Tensor
    b_ENR: Tensor
    gates_GE: Tensor
    scale: float
    norm: Norm | None
    gelu: bool

    def workload(self, x_MK: Tensor, *, gradient: bool) -> Workload:
        """Describe this call to the dispatcher."""
        experts, rank, inputs = self.a_ERK.shape
        major, minor = torch.cuda.get_device_capability(x_MK.device) if x_MK.is_cuda else (9, 0)
        return Workload(
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


class SavedTensors(NamedTuple):
    """The tensors that forward saves for backward.

    `low_MC` is x A^T. `mean_M` and `rstd_M` are the row statistics of the norm, `pre_gelu_MN` the
    input of GELU; they are empty without a norm or GELU.
    """

    low_MC: Tensor
    mean_M: Tensor
    rstd_M: Tensor
    pre_gelu_MN: Tensor

    @classmethod
    def empty(cls, x_MK: Tensor, layer: Layer) -> SavedTensors:
        """Allocate tensors for `forward` to fill."""
        rows, (experts, rank), outputs = len(x_MK), layer.a_ERK.shape[:2], layer.b_ENR.shape[1]
        norm_rows, gelu_rows = rows * (layer.norm is not None), rows * layer.gelu
        return cls(
            x_MK.new_empty(rows, experts * rank, dtype=torch.float32),
            x_MK.new_empty(norm_rows, dtype=torch.float32),
            x_MK.new_empty(norm_rows, dtype=torch.float32),
            x_MK.new_empty(gelu_rows, outputs, dtype=layer.a_ERK.dtype),
        )


def forward(
    design: Design | None,
    x_MK: Tensor,
    bias_N: Tensor | None,
    layer: Layer,
    saved: SavedTensors | None,
) -> Tensor:
    """Return the layer's output (M, N) and fill `saved` for backward.

    If `design` is None, the dispatcher chooses. Raises `ValueError` if the design needs a
    weight and there is none.
    """
    workload = layer.workload(x_MK, gradient=saved is not None)
    design = design or choose_design(workload)
    if layer.weight_NK is None and design not in ("one_pass", "grouped"):
        raise ValueError(f"design {design} without a weight; expected one_pass or grouped")
    if design == "grouped":
        return _grouped_forward(x_MK, bias_N, layer, saved)
    statistics = saved and saved[:3]
    pre_gelu = saved.pre_gelu_MN if saved and layer.gelu else None
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
            pre_gelu,
            choose_tile("one_pass", workload),
            gelu=layer.gelu,
        )
    from kernels.gpu.shrink import shrink

    assert layer.weight_NK is not None
    copy = layer.norm is not None or design == "augmented"
    shrunk = shrink(
        x_MK,
        layer.norm,
        layer.a_ERK,
        layer.gates_GE,
        layer.scale,
        statistics,
        choose_tile("shrink", workload),
        copy=copy,
    )
    if design == "augmented":
        width = shrunk.shape[1] - workload.inputs
        y_MN = F.linear(shrunk, _augmented_weight(layer.weight_NK, layer.b_ENR, width), bias_N)
        if pre_gelu is not None:
            pre_gelu.copy_(y_MN)
        return F.gelu(y_MN) if layer.gelu else y_MN
    from kernels.gpu.split import split

    inputs = workload.inputs
    normed, gated = (shrunk[:, :inputs], shrunk[:, inputs:]) if copy else (x_MK, shrunk)
    return split(
        normed,
        layer.weight_NK,
        bias_N,
        gated,
        layer.b_ENR,
        pre_gelu,
        choose_tile("split", workload),
        gelu=layer.gelu,
    )


def backward(
    design: Design | None,
    dy_MN: Tensor,
    x_MK: Tensor,
    layer: Layer,
    saved: SavedTensors,
    *,
    input_gradient: bool,
    weight_gradient: bool,
) -> dict[str, Tensor]:
    """Return the gradients of a, b, gates and bias by name, with gamma and beta if there is a norm.

    `input_gradient` adds x (a norm always does) and `weight_gradient` adds weight. The gradient of
    x is dz W + ((dz B) * scale * gates) A, which is the layer with transposed matrices. The
    gradients of A and B are sums over rows in the rank space, in fp32.
    """
    dz_MN = dy_MN
    if layer.gelu:
        dz_MN = torch.ops.aten.gelu_backward(dy_MN, saved.pre_gelu_MN)
    transposed = Layer(
        None if layer.weight_NK is None else layer.weight_NK.T,
        layer.b_ENR.transpose(1, 2),
        layer.a_ERK.transpose(1, 2),
        layer.gates_GE,
        layer.scale,
        None,
        False,
    )
    workload = transposed.workload(dz_MN, gradient=True)
    if design not in ("one_pass", "split", "grouped"):
        design = choose_design(workload)
        # A transposed copy of [W | B] would cost more memory than the pass over dx that it saves.
        design = "grouped" if design == "augmented" else design
    back = SavedTensors.empty(dz_MN, transposed)
    grads: dict[str, Tensor] = {}
    if input_gradient or layer.norm is not None:
        grads["x"] = forward(design, dz_MN, None, transposed, back)
    elif design == "grouped":
        back.low_MC.copy_(dz_MN @ _joined_columns(layer.b_ENR))
    else:
        from kernels.gpu.shrink import shrink

        shrink(
            dz_MN,
            None,
            transposed.a_ERK,
            layer.gates_GE,
            layer.scale,
            back[:3],
            choose_tile("shrink", workload),
            copy=False,
        )
    grads |= _rank_space_gradients(design, dz_MN, x_MK, layer, saved, back.low_MC)
    if weight_gradient:
        grads["weight"] = dz_MN.T @ _apply_norm(x_MK, layer)
    grads["bias"] = dz_MN.sum(0)
    if layer.norm is not None:
        grads |= _norm_gradients(grads["x"], x_MK, layer.norm, saved)
    return grads


def _rank_space_gradients(
    design: Design,
    dz_MN: Tensor,
    x_MK: Tensor,
    layer: Layer,
    saved: SavedTensors,
    back_MC: Tensor,
) -> dict[str, Tensor]:
    """Return the gradients of a, b and gates in fp32, from `back_MC`, which is dz B."""
    experts, rank, inputs = layer.a_ERK.shape
    dtype, norm, rows = layer.a_ERK.dtype, layer.norm, len(x_MK)
    if design == "grouped":
        scaled_MC = _scaled_gates(layer, rows)
        a_CK = (back_MC * scaled_MC).to(dtype).T @ _apply_norm(x_MK, layer)
        b_CN = (saved.low_MC * scaled_MC).to(dtype).T @ dz_MN
        product_MER = (saved.low_MC * back_MC).unflatten(1, (experts, rank))
        gate_rows = len(layer.gates_GE)
        product_GTE = product_MER.sum(2).unflatten(0, (gate_rows, rows // max(1, gate_rows)))
        gates_GE = product_GTE.sum(1) * layer.scale
    else:
        from kernels.gpu.reduce import gate_gradient, matrix_gradient

        workload = layer.workload(x_MK, gradient=True)
        shared = (layer.scale, dtype, choose_tile("matrix_gradient", workload))
        norm_tensors = norm and (norm.weight_K, norm.bias_K, saved.mean_M, saved.rstd_M)
        a_CK = matrix_gradient(back_MC, layer.gates_GE, x_MK, norm_tensors, *shared)
        b_CN = matrix_gradient(saved.low_MC, layer.gates_GE, dz_MN, None, *shared)
        gates_GE = gate_gradient(
            saved.low_MC,
            back_MC,
            len(layer.gates_GE),
            experts,
            layer.scale,
            choose_tile("gate_gradient", workload),
        )
    return {
        "a": a_CK.view(experts, rank, inputs),
        "b": b_CN.view(experts, rank, -1).transpose(1, 2),
        "gates": gates_GE,
    }


def _norm_gradients(
    dn_MK: Tensor, x_MK: Tensor, norm: Norm, saved: SavedTensors
) -> dict[str, Tensor]:
    dtype = torch.promote_types(x_MK.dtype, norm.weight_K.dtype)
    if not x_MK.is_cuda:
        dtype = torch.float32  # on a CPU, x must have the dtype of the statistics
    dx_MK, gamma_K, beta_K = torch.ops.aten.native_layer_norm_backward(
        dn_MK.to(dtype),
        x_MK.to(dtype),
        x_MK.shape[1:],
        saved.mean_M[:, None],
        saved.rstd_M[:, None],
        norm.weight_K.to(dtype),
        norm.bias_K.to(dtype),
        [True, True, True],
    )
    return {"x": dx_MK, "gamma": gamma_K, "beta": beta_K}


def _apply_norm(x_MK: Tensor, layer: Layer) -> Tensor:
    """Return x after the norm, in the dtype of the matrices."""
    norm = layer.norm
    if norm is None:
        return x_MK
    norm_dtype = torch.promote_types(x_MK.dtype, norm.weight_K.dtype)
    weight_K, bias_K = norm.weight_K.to(norm_dtype), norm.bias_K.to(norm_dtype)
    y_MK = F.layer_norm(x_MK.to(norm_dtype), x_MK.shape[1:], weight_K, bias_K, norm.eps)
    return y_MK.to(layer.a_ERK.dtype)


def _scaled_gates(layer: Layer, rows: int) -> Tensor:
    """Return scale * gates for each row and rank: (M, C) in fp32."""
    gates_GC = (layer.gates_GE.float() * layer.scale).repeat_interleave(layer.a_ERK.shape[1], 1)
    return gates_GC.repeat_interleave(rows // len(gates_GC), 0) if rows else gates_GC[:0]


def _joined_columns(b_ENR: Tensor) -> Tensor:
    """Put the experts side by side: (N, C)."""
    return b_ENR.transpose(0, 1).flatten(1)


def _grouped_forward(
    x_MK: Tensor, bias_N: Tensor | None, layer: Layer, saved: SavedTensors | None
) -> Tensor:
    normed_MK = _apply_norm(x_MK, layer)
    low_MC = F.linear(normed_MK, layer.a_ERK.flatten(0, 1))
    gated_MC = (low_MC * _scaled_gates(layer, len(x_MK))).to(low_MC.dtype)
    y_MN = F.linear(gated_MC, _joined_columns(layer.b_ENR))
    if layer.weight_NK is not None:
        y_MN = F.linear(normed_MK, layer.weight_NK, bias_N) + y_MN
    elif bias_N is not None:
        y_MN = y_MN + bias_N
    if saved is not None:
        saved.low_MC.copy_(low_MC)
        if layer.norm is not None:
            variance_M, mean_M = torch.var_mean(x_MK.float(), 1, correction=0)
            saved.mean_M.copy_(mean_M)
            saved.rstd_M.copy_((variance_M + layer.norm.eps).rsqrt())
        if layer.gelu:
            saved.pre_gelu_MN.copy_(y_MN)
    return F.gelu(y_MN) if layer.gelu else y_MN


# For each frozen weight, copies with room for B at the end of every row, keyed by the width of the
# room. They live as long as the weight. Only one stream at a time may fill them.
_weight_copies: Any = WeakTensorKeyDictionary()


def _augmented_weight(weight_NK: Tensor, b_ENR: Tensor, width: int) -> Tensor:
    """Return [W | B | 0], (N, K + width).

    W is copied once, and again after it changes. B is copied at every call. A CUDA graph keeps the
    W that it captured until a call outside the graph sees a change.
    """
    outputs, inputs = weight_NK.shape
    # Memory allocated during a capture belongs to the graph, and an inference tensor does not
    # record changes. Keep no copy in either case.
    capturing = weight_NK.is_cuda and torch.cuda.is_current_stream_capturing()
    copies = {} if weight_NK.is_inference() else _weight_copies.setdefault(weight_NK, {})
    version = None if weight_NK.is_inference() else (weight_NK._version, weight_NK.data_ptr())
    cached = copies.get(width)
    if cached is None:
        with torch.inference_mode(False):  # training may fill a copy that serving allocated
            copy = weight_NK.new_zeros(outputs, inputs + width)
        copy[:, :inputs] = weight_NK
        if not capturing:
            copies[width] = (version, copy)
    else:
        cached_version, copy = cached
        if cached_version != version:
            copy[:, :inputs] = weight_NK
            copies[width] = (version, copy)
    experts, _, rank = b_ENR.shape
    block = copy[:, inputs : inputs + experts * rank].unflatten(1, (experts, rank))
    block.copy_(b_ENR.transpose(0, 1))
    return copy
