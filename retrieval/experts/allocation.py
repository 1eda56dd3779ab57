"""How many experts each layer of a tower gets."""

from __future__ import annotations

from typing import Literal

__all__ = ["allocate"]


def allocate(
    how: Literal["uniform", "mola"], layers: int, experts: int, fewest: int = 1
) -> tuple[int, ...]:
    """Experts per layer, the first layer first; `layers * experts` in all, none below `fewest`.

    `mola` gives more to the higher layers, on a straight line from `fewest` (MoLA, arXiv
    2402.08562: experts of lower layers are the most alike).
    """
    assert layers >= 1, "a tower has layers"
    assert 1 <= fewest <= experts, "the mean cannot lie below the least"
    if how == "uniform" or layers == 1:
        return (experts,) * layers
    # Integers: layer i stands at fewest + rise * i / (layers - 1); what flooring takes is given
    # back where it took most, which keeps both the total and the order.
    rise = 2 * (experts - fewest)
    parts = [divmod(rise * i, layers - 1) for i in range(layers)]
    counts = [fewest + whole for whole, _ in parts]
    by_loss = sorted(range(layers), key=lambda i: (parts[i][1], i), reverse=True)
    for i in by_loss[: layers * experts - sum(counts)]:
        counts[i] += 1
    return tuple(counts)
