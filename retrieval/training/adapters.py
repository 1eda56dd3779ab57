"""Adapters that were trained one by one become the frozen experts of a mixture.

E experts, R rank, K in, N out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from data.errors import BadInput
from retrieval.checkpoint import WEIGHTS_FILE, read_card
from retrieval.experts.parameterisations import LowRankExperts
from retrieval.training.peft_exchange import PEFT_CONFIG, PeftAdapter, read_peft
from retrieval.uni_retrieval import UniRetrieval

__all__ = ["load_adapters"]

_EXPERTS = ".experts."


@torch.no_grad()
def load_adapters(encoder: UniRetrieval, folders: Sequence[Path]) -> None:
    """Put the adapter in each of `folders` into the depth experts of `encoder`.

    A folder is a checkpoint of ours with one LoRA expert, or an adapter of PEFT. Raises `BadInput`
    unless there is one per expert, on the same layers and with the same rank.
    """
    depth = encoder.config.depth
    assert depth is not None, "adapters need depth experts"
    if len(folders) != depth.experts or depth.allocation == "mola":
        raise BadInput(
            f"{len(folders)} adapters for experts={depth.experts}, allocation={depth.allocation}: "
            "expected one adapter per expert and the same experts in every layer"
        )
    names = {id(module): name for name, module in encoder.tower.named_modules()}
    for e, folder in enumerate(folders):
        adapter = read_peft(folder) if (folder / PEFT_CONFIG).exists() else _read_ours(folder)
        if adapter.rank != depth.rank:
            raise BadInput(
                f"{folder}: rank {adapter.rank}; expected {depth.rank}, the rank of the mixture"
            )
        for layer in encoder.depth_layers():
            assert isinstance(layer.experts, LowRankExperts)
            if (matrices := adapter.matrices.get(name := names[id(layer)])) is None:
                raise BadInput(f"{folder}: has no adapter for layer {name}; train on these layers")
            a_RK, b_NR = (m.to(layer.experts.a_ERK) for m in matrices)
            if (a_RK.shape, b_NR.shape) != (
                layer.experts.a_ERK[e].shape,
                layer.experts.b_ENR[e].shape,
            ):
                raise BadInput(f"{folder}: layer {name} belongs to a tower of another width")
            layer.experts.a_ERK[e] = a_RK
            # Output is scaled by alpha / rank; the ratio goes into B.
            layer.experts.b_ENR[e] = b_NR * (adapter.scale / depth.scale)


def _read_ours(folder: Path) -> PeftAdapter:
    """Read the single expert of a checkpoint of ours."""
    depth = read_card(folder).encoder.depth
    if depth is None or depth.experts != 1 or depth.parameterisation != "lora":
        raise BadInput(
            f"{folder}: not one adapter; train one with `encoder: {{depth: {{experts: 1}}}}`"
        )
    weights = load_file(folder / WEIGHTS_FILE)
    matrices = {
        name.partition(_EXPERTS)[0].removeprefix("tower."): (
            a_ERK[0].float(),
            weights[name.replace("a_ERK", "b_ENR")][0].float(),
        )
        for name, a_ERK in weights.items()
        if name.startswith("tower.") and name.endswith(f"{_EXPERTS}a_ERK")
    }
    return PeftAdapter(depth.rank, depth.scale, matrices)
