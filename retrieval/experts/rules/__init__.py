"""Rules change how experts are trained: gradients, updates, losses, and what is trained when."""

from __future__ import annotations

from torch import nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.registry import load
from retrieval.experts.rules.base import Rule, RuleBatch

__all__ = ["Rule", "RuleBatch", "build_rule"]


def build_rule(encoder: nn.Module, config: ExpertConfig | None, steps: int) -> Rule | None:
    """Build the rule that `config` names for a run of `steps` steps; None without a rule."""
    if config is None or config.rule == "none":
        return None
    rule: Rule = load("rule", config.rule)(encoder, config.options_of("rule"), steps)
    return rule
