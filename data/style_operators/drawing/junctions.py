"""Join the lines of a skeleton that go straight on through a junction, as a pen would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["join_at_junctions"]

_MAX_LINES = 6  # that meet in a junction
_LOOK_BACK = 7  # points from the end of a line, to measure its direction
_STRAIGHT = 0.75  # cosine; lines that turn more are drawn one after the other

Line = NDArray[np.int32]


def join_at_junctions(lines: Sequence[Line], junction_HW: NDArray[np.int32]) -> list[Line]:
    """Return the lines (n, 2), each joined with the straightest of the lines that meet its ends.

    `junction_HW` numbers the junctions from 1 around their pixels, and is 0 elsewhere.
    """
    if len(lines) < 2:
        return list(lines)
    ends_E2 = np.array([line[i] for line in lines for i in (0, -1)])
    inner_E2 = np.array(
        [line[i] for line in lines for i in _inner_indices(len(line))],
    )
    heading_E2 = (ends_E2 - inner_E2).astype(np.float64)
    heading_E2 /= np.maximum(np.hypot(*heading_E2.T), 1e-6)[:, None]
    pairs_N2 = _meeting_ends(junction_HW[ends_E2[:, 1], ends_E2[:, 0]])
    straightness_N = -(heading_E2[pairs_N2[:, 0]] * heading_E2[pairs_N2[:, 1]]).sum(1)
    partner: dict[int, int] = {}
    for pair in np.argsort(-straightness_N):
        a, b = pairs_N2[pair].tolist()
        if straightness_N[pair] < _STRAIGHT:
            break
        if a not in partner and b not in partner:
            partner[a], partner[b] = b, a
    return _follow(lines, partner)


def _inner_indices(count: int) -> tuple[int, int]:
    """Return the points of a line that show its direction at the first and at the last point."""
    return min(_LOOK_BACK, count - 1), max(count - 1 - _LOOK_BACK, 0)


def _meeting_ends(junction_E: NDArray[np.int32]) -> NDArray[np.intp]:
    """Return the pairs (N, 2) of ends of different lines at the same junction."""
    order_E = np.argsort(junction_E, kind="stable")
    pairs = []
    for offset in range(1, _MAX_LINES):
        first, second = order_E[:-offset], order_E[offset:]
        meet = (junction_E[first] == junction_E[second]) & (junction_E[first] > 0)
        meet &= first // 2 != second // 2
        pairs.append(np.stack([first[meet], second[meet]], axis=1))
    return np.concatenate(pairs)


def _follow(lines: Sequence[Line], partner: dict[int, int]) -> list[Line]:
    """Return the chains of lines; end 2 i is the first point of line i, 2 i + 1 its last."""
    joined: list[Line] = []
    done: set[int] = set()
    free_ends = [end for end in range(2 * len(lines)) if end not in partner]
    for start in [*free_ends, *range(2 * len(lines))]:  # chains first, then what remains: rings
        chain: list[Line] = []
        end: int | None = start
        while end is not None and end // 2 not in done:
            done.add(end // 2)
            line = lines[end // 2]
            chain.append(line if end % 2 == 0 else line[::-1])
            end = partner.get(end ^ 1)
        if chain:
            ring = [chain[0][:1]] if end is not None and len(chain) > 1 else []
            joined.append(np.concatenate([*chain, *ring]))
    return joined
