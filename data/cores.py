"""How many cores there are to work with."""

from __future__ import annotations

import os
import sys

__all__ = ["cores"]


def cores() -> int:
    """Those that this process may use: a container has fewer than the machine."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
