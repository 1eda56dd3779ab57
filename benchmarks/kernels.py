"""How near is a layer with experts to the plain layer, and which design is nearest where?

    python -m benchmarks.kernels           # needs a CUDA device
    python -m benchmarks.kernels --smoke   # tiny sizes, anywhere: do all arms run and agree?

All arms on the same inputs in one run, by turns; every ratio is to the plain layer of the same row
(with its norm and GELU, where the row has them). Before an arm is timed its result is compared with
the reference in fp32: what is wrong has no time. Three clocks: CUDA graphs, the wall (launches
included), and `do_bench` of Triton, which empties L2 between calls. Writes kernels.json and
kernels.md into $OUT, or else into results/; a smoke run writes nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.gpu_clock import CUDA, DEVICE, OUT, Arm, about, ratios, smoke_asked, timed
from kernels import reference
from kernels.dispatch import Problem as Layer
from kernels.dispatch import choose, tile
from kernels.moe_lora import Norm, moe_lora_linear

FAR = 3e-2  # from the reference in fp32, relative: twice what bf16 results are apart
TURNS = 15


class Row(NamedTuple):
    """Sizes of a layer; `compiled`: with arms of torch.compile, which take long to make."""

    samples: int
    tokens: int
    inputs: int
    outputs: int
    experts: int = 4
    rank: int = 8
    per_token: bool = False
    norm: bool = False
    gelu: bool = False
    compiled: bool = False

    @property
    def name(self) -> str:
        kind = "token" if self.per_token else "sample"
        around = "".join([", norm" * self.norm, ", GELU" * self.gelu])
        sizes = f"{self.samples * self.tokens}, {self.inputs}, {self.outputs}"
        return f"{sizes}, ER {self.experts * self.rank}, gates per {kind}{around}"


ROWS = (
    Row(1, 50, 1024, 1024),
    Row(32, 50, 384, 384, compiled=True),
    Row(32, 50, 384, 1536, norm=True, gelu=True),
    Row(64, 261, 1024, 1024, compiled=True),
    Row(64, 261, 1024, 1024, per_token=True),
    Row(64, 261, 1024, 1024, experts=8),
    Row(64, 261, 1024, 1024, experts=16),
    Row(64, 261, 1024, 3072, norm=True),
    Row(64, 261, 1024, 4096),
    Row(64, 261, 1024, 4096, norm=True, gelu=True),
    Row(64, 261, 4096, 1024),
    Row(256, 77, 768, 3072),
    Row(384, 261, 1024, 1024),
)
TINY = (Row(2, 7, 24, 20), Row(1, 5, 24, 20, per_token=True, norm=True, gelu=True))


class Inputs:
    """One row's tensors, and the ways to compute it."""

    def __init__(self, row: Row, dtype: torch.dtype, *, gradients: bool) -> None:
        self.row = row
        torch.manual_seed(0)

        def draw(*shape: int, spread: float = 1.0) -> Tensor:
            return (torch.randn(*shape, device=DEVICE) * spread).to(dtype)

        r = row
        self.x = draw(r.samples, r.tokens, r.inputs).requires_grad_(gradients)
        self.weight = draw(r.outputs, r.inputs, spread=r.inputs**-0.5)
        self.bias = draw(r.outputs)
        self.a = draw(r.experts, r.rank, r.inputs, spread=r.inputs**-0.5).requires_grad_(gradients)
        self.b = draw(r.experts, r.outputs, r.rank, spread=0.3).requires_grad_(gradients)
        rows = (r.samples, r.tokens) if r.per_token else (r.samples,)
        gates = torch.rand(*rows, r.experts, device=DEVICE).softmax(-1)
        self.gates = gates.requires_grad_(gradients)
        self.norm = Norm(1 + draw(r.inputs, spread=0.1), draw(r.inputs, spread=0.1))
        self.seed = draw(r.samples, r.tokens, r.outputs)
        with torch.no_grad():
            mean = self.gates.flatten(0, -2).mean(0)
            self.even = mean.expand(r.samples, -1)
            self.merged_NK = self.weight + torch.einsum(
                "e,enr,erk->nk", mean.to(dtype), self.b, self.a
            )
            self.augmented_NC = torch.cat((self.weight, self._columns()), 1)
            self.idle_b = torch.zeros(2, r.outputs, 8, device=DEVICE, dtype=dtype)
            self.idle_low = torch.zeros(r.samples * r.tokens, 16, device=DEVICE, dtype=dtype)

    def _columns(self) -> Tensor:
        return self.b.transpose(0, 1).flatten(1)

    def _before(self) -> Tensor:
        if not self.row.norm:
            return self.x
        return F.layer_norm(self.x, self.x.shape[-1:], self.norm.weight_K, self.norm.bias_K)

    def _after(self, y: Tensor) -> Tensor:
        return F.gelu(y) if self.row.gelu else y

    def _gated(self, x: Tensor) -> Tensor:
        low = F.linear(x, self.a.flatten(0, 1)).unflatten(-1, (self.row.experts, -1))
        gates = self.gates if self.row.per_token else self.gates[:, None]
        return (low * gates[..., None].to(low.dtype)).flatten(-2)

    def plain(self) -> Tensor:
        return self._after(F.linear(self._before(), self.weight, self.bias))

    def merged(self) -> Tensor:
        return self._after(F.linear(self._before(), self.merged_NK, self.bias))

    def loop(self) -> Tensor:
        """Expert by expert, as PEFT's layers add their adapters."""
        x = self._before()
        y = F.linear(x, self.weight, self.bias)
        gates = self.gates if self.row.per_token else self.gates[:, None]
        for e in range(self.row.experts):
            y = y + gates[..., e, None].to(y.dtype) * F.linear(F.linear(x, self.a[e]), self.b[e])
        return self._after(y)

    def grouped(self) -> Tensor:
        norm = self.norm if self.row.norm else None
        tensors = (self.x, self.weight, self.bias, self.a, self.b, self.gates)
        return reference.moe_lora_linear(*tensors, 1.0, norm=norm, gelu=self.row.gelu)

    def joined(self) -> Tensor:
        """[x | S] [W | B]^T in torch; only the copy of x and S is paid for, W | B is there."""
        x = self._before()
        both = torch.cat((x, self._gated(x)), -1)
        return self._after(F.linear(both, self.augmented_NC, self.bias))

    def joined_with_gradients(self) -> Tensor:
        x = self._before()
        both = torch.cat((x, self._gated(x)), -1)
        weight = torch.cat((self.weight, self._columns()), 1)
        return self._after(F.linear(both, weight, self.bias))

    def added(self) -> Tensor:
        """The base, a shrink kernel, and an expand into the result: as vLLM serves LoRA."""
        from kernels.gpu.shrink import shrink

        x = self._before().flatten(0, 1)
        y = F.linear(x, self.weight, self.bias)
        gates = self.gates.flatten(0, -2)
        s = shrink(x, None, self.a, gates, 1.0, None, tile("shrink", self.problem()), copy=False)
        y.addmm_(s[:, : self.row.experts * self.row.rank], self._columns().T)
        return self._after(y).view(*self.x.shape[:-1], -1)

    def triton_gemm(self) -> Tensor:
        """Our GEMM with 16 ranks of zeros: what Triton costs beside cuBLAS, without experts."""
        from kernels.gpu.split import split

        x = self._before().flatten(0, 1)
        at = tile("split", self.problem())
        ranks = (self.idle_low, self.idle_b, None, at)
        y = split(x, self.weight, self.bias, *ranks, gelu=self.row.gelu)
        return y.view(*self.x.shape[:-1], -1)

    def ours(self, design: Any = None) -> Tensor:
        norm = self.norm if self.row.norm else None
        tensors = (self.x, self.weight, self.bias, self.a, self.b, self.gates)
        # without CUDA the dispatcher would take the reference
        design = design or (None if CUDA else choose(self.problem()))
        return moe_lora_linear(*tensors, 1.0, norm=norm, gelu=self.row.gelu, design=design)

    def problem(self) -> Layer:
        r = self.row
        arch = 10 * torch.cuda.get_device_capability()[0] if CUDA else 90
        ranks, rows = r.experts * r.rank, r.samples * r.tokens
        kind = (self.x.dtype, arch, r.norm, r.gelu, True, self.x.requires_grad)
        return Layer(rows, r.inputs, r.outputs, ranks, *kind)

    def backward(self, run: Callable[[], Tensor]) -> Arm:
        leaves = [self.x, self.a, self.b, self.gates]

        def both() -> object:
            return torch.autograd.grad(run(), leaves, self.seed, allow_unused=True)

        return both


