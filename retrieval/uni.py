"""The Uni-Retrieval encoder: towers, style prototypes, Prompt Bank and MoE-LoRA, as one module.

B batch, D width of the vectors, K prototype width, S styles, G Gram features.
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

from retrieval.bank import BankConfig, PromptBank
from retrieval.efficientnet import GRAM
from retrieval.experts import ExpertConfig, MoELoRA, MoELoRALinear, Route, allocate
from retrieval.prototype import Prototypes
from retrieval.tower import Tower, TowerInputs

__all__ = ["EncodedBatch", "UniConfig", "UniRetrieval"]

Layer = Literal["qkv", "out", "expand", "contract"]


class UniConfig(BaseModel):
    """What stands around the towers. Nothing of it: the plain towers.

    `experts` adapt the bank's prompts (Uni-RAG), `depth` the `layers` of every block of the image
    tower. `sentence` is the width of the text retriever's vectors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bank: BankConfig | None = BankConfig()
    experts: ExpertConfig | None = None
    depth: ExpertConfig | None = None
    layers: tuple[Layer, ...] = ("qkv", "out", "expand", "contract")
    prototype: int = Field(128, ge=2, le=4096)
    sentence: int = Field(384, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.experts is not None and self.bank is None:
            raise ValueError("experts without a bank: they adapt its prompts; give a bank too")
        if self.experts is not None and self.experts.rule != "none":
            raise ValueError(f"experts.rule={self.experts.rule}: rules are for depth experts")
        if self.bank is not None and self.bank.width != self.prototype:
            raise ValueError(
                f"bank.width={self.bank.width}, prototype={self.prototype}: the bank's keys are "
                "prototypes; give both the same width"
            )
        return self


@dataclass(frozen=True)
class EncodedBatch:
    """Unit vectors, and how they came about: for the losses, and for display."""

    vectors_BD: Tensor
    prototypes_BK: Tensor
    entries_BN: Tensor | None = None
    gates: Mapping[str, Tensor] = field(default_factory=dict)  # by layer, (B, E) or (B, T, E)
    balance: Tensor = field(default_factory=lambda: torch.zeros(()))


class UniRetrieval(nn.Module):
    """Vectors (B, D) of unit length for pictures and for words.

    Before training it is its plain tower: the gates of the prompts' attention are shut and the
    experts' B are zero. `styles` names the rows of `centroids_SK`, the mean prototype of each
    style that it was trained on.
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
            self._adapt(config.depth)
        self.checkpointing = False  # activations of the blocks computed again in backward
        self.styles: tuple[str, ...] = ()
        self.centroids_SK: Tensor
        self.register_buffer("centroids_SK", torch.zeros(0, config.prototype))

    def _adapt(self, depth: ExpertConfig) -> None:
        """Put experts beside the linear layers of the image tower's blocks."""
        blocks = self.tower.image_blocks
        shares = allocate(depth.allocation, len(blocks), depth.experts, depth.min_experts)
        for i, (block, experts) in enumerate(zip(blocks, shares, strict=True)):
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

    def forward_image(
        self, looked: TowerInputs, prototypes_BK: Tensor | None = None
    ) -> EncodedBatch:
        """Pictures; `prototypes_BK` takes the place of their own, to encode in a given style."""
        if prototypes_BK is None:
            prototypes_BK = self.prototypes.from_gram(looked.features_BG)
        return self._encode("image", looked, prototypes_BK)

    def forward_text(self, looked: TowerInputs) -> EncodedBatch:
        return self._encode("text", looked, self.prototypes.from_sentence(looked.features_BG))

    def _encode(
        self, kind: Literal["image", "text"], looked: TowerInputs, k_BK: Tensor
    ) -> EncodedBatch:
        tower = self.tower.forward_image if kind == "image" else self.tower.forward_text
        prompts = entries = None
        self.tower.around = self._again if self.checkpointing and self.training else None
        with self.route.carrying(k_BK):
            if self.bank is not None:
                mix = self.bank.for_image if kind == "image" else self.bank.for_text
                prompts, entries = mix(k_BK)
                if kind in self.prompt_experts:
                    prompts = self.prompt_experts[kind](prompts)
            vectors = F.normalize(tower(looked.inputs, prompts).float(), dim=1)
            gates = {name: torch.cat(parts) for name, parts in self.route.gates.items()}
            return EncodedBatch(vectors, k_BK, entries, gates, self.route.loss)

    def _again(self, block: Callable[[Tensor], Tensor], x_BTW: Tensor) -> Tensor:
        """Run a block whose activations are not kept, but computed again in `backward`.

        By then the route is idle or carries another batch, so it is lent this one's prototypes.
        """
        k_BK = self.route.prototype_BD

        def run(x_BTW: Tensor) -> Tensor:
            with self.route.recomputing(k_BK):
                return block(x_BTW)

        return checkpoint(run, x_BTW, use_reentrant=False)

    def set_styles(self, centroids: Mapping[str, Tensor]) -> None:
        """Take the mean prototype (K) of each style, under its name."""
        self.styles = tuple(centroids)
        self.centroids_SK = F.normalize(torch.stack(list(centroids.values())), dim=1)

    def adapter_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters around the towers: all but the towers' own."""
        for name, parameter in self.named_parameters():
            if ".experts." in name or "gate_H" in name or not name.startswith("tower."):
                yield name, parameter
