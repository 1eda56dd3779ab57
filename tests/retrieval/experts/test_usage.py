"""How evenly experts are used."""

from __future__ import annotations

import pytest
import torch

from retrieval.experts import expert_load


def test_load_is_the_share_of_each_expert_over_all_batches() -> None:
    first = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    second = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    share, min_share, max_share = expert_load([first, second])
    torch.testing.assert_close(share, torch.tensor([3.5, 1.5, 0.0]).double() / 5)
    assert (min_share, max_share) == (0.0, 0.7)
    assert share.sum() == pytest.approx(1)


def test_load_is_zero_if_every_gate_is_zero() -> None:
    assert expert_load([torch.zeros(3, 2)]).max_share == 0
