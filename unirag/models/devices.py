"""Which device and number format the models run in; chosen here, passed in everywhere."""

from __future__ import annotations

import torch

from data.errors import BadSetting
from unirag.settings import Dtype

__all__ = ["choose_device", "choose_dtype", "describe_device"]

# Instruction sets that multiply bf16 in hardware, by torch's names. Without one of them torch
# widens every operand to fp32 first, which is slower than starting from fp32.
_FAST_BF16 = ("amx_bf16", "avx512_bf16", "sve_bf16")


def choose_device(wish: str = "auto") -> str:
    """`auto` is CUDA where there is one, else the CPU; `cpu`, `cuda` and `cuda:N` can be asked for.

    Raises `BadSetting` for a device that is unknown or not there.
    """
    there = torch.cuda.device_count()
    if wish == "auto":
        return "cuda" if there else "cpu"
    known = {"cpu", *(f"cuda:{n}" for n in range(there)), *(["cuda"] if there else [])}
    if wish not in known:
        raise BadSetting(
            f"device {wish!r} is not there; expected auto or one of {', '.join(sorted(known))}"
        )
    return wish


def choose_dtype(device: str, wish: Dtype = "auto") -> torch.dtype:
    """`auto` is bf16 where the hardware computes in it, else fp32."""
    if wish != "auto":
        return torch.float32 if wish == "float32" else torch.bfloat16
    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if _cpu_bf16() else torch.float32


def describe_device(device: str) -> str:
    """One phrase for reports: the device's name and what decides its number format."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    abilities = torch.cpu.get_capabilities()
    name = abilities.get("cpu_name") or abilities["architecture"]
    level = torch.backends.cpu.get_cpu_capability()
    return f"{name}, {level}, {_cpu_bf16() or 'no bf16'} in hardware"


def _cpu_bf16() -> str:
    """The first instruction set of `_FAST_BF16` that this CPU has, or an empty string."""
    abilities = torch.cpu.get_capabilities()
    return next((name for name in _FAST_BF16 if abilities.get(name, False)), "")
