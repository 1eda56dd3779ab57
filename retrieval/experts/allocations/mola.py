"""More experts in higher layers: MoLA (arXiv 2402.08562)."""

from __future__ import annotations

from retrieval.experts.allocations.base import Allocation
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Paper

__all__ = ["MoLAAllocation"]


class MoLAAllocation(Allocation):
    """Counts rise on a straight line that starts at the minimum.

    MoLA's reason: experts of lower layers are the most alike.
    """

    paper = Paper("MoLA", "2402.08562", "layer-wise expert allocation")

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.experts == config.min_experts:
            return (
                f"allocation=mola with experts={config.experts}: no layer can have fewer, so none "
                "can have more; raise experts or use allocation=uniform"
            )
        return None

    def counts(self, layers: int, experts: int, minimum: int) -> tuple[int, ...]:
        if layers == 1:
            return (experts,)
        # Layer i gets minimum + rise * i / (layers - 1), in integers. Rounding down loses experts;
        # they go to the layers that lost the largest fractions: total and order stay the same.
        rise = 2 * (experts - minimum)
        quotients = [divmod(rise * i, layers - 1) for i in range(layers)]
        counts = [minimum + whole for whole, _ in quotients]
        by_loss = sorted(range(layers), key=lambda i: (quotients[i][1], i), reverse=True)
        for i in by_loss[: layers * experts - sum(counts)]:
            counts[i] += 1
        return tuple(counts)
