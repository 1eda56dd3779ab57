"""Measure the time of a layer with experts, by every design, against the plain layer.

    python -m benchmarks.kernels           # needs a CUDA device
    python -m benchmarks.kernels --smoke   # tiny sizes, anywhere: do all arms run and agree?

All arms take the same inputs and run in interleaved rounds. Every ratio is to the plain layer of
the same row, with the same operation before it and the same residual. An arm is timed only if its
result matches the fp32 reference. There are three clocks: CUDA graphs, wall time (launches
included), and Triton's `do_bench`, which empties L2 between calls. Writes kernels.json and
kernels.md into $OUT, or into results/. A smoke run writes nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

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
from kernels.dispatch import Workload, choose_design, choose_tile
from kernels.moe_lora import Before, Norm, moe_lora_linear

TOLERANCE = 3e-2  # relative to the fp32 reference: twice the error of correct bf16 results
ROUNDS = 15


class LayerCase(NamedTuple):
    """The sizes and options of one layer; `compiled` adds the arms that torch.compile builds."""

    samples: int
    tokens: int
    inputs: int
    outputs: int
    experts: int = 4
    rank: int = 8
    per_token: bool = False
    before: Literal["", "norm", "gelu"] = ""
    residual: bool = False
    compiled: bool = False

    @property
    def name(self) -> str:
        """The label of the row in the table."""
        unit = "token" if self.per_token else "sample"
        options = f", {self.before}" * bool(self.before) + ", residual" * self.residual
        sizes = f"{self.samples * self.tokens}, {self.inputs}, {self.outputs}"
        return f"{sizes}, ER {self.experts * self.rank}, gates per {unit}{options}"


# The layers of a ViT-L block: norm, 1024 -> 3072; 1024 -> 1024, residual; norm, 1024 -> 4096; gelu,
# 4096 -> 1024, residual. Its 261 tokens are 257 and four prompts.
CASES = (
    LayerCase(32, 50, 384, 384, compiled=True),
    LayerCase(64, 261, 1024, 1024, compiled=True),
    LayerCase(64, 261, 1024, 3072, before="norm", compiled=True),
    LayerCase(64, 261, 1024, 1024, residual=True),
    LayerCase(64, 261, 1024, 4096, before="norm"),
    LayerCase(64, 261, 4096, 1024, before="gelu", residual=True),
    LayerCase(1, 50, 1024, 1024),
    LayerCase(32, 50, 384, 1536, before="norm"),
    LayerCase(32, 50, 1536, 384, before="gelu", residual=True),
    LayerCase(64, 261, 1024, 1024, per_token=True),
    LayerCase(64, 261, 1024, 1024, experts=8),
    LayerCase(64, 261, 1024, 1024, experts=16),
    LayerCase(64, 261, 1024, 4096),
    LayerCase(256, 77, 768, 3072, before="norm"),
    LayerCase(384, 261, 1024, 1024),
)
TINY_CASES = (
    LayerCase(2, 7, 24, 20),
    LayerCase(1, 5, 24, 20, per_token=True, before="norm", residual=True),
    LayerCase(1, 5, 24, 20, before="gelu"),
)


class LayerArms:
    """The tensors of one layer, and the ways to compute it."""

    def __init__(self, case: LayerCase, dtype: torch.dtype, *, gradients: bool) -> None:
        self.case = c = case
        torch.manual_seed(0)

        def draw(*shape: int, std: float = 1.0) -> Tensor:
            return (torch.randn(*shape, device=DEVICE) * std).to(dtype)

        self.x = draw(c.samples, c.tokens, c.inputs).requires_grad_(gradients)
        self.weight = draw(c.outputs, c.inputs, std=c.inputs**-0.5)
        self.bias = draw(c.outputs)
        self.a = draw(c.experts, c.rank, c.inputs, std=c.inputs**-0.5).requires_grad_(gradients)
        self.b = draw(c.experts, c.outputs, c.rank, std=0.3).requires_grad_(gradients)
        rows = (c.samples, c.tokens) if c.per_token else (c.samples,)
        gates = torch.rand(*rows, c.experts, device=DEVICE).softmax(-1)
        self.gates = gates.requires_grad_(gradients)
        self.norm = Norm(1 + draw(c.inputs, std=0.1), draw(c.inputs, std=0.1))
        self.residual = draw(c.samples, c.tokens, c.outputs) if c.residual else None
        self.dy = draw(c.samples, c.tokens, c.outputs)
        with torch.no_grad():
            mean = self.gates.flatten(0, -2).mean(0)
            self.mean_gates = mean.expand(c.samples, -1)
            self.merged_NK = self.weight + torch.einsum(
                "e,enr,erk->nk", mean.to(dtype), self.b, self.a
            )
            self.augmented_NC = torch.cat((self.weight, self._joined_b()), 1)
            self.zero_b = torch.zeros(c.outputs, 16, device=DEVICE, dtype=dtype)
            self.zero_low = torch.zeros(c.samples * c.tokens, 16, device=DEVICE, dtype=dtype)

    def _joined_b(self) -> Tensor:
        return self.b.transpose(0, 1).flatten(1)

    @property
    def before(self) -> Before:
        """The operation before the layer, as the kernels take it."""
        return self.norm if self.case.before == "norm" else self.case.before or None

    def _apply_before(self) -> Tensor:
        return reference.apply_before(self.x, self.before)

    def _add_residual(self, y: Tensor) -> Tensor:
        return y if self.residual is None else self.residual + y.view(self.dy.shape)

    def _gated_ranks(self, x: Tensor) -> Tensor:
        low = F.linear(x, self.a.flatten(0, 1)).unflatten(-1, (self.case.experts, -1))
        gates = self.gates if self.case.per_token else self.gates[:, None]
        return (low * gates[..., None].to(low.dtype)).flatten(-2)

    def plain(self) -> Tensor:
        """The layer without experts, the denominator of every ratio."""
        return self._add_residual(F.linear(self._apply_before(), self.weight, self.bias))

    def merged(self) -> Tensor:
        """The plain layer with the experts added to W beforehand, by their mean gates."""
        return self._add_residual(F.linear(self._apply_before(), self.merged_NK, self.bias))

    def loop(self) -> Tensor:
        """Expert by expert, as PEFT adds its adapters."""
        x = self._apply_before()
        y = F.linear(x, self.weight, self.bias)
        gates = self.gates if self.case.per_token else self.gates[:, None]
        for e in range(self.case.experts):
            y = y + gates[..., e, None].to(y.dtype) * F.linear(F.linear(x, self.a[e]), self.b[e])
        return self._add_residual(y)

    def grouped(self) -> Tensor:
        """The reference: two thin GEMMs beside the plain layer."""
        tensors = (self.x, self.weight, self.bias, self.a, self.b, self.gates)
        options = {"before": self.before, "residual": self.residual}
        return reference.moe_lora_linear(*tensors, 1.0, **options)

    def cat_k(self) -> Tensor:
        """[x | S] [W | B]^T in torch. The time includes the copy of x and S, not of W and B."""
        x = self._apply_before()
        augmented = torch.cat((x, self._gated_ranks(x)), -1)
        return self._add_residual(F.linear(augmented, self.augmented_NC, self.bias))

    def cat_k_with_gradients(self) -> Tensor:
        """`cat_k` with a fresh copy of W and B, so that B gets its gradient."""
        x = self._apply_before()
        augmented = torch.cat((x, self._gated_ranks(x)), -1)
        weight = torch.cat((self.weight, self._joined_b()), 1)
        return self._add_residual(F.linear(augmented, weight, self.bias))

    def _shrink(self, x: Tensor) -> Tensor:
        """Return the gated rank space (M, W) of x (M, K)."""
        from kernels.gpu.shrink import shrink

        gates, tile = self.gates.flatten(0, -2), choose_tile("shrink", self.workload())
        return shrink(x, None, self.a, gates, 1.0, None, tile, copy=False)

    def shrink_expand(self) -> Tensor:
        """The base, a shrink kernel, and an expand added to the result, as vLLM serves LoRA."""
        from kernels.gpu.expand import expand

        x = self._apply_before().flatten(0, 1)
        y = F.linear(x, self.weight, self.bias)
        tile = choose_tile("expand", self.workload())
        return self._add_residual(expand(y, self._shrink(x), self.b, tile).view(self.dy.shape))

    def fused_epilogue(self) -> Tensor:
        """A shrink, then a Triton GEMM that adds the experts at its end, as LoRAFusion does."""
        from benchmarks.kernels_baselines import fused_epilogue_gemm

        x = self._apply_before().flatten(0, 1)
        b_NC = self._joined_b()
        y = fused_epilogue_gemm(x, self.weight, self.bias, self._shrink(x), b_NC)
        return self._add_residual(y.view(self.dy.shape))

    def scattered(self) -> Tensor:
        """The base, and an N-wide row for each pair of row and expert, as ScatterMoE does."""
        from benchmarks.kernels_baselines import scattered_experts

        x = self._apply_before()
        gates = self.gates if self.case.per_token else self.gates[:, None]
        gates_ME = gates.expand(*x.shape[:2], -1).flatten(0, 1)
        y = scattered_experts(x.flatten(0, 1), self.a, self.b, gates_ME).view(self.dy.shape)
        return self._add_residual(F.linear(x, self.weight, self.bias) + y)

    def triton_gemm(self) -> Tensor:
        """A Triton GEMM with 16 zero ranks: the cost of Triton against cuBLAS, without experts."""
        from benchmarks.kernels_baselines import fused_epilogue_gemm

        x = self._apply_before().flatten(0, 1)
        y = fused_epilogue_gemm(x, self.weight, self.bias, self.zero_low, self.zero_b)
        return self._add_residual(y.view(self.dy.shape))

    def ours(self, design: Any = None) -> Tensor:
        """The fused layer, by `design` or by the dispatcher's choice."""
        tensors = (self.x, self.weight, self.bias, self.a, self.b, self.gates)
        # without CUDA, no design would mean the reference
        design = design or (None if CUDA else choose_design(self.workload()))
        options = {"before": self.before, "residual": self.residual, "design": design}
        return moe_lora_linear(*tensors, 1.0, **options)

    def workload(self) -> Workload:
        """Describe the layer to the dispatcher."""
        c = self.case
        arch = 10 * torch.cuda.get_device_capability()[0] if CUDA else 90
        ranks, rows = c.experts * c.rank, c.samples * c.tokens
        options = {"before": c.before or "none", "residual": c.residual}
        return Workload(rows, c.inputs, c.outputs, ranks, self.x.dtype, arch, **options)

    def with_backward(self, run: Callable[[], Tensor]) -> Arm:
        """Return an arm that runs forward and backward."""
        leaves = [self.x, self.a, self.b, self.gates]

        def forward_and_backward() -> object:
            return torch.autograd.grad(run(), leaves, self.dy, allow_unused=True)

        return forward_and_backward


