"""Inputs of a layer with experts, and how far results may be from the reference in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels import reference
from kernels.moe_lora import Norm, moe_lora_linear

# Relative to the norm of the whole: sums are fp32, results and rank space are rounded to the dtype.
# The interpreter cuts bits of bf16 off instead of rounding, and rounding S costs as much again.
FAR = {torch.float32: 2e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}


@dataclass(frozen=True)
class Sizes:
    batch: int
    tokens: int
    inputs: int
    outputs: int
    experts: int
    rank: int


@dataclass
class Inputs:
    """Leaves in float64; `cast` gives what a kernel is given and what the reference is given."""

    tensors: dict[str, Tensor]
    scale: float = 0.7
    gelu: bool = False

    def cast(self, dtype: torch.dtype, device: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        low = {k: t.to(device, dtype) for k, t in self.tensors.items()}
        high = {k: t.double().requires_grad_() for k, t in low.items()}
        return {k: t.requires_grad_() for k, t in low.items()}, high

    def run(self, leaves: dict[str, Tensor], design: str | None = None) -> Tensor:
        """By a design, or by the reference."""
        x, weight, bias, a, b, gates = (
            leaves.get(k) for k in ("x", "weight", "bias", "a", "b", "gates")
        )
        norm = Norm(leaves["gamma"], leaves["beta"]) if "gamma" in leaves else None
        args = (x, weight, bias, a, b, gates, self.scale)
        if design is None:
            return reference.moe_lora_linear(*args, norm=norm, gelu=self.gelu)
        return moe_lora_linear(*args, norm=norm, gelu=self.gelu, design=design)


def make(
    sizes: Sizes,
    *,
    per_token: bool = False,
    load: str = "spread",
    bias: bool = True,
    norm: bool = False,
    gelu: bool = False,
    seed: int = 3,
) -> Inputs:
    """`load` is spread, idle (expert 0 has nothing to do), all on one, or none."""
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
    return Inputs(tensors, gelu=gelu)


def distance(got: Tensor, expected: Tensor) -> float:
    """Relative to the expected norm, or absolute where that is 0."""
    assert got.shape == expected.shape
    size = expected.norm().item()
    return (got.double() - expected).norm().item() / (size or 1)


def check(inputs: Inputs, design: str, dtype: torch.dtype, device: str) -> None:
    """The values and every gradient are those of the reference in float64."""
    low, high = inputs.cast(dtype, device)
    y, expected = inputs.run(low, design), inputs.run(high)
    assert y.dtype == dtype
    assert distance(y, expected) < FAR[dtype]
    seed = torch.randn_like(expected).to(dtype)
    got = torch.autograd.grad(y, list(low.values()), seed)
    wanted = torch.autograd.grad(expected, list(high.values()), seed.double())
    for name, mine, theirs in zip(low, got, wanted, strict=True):
        assert mine.dtype == dtype, name
        assert distance(mine, theirs) < FAR[dtype], name
