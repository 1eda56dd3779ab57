"""Time candidate tiles of every kernel, to fill `kernels.dispatch.choose_tile` for a GPU.

    python -m benchmarks.kernels_tiles           # needs a CUDA device
    python -m benchmarks.kernels_tiles --smoke   # one tile of each kernel, anywhere

Several processes compile the candidates first, because Triton compiles on one core. Then each one
is timed with `do_bench`, which empties L2 between calls. The plain layer by cuBLAS is timed beside
them. Writes kernels_tiles.json into $OUT or results/.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.gpu_clock import CUDA, DEVICE, OUT, environment, parse_smoke
from kernels.dispatch import Tile
from kernels.reference import Before, Norm

COMPILERS = 12


class Problem(NamedTuple):
    """One kernel at one size. `before` is the operation before the layer; C is experts x rank."""

    kernel: str
    rows: int
    inputs: int
    outputs: int
    ranks: int = 32
    before: str = ""


PROBLEMS = (
    Problem("one_pass", 16704, 1024, 1024),
    Problem("one_pass", 16704, 1024, 1024, 64),
    Problem("one_pass", 1600, 384, 384),
    Problem("one_pass_transposed", 16704, 1024, 1024),
    Problem("persistent", 16704, 1024, 1024),
    Problem("persistent", 16704, 1024, 4096),
    Problem("shrink", 16704, 1024, 1024),
    Problem("shrink", 16704, 1024, 3072, before="norm"),
    Problem("shrink", 16704, 4096, 1024, before="gelu"),
    Problem("shrink", 1600, 384, 1536, before="norm"),
    Problem("expand", 16704, 1024, 1024),
    Problem("matrix_gradient", 16704, 1024, 1024),
)


def candidates(problem: Problem) -> Iterator[tuple[Tile, bool]]:
    """Yield the tiles to try; the flag flattens the loops of the persistent kernel."""
    large = problem.rows > 4096
    if problem.kernel.startswith("one_pass"):
        sizes = ((128, 256), (128, 128), (64, 256), (64, 128)) if large else ((64, 64), (32, 64))
        for (m, n), k, stages in itertools.product(sizes, (32, 64), (3, 4)):
            yield Tile(m, n, k, 8 if m * n > 64 * 128 else 4, stages), False
    elif problem.kernel == "persistent":
        for (m, n), stages, flat in itertools.product(
            ((128, 256), (128, 128)), (3, 4), (False, True)
        ):
            yield Tile(m, n, 64, 8, stages), flat
    elif problem.kernel == "shrink":
        for m, k, stages in itertools.product(
            (16, 32, 64) if large else (16, 32), (64, 128), (2, 3)
        ):
            yield Tile(m, 0, k, 4, stages), False
        for m, k in itertools.product((64, 128), (64, 128)) if large else ():
            yield Tile(m, 0, k, 8, 2), False
    elif problem.kernel == "expand":
        for m, n, warps in itertools.product((32, 64, 128), (64, 128, 256), (4, 8)):
            if m * n <= 128 * 128:
                yield Tile(m, n, 0, warps, 1), False
    else:
        for m, n, warps in itertools.product((32, 64, 128), (64, 128), (4, 8)):
            yield Tile(m, n, 0, warps, 2), False


class Inputs:
    """The tensors of a problem."""

    def __init__(self, problem: Problem) -> None:
        torch.manual_seed(0)
        p, dtype = problem, torch.bfloat16 if CUDA else torch.float32

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, device=DEVICE).mul_(shape[-1] ** -0.5).to(dtype)

        self.x_MK, self.y_MN = draw(p.rows, p.inputs), draw(p.rows, p.outputs)
        self.weight_NK, self.bias_N = draw(p.outputs, p.inputs), draw(p.outputs)
        self.a_ERK = draw(p.ranks // 8, 8, p.inputs)
        self.b_ENR = draw(p.ranks // 8, p.outputs, 8)
        self.gates_GE = torch.rand(p.rows // 10, p.ranks // 8, device=DEVICE)
        self.low_MC = torch.randn(p.rows, p.ranks, device=DEVICE)
        gamma, beta = (torch.ones(p.inputs, device=DEVICE, dtype=dtype) for _ in range(2))
        self.before: Before = Norm(gamma, beta) if p.before == "norm" else p.before or None  # type: ignore[assignment]


def runner(problem: Problem, tile: Tile, flat: bool, t: Inputs) -> Callable[[], object]:
    """Return a call of the kernel with this tile."""
    from benchmarks.kernels_persistent import persistent
    from kernels.gpu.expand import expand
    from kernels.gpu.one_pass import one_pass
    from kernels.gpu.reduce import matrix_gradient
    from kernels.gpu.shrink import shrink

    experts = (t.a_ERK, t.b_ENR, t.gates_GE, 1.0)
    if problem.kernel == "one_pass":
        return lambda: one_pass(t.x_MK, t.weight_NK, t.bias_N, *experts, None, None, tile)
    if problem.kernel == "one_pass_transposed":
        back = (t.b_ENR.transpose(1, 2), t.a_ERK.transpose(1, 2), t.gates_GE, 1.0)
        return lambda: one_pass(t.y_MN, t.weight_NK.T, None, *back, None, t.low_MC, tile)
    if problem.kernel == "persistent":
        return lambda: persistent(t.x_MK, t.weight_NK, t.bias_N, *experts, tile, flatten=flat)
    if problem.kernel == "shrink":
        args = (t.x_MK, t.before, t.a_ERK, t.gates_GE, 1.0, None, tile)
        return lambda: shrink(*args, copy=t.before is not None)
    if problem.kernel == "expand":
        low = t.low_MC.to(t.b_ENR.dtype)
        return lambda: expand(t.y_MN, low, t.b_ENR, tile, bias_N=t.bias_N)
    dtype = t.x_MK.dtype
    return lambda: matrix_gradient(t.low_MC, t.gates_GE, t.x_MK, None, None, 1.0, dtype, tile)


def compile_share(share: int, work: list[tuple[Problem, Tile, bool]]) -> None:
    """Run every `COMPILERS`th candidate once, so that Triton's cache on disk holds it."""
    for problem, tile, flat in work[share::COMPILERS]:
        small = problem._replace(rows=problem.rows // 4 // 40 * 40 if problem.rows > 4096 else 1600)
        try:
            runner(problem, tile, flat, Inputs(small))()
            torch.cuda.synchronize()
        except Exception as error:  # noqa: BLE001 - the timing reports it
            print(problem, tile, type(error).__name__, flush=True)


def main() -> None:
    """Compile and time every candidate, and print the fastest of each problem."""
    smoke = parse_smoke("benchmarks.kernels_tiles", __doc__)
    work = [(p, tile, flat) for p in PROBLEMS for tile, flat in candidates(p)]
    if smoke:
        for problem in PROBLEMS:
            tiny = problem._replace(rows=40, inputs=32, outputs=48)
            runner(tiny, Tile(16, 16, 16, 4, 2), False, Inputs(tiny))()
            print(problem.kernel, "runs", flush=True)
        return
    context = multiprocessing.get_context("spawn")
    compilers = [context.Process(target=compile_share, args=(i, work)) for i in range(COMPILERS)]
    for compiler in compilers:
        compiler.start()
    for compiler in compilers:
        compiler.join()
    from triton.testing import do_bench

    results: dict[str, Any] = {"environment": environment(), "rows": []}
    for problem in PROBLEMS:
        inputs = Inputs(problem)
        times: list[tuple[float, str]] = []
        for tile, flat in candidates(problem):
            try:
                run = runner(problem, tile, flat, inputs)
                ms = do_bench(run, warmup=3, rep=20, return_mode="median")
                times.append((round(1e3 * ms, 2), f"{tuple(tile)}{' flat' * flat}"))
            except Exception as error:  # noqa: BLE001 - a tile that does not fit is a result
                print(problem, tile, type(error).__name__, str(error)[:100], flush=True)
        plain_ms = do_bench(
            lambda t=inputs: F.linear(t.x_MK, t.weight_NK, t.bias_N),
            warmup=3,
            rep=20,
            return_mode="median",
        )
        times.sort()
        row = {**problem._asdict(), "plain_us": round(1e3 * plain_ms, 2), "tiles_us": times}
        results["rows"].append(row)
        print(problem, "plain", row["plain_us"], times[:4], flush=True)
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "kernels_tiles.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