def forward_arms(layer: LayerArms) -> dict[str, Callable[[], Tensor]]:
    """Return every way to compute the forward pass."""
    arms: dict[str, Callable[[], Tensor]] = {
        "plain": layer.plain,
        "ours": layer.ours,
        "one_pass": lambda: layer.ours("one_pass"),
        "augmented": lambda: layer.ours("augmented"),
        "accumulate": lambda: layer.ours("accumulate"),
        "loop (PEFT)": layer.loop,
        "grouped": layer.grouped,
        "cat-K": layer.cat_k,
        "shrink + expand (vLLM)": layer.shrink_expand,
        "fused epilogue (LoRAFusion)": layer.fused_epilogue,
        "scattered (ScatterMoE)": layer.scattered,
        "Triton GEMM alone": layer.triton_gemm,
        "merged before": layer.merged,
    }
    if layer.case.before:
        del arms["one_pass"]  # it runs nothing before the layer
    if layer.case.compiled:
        arms["grouped, compiled"] = torch.compile(layer.grouped, dynamic=False)
        arms["cat-K, compiled"] = torch.compile(layer.cat_k, dynamic=False)
    return arms


def training_arms(layer: LayerArms) -> dict[str, Callable[[], Tensor]]:
    """Return the ways to compute the layer that also have gradients."""
    arms: dict[str, Callable[[], Tensor]] = {
        "plain": layer.plain,
        "ours": layer.ours,
        "one_pass": lambda: layer.ours("one_pass"),
        "augmented": lambda: layer.ours("augmented"),
        "accumulate": lambda: layer.ours("accumulate"),
        "loop (PEFT)": layer.loop,
        "grouped": layer.grouped,
        "cat-K": layer.cat_k_with_gradients,
    }
    if layer.case.before:
        del arms["one_pass"]
    if layer.case.compiled:
        arms["grouped, compiled"] = torch.compile(layer.grouped, dynamic=False)
    return arms


