"""The training methods: baselines and ours, one line each.

Every method except `tower` and `plain` also trains the tower's LayerNorms, as the papers do, so
that methods differ in a single thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from retrieval.experts import ExpertConfig
from retrieval.prompt_bank import BankConfig
from retrieval.tower import Tower
from retrieval.uni_retrieval import UniConfig, UniRetrieval

__all__ = ["METHODS", "Method", "build"]


@dataclass(frozen=True, slots=True)
class Method:
    """The components that a method adds (`config`), and the parameters of the tower it trains.

    `lora_rank` is the rank of plain LoRA on the image blocks; 0 for none.
    """

    title: str
    config: UniConfig
    train_tower: bool = False
    train_norms: bool = True
    lora_rank: int = 0


def _ours(title: str, **depth: object) -> Method:
    experts = ExpertConfig.model_validate(depth)
    return Method(title, UniConfig(experts=ExpertConfig(), depth=experts))


_NONE = UniConfig(bank=None)
METHODS: Mapping[str, Method] = {
    "tower": Method("the tower itself", _NONE, train_tower=True),
    "plain": Method("plain tower", _NONE, train_norms=False),
    "layernorm": Method("LayerNorm tuning", _NONE),
    "lora": Method("LoRA (peft), rank 8", _NONE, lora_rank=8),
    "lora-32": Method("LoRA (peft), rank 32", _NONE, lora_rank=32),
    "prompt": Method("prompt tuning", UniConfig(bank=BankConfig(entries=1))),
    "bank": Method("bank without experts (Uni-Retrieval)", UniConfig()),
    "bank-moe": Method("bank with MoE-LoRA (Uni-RAG)", UniConfig(experts=ExpertConfig())),
    "depth": _ours("ours: depth, softmax"),
    "depth-top-k": _ours("depth, top-k with load balance", router="top_k"),
    "depth-top-p": _ours("depth, top-p", router="top_p"),
    "depth-null": _ours("depth, null experts", router="null"),
    "depth-rank-wise": _ours("depth, rank-wise experts", parameterisation="rank_wise"),
    "depth-shared": _ours("depth, shared + routed experts", parameterisation="shared"),
    "depth-mola": _ours("depth, more experts higher up (MoLA)", allocation="mola"),
    "depth-token": _ours("depth, routed per token", routed_by="token", temperature=1.0),
    "depth-orthogonal": _ours("depth, orthogonal rule (OMoE)", rule="orthogonal"),
}


def build(method: Method, tower: Tower) -> UniRetrieval:
    """Build the encoder on `tower`, with `requires_grad` on the parameters that `method` trains."""
    assert isinstance(tower, nn.Module)
    tower.requires_grad_(method.train_tower)
    encoder = UniRetrieval(tower, method.config)
    if method.lora_rank:
        layers = ["qkv", "out", "expand", "contract"]
        config = LoraConfig(r=method.lora_rank, lora_alpha=method.lora_rank, target_modules=layers)
        for block in tower.image_blocks:
            inject_adapter_in_model(config, block)
    if method.train_norms:
        for module in tower.modules():
            if isinstance(module, nn.LayerNorm):
                module.requires_grad_(True)
    if method.config.bank is None:
        # without bank and experts the prototypes still tell the styles apart
        encoder.prototypes.requires_grad_(method.train_tower)
        for block in (*tower.image_blocks, *tower.text_blocks):
            block.attention.gate_H.requires_grad_(False)
    else:
        for _, parameter in encoder.adapter_parameters():
            parameter.requires_grad_(True)
    return encoder
