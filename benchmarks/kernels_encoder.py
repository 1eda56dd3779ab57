"""Measure whole encodes and a training step of ViT towers with experts, against the plain towers.

    python -m benchmarks.kernels_encoder           # needs a CUDA device
    python -m benchmarks.kernels_encoder --smoke   # tiny sizes, anywhere: do they run and agree?

ViT-L/14 and ViT-B/32 have random weights in bf16 and encode pictures of 224 x 224. Each of their
96 or 48 linear layers has four experts of rank 8 and a router. `plain` is the same tower without
experts; `reference` computes its experts in plain torch. A training step is forward and backward:
to the pictures in the plain tower, else to the experts and routers, which stay in fp32. Throughput
is the inverse of the ratio. Writes kernels_encoder.json into $OUT or results/.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.gpu_clock import (
    CUDA,
    DEVICE,
    OUT,
    Arm,
    add_ratios,
    environment,
    parse_smoke,
    time_arms,
)
from kernels import reference
from kernels.moe_lora import Before, Norm, moe_lora_linear
from kernels.routing import route
from retrieval.attention import FusableLinear
from retrieval.tower import TransformerBlock, run_blocks

EXPERTS, RANK, PROTOTYPE_WIDTH = 4, 8, 128
Variant = Literal["plain", "ours", "reference"]
VARIANTS: tuple[Variant, ...] = ("plain", "ours", "reference")


class TowerSizes(NamedTuple):
    """The dimensions of an image tower; pictures and patches in pixels."""

    width: int
    depth: int
    heads: int
    hidden: int
    picture: int
    patch: int
    output: int


TOWERS = {
    "ViT-L/14": TowerSizes(1024, 24, 16, 4096, 224, 14, 768),
    "ViT-B/32": TowerSizes(768, 12, 12, 3072, 224, 32, 512),
    "tiny": TowerSizes(32, 2, 2, 48, 28, 14, 16),
}


class ExpertLinear(FusableLinear):
    """A frozen linear layer with its experts and their router; set `gates_BE` before a call."""

    gates_BE: Tensor

    def __init__(self, linear: nn.Linear, variant: Variant, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias, self.variant = linear.weight, linear.bias, variant
        outputs, inputs = linear.weight.shape
        device = linear.weight.device
        a = torch.randn(EXPERTS, RANK, inputs, device=device, dtype=dtype) * inputs**-0.5
        b = torch.randn(EXPERTS, outputs, RANK, device=device, dtype=dtype) * 0.02
        self.a_ERK, self.b_ENR = nn.Parameter(a), nn.Parameter(b)
        self.router = nn.Parameter(0.02 * torch.randn(EXPERTS, PROTOTYPE_WIDTH, device=device))

    def forward(
        self, x: Tensor, before: nn.Module | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """Return the layer's output, with `before` before it and the residual added."""
        operation: Before = "gelu" if isinstance(before, nn.GELU) else None
        if isinstance(before, nn.LayerNorm):
            operation = Norm(before.weight, before.bias, before.eps)
        tensors = (x, self.weight, self.bias, self.a_ERK, self.b_ENR, self.gates_BE)
        layer = reference.moe_lora_linear if self.variant == "reference" else moe_lora_linear
        return layer(*tensors, 1.0, before=operation, residual=residual)


