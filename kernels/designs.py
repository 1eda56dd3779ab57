"""Run the layer forward and backward, with any of its designs. Tensors are flat and checked.

M rows, G gate rows (each serves M / G rows), K in, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.augmented import AugmentedWeight, augmented_weight
from kernels.dispatch import Design, Workload, choose_design, choose_tile
from kernels.reference import Before, Norm, apply_before

__all__ = ["Layer", "SavedTensors", "backward", "forward"]


class Layer(NamedTuple):
    """The parameters of one call, shared by forward and backward.

    The products run in `dtype`, to which W, bias, A and B are cast. x has that dtype too, unless an
    operation comes before the layer. Without `weight_NK` the layer is the sum of its experts.
    """

    weight_NK: Tensor | None
    bias_N: Tensor | None
    a_ERK: Tensor
    b_ENR: Tensor
    gates_GE: Tensor
    scale: float
    before: Before
    dtype: torch.dtype

    def workload(self, x_MK: Tensor, *, residual: bool = False) -> Workload:
        """Describe this call to the dispatcher."""
        experts, rank, inputs = self.a_ERK.shape
        return Workload(
            len(x_MK),
            inputs,
            self.b_ENR.shape[1],
            experts * rank,
            self.dtype,
            _arch(x_MK),
            before="norm" if isinstance(self.before, Norm) else self.before or "none",
            residual=residual,
            base=self.weight_NK is not None,
        )

    def transposed_workload(self, dy_MN: Tensor) -> Workload:
        """Describe the layer of backward, dy -> dx, to the dispatcher."""
        forward = self.workload(dy_MN)
        return forward._replace(
            inputs=forward.outputs, outputs=forward.inputs, before="none", transposed=True
        )

    def cast(self, matrix: Tensor) -> Tensor:
        """Return A, B or the bias in `dtype`."""
        return matrix.to(self.dtype)

    def cast_weight(self) -> Tensor:
        """Return W in `dtype`, from the copy in `augmented_weight` if it has another."""
        assert self.weight_NK is not None
        if self.weight_NK.dtype == self.dtype:
            return self.weight_NK
        return self.augmented(training=False).weight_NK

    def augmented(self, *, training: bool) -> AugmentedWeight:
        """Return `[W | B | bias | 0]` in `dtype`."""
        assert self.weight_NK is not None
        return augmented_weight(
            self.weight_NK, self.b_ENR, self.bias_N, self.dtype, training=training
        )


class SavedTensors(NamedTuple):
    """The tensors that forward saves for backward.

    `low_MC` is z A^T, for z = before(x). `mean_M` and `rstd_M` are the row statistics of a norm;
    they are empty without one.
    """

    low_MC: Tensor
    mean_M: Tensor
    rstd_M: Tensor

    @classmethod
    def empty(cls, x_MK: Tensor, layer: Layer) -> SavedTensors:
        """Allocate tensors for `forward` to fill."""
        rows, (experts, rank) = len(x_MK), layer.a_ERK.shape[:2]
        norm_rows = rows * isinstance(layer.before, Norm)
        return cls(
            x_MK.new_empty(rows, experts * rank, dtype=torch.float32),
            x_MK.new_empty(norm_rows, dtype=torch.float32),
            x_MK.new_empty(norm_rows, dtype=torch.float32),
        )


def forward(
    design: Design | None,
    x_MK: Tensor,
    layer: Layer,
    residual_MN: Tensor | None,
    saved: SavedTensors | None,
) -> Tensor:
    """Return the layer's output (M, N), plus `residual_MN` if given; fill `saved` for backward.

    If `design` is None, the dispatcher chooses. Raises `ValueError` if the design cannot run the
    layer.
    """
    workload = layer.workload(x_MK, residual=residual_MN is not None)
    design = design or choose_design(workload)
    if not workload.base and design not in ("one_pass", "grouped"):
        raise ValueError(f"design {design} without a weight; expected one_pass or grouped")
    if workload.before != "none" and design == "one_pass":
        raise ValueError(f"design one_pass with a {workload.before} before it; expected another")
    if design == "grouped" or workload.rows == 0:
        return _grouped_forward(x_MK, layer, residual_MN, saved)
    a_ERK, b_ENR, bias_N = layer.cast(layer.a_ERK), layer.cast(layer.b_ENR), layer.bias_N
    bias_N = None if bias_N is None else layer.cast(bias_N)
    if design == "one_pass":
        from kernels.gpu.one_pass import one_pass

        return one_pass(
            x_MK,
            layer.cast_weight() if workload.base else None,
            bias_N,
            a_ERK,
            b_ENR,
            layer.gates_GE,
            layer.scale,
            residual_MN,
            saved and saved.low_MC,
            choose_tile("one_pass", workload),
        )
    from kernels.gpu.shrink import shrink

    copy = design == "augmented" or workload.before != "none"
    shrunk = shrink(
        x_MK,
        layer.before,
        a_ERK,
        layer.gates_GE,
        layer.scale,
        saved,
        choose_tile("shrink", workload),
        copy=copy,
    )
    if design == "augmented":
        y_MN = shrunk @ layer.augmented(training=saved is not None).matrix_NX.T
        return y_MN if residual_MN is None else y_MN.add_(residual_MN)
    from kernels.gpu.expand import expand

    z_MK, gated = shrunk.tensor_split((workload.inputs if copy else 0,), 1)
    y_MN = expand(residual_MN, gated, b_ENR, choose_tile("expand", workload), bias_N=bias_N)
    return y_MN.addmm_(z_MK if copy else x_MK, layer.cast_weight().T)


def backward(
    design: Design | None,
    dy_MN: Tensor,
    x_MK: Tensor,
    layer: Layer,
    saved: SavedTensors,
    needed: frozenset[str],
) -> dict[str, Tensor]:
    """Return the gradients that are `needed`: x, weight, bias, a, b, gates, gamma, beta.

    The gradient of z is dy W + ((dy B) * scale * gates) A, which is the layer with transposed
    matrices. One GEMM with `[W | B]` gives dy W and dy B. The gradients of A and B are sums over
    rows in the rank space, in fp32.
    """
    workload = layer.transposed_workload(dy_MN)
    design = design or choose_design(workload)
    if workload.rows == 0:
        design = "grouped"
    elif design == "one_pass" and layer.before is not None:
        design = "accumulate"
    grads: dict[str, Tensor] = {}
    if {"x", "gamma", "beta"} & needed:
        dz_MK, back_MC = _input_gradient(design, dy_MN, x_MK, layer, workload)
        grads |= _before_gradients(design, dz_MK, x_MK, layer, saved, needed)
    else:
        back_MC = dy_MN @ _joined_columns(layer.cast(layer.b_ENR))
    if {"a", "b", "gates"} & needed:
        grads |= _rank_space_gradients(design, dy_MN, x_MK, layer, saved, back_MC, needed)
    if "weight" in needed:
        grads["weight"] = dy_MN.T @ _before(x_MK, layer)
    if "bias" in needed:
        grads["bias"] = dy_MN.sum(0)
    return grads


def _input_gradient(
    design: Design, dy_MN: Tensor, x_MK: Tensor, layer: Layer, workload: Workload
) -> tuple[Tensor, Tensor]:
    """Return the gradient of z (M, K) and dy B (M, C).

    With a GELU before the layer and a fused design, the first is already the gradient of x.
    """
    a_EKR = layer.cast(layer.a_ERK).transpose(1, 2)
    if design == "grouped":
        back_MC = dy_MN @ _joined_columns(layer.cast(layer.b_ENR))
        gated_MC = (back_MC * _scaled_gates(layer, len(dy_MN))).to(back_MC.dtype)
        dz_MK = gated_MC @ _joined_columns(a_EKR).T
        if layer.weight_NK is not None:
            dz_MK = dy_MN @ layer.cast(layer.weight_NK) + dz_MK
        return dz_MK, back_MC
    if design == "one_pass":
        from kernels.gpu.one_pass import one_pass

        back_MC = dy_MN.new_empty(len(dy_MN), workload.ranks, dtype=torch.float32)
        dx_MK = one_pass(
            dy_MN,
            layer.cast_weight().T if workload.base else None,
            None,
            layer.cast(layer.b_ENR).transpose(1, 2),
            a_EKR,
            layer.gates_GE,
            layer.scale,
            None,
            back_MC,
            choose_tile("one_pass", workload),
        )
        return dx_MK, back_MC
    from kernels.gpu.expand import expand

    product_MX = dy_MN @ layer.augmented(training=True).matrix_NX
    inputs = workload.outputs
    back_MC = product_MX[:, inputs : inputs + workload.ranks]
    dz_MK = expand(
        product_MX[:, :inputs],
        back_MC,
        a_EKR,
        choose_tile("expand", workload),
        gates_GE=layer.gates_GE,
        scale=layer.scale,
        gelu_input_MN=x_MK if layer.before == "gelu" else None,
    )
    return dz_MK, back_MC


def _before_gradients(
    design: Design,
    dz_MK: Tensor,
    x_MK: Tensor,
    layer: Layer,
    saved: SavedTensors,
    needed: frozenset[str],
) -> dict[str, Tensor]:
    """Return the gradients of x and, if there is a norm, of gamma and beta."""
    if isinstance(layer.before, Norm):
        return _norm_gradients(dz_MK, x_MK, layer.before, saved, needed)
    if layer.before == "gelu" and design == "grouped":
        return {"x": torch.ops.aten.gelu_backward(dz_MK.to(x_MK.dtype), x_MK)}
    return {"x": dz_MK}


def _rank_space_gradients(
    design: Design,
    dy_MN: Tensor,
    x_MK: Tensor,
    layer: Layer,
    saved: SavedTensors,
    back_MC: Tensor,
    needed: frozenset[str],
) -> dict[str, Tensor]:
    """Return the gradients of a, b and gates in fp32, from `back_MC`, which is dy B."""
    experts, rank, inputs = layer.a_ERK.shape
    rows, gate_rows = len(x_MK), len(layer.gates_GE)
    grads: dict[str, Tensor] = {}
    if design == "grouped":
        scaled_MC = _scaled_gates(layer, rows)
        a_CK = (back_MC * scaled_MC).to(layer.dtype).T @ _before(x_MK, layer)
        b_CN = (saved.low_MC * scaled_MC).to(layer.dtype).T @ dy_MN
        product_MER = (saved.low_MC * back_MC).unflatten(1, (experts, rank))
        product_GTE = product_MER.sum(2).unflatten(0, (gate_rows, rows // max(1, gate_rows)))
        grads["gates"] = product_GTE.sum(1) * layer.scale
    else:
        from kernels.gpu.reduce import gate_gradient, matrix_gradient

        workload = layer.workload(x_MK)
        shared = (layer.scale, layer.dtype, choose_tile("matrix_gradient", workload))
        if "a" in needed:
            statistics = saved[1:] if isinstance(layer.before, Norm) else None
            sides = (back_MC, layer.gates_GE, x_MK, layer.before, statistics)
            a_CK = matrix_gradient(*sides, *shared)
        if "b" in needed:
            b_CN = matrix_gradient(saved.low_MC, layer.gates_GE, dy_MN, None, None, *shared)
        if "gates" in needed:
            tile = choose_tile("gate_gradient", workload)
            grads["gates"] = gate_gradient(
                saved.low_MC, back_MC, gate_rows, experts, layer.scale, tile
            )
    if "a" in needed:
        grads["a"] = a_CK.view(experts, rank, inputs)
    if "b" in needed:
        grads["b"] = b_CN.view(experts, rank, -1).transpose(1, 2)
    return grads


def _norm_gradients(
    dz_MK: Tensor, x_MK: Tensor, norm: Norm, saved: SavedTensors, needed: frozenset[str]
) -> dict[str, Tensor]:
    dtype = torch.promote_types(x_MK.dtype, norm.weight_K.dtype)
    if not x_MK.is_cuda:
        dtype = torch.float32  # on a CPU, x must have the dtype of the statistics
    dx_MK, gamma_K, beta_K = torch.ops.aten.native_layer_norm_backward(
        dz_MK.to(dtype),
        x_MK.to(dtype),
        x_MK.shape[1:],
        saved.mean_M[:, None],
        saved.rstd_M[:, None],
        norm.weight_K.to(dtype),
        norm.bias_K.to(dtype),
        [True, "gamma" in needed, "beta" in needed],
    )
    grads = {"x": dx_MK, "gamma": gamma_K, "beta": beta_K}
    return {name: grad for name, grad in grads.items() if grad is not None}


def _before(x_MK: Tensor, layer: Layer) -> Tensor:
    """Return z = before(x), in the dtype of the products."""
    if not isinstance(layer.before, Norm):
        return apply_before(x_MK, layer.before).to(layer.dtype)
    weight_K, bias_K, eps = layer.before
    dtype = torch.promote_types(x_MK.dtype, weight_K.dtype)
    norm = Norm(weight_K.to(dtype), bias_K.to(dtype), eps)
    return apply_before(x_MK.to(dtype), norm).to(layer.dtype)


def _scaled_gates(layer: Layer, rows: int) -> Tensor:
    """Return scale * gates for each row and rank: (M, C) in fp32."""
    gates_GC = (layer.gates_GE.float() * layer.scale).repeat_interleave(layer.a_ERK.shape[1], 1)
    return gates_GC.repeat_interleave(rows // len(gates_GC), 0) if rows else gates_GC[:0]


def _joined_columns(b_ENR: Tensor) -> Tensor:
    """Put the experts side by side: (N, C)."""
    return b_ENR.transpose(0, 1).flatten(1)


def _grouped_forward(
    x_MK: Tensor, layer: Layer, residual_MN: Tensor | None, saved: SavedTensors | None
) -> Tensor:
    z_MK = _before(x_MK, layer)
    bias_N = None if layer.bias_N is None else layer.cast(layer.bias_N)
    low_MC = F.linear(z_MK, layer.cast(layer.a_ERK).flatten(0, 1))
    gated_MC = (low_MC * _scaled_gates(layer, len(x_MK))).to(low_MC.dtype)
    y_MN = F.linear(gated_MC, _joined_columns(layer.cast(layer.b_ENR)))
    if layer.weight_NK is not None:
        y_MN = F.linear(z_MK, layer.cast(layer.weight_NK), bias_N) + y_MN
    elif bias_N is not None:
        y_MN = y_MN + bias_N
    if saved is not None:
        saved.low_MC.copy_(low_MC)
        if isinstance(layer.before, Norm):
            variance_M, mean_M = torch.var_mean(x_MK.float(), 1, correction=0)
            saved.mean_M.copy_(mean_M)
            saved.rstd_M.copy_((variance_M + layer.before.eps).rsqrt())
    return y_MN if residual_MN is None else residual_MN + y_MN


def _arch(x: Tensor) -> int:
    """Return the compute capability of x's GPU times ten; 90 in the interpreter."""
    major, minor = torch.cuda.get_device_capability(x.device) if x.is_cuda else (9, 0)
    return 10 * major + minor
