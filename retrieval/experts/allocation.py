"""The number of experts of each layer of a tower."""

from __future__ import annotations

from typing import Literal

__all__ = ["allocate"]


def allocate(
    allocation: Literal["uniform", "mola"], layers: int, experts: int, minimum: int = 1
) -> tuple[int, ...]:
    """Return the number of experts of each layer, first layer first.

    The numbers add up to `layers * experts`, and none is below `minimum`. `uniform` gives every
    layer `experts`. `mola` gives more to higher layers, on a straight line that starts at `minimum`
    (MoLA, arXiv 2402.08562: experts of lower layers are the most alike).
    """
    assert layers >= 1, "a tower has at least one layer"
    assert 1 <= minimum <= experts, "the mean cannot be below the minimum"
    if allocation == "uniform" or layers == 1:
        return (experts,) * layers
    # Layer i gets minimum + rise * i / (layers - 1), in integers. Rounding down loses experts;
    # they go to the layers that lost the largest fractions, which keeps the total and the order.
    rise = 2 * (experts - minimum)
    quotients = [divmod(rise * i, layers - 1) for i in range(layers)]
    counts = [minimum + whole for whole, _ in quotients]
    by_loss = sorted(range(layers), key=lambda i: (quotients[i][1], i), reverse=True)
    for i in by_loss[: layers * experts - sum(counts)]:
        counts[i] += 1
    return tuple(counts)
