"""Alignment, then experts, then all together: Uni-MoE's staged training (arXiv 2405.11273)."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.parameterisations import Experts
from retrieval.experts.rules.base import Rule

__all__ = ["StagedRule"]


class StagedRule(Rule):
    """First what is around the experts, then the experts under fixed routers, then everything."""

    paper = Paper(
        "Uni-MoE",
        "2405.11273",
        "progressive three-stage training",
        "the experts of stage two share the batches; each style has no run of its own",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        alignment: float = Field(0.2, ge=0, le=1, description="Share of steps for stage one.")
        experts: float = Field(0.4, ge=0, le=1, description="Share of steps for stage two.")

    options: Options

    def __init__(self, encoder: nn.Module, options: MethodOptions | None = None, steps: int = 1):
        super().__init__(encoder, options, steps)
        modules = [m for m in encoder.modules() if isinstance(m, Experts)]
        routers = {id(p) for m in modules if m.router for p in m.router.parameters()}
        inside = {id(p) for m in modules for p in m.parameters()}
        trained = [p for p in encoder.parameters() if p.requires_grad]
        self._routers = [p for p in trained if id(p) in routers]
        self._experts = [p for p in trained if id(p) in inside - routers]
        self._around = [p for p in trained if id(p) not in inside]

    def stage(self, step: int) -> int:
        """Return the stage of a step: 1, 2 or 3."""
        aligned = round(self.options.alignment * self.steps)
        if step < aligned:
            return 1
        return 2 if step < aligned + round(self.options.experts * self.steps) else 3

    def start_step(self, step: int) -> None:
        stage = self.stage(step)
        for parameters, stages in (
            (self._around, (1, 3)),
            (self._experts, (2, 3)),
            (self._routers, (3,)),
        ):
            for parameter in parameters:
                parameter.requires_grad_(stage in stages)