def forward_arms(i: Inputs) -> dict[str, Callable[[], Tensor]]:
    arms: dict[str, Callable[[], Tensor]] = {
        "plain": i.plain,
        "ours": i.ours,
        "one_pass": lambda: i.ours("one_pass"),
        "split": lambda: i.ours("split"),
        "augmented": lambda: i.ours("augmented"),
        "loop (PEFT)": i.loop,
        "grouped": i.grouped,
        "cat-K": i.joined,
        "shrink + expand": i.added,
        "Triton GEMM alone": i.triton_gemm,
        "merged before": i.merged,
    }
    if i.row.compiled:
        arms["grouped, compiled"] = torch.compile(i.grouped, dynamic=False)
        arms["cat-K, compiled"] = torch.compile(i.joined, dynamic=False)
    return arms


def training_arms(i: Inputs) -> dict[str, Callable[[], Tensor]]:
    arms: dict[str, Callable[[], Tensor]] = {
        "plain": i.plain,
        "ours": i.ours,
        "loop (PEFT)": i.loop,
        "grouped": i.grouped,
        "cat-K": i.joined_with_gradients,
    }
    if i.row.compiled:
        arms["grouped, compiled"] = torch.compile(i.grouped, dynamic=False)
    return arms


EXPECTED = {"plain": "plain", "Triton GEMM alone": "plain"}  # others: the layer with its experts
EXPECTED |= {"merged before": "merged"}


