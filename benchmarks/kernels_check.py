"""Are gradients on the GPU those of the reference, and is training with them the same training?

    python -m benchmarks.kernels_check           # needs a CUDA device
    python -m benchmarks.kernels_check --smoke   # tiny sizes, anywhere

First every gradient of every design in three dtypes against the reference in float64, beside how
far the reference itself is in that dtype: ours may be twice as far. Then 500 steps of the same
training, fused and in plain torch from the same start: the loss curves, smoothed over 20 steps,
may differ by 3 % at most. Writes kernels_check.json into $OUT or results/, and exits with 1 if
either fails.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu_clock import CUDA, DEVICE, OUT, about, smoke_asked
from kernels import reference
from kernels.dispatch import Design
from kernels.moe_lora import Norm, moe_lora_linear

DESIGNS: tuple[Design, ...] = ("one_pass", "split", "augmented", "grouped")
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# samples, tokens, K, N, experts, rank, gates per token, norm and GELU
SIZES = (
    (4, 261, 768, 1024, 4, 8, False, True),
    (2, 77, 384, 1536, 8, 16, True, False),
    (64, 77, 512, 512, 3, 5, False, False),
)
TINY = ((2, 5, 24, 20, 3, 4, True, True),)
LIKE = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}  # as near as is needed
STEPS, NEAR = 500, 0.03


def gradients(sizes: tuple[Any, ...], dtype: torch.dtype, design: Design) -> dict[str, Any]:
    """By name, relative distances from float64: [ours, the reference's in this dtype]."""
    samples, tokens, k, n, experts, rank, per_token, around = sizes
    torch.manual_seed(0)
    rows = (samples, tokens) if per_token else (samples,)
    shapes = {
        "x": (samples, tokens, k),
        "weight": (n, k),
        "bias": (n,),
        "a": (experts, rank, k),
        "b": (experts, n, rank),
        "gates": (*rows, experts),
        "gamma": (k,),
        "beta": (k,),
    }
    leaves = {}
    for name, shape in shapes.items():
        size = k**-0.5 if name in ("weight", "a") else rank**-0.5 if name == "b" else 1
        leaves[name] = (torch.randn(shape, device=DEVICE) * size).to(dtype)
    seed = torch.randn(samples, tokens, n, device=DEVICE).to(dtype)
    used = [name for name in leaves if around or name not in ("gamma", "beta")]

    def run(how: Design | None, wide: torch.dtype) -> list[Tensor]:
        own = {name: t.detach().to(wide).requires_grad_() for name, t in leaves.items()}
        args = [own[name] for name in ("x", "weight", "bias", "a", "b", "gates")]
        norm = Norm(own["gamma"], own["beta"]) if around else None
        if how is None:
            y = reference.moe_lora_linear(*args, 0.5, norm=norm, gelu=around)
        else:
            y = moe_lora_linear(*args, 0.5, norm=norm, gelu=around, design=how)
        return [y, *torch.autograd.grad(y, [own[name] for name in used], seed.to(wide))]

    exact = run(None, torch.float64)

    def far(results: list[Tensor]) -> list[float]:
        pairs = zip(results, exact, strict=True)
        return [((r.double() - e).norm() / e.norm()).item() for r, e in pairs]

    ours, torchs = far(run(design, dtype)), far(run(None, dtype))
    names = ["y", *used]
    bad = [
        name
        for name, mine, theirs in zip(names, ours, torchs, strict=True)
        if not mine <= max(2 * theirs, LIKE[dtype])
    ]
    rounded = {
        name: [float(f"{mine:.2e}"), float(f"{theirs:.2e}")]
        for name, mine, theirs in zip(names, ours, torchs, strict=True)
    }
    return {"sizes": sizes, "dtype": str(dtype), "design": design, "far": rounded, "bad": bad}


class Net(nn.Module):
    """Two frozen layers with norm, GELU, experts and a router each: `fused` or not."""

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
            layer.gamma = nn.Parameter(torch.ones(inputs))
            layer.beta = nn.Parameter(torch.zeros(inputs))
            self.layers.append(layer)
        self.to(DEVICE)

    def forward(self, x_BTK: Tensor) -> Tensor:
        mean_BK = x_BTK.mean(1)
        x, how = x_BTK.to(self.dtype), moe_lora_linear if self.fused else None
        for i, layer in enumerate(self.layers):
            gates = F.linear(mean_BK, layer.router).softmax(-1)
            frozen = (layer.weight.to(self.dtype), layer.bias.to(self.dtype))
            norm = Norm(layer.gamma.to(self.dtype), layer.beta.to(self.dtype))
            args = (x, *frozen, layer.a, layer.b, gates, 1.0)
            if how is not None and CUDA:
                x = how(*args, norm=norm, gelu=i == 0)
            elif how is not None:  # else a CPU would take the reference
                x = how(*args, norm=norm, gelu=i == 0, design="one_pass")
            else:
                x = reference.moe_lora_linear(*args, norm=norm, gelu=i == 0)
        return x


def curve(fused: bool, steps: int, width: int, hidden: int, batch: int) -> list[float]:
    """The loss of each step, while experts learn another random layer's outputs."""
    dtype = torch.bfloat16 if CUDA else torch.float32
    net = Net(width, hidden, fused, dtype)
    torch.manual_seed(2)
    teacher = torch.randn(width, width, device=DEVICE) * width**-0.5
    learned = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=2e-3)
    losses = []
    for _ in range(steps):
        x = torch.randn(batch, 50, width, device=DEVICE)
        loss = (net(x).float() - x @ teacher.T).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


def smooth(losses: list[float], over: int = 20) -> list[float]:
    return [
        sum(part) / len(part) for i in range(0, len(losses), over) if (part := losses[i : i + over])
    ]


def main() -> None:
    smoke = smoke_asked("benchmarks.kernels_check", __doc__)
    rows = []
    for sizes in TINY if smoke else SIZES:
        for dtype in DTYPES:
            for design in DESIGNS:
                rows.append(gradients(sizes, dtype, design))
                print(json.dumps(rows[-1]), flush=True)
    plan = (6, 16, 24, 2) if smoke else (STEPS, 384, 1536, 32)
    fused, plain = curve(True, *plan), curve(False, *plan)
    apart = max(abs(f - p) / p for f, p in zip(smooth(fused), smooth(plain), strict=True))
    results = {
        "about": about(),
        "gradients": rows,
        "training": {"steps": plan[0], "apart": apart, "fused": fused, "reference": plain},
    }
    first, last = smooth(fused)[0], smooth(fused)[-1]
    print(f"loss {first:.4f} to {last:.4f} in {plan[0]} steps; curves {100 * apart:.2f} % apart")
    if not smoke:
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "kernels_check.json").write_text(json.dumps(results, indent=1) + "\n")
    bad = [r for r in rows if r["bad"]]
    if bad or not apart <= NEAR:
        sys.exit(f"{len(bad)} sets of gradients are too far, curves {apart:.4f} apart")


if __name__ == "__main__":
    main()
