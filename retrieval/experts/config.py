"""The settings of a mixture of LoRA experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from retrieval.experts.paper import MethodOptions
from retrieval.experts.registry import Family, load

__all__ = ["ExpertConfig"]

_FAMILIES: tuple[Family, ...] = ("router", "parameterisation", "allocation", "rule")


class ExpertConfig(BaseModel):
    """Settings of one mixture; `retrieval/experts/registry.py` lists the methods of each family.

    `options` holds what one method alone needs, by family: `{"router": {"threshold": 0.5}}`.
    A combination that makes no sense is refused with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    experts: int = Field(4, ge=1, le=256, description="Experts of a layer, the mean over layers.")
    rank: int = Field(8, ge=1, le=1024, description="Rank of one expert's matrices.")
    alpha: float = Field(8.0, gt=0, description="LoRA's alpha: the output is scaled alpha / rank.")
    router: str = Field(
        "softmax", description="Router that chooses the experts (`retrieval/experts/routers`)."
    )
    parameterisation: str = Field(
        "lora", description="Form of an expert (`retrieval/experts/parameterisations`)."
    )
    allocation: str = Field(
        "uniform", description="Spread of experts and ranks (`retrieval/experts/allocations`)."
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
    rule: str = Field("none", description="Rule of training (`retrieval/experts/rules`), or none.")
    options: Mapping[str, Mapping[str, Any]] = Field(
        {}, description="Options of the chosen methods, by family."
    )

    @property
    def scale(self) -> float:
        """The factor of the experts' output, which keeps its size if only `rank` changes."""
        return self.alpha / self.rank

    @property
    def min_experts(self) -> int:
        """The smallest number of experts a layer can have: the shared and the chosen ones."""
        shared = self.shared if self.parameterisation == "shared" else 0
        least: int = load("router", self.router).least_experts(self)
        return shared + least

    def options_of(self, family: Family) -> Any:
        """Return the options of the chosen method of a family, an instance of its `Options`."""
        name = getattr(self, family)
        options: type[MethodOptions] = load(family, name).Options
        try:
            return options.model_validate(self.options.get(family, {}))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            expected = ", ".join(options.model_fields) or "none"
            raise ValueError(
                f"options.{family}.{field}: {first['msg']}; options of {name}: {expected}"
            ) from None

    @model_validator(mode="after")
    def _check_methods(self) -> Self:
        for family in _FAMILIES:
            if family == "rule" and self.rule == "none":
                continue
            method = load(family, getattr(self, family))
            self.options_of(family)
            if reason := method.refusal(self):
                raise ValueError(f"{family}={getattr(self, family)}: {reason}")
        if unknown := set(self.options) - {
            f for f in _FAMILIES if f != "rule" or self.rule != "none"
        }:
            raise ValueError(
                f"options.{min(unknown)}: no such method is chosen; expected keys: "
                + ", ".join(_FAMILIES)
            )
        return self

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.experts < self.min_experts:
            shared = f", shared={self.shared}" if self.parameterisation == "shared" else ""
            chosen = load("router", self.router).least_experts(self)
            top_k = f", top_k={self.top_k}" if chosen > 1 else ""
            raise ValueError(
                f"experts={self.experts}{shared}{top_k}: these need at least {self.min_experts} "
                "experts; raise experts or lower the others"
            )
        return self
