"""Ranks and scores, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation import rank_answers, score_ranks


def test_ranks_by_hand():
    similarity_QF = np.array(
        [
            [0.9, 0.1, 0.2, 0.3],  # first
            [0.9, 0.1, 0.2, 0.3],  # last
            [0.5, 0.5, 0.2, 0.3],  # a tie for the first rank is not the first rank
            [0.5, 0.5, 0.5, 0.5],  # equal scores for all figures are the worst rank
            [-0.9, -0.1, -0.2, -0.3],  # third
        ]
    )
    assert rank_answers(similarity_QF, [0, 1, 0, 2, 3]).tolist() == [1, 4, 2, 4, 3]


def test_nan_counts_against_the_figure():
    nan = np.nan
    similarity_QF = np.array([[0.9, nan, 0.1], [nan, 0.5, 0.1], [nan, nan, nan]], np.float32)
    assert rank_answers(similarity_QF, [0, 0, 2]).tolist() == [2, 3, 3]


def test_several_queries_may_have_the_same_figure():
    similarity_QF = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.3]], np.float16)
    assert rank_answers(similarity_QF, [1, 1, 0]).tolist() == [1, 2, 1]


def test_a_gallery_of_one():
    assert rank_answers(np.array([[-1.0]]), [0]).tolist() == [1]


def test_scores_by_hand():
    result = score_ranks(np.array([1, 1, 2, 5, 6, 10]))
    assert result.r1 == pytest.approx(100 / 3)
    assert result.r5 == pytest.approx(100 * 4 / 6)
    assert result.mrr == pytest.approx((1 + 1 + 1 / 2 + 1 / 5 + 1 / 6 + 1 / 10) / 6)
    assert result.queries == 6
    assert result.to_json() == {
        "r1": 33.33,
        "r5": 66.67,
        "mrr": 0.4944,
        "r1_interval": [0.0, 66.67],
        "queries": 6,
    }


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.97, 1.0])
def test_the_interval_contains_the_mean_and_has_the_expected_width(share):
    count = 400
    ranks_Q = np.where(np.arange(count) < share * count, 1, 9)
    result = score_ranks(ranks_Q)
    low, high = result.r1_interval
    assert 0 <= low <= result.r1 <= high <= 100
    # 3.92 standard errors of a share; 1000 resamples are accurate to about 15 %.
    error = 100 * (share * (1 - share) / count) ** 0.5
    assert high - low == pytest.approx(3.92 * error, rel=0.15, abs=1e-9)


def test_more_queries_make_the_interval_narrower():
    few, many = (score_ranks(np.tile([1, 9], n)).r1_interval for n in (20, 500))
    assert few[1] - few[0] > 3 * (many[1] - many[0])


def test_the_seed_determines_the_interval():
    ranks_Q = np.random.default_rng(0).integers(1, 4, 97)
    assert score_ranks(ranks_Q) == score_ranks(ranks_Q)
    assert score_ranks(ranks_Q, seed=1) != score_ranks(ranks_Q)
    assert score_ranks(ranks_Q, seed=1).r1 == score_ranks(ranks_Q).r1
