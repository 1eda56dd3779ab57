"""The sentence that every interface shows when the corpus does not answer a question."""

from __future__ import annotations

__all__ = ["REFUSAL"]

REFUSAL = "There is no evidence for this in the indexed material."
