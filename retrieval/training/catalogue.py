"""The list of all mixture methods with papers and sizes, for `unirag methods` and its page.

`python -m retrieval.training.catalogue` prints the tables of docs/methods.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from retrieval.experts import ExpertConfig, MoELoRALinear, Route
from retrieval.experts.compression.base import Calibration
from retrieval.experts.registry import FAMILIES, REGISTRY, Family, load, names
from retrieval.training.methods import methods

__all__ = ["EXAMPLE_LAYER", "MethodEntry", "list_methods", "methods_markdown"]

# `expand` of a block of the mini tower, with the default 4 experts of rank 8.
EXAMPLE_LAYER = "a layer from 384 to 768, prototypes of 128, 4 experts of rank 8"
_INPUTS, _OUTPUTS, _PROTOTYPE, _SAMPLE = 384, 768, 128, 16


@dataclass(frozen=True)
class MethodEntry:
    """One method. `parameters` are those that a run trains in the example layer."""

    name: str
    family: Family
    paper: str
    arxiv: str
    part: str
    smaller: str
    file: str
    places: tuple[str, ...]
    train_method: str
    parameters: int


def list_methods() -> list[MethodEntry]:
    """Return every method of the registry, family by family."""
    return list(_entries())


def _entries() -> Iterator[MethodEntry]:
    trainable = methods()
    for family in FAMILIES:
        for name in names(family):
            kind = load(family, name)
            train_method = f"depth-{name.replace('_', '-')}"
            if family == "in_use":  # adapts what was trained otherwise
                train_method = "depth"
            yield MethodEntry(
                name,
                family,
                kind.paper.name,
                kind.paper.arxiv,
                kind.paper.part,
                kind.paper.smaller,
                REGISTRY[family][name].partition(":")[0].replace(".", "/") + ".py",
                kind.places,
                train_method if train_method in trainable else "depth",
                _count_parameters(family, name),
            )


def _count_parameters(family: Family, name: str) -> int:
    """Return what a run trains in the example layer; after a compression, what is left of it."""
    kind = load(family, name)
    choice = {family: name} if family in ExpertConfig.model_fields else {}
    config = ExpertConfig.model_validate({**choice, **kind.example})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = nn.Linear(_INPUTS, _OUTPUTS)
        layer = MoELoRALinear.wrap(base, config, Route(), "example", width=_PROTOTYPE)
        trained = sum(p.numel() for p in layer.parameters() if p.requires_grad)
        if family != "compression":
            return trained
        a_ERK, b_ENR = layer.experts.matrices() or (torch.empty(0), torch.empty(0))
        gates_XE = torch.rand(_SAMPLE, config.experts)
        sample = Calibration(torch.randn(_SAMPLE, _INPUTS), gates_XE)
        compact = kind().compress(a_ERK.detach(), torch.randn_like(b_ENR), sample)
        router = trained - a_ERK.numel() - b_ENR.numel()
        return router + compact.a_FRK.numel() + compact.b_FNR.numel()


def methods_markdown() -> str:
    """Return the tables of docs/methods.md."""
    lines = []
    entries = list_methods()
    for family, purpose in FAMILIES.items():
        rows = [e for e in entries if e.family == family]
        lines += [
            f"### `{family}`: {purpose}",
            "",
            "| name | paper | part | smaller than the paper | parameters | stands in | file |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| `{e.name}` | [{e.paper}](https://arxiv.org/abs/{e.arxiv}) | {e.part} "
                f"| {e.smaller or '-'} | {e.parameters:,} | {', '.join(e.places)} "
                f"| [{Path(e.file).name}](../{e.file}) |"
                for e in rows
            ),
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(methods_markdown())
