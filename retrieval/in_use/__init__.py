"""Methods that adapt a trained encoder while it serves."""

from __future__ import annotations

from retrieval.in_use.base import InUse, build_in_use

__all__ = ["InUse", "build_in_use"]
