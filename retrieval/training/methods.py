"""The training methods: baselines, and one for every method of the registry.

Every method except `tower` and `plain` also trains the tower's LayerNorms, as the papers do, so
that methods differ in a single thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peft import LoraConfig, inject_adapter_in_model
from pydantic.fields import FieldInfo
from torch import nn

from retrieval.experts import ExpertConfig
from retrieval.experts.registry import FAMILIES, Family, load, names
from retrieval.prompt_bank import BankConfig
from retrieval.tower import Tower
from retrieval.uni_retrieval import UniConfig, UniRetrieval

__all__ = ["Method", "build", "methods"]


@dataclass(frozen=True, slots=True)
class Method:
    """The components that a method adds (`config`), and the parameters of the tower it trains.

    `lora_rank` is the rank of plain LoRA on the image blocks; 0 for none. `compression` and
    `in_use` are methods of the registry that come after training.
    """

    title: str
    config: UniConfig
    train_tower: bool = False
    train_norms: bool = True
    lora_rank: int = 0
    compression: str | None = None
    in_use: str | None = None

    @property
    def needs_adapters(self) -> bool:
        """True if the experts must be trained before, one by one."""
        depth = self.config.depth
        return depth is not None and load("router", depth.router).needs_adapters


_NONE = UniConfig(bank=None)
_BASELINES: Mapping[str, Method] = {
    "tower": Method("the tower itself", _NONE, train_tower=True),
    "plain": Method("plain tower", _NONE, train_norms=False),
    "layernorm": Method("LayerNorm tuning", _NONE),
    "lora": Method("LoRA (peft), rank 8", _NONE, lora_rank=8),
    "lora-32": Method("LoRA (peft), rank 32", _NONE, lora_rank=32),
    "prompt": Method("prompt tuning", UniConfig(bank=BankConfig(entries=1))),
    "bank": Method("bank without experts (Uni-Retrieval)", UniConfig()),
    "bank-moe": Method("bank with MoE-LoRA (Uni-RAG)", UniConfig(experts=ExpertConfig())),
}


def methods() -> dict[str, Method]:
    """Return every method by name: the baselines, then one for each entry of the registry.

    `depth` is the mixture of all defaults; `depth-NAME` changes one family to NAME.
    """
    table = {**_BASELINES, "depth": Method("ours: depth, softmax", _depth_config())}
    table["depth-token"] = Method(
        "depth, routed per token", _depth_config(routed_by="token", temperature=1.0)
    )
    for family in FAMILIES:
        for name in names(family):
            if name != ExpertConfig.model_fields.get(family, _NO_FIELD).default:
                table[f"depth-{name.replace('_', '-')}"] = _registered(family, name)
    return table


_NO_FIELD = FieldInfo(default=None)  # of the families that are not settings of a mixture


def _depth_config(layers: tuple[str, ...] | None = None, **settings: object) -> UniConfig:
    """Return prompt experts of all defaults and depth experts with `settings`."""
    values = {"experts": ExpertConfig(), "depth": settings}
    return UniConfig.model_validate(values | ({"layers": layers} if layers else {}))


def _registered(family: Family, name: str) -> Method:
    """Return the method that changes one family of the defaults."""
    kind = load(family, name)
    title = f"depth, {name} ({kind.paper.name})"
    if family == "compression":
        return Method(title, _depth_config(**kind.example), compression=name)
    if family == "in_use":
        return Method(title, _depth_config(**kind.example), in_use=name)
    layers = kind.layers if family == "router" else None
    return Method(title, _depth_config(layers, **{family: name}, **kind.example))


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
        # The other added parameters are new, and say themselves whether they are trained.
        for block in (*tower.image_blocks, *tower.text_blocks):
            block.attention.gate_H.requires_grad_(not block.attention.plain)
    return encoder