def wrong(inputs: Inputs, name: str, run: Callable[[], Tensor]) -> str | None:
    """Why an arm has no time: what it raised, or how far it is from the reference in fp32."""
    i, r = inputs, inputs.row
    kind = EXPECTED.get(name, "experts")
    gates = {"plain": torch.zeros_like(i.even), "merged": i.even, "experts": i.gates}[kind]
    norm = Norm(i.norm.weight_K.float(), i.norm.bias_K.float()) if r.norm else None
    tensors = (t.float() for t in (i.x, i.weight, i.bias, i.a, i.b, gates))
    try:
        with torch.no_grad():
            got = run().float()
            expected = reference.moe_lora_linear(*tensors, 1.0, norm=norm, gelu=r.gelu)
        far = ((got - expected).norm() / expected.norm()).item()
    except Exception as error:  # noqa: BLE001 - one arm's failure is a result, not the end
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None if far < FAR else f"{far:.3f} from the reference"


def measure(row: Row, dtype: torch.dtype, turns: int) -> Iterator[dict[str, Any]]:
    """Forward, and forward with backward."""
    for what, of in (("forward", forward_arms), ("forward and backward", training_arms)):
        inputs = Inputs(row, dtype, gradients=of is training_arms)
        arms = of(inputs)
        errors = {name: e for name, run in arms.items() if (e := wrong(inputs, name, run))}
        sound = {name: run for name, run in arms.items() if name not in errors}
        runs: dict[str, Arm] = dict(sound)
        if of is training_arms:
            runs = {name: inputs.backward(run) for name, run in sound.items()}
        with torch.set_grad_enabled(of is training_arms):
            times = timed(runs, turns)
        ratios(times)
        design = choose(inputs.problem())
        head = {"row": row.name, "what": what, "design": design}
        yield {**head, "arms": times, "errors": errors}


def table(results: dict[str, Any]) -> str:
    """Ratios to the plain layer under CUDA graphs, or by do_bench where a capture failed."""
    lines = ["# The layer with experts beside the plain layer", ""]
    lines += [
        "`python -m benchmarks.kernels`, ratios of medians under CUDA graphs.",
        "",
    ]
    lines += [f"{key}: {value}  " for key, value in results["about"].items()]
    for what in ("forward", "forward and backward"):
        rows = [r for r in results["rows"] if r["what"] == what]
        names = list(dict.fromkeys(name for r in rows for name in r["arms"]))
        lines += ["", f"## {what}", "", "| M, K, N | plain, µs | chosen | " + " | ".join(names[1:])]
        lines[-1] += " |"
        lines.append("|---" * (len(names) + 2) + "|")
        for r in rows:
            plain = r["arms"]["plain"]
            clock = "graph" if "graph" in plain else "wall"
            cells = [str(plain[clock][0]), r["design"]]
            for name in names[1:]:
                arm = r["arms"].get(name, {})
                cells.append(str(arm.get(f"ratio_{clock}", arm.get("ratio_do_bench", "–"))))
            lines.append(f"| {r['row']} | " + " | ".join(cells) + " |")
    errors = {e for r in results["rows"] for e in ({f"{k}: {v}" for k, v in r["errors"].items()})}
    if errors:
        lines += [
            "",
            "Not timed, because wrong or failed:",
            "",
            *(f"- {e}" for e in sorted(errors)),
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    smoke = smoke_asked("benchmarks.kernels", __doc__)
    rows, turns, dtype = (TINY, 2, torch.float32) if smoke else (ROWS, TURNS, torch.bfloat16)
    results: dict[str, Any] = {"about": {**about(), "dtype": str(dtype)}, "rows": []}
    for row in rows:
        for found in measure(row, dtype, turns):
            results["rows"].append(found)
            print(found["row"], found["what"], found["design"], found["errors"] or "", flush=True)
        torch._dynamo.reset()
        if not smoke:  # as far as it got, should time run out
            OUT.mkdir(parents=True, exist_ok=True)
            (OUT / "kernels.json").write_text(json.dumps(results, indent=1) + "\n")
            (OUT / "kernels.md").write_text(table(results))
    print(table(results))
    if smoke and any(r["errors"] for r in results["rows"]):
        sys.exit("an arm is wrong or failed")


if __name__ == "__main__":
    main()
