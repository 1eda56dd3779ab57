"""Count the processor cores that this process may use."""

from __future__ import annotations

import os
import sys

__all__ = ["count_cores"]


def count_cores() -> int:
    """Return the number of usable cores: in a container, fewer than the machine has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
