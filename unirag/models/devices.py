"""The device and the number format of the models: chosen here and passed to every model."""

from __future__ import annotations

import torch

from data.errors import BadSetting
from unirag.settings import Dtype

__all__ = ["choose_device", "choose_dtype", "describe_device"]

# Instruction sets that multiply bf16 in hardware, by torch's names. Without them torch first
# widens every operand to fp32, which is slower than starting from fp32.
_FAST_BF16 = ("amx_bf16", "avx512_bf16", "sve_bf16")


def choose_device(preference: str = "auto") -> str:
    """Return the torch device for a preference: `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` is CUDA if there is a GPU, else the CPU. Raise `BadSetting` if there is no such device.
    """
    gpus = torch.cuda.device_count()
    if preference == "auto":
        return "cuda" if gpus else "cpu"
    devices = {"cpu", *(f"cuda:{n}" for n in range(gpus)), *(["cuda"] if gpus else [])}
    if preference not in devices:
        raise BadSetting(
            f"device {preference!r} is not there; "
            f"expected auto or one of {', '.join(sorted(devices))}"
        )
    return preference


def choose_dtype(device: str, preference: Dtype = "auto") -> torch.dtype:
    """Return the number format for a preference; `auto` is bf16 if the hardware supports it."""
    if preference != "auto":
        return torch.float32 if preference == "float32" else torch.bfloat16
    if device.startswith("cuda"):
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bf16 = bool(_cpu_bf16())
    return torch.bfloat16 if has_bf16 else torch.float32


def describe_device(device: str) -> str:
    """Return the name of a device for reports, with the reason for its number format."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    capabilities = torch.cpu.get_capabilities()
    name = capabilities.get("cpu_name") or capabilities["architecture"]
    level = torch.backends.cpu.get_cpu_capability()
    return f"{name}, {level}, {_cpu_bf16() or 'no bf16'} in hardware"


def _cpu_bf16() -> str:
    """Return the first instruction set of `_FAST_BF16` that this CPU has, or an empty string."""
    capabilities = torch.cpu.get_capabilities()
    return next((name for name in _FAST_BF16 if capabilities.get(name, False)), "")
