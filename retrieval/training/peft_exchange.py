"""LoRA experts in PEFT's format: one folder per expert, to and from.

R rank, K in, N out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from data.errors import BadInput
from retrieval.experts.parameterisations import LowRankExperts
from retrieval.uni_retrieval import UniRetrieval

__all__ = ["PEFT_CONFIG", "PeftAdapter", "export_peft", "read_peft"]

PEFT_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."  # PEFT's name for the adapted model, here the tower


@dataclass(frozen=True)
class PeftAdapter:
    """A LoRA adapter; `matrices` holds A (R, K) and B (N, R) by the layer's name in the tower."""

    rank: int
    scale: float
    matrices: dict[str, tuple[Tensor, Tensor]]


def export_peft(encoder: UniRetrieval, folder: Path, base: str) -> list[Path]:
    """Write each depth expert as a PEFT adapter; return the folders. `base` names the tower.

    A single expert goes into `folder` itself, several into `expert-0`, `expert-1` and so on. What
    PEFT has no place for stays behind: routers, bank and LayerNorms. Raises `BadInput` if the
    experts are no plain LoRA matrices.
    """
    depth = encoder.config.depth
    plain = depth is not None and (depth.parameterisation, depth.allocation) == ("lora", "uniform")
    if depth is None or not plain or encoder.config.compressed:
        raise BadInput(
            "PEFT holds LoRA matrices, the same number in every layer; this encoder has others. "
            "Push it as it is: unirag encoder push"
        )
    names = {id(module): name for name, module in encoder.tower.named_modules()}
    folders = (
        [folder] if depth.experts == 1 else [folder / f"expert-{e}" for e in range(depth.experts)]
    )
    for e, target in enumerate(folders):
        weights = {}
        for layer in encoder.depth_layers():
            assert isinstance(layer.experts, LowRankExperts)
            name = f"{_PREFIX}{names[id(layer)]}"
            weights[f"{name}.lora_A.weight"] = layer.experts.a_ERK[e].detach().cpu().clone()
            weights[f"{name}.lora_B.weight"] = layer.experts.b_ENR[e].detach().cpu().clone()
        target.mkdir(parents=True, exist_ok=True)
        save_file(weights, target / _WEIGHTS, metadata={"format": "pt"})
        modules = sorted(names[id(layer)] for layer in encoder.depth_layers())
        config = LoraConfig(
            r=depth.rank,
            lora_alpha=depth.alpha,  # type: ignore[arg-type]
            target_modules=modules,
            base_model_name_or_path=base,
            inference_mode=True,
        )
        config.save_pretrained(str(target))
    return folders


def read_peft(folder: Path) -> PeftAdapter:
    """Read a LoRA adapter of PEFT. Raises `BadInput` for any other folder."""
    try:
        config = LoraConfig.from_pretrained(str(folder))
        weights = load_file(folder / _WEIGHTS)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{folder}: not a LoRA adapter of PEFT ({reason}); expected {PEFT_CONFIG} and "
            f"{_WEIGHTS}"
        ) from None
    matrices = {}
    for name, a_RK in weights.items():
        layer = name.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
        if name.endswith(".lora_A.weight"):
            b_NR = weights.get(name.replace("lora_A", "lora_B"))
            if b_NR is None:
                raise BadInput(f"{folder}: layer {layer} has lora_A without lora_B")
            matrices[layer] = (a_RK.to(torch.float32), b_NR.to(torch.float32))
    if config.use_rslora or config.rank_pattern or config.alpha_pattern or not matrices:
        raise BadInput(f"{folder}: only plain LoRA with one rank can be read")
    return PeftAdapter(config.r, config.lora_alpha / config.r, matrices)
