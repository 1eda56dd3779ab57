"""Compile every shipped kernel configuration for one GPU architecture and print its resources.

    python tests/kernels/compile_ahead.py 90

Prints one JSON object per line: name, tile, bytes of shared memory, registers, bytes of stack
(spills), and whether the program uses the tensor-core instructions of that architecture. Needs no
GPU, but Triton must not run as its interpreter.
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

from kernels.dispatch import Tile, Workload, choose_tile, padded_ranks, shrunk_width
from kernels.gpu.expand import expand_kernel
from kernels.gpu.one_pass import one_pass_kernel
from kernels.gpu.reduce import gate_gradient_kernel, matrix_gradient_kernel
from kernels.gpu.routing import TILE, mix_kernel, route_kernel
from kernels.gpu.shrink import shrink_kernel

# The PTX instruction that shows that products run on the tensor cores of an architecture. The newer
# ones need 64 rows; a smaller tile uses that of sm_80.
TENSOR_CORE_INSTRUCTION = {80: "mma.sync", 90: "wgmma", 100: "tcgen05.mma"}
ROWS = {"few": 1600, "many": 16704}
WIDTH = 1024
FLOAT_ARGUMENTS = ("scale", "eps", "p", "temperature")
KERNELS = {
    "one_pass": one_pass_kernel,
    "shrink": shrink_kernel,
    "expand": expand_kernel,
    "matrix_gradient": matrix_gradient_kernel,
}
# The kernels to build for each kind of call. "transposed" is the layer of backward.
KERNELS_TO_BUILD = {
    "residual": ("one_pass",),
    "plain": ("one_pass", "shrink"),
    "norm": ("shrink", "matrix_gradient"),
    "gelu": ("shrink", "expand", "matrix_gradient"),
    "transposed": ("one_pass",),
}


class Case(NamedTuple):
    """One kernel configuration.

    `types` maps pointer arguments to Triton types, `values` maps compile-time arguments to values,
    and `unit_strides` names the strides that equal 1.
    """

    name: str
    kernel: Any
    types: dict[str, str]
    values: dict[str, Any]
    unit_strides: tuple[str, ...]
    tile: Tile


def layer_cases(arch: int, dtype: torch.dtype, precision: str) -> Iterator[Case]:
    """Yield the kernels of the layer in one dtype, forward and transposed as in backward.

    Each tile is built for the widest rank space that it serves, with the options that need the most
    registers.
    """
    pointer = {torch.bfloat16: "*bf16", torch.float32: "*fp32"}[dtype]
    types = dict.fromkeys(
        "x weight bias residual a b out copy_out gated_out left low gelu_input right".split(),
        pointer,
    )
    types |= dict.fromkeys("gamma beta gates low_out mean_out rstd_out mean rstd".split(), "*fp32")
    half = dtype == torch.bfloat16
    rank_counts = (32, 64, 128) if half else (128,)
    for ranks, row_count, kind in itertools.product(rank_counts, ROWS, KERNELS_TO_BUILD):
        transposed = kind == "transposed"
        if not half and transposed:
            continue
        sizes = (ROWS[row_count], WIDTH, WIDTH, ranks, dtype, arch)
        workload = Workload(*sizes, residual=kind == "residual")
        values = {
            "C": ranks,
            "R": 8,
            "BLOCK_C": padded_ranks(ranks),
            "WIDTH": shrunk_width(ranks),
            "BLOCK_W": 16,
            "BEFORE": kind if kind in ("norm", "gelu") else "none",
            "COPY": kind != "plain",
            "SAVE": True,
            "BASE": True,
            "BIAS": not transposed,
            "RESIDUAL": kind == "residual",
            "LEFT": True,
            "GATED": False,
            "GELU_GRADIENT": True,
            "NARROW": triton.language.bfloat16 if half else triton.language.float32,
            "UPCAST": False,
            "PRECISION": precision,
        }
        forward, backward = "stride_wk stride_ak stride_br", "stride_wn stride_ar stride_bn"
        ones = tuple((backward if transposed else forward).split())
        name = f"{pointer[1:]} {precision} C{ranks} {row_count} {kind}"

        for kernel in KERNELS_TO_BUILD[kind]:
            tile = choose_tile(kernel, workload)
            yield Case(f"{kernel} {name}", KERNELS[kernel], types, values, ones, tile)


def cases(arch: int) -> Iterator[Case]:
    """Yield every configuration that is shipped for an architecture, without duplicates."""
    built = []
    kinds = [(torch.bfloat16, "ieee"), (torch.float32, "ieee")]
    if arch == 90:
        kinds.append((torch.float32, "tf32"))
    for dtype, precision in kinds:
        for case in layer_cases(arch, dtype, precision):
            # Few and many rows can share a tile.
            options = (*(case.values[name] for name in ("C", "BEFORE", "RESIDUAL")), precision)
            key = (case.kernel, case.tile, case.unit_strides, *options)
            if key not in built:
                yield case
                built.append(key)
    workload = Workload(1600, WIDTH, WIDTH, 32, torch.bfloat16, arch)
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
            choose_tile("gate_gradient", workload),
        )


def build(case: Case, arch: int) -> dict[str, Any]:
    """Compile one case and return its name, its tile and the resources that it needs."""
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
        elif name in case.unit_strides:
            constants[name] = 1
            signature[name] = "constexpr"
        elif name in case.types:
            signature[name] = case.types[name]
        else:
            signature[name] = "fp32" if name in FLOAT_ARGUMENTS else "i32"
        aligned = name in case.types or name in ("K", "N", "J") or name.startswith("stride_")
        if signature[name] not in ("constexpr", "fp32") and aligned and name != "stride_e":
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(case.kernel, signature, constants, attributes)
    options = {"num_warps": case.tile.warps, "num_stages": case.tile.stages}
    program = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    return {
        "name": case.name,
        "tile": tuple(case.tile),
        "shared": program.metadata.shared,
        **resources(program.asm["cubin"]),
        "tensor_cores": TENSOR_CORE_INSTRUCTION[arch if case.tile.block_m >= 64 else 80]
        in program.asm["ptx"],
    }


def resources(cubin: bytes) -> dict[str, int]:
    """Return the registers and the stack bytes of a compiled program."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = subprocess.run(
            [knobs.nvidia.cuobjdump.path, "-res-usage", file.name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    match = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    assert match, usage
    return {"registers": int(match[1]), "stack": int(match[2])}


if __name__ == "__main__":
    arch = int(sys.argv[1])
    for case in cases(arch):
        sys.stdout.write(json.dumps(build(case, arch)) + "\n")
