"""Merge alike experts in a common subspace: Sub-MoE (arXiv 2506.23266).

E experts, F clusters, R rank, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.experts.clusters import cluster
from retrieval.experts.compression.base import Calibration, Compact, Compression
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["SubMoE"]


class SubMoE(Compression):
    """Experts whose outputs are alike form a cluster; a joint SVD gives them one U.

    Their V are merged, weighted by how often each expert is used. The gate of the merged expert is
    the sum of its members' gates. A cluster of one expert stays exact.
    """

    paper = Paper(
        "Sub-MoE",
        "2506.23266",
        "clustering by outputs, joint SVD, merging of V",
        "k-means on mean output directions; no further intra-expert compression",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        keep: float = Field(0.5, gt=0, le=1, description="Share of experts that remain.")

    options: Options

    def compress(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Compact:
        count, rank = a_ERK.shape[:2]
        outputs_EXN = torch.einsum("xk,erk,enr->exn", sample.x_XK, a_ERK, b_ENR)
        features_EW = normalize(outputs_EXN.flatten(1), dim=-1)
        clusters = max(1, round(self.options.keep * count))
        cluster_E = cluster(features_EW, clusters)
        usage_E = sample.gates_XE.mean(0)
        merged = [
            _merge(a_ERK[m], b_ENR[m], usage_E[m])
            for m in (cluster_E == c for c in range(clusters))
        ]
        mix_EF = torch.nn.functional.one_hot(cluster_E, clusters).to(a_ERK.dtype)
        a_FRK, b_FNR = (torch.stack(parts) for parts in zip(*merged, strict=True))
        assert a_FRK.shape[1] == rank
        return Compact(a_FRK, b_FNR, mix_EF)


def _merge(a_mRK: Tensor, b_mNR: Tensor, usage_m: Tensor) -> tuple[Tensor, Tensor]:
    """Return A (R, K) and B (N, R) of the merged expert."""
    members, rank, inputs = a_mRK.shape
    if not members:
        return a_mRK.new_zeros(rank, inputs), b_mNR.new_zeros(b_mNR.shape[1], rank)
    if members == 1:
        return a_mRK[0], b_mNR[0]
    # [B_1 A_1, B_2 A_2, ...] = U S [V_1, V_2, ...], by way of the narrow matrix of all B
    q_NC, r_CC = torch.linalg.qr(b_mNR.transpose(0, 1).flatten(1))
    joint_CmK = torch.einsum("cmr,mrk->cmk", r_CC.unflatten(1, (members, rank)), a_mRK)
    u_CC, s_C, v_CX = torch.linalg.svd(joint_CmK.flatten(1), full_matrices=False)
    share_m = usage_m / usage_m.sum().clamp_min(1e-9)
    v_CK = torch.einsum("cmk,m->ck", v_CX.unflatten(1, (members, inputs)), share_m)
    return s_C[:rank, None] * v_CK[:rank], (q_NC @ u_CC)[:, :rank]
