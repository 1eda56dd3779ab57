"""What every method says about itself: its paper, its options, and what it does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from retrieval.experts.config import ExpertConfig

__all__ = ["Described", "MethodOptions", "Paper"]


@dataclass(frozen=True, slots=True)
class Paper:
    """The source of a method. `smaller` says where the form here is smaller than the paper's."""

    name: str
    arxiv: str
    part: str
    smaller: str = ""


class MethodOptions(BaseModel):
    """The options of one method, beside the settings that all methods share."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Described:
    """The base of every method in `retrieval/experts/registry.py`."""

    paper: ClassVar[Paper]
    places: ClassVar[tuple[str, ...]] = ("depth", "prompts")  # where a config may name the method
    example: ClassVar[Mapping[str, Any]] = {}  # settings that the method needs beside its name
    Options: ClassVar[type[MethodOptions]] = MethodOptions

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        """Return why the method cannot be used in `config`, with what to change; None if it can."""
        return None
