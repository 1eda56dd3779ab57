"""Allocations spread experts and ranks over the layers of a tower."""

from __future__ import annotations

from retrieval.experts.allocations.base import Allocation, RankGate, allocate

__all__ = ["Allocation", "RankGate", "allocate"]
