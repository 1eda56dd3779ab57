"""k-means that gives the same clusters in whatever order the vectors come.

N vectors, W width, C clusters.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cluster"]


def cluster(vectors_NW: Tensor, clusters: int, rounds: int = 20) -> Tensor:
    """Return the cluster (N) of each vector. With as many clusters as vectors, each has its own.

    The first centre is the longest vector, and each next one lies farthest from those before.
    """
    assert 1 <= clusters <= len(vectors_NW)
    if clusters == len(vectors_NW):
        return torch.arange(clusters, device=vectors_NW.device)
    chosen = [int(vectors_NW.norm(dim=-1).argmax())]
    for _ in range(1, clusters):
        chosen.append(int(torch.cdist(vectors_NW, vectors_NW[chosen]).amin(-1).argmax()))
    centres_CW = vectors_NW[chosen].clone()
    cluster_N = torch.cdist(vectors_NW, centres_CW).argmin(-1)
    for _ in range(rounds):
        for c in range(clusters):
            if (member_N := cluster_N == c).any():
                centres_CW[c] = vectors_NW[member_N].mean(0)
        moved_N = torch.cdist(vectors_NW, centres_CW).argmin(-1)
        if torch.equal(moved_N, cluster_N):
            break
        cluster_N = moved_N
    return cluster_N
