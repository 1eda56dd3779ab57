"""The settings of a mixture of LoRA experts."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ExpertConfig"]


class ExpertConfig(BaseModel):
    """Settings of one mixture. Every router goes with every parameterisation and allocation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experts: int = Field(4, ge=1, le=256, description="Experts of a layer, the mean over layers.")
    rank: int = Field(8, ge=1, le=1024, description="Rank of one expert's matrices.")
    alpha: float = Field(8.0, gt=0, description="LoRA's alpha: the output is scaled alpha / rank.")
    router: Literal["softmax", "top_k", "top_p", "null"] = Field(
        "softmax", description="Router that chooses the experts (`retrieval/experts/routers`)."
    )
    parameterisation: Literal["lora", "rank_wise", "shared"] = Field(
        "lora", description="Form of an expert (`retrieval/experts/parameterisations`)."
    )
    allocation: Literal["uniform", "mola"] = Field(
        "uniform", description="Spread of experts over layers: even, or more in higher layers."
    )
    routed_by: Literal["prototype", "token"] = Field(
        "prototype", description="Input of the router: the style prototype, or each token."
    )
    top_k: int = Field(2, ge=1, description="Experts chosen per input by routers top_k and null.")
    top_p: float = Field(
        0.75, ge=0.01, le=1.0, description="Probability that the choice of router top_p reaches."
    )
    null_experts: int = Field(
        2, ge=1, le=256, description="Experts that compute nothing, for router null."
    )
    shared: int = Field(
        1, ge=1, description="Experts that are always on, for parameterisation shared."
    )
    # Prototypes have unit length: at 1.0 all experts would get nearly the same gate. Tokens are
    # longer vectors, for which about 1.0 is right.
    temperature: float = Field(0.1, gt=0, description="Divisor of the router's logits.")
    balance_weight: float = Field(0.01, ge=0, description="Weight of the load-balance loss.")
    entropy_weight: float = Field(
        1e-4, ge=0, description="Weight of the entropy loss of router top_p."
    )
    rule: Literal["none", "orthogonal"] = Field(
        "none", description="Rule that changes the experts' gradients during training."
    )

    @property
    def scale(self) -> float:
        """The factor of the experts' output, which keeps its size if only `rank` changes."""
        return self.alpha / self.rank

    @property
    def min_experts(self) -> int:
        """The smallest number of experts a layer can have: the shared and the chosen ones."""
        shared = self.shared if self.parameterisation == "shared" else 0
        if self.router == "top_k":
            return shared + self.top_k
        if self.router == "null":
            return shared + max(1, self.top_k - self.null_experts)
        return shared + 1

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.experts < self.min_experts:
            shared = f", shared={self.shared}" if self.parameterisation == "shared" else ""
            top_k = f", top_k={self.top_k}" if self.router in ("top_k", "null") else ""
            raise ValueError(
                f"experts={self.experts}{shared}{top_k}: these need at least {self.min_experts} "
                "experts; raise experts or lower the others"
            )
        if self.allocation == "mola" and self.experts == self.min_experts:
            raise ValueError(
                f"allocation=mola with experts={self.experts}: no layer can have fewer, so "
                "none can have more; raise experts or use allocation=uniform"
            )
        if self.rule == "orthogonal" and self.experts < 2:
            raise ValueError(
                "rule=orthogonal with experts=1: a single expert has no others; raise "
                "experts or use rule=none"
            )
        return self
