"""Join the lines of a skeleton that go straight on through a junction, as a pen would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["join_at_junctions"]

_REACH = 4.5  # pixels between two ends that meet in a junction
_LOOK_BACK = 7  # points from the end of a line, to measure its direction
_STRAIGHT = 0.75  # cosine; lines that turn more are drawn one after the other

Line = NDArray[np.int32]


def join_at_junctions(lines: Sequence[Line]) -> list[Line]:
    """Return the lines (n, 2), each joined with the straightest of the lines that meet its ends."""
    if len(lines) < 2:
        return list(lines)
    ends_E2 = np.array([line[i] for line in lines for i in (0, -1)], np.float64)
    inner_E2 = np.array(
        [
            line[i]
            for line in lines
            for i in (min(_LOOK_BACK, len(line) - 1), -min(_LOOK_BACK + 1, len(line)))
        ],
        np.float64,
    )
    heading_E2 = ends_E2 - inner_E2
    heading_E2 /= np.maximum(np.hypot(*heading_E2.T), 1e-6)[:, None]
    pairs_N2 = cKDTree(ends_E2).query_pairs(_REACH, output_type="ndarray")
    pairs_N2 = pairs_N2[pairs_N2[:, 0] // 2 != pairs_N2[:, 1] // 2]
    straightness_N = -(heading_E2[pairs_N2[:, 0]] * heading_E2[pairs_N2[:, 1]]).sum(1)
    partner: dict[int, int] = {}
    for pair in np.argsort(-straightness_N):
        a, b = pairs_N2[pair].tolist()
        if straightness_N[pair] < _STRAIGHT:
            break
        if a not in partner and b not in partner:
            partner[a], partner[b] = b, a
    return _follow(lines, partner)


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
