"""The Uni-Retrieval encoder: towers, style prototypes, Prompt Bank and MoE-LoRA, as one module.

B batch, D width of the vectors, K prototype width, N bank entries, E experts, S styles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from retrieval.efficientnet import GRAM
from retrieval.experts import ExpertConfig, MoELoRA, MoELoRALinear, Route, allocate
from retrieval.experts.compression.compact import CompressedShape, make_compact
from retrieval.experts.registry import FAMILIES, load
from retrieval.prompt_bank import BankConfig, PromptBank
from retrieval.prototype import Prototypes
from retrieval.tower import Tower, TowerInputs

__all__ = ["EncodedBatch", "UniConfig", "UniRetrieval"]

Layer = Literal["qkv", "out", "expand", "contract"]


class UniConfig(BaseModel):
    """Components that are added to the towers. Without bank and depth they are plain towers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bank: BankConfig | None = Field(BankConfig(), description="The Prompt Bank.")
    prompt_attention: Literal["gated", "plain"] = Field(
        "gated",
        description="How tokens attend to the prompts: through a gate that training opens, or as "
        "to any token, which changes a trained tower at once.",
    )
    experts: ExpertConfig | None = Field(
        None, description="Experts that adapt the bank's prompts (Uni-RAG)."
    )
    depth: ExpertConfig | None = Field(
        None, description="Experts that adapt `layers` in every block of the image tower."
    )
    compressed: tuple[CompressedShape, ...] | None = Field(
        None, description="Shapes of the depth experts, by layer, after a compression."
    )
    layers: tuple[Layer, ...] = Field(
        ("qkv", "out", "expand", "contract"), description="Linear layers that `depth` adapts."
    )
    prototype: int = Field(128, ge=2, le=4096, description="Width of the style prototypes.")
    sentence: int = Field(384, ge=1, description="Width of the text retriever's vectors.")

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.experts is not None and self.bank is None:
            raise ValueError("experts without a bank: they adapt its prompts; give a bank too")
        if self.experts is not None:
            _check_prompt_methods(self.experts)
        if self.depth is not None:
            allowed = load("router", self.depth.router).layers
            if allowed is not None and (others := set(self.layers) - set(allowed)):
                raise ValueError(
                    f"depth.router={self.depth.router} with layers including {min(others)}: it "
                    f"stands on {' and '.join(allowed)} only; set layers: [{', '.join(allowed)}]"
                )
        if self.compressed is not None and self.depth is None:
            raise ValueError("compressed without depth: there are no experts to compress")
        if self.bank is not None and self.bank.width != self.prototype:
            raise ValueError(
                f"bank.width={self.bank.width}, prototype={self.prototype}: the bank's keys are "
                "prototypes; give both the same width"
            )
        return self


def _check_prompt_methods(experts: ExpertConfig) -> None:
    """Raise `ValueError` if a chosen method cannot adapt prompts."""
    if experts.rule != "none":
        raise ValueError(f"experts.rule={experts.rule}: rules are for depth experts")
    for family in FAMILIES:
        name = getattr(experts, family, "none")
        if name != "none" and "prompts" not in load(family, name).places:
            raise ValueError(
                f"experts.{family}={name}: works on the tower's layers, not on prompts; use it in "
                "depth"
            )


@dataclass(frozen=True)
class EncodedBatch:
    """Unit vectors, with the prototypes, weights and gates that led to them."""

    vectors_BD: Tensor
    prototypes_BK: Tensor
    entry_weights_BN: Tensor | None = None  # weights of the bank's entries
    gates: Mapping[str, Tensor] = field(default_factory=dict)  # by layer, (B, E) or (B, T, E)
    router_loss: Tensor = field(default_factory=lambda: torch.zeros(()))


