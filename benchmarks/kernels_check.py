"""Compare fused gradients and a fused training run with the reference on the GPU.

    python -m benchmarks.kernels_check           # needs a CUDA device
    python -m benchmarks.kernels_check --smoke   # tiny sizes, anywhere

First, every gradient of every design in three dtypes is compared with the float64 reference. Its
error may be at most twice the error of the reference in the same dtype. Then the same training
runs for 500 steps, fused and in plain torch, from the same start. The loss curves, smoothed over
20 steps, may differ by at most 3 %. Writes kernels_check.json into $OUT or results/, and exits
with 1 if either check fails.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu_clock import CUDA, DEVICE, OUT, environment, parse_smoke
from kernels import reference
from kernels.dispatch import DESIGNS, Design
from kernels.moe_lora import Before, Norm, moe_lora_linear

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# An error below this always passes, however small the error of the reference is.
ACCEPTED_ERROR = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}
STEPS, MAX_CURVE_DIFFERENCE = 500, 0.03


class GradientCase(NamedTuple):
    """The sizes and options of one layer."""

    samples: int
    tokens: int
    inputs: int
    outputs: int
    experts: int
    rank: int
    per_token: bool
    before: Literal["", "norm", "gelu"]
    residual: bool = False


CASES = (
    GradientCase(4, 261, 768, 1024, 4, 8, per_token=False, before="norm"),
    GradientCase(20, 261, 1024, 512, 4, 8, per_token=False, before="gelu", residual=True),
    GradientCase(2, 77, 384, 1536, 8, 16, per_token=True, before=""),
    GradientCase(64, 77, 512, 512, 3, 5, per_token=False, before="", residual=True),
)
TINY_CASES = (
    GradientCase(2, 5, 24, 20, 3, 4, per_token=True, before="norm", residual=True),
    GradientCase(2, 5, 24, 20, 3, 4, per_token=True, before=""),
)


def compare_gradients(case: GradientCase, dtype: torch.dtype, design: Design) -> dict[str, Any]:
    """Return the relative errors from float64 by name: [ours, the reference's in this dtype]."""
    c = case
    torch.manual_seed(0)
    rows = (c.samples, c.tokens) if c.per_token else (c.samples,)
    shapes = {
        "x": (c.samples, c.tokens, c.inputs),
        "weight": (c.outputs, c.inputs),
        "bias": (c.outputs,),
        "a": (c.experts, c.rank, c.inputs),
        "b": (c.experts, c.outputs, c.rank),
        "gates": (*rows, c.experts),
        "gamma": (c.inputs,),
        "beta": (c.inputs,),
        "residual": (c.samples, c.tokens, c.outputs),
    }
    std = {"weight": c.inputs**-0.5, "a": c.inputs**-0.5, "b": c.rank**-0.5}
    tensors = {
        name: (torch.randn(shape, device=DEVICE) * std.get(name, 1)).to(dtype)
        for name, shape in shapes.items()
    }
    dy = torch.randn(c.samples, c.tokens, c.outputs, device=DEVICE).to(dtype)
    unused = set() if c.before == "norm" else {"gamma", "beta"}
    unused |= set() if c.residual else {"residual"}
    differentiated = [name for name in tensors if name not in unused]

    def run(design: Design | None, run_dtype: torch.dtype) -> list[Tensor]:
        """Return the output and the gradients, by a design or by the reference."""
        leaves = {name: t.detach().to(run_dtype).requires_grad_() for name, t in tensors.items()}
        args = [leaves[name] for name in ("x", "weight", "bias", "a", "b", "gates")]
        before: Before = c.before or None  # type: ignore[assignment]
        if c.before == "norm":
            before = Norm(leaves["gamma"], leaves["beta"])
        options = {"before": before, "residual": leaves["residual"] if c.residual else None}
        if design is None:
            y = reference.moe_lora_linear(*args, 0.5, **options)
        else:
            y = moe_lora_linear(*args, 0.5, **options, design=design)
        inputs = [leaves[name] for name in differentiated]
        return [y, *torch.autograd.grad(y, inputs, dy.to(run_dtype))]

    exact = run(None, torch.float64)

    def relative_errors(results: list[Tensor]) -> list[float]:
        pairs = zip(results, exact, strict=True)
        return [((r.double() - e).norm() / e.norm()).item() for r, e in pairs]

    errors, reference_errors = (
        relative_errors(run(design, dtype)),
        relative_errors(run(None, dtype)),
    )
    names = ["y", *differentiated]
    failed = [
        name
        for name, error, reference_error in zip(names, errors, reference_errors, strict=True)
        if not error <= max(2 * reference_error, ACCEPTED_ERROR[dtype])
    ]
    rounded = {
        name: [float(f"{error:.2e}"), float(f"{reference_error:.2e}")]
        for name, error, reference_error in zip(names, errors, reference_errors, strict=True)
    }
    return {
        "case": case._asdict(),
        "dtype": str(dtype),
        "design": design,
        "errors": rounded,
        "failed": failed,
    }


class TwoLayerNetwork(nn.Module):
    """Two frozen layers with experts and routers, `fused` or by the reference.

    A norm comes before the first layer, a GELU before the second.
    """

    def __init__(self, width: int, hidden: int, fused: bool, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.fused, self.dtype = fused, dtype
        self.layers = nn.ModuleList()
        for inputs, outputs in ((width, hidden), (hidden, width)):
            layer = nn.Module()
            layer.weight = nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5)
            layer.weight.requires_grad_(False)
            layer.bias = nn.Parameter(torch.zeros(outputs), requires_grad=False)
            layer.a = nn.Parameter(torch.randn(4, 8, inputs) * inputs**-0.5)
            layer.b = nn.Parameter(torch.zeros(4, outputs, 8))
            layer.router = nn.Parameter(0.5 * torch.randn(4, width))
            if inputs == width:
                layer.gamma = nn.Parameter(torch.ones(inputs))
                layer.beta = nn.Parameter(torch.zeros(inputs))
            self.layers.append(layer)
        self.to(DEVICE)

    def forward(self, x_BTK: Tensor) -> Tensor:
        """Return the output of both layers, in the network's dtype."""
        mean_BK = x_BTK.mean(1)
        x = x_BTK.to(self.dtype)
        for i, layer in enumerate(self.layers):
            gates = F.linear(mean_BK, layer.router).softmax(-1)
            frozen = (layer.weight.to(self.dtype), layer.bias.to(self.dtype))
            before: Before = "gelu"
            if i == 0:
                before = Norm(layer.gamma.to(self.dtype), layer.beta.to(self.dtype))
            args = (x, *frozen, layer.a, layer.b, gates, 1.0)
            if not self.fused:
                x = reference.moe_lora_linear(*args, before=before)
            elif CUDA:
                x = moe_lora_linear(*args, before=before)
            else:  # without a design, a CPU would run the reference
                x = moe_lora_linear(*args, before=before, design="augmented")
        return x


def loss_curve(fused: bool, steps: int, width: int, hidden: int, batch: int) -> list[float]:
    """Return the loss of each step while the experts learn the outputs of a random layer."""
    dtype = torch.bfloat16 if CUDA else torch.float32
    network = TwoLayerNetwork(width, hidden, fused, dtype)
    torch.manual_seed(2)
    teacher = torch.randn(width, width, device=DEVICE) * width**-0.5
    trainable = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=2e-3)
    losses = []
    for _ in range(steps):
        x = torch.randn(batch, 50, width, device=DEVICE)
        loss = (network(x).float() - x @ teacher.T).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


