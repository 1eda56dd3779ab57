"""Compiles every shipped configuration for one GPU architecture, and says what came out.

    python tests/kernels/ahead.py 90

One JSON object a line: name, shared bytes, stack bytes (spills), and whether tensor cores are used
by the instructions of that architecture. Needs no GPU, and a Triton that is not its interpreter.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels.dispatch import Problem, Tile, padded, tile
from kernels.gpu.choice import TILE, mix_kernel, route_kernel
from kernels.gpu.one_pass import one_pass_kernel
from kernels.gpu.reduce import gate_gradient_kernel, matrix_gradient_kernel
from kernels.gpu.shrink import shrink_kernel
from kernels.gpu.split import split_kernel

# What a program of each architecture shows when its products run on tensor cores as they should.
INSTRUCTION = {80: "mma.sync", 90: "wgmma", 100: "tcgen05.mma"}
ROWS = {"few": 1600, "many": 16704}
WIDE = 1024
FLOATS = ("scale", "eps", "p", "temperature")
KERNELS = {
    "one_pass": one_pass_kernel,
    "shrink": shrink_kernel,
    "split": split_kernel,
    "matrix_gradient": matrix_gradient_kernel,
}
# (rows, kind): what is built. Kinds: with norm and GELU, with GELU, with neither, and turned for
# backward. Few rows with norm and GELU are all there is in their tiles; fp32 is the same all over.
BUILT = {
    ("few", "normed"): ("one_pass", "shrink", "matrix_gradient"),
    ("few", "gelu"): ("split",),
    ("few", "turned"): ("one_pass",),
    ("many", "gelu"): ("one_pass", "split"),
    ("many", "plain"): ("one_pass", "split"),
    ("many", "turned"): ("one_pass", "split"),
}


class Case(NamedTuple):
    """A kernel with its types and compile-time values, by argument name; `strides` that are 1."""

    name: str
    kernel: Any
    types: dict[str, str]
    values: dict[str, Any]
    ones: tuple[str, ...]
    tile: Tile


def layer_cases(arch: int, dtype: torch.dtype, precision: str) -> Iterator[Case]:
    """The kernels of the layer in one dtype: forward, and turned as backward runs them.

    Each tile is built for the widest rank space that it serves, with everything switched on.
    """
    t = {torch.bfloat16: "*bf16", torch.float32: "*fp32"}[dtype]
    types = dict.fromkeys("x weight bias a b out before copy_out gated_out low right".split(), t)
    types |= dict.fromkeys("gamma beta gates low_out mean_out rstd_out mean rstd".split(), "*fp32")
    fast = dtype == torch.bfloat16
    for ranks, (few, kind) in itertools.product((64, 128) if fast else (128,), BUILT):
        norm, gelu, turned = kind == "normed", kind in ("normed", "gelu"), kind == "turned"
        if not fast and kind != "normed":
            continue
        p = Problem(ROWS[few], WIDE, WIDE, ranks, dtype, arch, norm=norm, gelu=gelu)
        values = {
            "C": ranks,
            "R": 8,
            "BLOCK_C": padded(ranks),
            "WIDTH": ranks,
            "GROUP": 8,
            "NORM": norm,
            "COPY": norm,
            "SAVE": True,
            "BASE": True,
            "BIAS": not turned,
            "GELU": gelu,
            "NARROW": triton.language.bfloat16 if fast else triton.language.float32,
            "UPCAST": False,
            "PRECISION": precision,
        }
        forward, back = "stride_wk stride_ak stride_br", "stride_wn stride_ar stride_bn"
        ones = tuple((back if turned else forward).split())
        name = f"{t[1:]} {precision} C{ranks} {few} {kind}"

        for of in BUILT[few, kind]:
            other = {"low": t if of == "split" else "*fp32"}
            yield Case(f"{of} {name}", KERNELS[of], types | other, values, ones, tile(of, p))


def cases(arch: int) -> Iterator[Case]:
    seen = []
    kinds = [(torch.bfloat16, "ieee"), (torch.float32, "ieee")]
    if arch == 90:
        kinds.append((torch.float32, "tf32"))
    for dtype, precision in kinds:
        for case in layer_cases(arch, dtype, precision):
            # Tiles for few and many rows can be the same: then what comes first has the most on.
            same = (case.kernel, case.tile, case.ones, case.values["C"], precision)
            if same not in seen:
                yield case
                seen.append(same)
    p = Problem(1600, WIDE, WIDE, 32, torch.bfloat16, arch)
    widest = {"BLOCK_F": 64, "BLOCK_N": 64, "BLOCK_D": TILE.block_k, "BLOCK_J": TILE.block_n}
    for kernel, names in (
        (route_kernel, "h weight out"),
        (mix_kernel, "prototype keys prompts out weights"),
    ):
        types = dict.fromkeys(names.split(), "*fp32")
        values = widest | {"TOP_K": True, "TOP_P": False}
        yield Case(kernel.fn.__name__, kernel, types, values, (), TILE)
    for per_token in (False, True):
        yield Case(
            f"gate_gradient per_token={per_token}",
            gate_gradient_kernel,
            dict.fromkeys(("low", "back", "out"), "*fp32"),
            {"R": 8, "BLOCK_E": 16, "BLOCK_R": 8, "PER_TOKEN": per_token},
            (),
            tile("gate_gradient", p),
        )


def build(case: Case, arch: int) -> dict[str, Any]:
    blocks = {
        "BLOCK_M": case.tile.block_m,
        "BLOCK_N": case.tile.block_n,
        "BLOCK_J": case.tile.block_n,
        "BLOCK_K": case.tile.block_k,
    }
    signature, constants, attributes = {}, {}, {}
    for i, parameter in enumerate(case.kernel.params):
        name = parameter.name
        if parameter.is_constexpr:
            constants[name] = (blocks | case.values)[name]
            signature[name] = "constexpr"
        elif name in case.ones:
            constants[name] = 1
            signature[name] = "constexpr"
        elif name in case.types:
            signature[name] = case.types[name]
        else:
            signature[name] = "fp32" if name in FLOATS else "i32"
        aligned = name in case.types or name in ("K", "N", "J") or name.startswith("stride_")
        if signature[name] not in ("constexpr", "fp32") and aligned and name != "stride_e":
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(case.kernel, signature, constants, attributes)
    options = {"num_warps": case.tile.warps, "num_stages": case.tile.stages}
    built = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    return {
        "name": case.name,
        "tile": tuple(case.tile),
        "shared": built.metadata.shared,
        **resources(built.asm["cubin"]),
        "tensor_cores": INSTRUCTION[arch] in built.asm["ptx"],
    }


def resources(cubin: bytes) -> dict[str, int]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        shown = subprocess.run(
            [knobs.nvidia.cuobjdump.path, "-res-usage", file.name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", shown)
    assert found, shown
    return {"registers": int(found[1]), "stack": int(found[2])}


if __name__ == "__main__":
    arch = int(sys.argv[1])
    for case in cases(arch):
        sys.stdout.write(json.dumps(build(case, arch)) + "\n")
