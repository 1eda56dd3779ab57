"""The settings of a mixture of LoRA experts."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ExpertConfig"]


class ExpertConfig(BaseModel):
    """Router, parameterisation and allocation are three separate choices; any three go together.

    `experts` is the mean over the layers. `top_k` is read by the routers top_k and null, `top_p`
    and `entropy_weight` by top_p, `null_experts` by null, and `shared` by the parameterisation of
    that name, of whose `experts` it is a part. `temperature` divides the router's logits:
    prototypes have unit length, so that at 1 all experts get nearly the same gate; hidden states
    are longer and want about 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    experts: int = Field(4, ge=1, le=256)
    rank: int = Field(8, ge=1, le=1024)
    alpha: float = Field(8.0, gt=0)
    router: Literal["softmax", "top_k", "top_p", "null"] = "softmax"
    parameterisation: Literal["lora", "rank_wise", "shared"] = "lora"
    allocation: Literal["uniform", "mola"] = "uniform"
    routed_by: Literal["prototype", "token"] = "prototype"
    top_k: int = Field(2, ge=1)
    top_p: float = Field(0.75, ge=0.01, le=1.0)
    null_experts: int = Field(2, ge=1, le=256)
    shared: int = Field(1, ge=1)
    temperature: float = Field(0.1, gt=0)
    balance_weight: float = Field(0.01, ge=0)
    entropy_weight: float = Field(1e-4, ge=0)
    rule: Literal["none", "orthogonal"] = "none"

    @property
    def scale(self) -> float:
        """What the experts' output is multiplied by, so that `rank` can be changed alone."""
        return self.alpha / self.rank

    @property
    def fewest(self) -> int:
        """The fewest experts that a layer can have: those always on, and as many as are chosen."""
        always = self.shared if self.parameterisation == "shared" else 0
        if self.router == "top_k":
            return always + self.top_k
        if self.router == "null":
            return always + max(1, self.top_k - self.null_experts)
        return always + 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.experts < self.fewest:
            shared = f", shared={self.shared}" if self.parameterisation == "shared" else ""
            top_k = f", top_k={self.top_k}" if self.router in ("top_k", "null") else ""
            raise ValueError(
                f"experts={self.experts}{shared}{top_k}: these need at least {self.fewest} "
                "experts; raise experts or lower the others"
            )
        if self.allocation == "mola" and self.experts == self.fewest:
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
