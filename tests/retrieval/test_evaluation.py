"""Ranks and recall, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation import rank_answers, score_ranks


def test_ranks_by_hand():
    similarity_QF = np.array(
        [
            [0.9, 0.1, 0.2, 0.3],  # first
            [0.9, 0.1, 0.2, 0.3],  # last
            [0.5, 0.5, 0.2, 0.3],  # a tie for the first place is no first place
            [0.5, 0.5, 0.5, 0.5],  # a model that says the same of all knows nothing
            [-0.9, -0.1, -0.2, -0.3],  # third
        ]
    )
    assert rank_answers(similarity_QF, [0, 1, 0, 2, 3]).tolist() == [1, 4, 2, 4, 3]


def test_nan_counts_against():
    nan = np.nan
    similarity_QF = np.array([[0.9, nan, 0.1], [nan, 0.5, 0.1], [nan, nan, nan]], np.float32)
    assert rank_answers(similarity_QF, [0, 0, 2]).tolist() == [2, 3, 3]


def test_several_queries_may_ask_for_one_figure():
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
def test_the_interval_holds_the_mean_and_no_more_than_it_must(share):
    count = 400
    ranks_Q = np.where(np.arange(count) < share * count, 1, 9)
    result = score_ranks(ranks_Q)
    low, high = result.interval
    assert 0 <= low <= result.r1 <= high <= 100
    # Four standard errors of a share wide, give or take what 1000 resamples leave open.
    error = 100 * (share * (1 - share) / count) ** 0.5
    assert high - low == pytest.approx(3.92 * error, rel=0.15, abs=1e-9)


def test_more_queries_make_the_interval_narrower():
    few, many = (score_ranks(np.tile([1, 9], n)).interval for n in (20, 500))
    assert few[1] - few[0] > 3 * (many[1] - many[0])


def test_the_same_every_time_and_another_with_another_seed():
    ranks_Q = np.random.default_rng(0).integers(1, 4, 97)
    assert score_ranks(ranks_Q) == score_ranks(ranks_Q)
    assert score_ranks(ranks_Q, seed=1) != score_ranks(ranks_Q)
    assert score_ranks(ranks_Q, seed=1).r1 == score_ranks(ranks_Q).r1