def expected_gates(layer: LayerArms, name: str) -> Tensor:
    """Return the gates with which the reference gives the result of an arm."""
    if name in ("plain", "Triton GEMM alone"):
        return torch.zeros_like(layer.mean_gates)
    return layer.mean_gates if name == "merged before" else layer.gates


def find_error(layer: LayerArms, name: str, run: Callable[[], Tensor]) -> str | None:
    """Return the exception of an arm or its distance from the fp32 reference; None if correct."""
    gates, before = expected_gates(layer, name), layer.before
    if isinstance(before, Norm):
        before = Norm(before.weight_K.float(), before.bias_K.float())
    residual = None if layer.residual is None else layer.residual.float()
    tensors = (t.float() for t in (layer.x, layer.weight, layer.bias, layer.a, layer.b, gates))
    try:
        with torch.no_grad():
            y = run().float()
            options = {"before": before, "residual": residual}
            expected = reference.moe_lora_linear(*tensors, 1.0, **options)
        distance = ((y - expected).norm() / expected.norm()).item()
    except Exception as error:  # noqa: BLE001 - the failure of one arm is a result
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None if distance < TOLERANCE else f"{distance:.3f} from the reference"


def measure(case: LayerCase, dtype: torch.dtype, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield the times of forward, then of forward and backward."""
    for task, training in (("forward", False), ("forward and backward", True)):
        layer = LayerArms(case, dtype, gradients=training)
        arms = training_arms(layer) if training else forward_arms(layer)
        errors = {name: e for name, run in arms.items() if (e := find_error(layer, name, run))}
        correct = {name: run for name, run in arms.items() if name not in errors}
        timed: dict[str, Arm] = dict(correct)
        if training:
            timed = {name: layer.with_backward(run) for name, run in correct.items()}
        with torch.set_grad_enabled(training):
            times = time_arms(timed, rounds)
        add_ratios(times)
        design = choose_design(layer.workload())
        header = {"row": case.name, "task": task, "design": design}
        yield {**header, "arms": times, "errors": errors}


def table(results: dict[str, Any]) -> str:
    """Format the ratios to the plain layer, with CUDA graphs or with `do_bench` without a graph."""
    lines = ["# The layer with experts against the plain layer", ""]
    lines += ["Made by `python -m benchmarks.kernels`: ratios of medians with CUDA graphs.", ""]
    lines += [f"{key}: {value}  " for key, value in results["environment"].items()]
    for task in ("forward", "forward and backward"):
        rows = [r for r in results["rows"] if r["task"] == task]
        names = list(dict.fromkeys(name for r in rows for name in r["arms"]))
        lines += ["", f"## {task}", "", "| M, K, N | plain, µs | chosen | " + " | ".join(names[1:])]
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
    errors = {f"{name}: {e}" for r in results["rows"] for name, e in r["errors"].items()}
    if errors:
        lines += ["", "Not timed, because the arm failed or its result is wrong:", ""]
        lines += [f"- {error}" for error in sorted(errors)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every case, write the results after each, and print the table."""
    smoke = parse_smoke("benchmarks.kernels", __doc__)
    cases, rounds, dtype = CASES, ROUNDS, torch.bfloat16
    if smoke:
        cases, rounds, dtype = TINY_CASES, 2, torch.float32
    results: dict[str, Any] = {"environment": {**environment(), "dtype": str(dtype)}, "rows": []}
    for case in cases:
        for row in measure(case, dtype, rounds):
            results["rows"].append(row)
            print(row["row"], row["task"], row["design"], row["errors"] or "", flush=True)
        torch._dynamo.reset()
        if not smoke:  # keep partial results in case a time limit ends the run
            OUT.mkdir(parents=True, exist_ok=True)
            (OUT / "kernels.json").write_text(json.dumps(results, indent=1) + "\n")
            (OUT / "kernels.md").write_text(table(results))
    print(table(results))
    if smoke and any(r["errors"] for r in results["rows"]):
        sys.exit("an arm failed or gave a wrong result")


if __name__ == "__main__":
    main()
