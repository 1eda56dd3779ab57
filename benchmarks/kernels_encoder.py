"""What do experts on every linear layer cost a whole ViT-L/14 encode, and a step of its training?

    python -m benchmarks.kernels_encoder           # needs a CUDA device
    python -m benchmarks.kernels_encoder --smoke   # tiny sizes, anywhere: do they run and agree?

Random weights in bf16, 224 x 224 pictures, four experts of rank 8 and a router beside each of the
96 linear layers. `plain` is the same tower without; `reference` has its experts in plain torch. A
step is forward and backward: to the pictures for the plain tower, else to experts and routers,
which stay in fp32. Throughput is the inverse of the ratio. Writes kernels_encoder.json into $OUT
or results/.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.gpu_clock import CUDA, DEVICE, OUT, Arm, about, ratios, smoke_asked, timed
from kernels import reference
from kernels.moe_lora import Norm, moe_lora_linear
from kernels.routing import route
from retrieval.attention import Surrounded
from retrieval.tower import Block, run

EXPERTS, RANK, PROTOTYPE = 4, 8, 128


class Sizes(NamedTuple):
    width: int
    depth: int
    heads: int
    hidden: int
    picture: int
    patch: int
    out: int


LARGE = Sizes(1024, 24, 16, 4096, 224, 14, 768)
TINY = Sizes(32, 2, 2, 48, 28, 14, 16)


class Adapted(Surrounded):
    """A frozen linear layer, its experts and their router; `prototype_BD` is set beforehand."""

    prototype_BD: Tensor

    def __init__(self, linear: nn.Linear, how: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias, self.how = linear.weight, linear.bias, how
        outputs, inputs = linear.weight.shape
        device = linear.weight.device
        a = torch.randn(EXPERTS, RANK, inputs, device=device, dtype=dtype) * inputs**-0.5
        b = torch.randn(EXPERTS, outputs, RANK, device=device, dtype=dtype) * 0.02
        self.a_ERK, self.b_ENR = nn.Parameter(a), nn.Parameter(b)
        self.router = nn.Parameter(0.02 * torch.randn(EXPERTS, PROTOTYPE, device=device))

    def forward(
        self, x: Tensor, norm: nn.Module | None = None, act: nn.Module | None = None
    ) -> Tensor:
        gates = route(self.prototype_BD, self.router, 0.1)
        around = Norm(norm.weight, norm.bias, norm.eps) if isinstance(norm, nn.LayerNorm) else None
        tensors = (x, self.weight, self.bias, self.a_ERK, self.b_ENR, gates)
        layer = reference.moe_lora_linear if self.how == "reference" else moe_lora_linear
        return layer(*tensors, 1.0, norm=around, gelu=act is not None)


class Vit(nn.Module):
    """The image tower of OpenCLIP's ViT, of our blocks; `how` is plain, ours or reference."""

    def __init__(self, sizes: Sizes, how: str, dtype: torch.dtype, experts: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        w, self.how = sizes.width, how
        with torch.device(DEVICE):
            self.patch = nn.Conv2d(3, w, sizes.patch, sizes.patch, bias=False)
            tokens = (sizes.picture // sizes.patch) ** 2 + 1
            self.cls_W = nn.Parameter(torch.randn(w) * w**-0.5)
            self.place_TW = nn.Parameter(torch.randn(tokens, w) * w**-0.5)
            self.before, self.behind = nn.LayerNorm(w), nn.LayerNorm(w)
            self.blocks = nn.ModuleList(
                Block(w, sizes.heads, sizes.hidden) for _ in range(sizes.depth)
            )
            self.out_WD = nn.Parameter(torch.randn(w, sizes.out) * w**-0.5)
        self.to(dtype).requires_grad_(False)
        if how != "plain":
            torch.manual_seed(1)
            for block in self.blocks:
                for parent, name in (
                    (block.attention, "qkv"),
                    (block.attention, "out"),
                    (block, "expand"),
                    (block, "contract"),
                ):
                    setattr(parent, name, Adapted(getattr(parent, name), how, experts))

    def forward(self, pictures: Tensor, prototype_BD: Tensor) -> Tensor:
        for module in self.modules():
            if isinstance(module, Adapted):
                module.prototype_BD = prototype_BD
        x_BTW = self.patch(pictures).flatten(2).transpose(1, 2)
        x_BTW = torch.cat((self.cls_W.expand(len(x_BTW), 1, -1), x_BTW), 1) + self.place_TW
        x_BTW = run(list(self.blocks), self.before(x_BTW), 0, 0)  # type: ignore[arg-type]
        return self.behind(x_BTW[:, 0]) @ self.out_WD


def compare(sizes: Sizes, batch: int, *, training: bool, turns: int) -> dict[str, Any]:
    """Times of the three towers on the same pictures, and how far ours is from the reference."""
    dtype = torch.bfloat16 if CUDA else torch.float32
    torch.manual_seed(2)
    pictures = torch.randn(batch, 3, sizes.picture, sizes.picture, device=DEVICE, dtype=dtype)
    prototype = nn.functional.normalize(torch.randn(batch, PROTOTYPE, device=DEVICE), dim=1)
    kind = torch.float32 if training else dtype
    towers = {how: Vit(sizes, how, dtype, kind) for how in ("plain", "ours", "reference")}
    arms: dict[str, Arm] = {}
    for how, tower in towers.items():
        learned = [p for p in tower.parameters() if p.requires_grad]
        if training:
            leaves = learned or [pictures.requires_grad_()]

            def step(tower: Vit = tower, leaves: list[Tensor] = leaves) -> object:
                return torch.autograd.grad(tower(pictures, prototype).float().sum(), leaves)

            arms[how] = step
        else:
            arms[how] = lambda tower=tower: tower(pictures, prototype)
    with torch.no_grad():
        ours, expected = (towers[h](pictures, prototype).float() for h in ("ours", "reference"))
        far = ((ours - expected).norm() / expected.norm()).item()
    with torch.set_grad_enabled(training):
        times = timed(arms, turns)
    ratios(times)
    what = "training step" if training else "encode"
    return {"what": what, "batch": batch, "arms": times, "ours_from_reference": round(far, 5)}


def main() -> None:
    smoke = smoke_asked("benchmarks.kernels_encoder", __doc__)
    results: dict[str, Any] = {"about": about(), "experts": EXPERTS, "rank": RANK, "rows": []}
    plan = [(2, False), (2, True)] if smoke else [(1, False), (8, False), (64, False), (32, True)]
    for batch, training in plan:
        row = compare(TINY if smoke else LARGE, batch, training=training, turns=2 if smoke else 8)
        results["rows"].append(row)
        print(json.dumps(row), flush=True)
        if row["ours_from_reference"] > 0.05:
            sys.exit("ours is not the reference: its times are worth nothing")
    if not smoke:
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "kernels_encoder.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
