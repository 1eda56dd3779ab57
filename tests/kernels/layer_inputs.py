"""Random inputs of a layer with experts, and the allowed error against the float64 reference."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels import reference
from kernels.moe_lora import Before, Norm, moe_lora_linear

# Relative to the norm of the whole tensor. Sums are fp32; results and rank space are rounded to the
# dtype. The interpreter truncates bf16 instead of rounding it, and rounding S doubles the error.
TOLERANCE = {torch.float32: 2e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}


@dataclass(frozen=True)
class LayerSizes:
    """The dimensions of one layer call."""

    batch: int
    tokens: int
    inputs: int
    outputs: int
    experts: int
    rank: int


@dataclass
class LayerInputs:
    """Float64 inputs of a layer: x, weight, bias, a, b, gates, gamma, beta and residual."""

    tensors: dict[str, Tensor]
    scale: float = 0.7
    gelu: bool = False

    def cast(self, dtype: torch.dtype, device: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return leaves for the kernel in `dtype`, and the same values in float64."""
        low = {k: t.to(device, dtype) for k, t in self.tensors.items()}
        high = {k: t.double().requires_grad_() for k, t in low.items()}
        return {k: t.requires_grad_() for k, t in low.items()}, high

    def run(self, leaves: dict[str, Tensor], design: str | None = None) -> Tensor:
        """Run the layer by a design, or by the reference if there is none."""
        x, weight, bias, a, b, gates = (
            leaves.get(k) for k in ("x", "weight", "bias", "a", "b", "gates")
        )
        before: Before = "gelu" if self.gelu else None
        if "gamma" in leaves:
            before = Norm(leaves["gamma"], leaves["beta"])
        args = (x, weight, bias, a, b, gates, self.scale)
        options = {"before": before, "residual": leaves.get("residual")}
        if design is None:
            return reference.moe_lora_linear(*args, **options)
        return moe_lora_linear(*args, **options, design=design)


def make_inputs(
    sizes: LayerSizes,
    *,
    per_token: bool = False,
    load: str = "spread",
    bias: bool = True,
    norm: bool = False,
    gelu: bool = False,
    residual: bool = False,
    seed: int = 3,
) -> LayerInputs:
    """Draw the inputs of a layer.

    `load` sets the gates: spread over all experts, "idle" (expert 0 gets nothing), "one" (expert 0
    gets everything) or "none" (all are zero).
    """
    torch.manual_seed(seed)
    s = sizes

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    rows = (s.batch, s.tokens) if per_token else (s.batch,)
    gates = torch.rand(*rows, s.experts, dtype=torch.float64)
    if load == "idle":
        gates[..., 0] = 0
    elif load == "one":
        gates[..., 1:] = 0
    elif load == "none":
        gates.zero_()
    tensors = {
        "x": draw(s.batch, s.tokens, s.inputs),
        "weight": draw(s.outputs, s.inputs) / s.inputs**0.5,
        "a": draw(s.experts, s.rank, s.inputs) / s.inputs**0.5,
        "b": draw(s.experts, s.outputs, s.rank) / s.rank**0.5,
        "gates": gates,
    }
    if bias:
        tensors["bias"] = draw(s.outputs)
    if norm:
        tensors |= {"gamma": 1 + 0.3 * draw(s.inputs), "beta": 0.3 * draw(s.inputs)}
        tensors["x"] = 3 + 2 * tensors["x"]
    if residual:
        tensors["residual"] = draw(s.batch, s.tokens, s.outputs)
    return LayerInputs(tensors, gelu=gelu)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return the error relative to the expected norm, or the absolute error where that is 0."""
    assert actual.shape == expected.shape
    size = expected.norm().item()
    return (actual.double() - expected).norm().item() / (size or 1)


def assert_matches_reference(
    inputs: LayerInputs, design: str, dtype: torch.dtype, device: str
) -> None:
    """Compare the values and every gradient of a design with the float64 reference."""
    low, high = inputs.cast(dtype, device)
    y, expected = inputs.run(low, design), inputs.run(high)
    assert y.dtype == dtype
    assert relative_error(y, expected) < TOLERANCE[dtype]
    dy = torch.randn_like(expected).to(dtype)
    grads = torch.autograd.grad(y, list(low.values()), dy)
    expected_grads = torch.autograd.grad(expected, list(high.values()), dy.double())
    for name, grad, expected_grad in zip(low, grads, expected_grads, strict=True):
        assert grad.dtype == dtype, name
        assert relative_error(grad, expected_grad) < TOLERANCE[dtype], name