class UniRetrieval(nn.Module):
    """Encodes pictures and texts as unit vectors (B, D).

    Before training it equals its plain tower: the gates of the prompts' attention are closed and
    the experts' B are zero. With `prompt_attention: plain` the prompts change it at once. `styles`
    names the rows of `centroids_SK`, which are the mean prototypes of the styles it was trained on.
    """

    def __init__(self, tower: Tower, config: UniConfig) -> None:
        super().__init__()
        assert isinstance(tower, nn.Module)
        self.tower, self.config = tower, config
        self.route = Route()
        self.prototypes = Prototypes(GRAM, config.sentence, config.prototype)
        self.bank: PromptBank | None = None
        if config.bank:
            self.bank = PromptBank(config.bank, tower.image_width, tower.text_width)
            for block in (*tower.image_blocks, *tower.text_blocks):
                block.attention.plain = config.prompt_attention == "plain"
        self.prompting = True  # off in a stage of the training
        self.prompt_experts = nn.ModuleDict()
        if config.bank and config.experts:
            for name, width in (("image", tower.image_width), ("text", tower.text_width)):
                self.prompt_experts[name] = MoELoRA(
                    config.experts,
                    self.route,
                    f"prompts.{name}",
                    prompt_width=width,
                    width=config.prototype,
                )
        if config.depth:
            self._add_depth_experts(config.depth)
        if config.compressed:
            for layer, shape in zip(self.depth_layers(), config.compressed, strict=True):
                make_compact(layer, shape)
        self.checkpointing = False  # recompute the blocks' activations in backward
        self.styles: tuple[str, ...] = ()
        self.centroids_SK: Tensor
        self.register_buffer("centroids_SK", torch.zeros(0, config.prototype))

    def _add_depth_experts(self, depth: ExpertConfig) -> None:
        """Replace the linear layers of the image blocks by layers with experts."""
        blocks = self.tower.image_blocks
        counts = allocate(depth, len(blocks))
        for i, (block, experts) in enumerate(zip(blocks, counts, strict=True)):
            for layer in self.config.layers:
                parent = block.attention if layer in ("qkv", "out") else block
                linear = getattr(parent, layer)
                adapted = MoELoRALinear.wrap(
                    linear,
                    depth,
                    self.route,
                    f"{i}.{layer}",
                    width=self.config.prototype,
                    experts=experts,
                )
                setattr(parent, layer, adapted)

    def depth_layers(self) -> list[MoELoRALinear]:
        """Return the layers of the image tower that have experts, first block first."""
        assert isinstance(self.tower, nn.Module)
        return [m for m in self.tower.modules() if isinstance(m, MoELoRALinear)]

    def forward_image(
        self, prepared: TowerInputs, prototypes_BK: Tensor | None = None
    ) -> EncodedBatch:
        """Encode pictures, in the style of `prototypes_BK` or by default in their own style."""
        if prototypes_BK is None:
            prototypes_BK = self.prototypes.from_gram(prepared.features_BG)
        return self._encode("image", prepared, prototypes_BK)

    def forward_text(self, prepared: TowerInputs) -> EncodedBatch:
        """Encode texts."""
        return self._encode("text", prepared, self.prototypes.from_sentence(prepared.features_BG))

    def _encode(
        self, kind: Literal["image", "text"], prepared: TowerInputs, prototypes_BK: Tensor
    ) -> EncodedBatch:
        tower = self.tower.forward_image if kind == "image" else self.tower.forward_text
        prompts = entry_weights = None
        recompute = self.checkpointing and self.training
        self.tower.wrap_block = self._checkpoint_block if recompute else None
        with self.route.carrying(prototypes_BK):
            if self.bank is not None and self.prompting:
                image = kind == "image"
                mix = self.bank.mix_image_prompts if image else self.bank.mix_text_prompts
                prompts, entry_weights = mix(prototypes_BK)
                if kind in self.prompt_experts:
                    prompts = self.prompt_experts[kind](prompts)
            vectors = F.normalize(tower(prepared.inputs, prompts).float(), dim=1)
            gates = {name: torch.cat(gates) for name, gates in self.route.gates.items()}
            return EncodedBatch(vectors, prototypes_BK, entry_weights, gates, self.route.loss)

    def _checkpoint_block(self, block: Callable[[Tensor], Tensor], x_BTW: Tensor) -> Tensor:
        """Run a block and recompute its activations in `backward` instead of keeping them.

        During `backward` the route is idle or carries another batch, so it must carry this batch's
        prototypes again.
        """
        prototypes_BK = self.route.prototype_BD

        def run(x_BTW: Tensor) -> Tensor:
            with self.route.recomputing(prototypes_BK):
                return block(x_BTW)

        return checkpoint(run, x_BTW, use_reentrant=False)

    def set_styles(self, centroids: Mapping[str, Tensor]) -> None:
        """Set the styles and the mean prototype (K) of each."""
        self.styles = tuple(centroids)
        self.centroids_SK = F.normalize(torch.stack(list(centroids.values())), dim=1)

    def adapter_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters that are added to the towers, with their names."""
        for name, parameter in self.named_parameters():
            if ".experts." in name or "gate_H" in name or not name.startswith("tower."):
                yield name, parameter