class VisionTower(nn.Module):
    """The image tower of OpenCLIP's ViT, built from our blocks."""

    def __init__(
        self, sizes: TowerSizes, variant: Variant, dtype: torch.dtype, expert_dtype: torch.dtype
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        w, self.variant = sizes.width, variant
        with torch.device(DEVICE):
            self.patch = nn.Conv2d(3, w, sizes.patch, sizes.patch, bias=False)
            tokens = (sizes.picture // sizes.patch) ** 2 + 1
            self.cls_W = nn.Parameter(torch.randn(w) * w**-0.5)
            self.position_TW = nn.Parameter(torch.randn(tokens, w) * w**-0.5)
            self.pre_norm, self.post_norm = nn.LayerNorm(w), nn.LayerNorm(w)
            self.blocks = nn.ModuleList(
                TransformerBlock(w, sizes.heads, sizes.hidden) for _ in range(sizes.depth)
            )
            self.output_WD = nn.Parameter(torch.randn(w, sizes.output) * w**-0.5)
        self.to(dtype).requires_grad_(False)
        if variant != "plain":
            torch.manual_seed(1)
            for block in self.blocks:
                for parent, name in (
                    (block.attention, "qkv"),
                    (block.attention, "out"),
                    (block, "expand"),
                    (block, "contract"),
                ):
                    linear = getattr(parent, name)
                    setattr(parent, name, ExpertLinear(linear, variant, expert_dtype))

    def forward(self, pictures: Tensor, prototype_BD: Tensor) -> Tensor:
        """Return the vectors of pictures; `prototype_BD` routes the experts."""
        layers = [module for module in self.modules() if isinstance(module, ExpertLinear)]
        if layers:  # as the encoder does: the routers of all layers in one launch
            weight_LED = torch.stack([layer.router for layer in layers])
            for layer, gates_BE in zip(layers, route(prototype_BD, weight_LED, 0.1), strict=True):
                layer.gates_BE = gates_BE
        x_BTW = self.patch(pictures).flatten(2).transpose(1, 2)
        x_BTW = torch.cat((self.cls_W.expand(len(x_BTW), 1, -1), x_BTW), 1) + self.position_TW
        x_BTW = run_blocks(list(self.blocks), self.pre_norm(x_BTW), 0, 0)  # type: ignore[arg-type]
        return self.post_norm(x_BTW[:, 0]) @ self.output_WD


def compare(name: str, batch: int, *, training: bool, rounds: int) -> dict[str, Any]:
    """Time the three towers on the same pictures, and compare our output with the reference."""
    sizes = TOWERS[name]
    dtype = torch.bfloat16 if CUDA else torch.float32
    torch.manual_seed(2)
    pictures = torch.randn(batch, 3, sizes.picture, sizes.picture, device=DEVICE, dtype=dtype)
    prototype = nn.functional.normalize(torch.randn(batch, PROTOTYPE_WIDTH, device=DEVICE), dim=1)
    expert_dtype = torch.float32 if training else dtype
    towers = {v: VisionTower(sizes, v, dtype, expert_dtype) for v in VARIANTS}
    arms: dict[str, Arm] = {}
    for variant, tower in towers.items():
        trainable = [p for p in tower.parameters() if p.requires_grad]
        if training:
            leaves = trainable or [pictures.requires_grad_()]

            def step(tower: VisionTower = tower, leaves: list[Tensor] = leaves) -> object:
                return torch.autograd.grad(tower(pictures, prototype).float().sum(), leaves)

            arms[variant] = step
        else:
            arms[variant] = lambda tower=tower: tower(pictures, prototype)
    with torch.no_grad():
        ours = towers["ours"](pictures, prototype).float()
        expected = towers["reference"](pictures, prototype).float()
        distance = ((ours - expected).norm() / expected.norm()).item()
    with torch.set_grad_enabled(training):
        times = time_arms(arms, rounds)
    add_ratios(times)
    task = "training step" if training else "encode"
    return {
        "tower": name,
        "task": task,
        "batch": batch,
        "arms": times,
        "ours_from_reference": round(distance, 5),
    }


def main() -> None:
    """Measure encodes and a training step, and write the results."""
    smoke = parse_smoke("benchmarks.kernels_encoder", __doc__)
    results: dict[str, Any] = {
        "environment": environment(),
        "experts": EXPERTS,
        "rank": RANK,
        "rows": [],
    }
    tasks = [(1, False), (8, False), (64, False), (32, True)]
    plan = [("ViT-L/14", *task) for task in tasks] + [("ViT-B/32", *task) for task in tasks]
    if smoke:
        plan = [("tiny", 2, False), ("tiny", 2, True)]
    for name, batch, training in plan:
        row = compare(name, batch, training=training, rounds=2 if smoke else 8)
        results["rows"].append(row)
        print(json.dumps(row), flush=True)
        if row["ours_from_reference"] > 0.05:
            sys.exit("our output differs from the reference, so its times mean nothing")
        if not smoke:  # keep partial results in case a time limit ends the run
            OUT.mkdir(parents=True, exist_ok=True)
            (OUT / "kernels_encoder.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
