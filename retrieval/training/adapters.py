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
from retrieval.uni_retrieval import UniRetrieval

__all__ = ["load_adapters"]


@torch.no_grad()
def load_adapters(encoder: UniRetrieval, folders: Sequence[Path]) -> None:
    """Put the single expert of each checkpoint in `folders` into the depth experts of `encoder`.

    Raises `BadInput` unless there is one checkpoint per expert, each with one LoRA expert on the
    same layers.
    """
    depth = encoder.config.depth
    assert depth is not None, "adapters need depth experts"
    if len(folders) != depth.experts or depth.allocation == "mola":
        raise BadInput(
            f"{len(folders)} adapters for experts={depth.experts}, allocation={depth.allocation}: "
            "expected one adapter per expert and the same experts in every layer"
        )
    names = {id(module): name for name, module in encoder.named_modules()}
    for e, folder in enumerate(folders):
        adapter = read_card(folder).encoder.depth
        if adapter is None or adapter.experts != 1 or adapter.rank != depth.rank:
            raise BadInput(
                f"{folder}: not an adapter of rank {depth.rank} with depth.experts=1; train one "
                "with `encoder: {depth: {experts: 1}}`"
            )
        weights = load_file(folder / WEIGHTS_FILE)
        for layer in encoder.depth_layers():
            assert isinstance(layer.experts, LowRankExperts)
            name = names[id(layer.experts)]
            if f"{name}.a_ERK" not in weights:
                raise BadInput(f"{folder}: has no adapter for layer {name}; train on these layers")
            layer.experts.a_ERK[e] = weights[f"{name}.a_ERK"][0].to(layer.experts.a_ERK)
            # Output is scaled by alpha / rank; the ratio goes into B.
            b_NR = weights[f"{name}.b_ENR"][0].to(layer.experts.b_ENR)
            layer.experts.b_ENR[e] = b_NR * (adapter.scale / depth.scale)