def smooth(losses: list[float], window: int = 20) -> list[float]:
    """Return the mean loss of each window of steps."""
    starts = range(0, len(losses), window)
    windows = [losses[start : start + window] for start in starts]
    return [sum(values) / len(values) for values in windows]


def main() -> None:
    """Compare gradients and training, write the results, and exit with 1 on a failure."""
    smoke = parse_smoke("benchmarks.kernels_check", __doc__)
    gradients = []
    for case in TINY_CASES if smoke else CASES:
        for dtype in DTYPES:
            for design in DESIGNS[1:] if case.before else DESIGNS:
                gradients.append(compare_gradients(case, dtype, design))
                print(json.dumps(gradients[-1]), flush=True)
    plan = (6, 16, 24, 2) if smoke else (STEPS, 384, 1536, 32)
    fused, plain = loss_curve(True, *plan), loss_curve(False, *plan)
    difference = max(abs(f - p) / p for f, p in zip(smooth(fused), smooth(plain), strict=True))
    results = {
        "environment": environment(),
        "gradients": gradients,
        "training": {
            "steps": plan[0],
            "difference": difference,
            "fused": fused,
            "reference": plain,
        },
    }
    first, last = smooth(fused)[0], smooth(fused)[-1]
    print(
        f"loss {first:.4f} to {last:.4f} in {plan[0]} steps; "
        f"the curves differ by {100 * difference:.2f} %"
    )
    if not smoke:
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "kernels_check.json").write_text(json.dumps(results, indent=1) + "\n")
    failures = sum(bool(row["failed"]) for row in gradients)
    if failures or not difference <= MAX_CURVE_DIFFERENCE:
        sys.exit(
            f"{failures} sets of gradients exceed the allowed error; "
            f"the loss curves differ by {difference:.4f}"
        )


if __name__ == "__main__":
    main()
