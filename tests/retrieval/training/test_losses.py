"""The losses against plain computations."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from retrieval.training.losses import ContrastiveLoss, StyleLoss, info_nce, triplet

SIZES = [1, 2, 7]


def _pairs(size: int, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(size)
    a, b = (torch.randn(size, width, generator=generator, dtype=torch.float64) for _ in range(2))
    return F.normalize(a, dim=1).requires_grad_(), F.normalize(b, dim=1).requires_grad_()


def _copies(size: int) -> torch.Tensor:
    """The first and the last figure are the same."""
    same = torch.eye(size, dtype=torch.bool)
    same[0, -1] = same[-1, 0] = True
    return same


def _plain_info_nce(a, b, scale: float, same) -> torch.Tensor:
    size, losses = len(a), []
    for i in range(size):
        for of, among in ((a, b), (b, a)):
            rivals = [j for j in range(size) if j == i or not same[i, j]]
            total = sum(torch.exp(scale * of[i] @ among[j]) for j in rivals)
            losses.append(torch.log(total) - scale * of[i] @ among[i])
    return torch.stack(losses).mean()


def _plain_triplet(a, b, margin: float, same) -> torch.Tensor:
    size, losses = len(a), []
    for i in range(size):
        for of, among in ((a, b), (b, a)):
            rivals = [of[i] @ among[j] for j in range(size) if j != i and not same[i, j]]
            hardest = max(rivals) if rivals else -torch.inf
            losses.append(torch.clamp(margin - of[i] @ among[i] + hardest, min=0))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_info_nce_is_what_it_is_by_hand(size, scale, copies):
    same = _copies(size) if copies else torch.eye(size, dtype=torch.bool)
    _agree(lambda a, b: info_nce(a, b, scale, same), _plain_info_nce, size, scale, same)


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_triplet_is_what_it_is_by_hand(size, margin, copies):
    same = _copies(size) if copies else torch.eye(size, dtype=torch.bool)
    _agree(lambda a, b: triplet(a, b, margin, same), _plain_triplet, size, margin, same)


def _agree(ours, plain, size: int, strength: float, same: torch.Tensor) -> None:
    a, b = _pairs(size)
    loss = ours(a, b)
    loss.backward()
    expected_a, expected_b = _pairs(size)
    expected = plain(expected_a, expected_b, strength, same)
    torch.testing.assert_close(loss, expected, atol=1e-12, rtol=1e-9)
    if expected.requires_grad:
        expected.backward()
    for got, wanted in ((a, expected_a), (b, expected_b)):
        grad = torch.zeros_like(got) if wanted.grad is None else wanted.grad
        torch.testing.assert_close(got.grad, grad, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("diagonal", [False, True])
def test_copies_are_no_negatives(diagonal):
    """Two copies in a batch with one stranger: wherever the copies lie, the loss is as with one."""
    copies = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    same = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    same |= diagonal * torch.eye(3, dtype=torch.bool)
    none = torch.zeros(3, 3, dtype=torch.bool)
    nce, without = info_nce(copies, copies, 20, same), info_nce(copies, copies, 20, none)
    assert nce < 1e-6
    assert without > 0.4
    assert triplet(copies, copies, 0.5, same) == 0
    assert triplet(copies, copies, 0.5, none) == pytest.approx(1 / 3)


def test_where_all_are_copies_there_is_nothing_to_learn():
    same = torch.ones(3, 3, dtype=torch.bool)
    for loss in (
        lambda a, b: info_nce(a, b, 20, same),
        lambda a, b: triplet(a, b, 1.0, same),
    ):
        a = _pairs(3)[0].detach().requires_grad_()
        value = loss(a, -a.detach())  # as far apart as can be
        value.backward()
        assert value == 0
        assert (a.grad == 0).all()


def test_triplet_is_zero_once_the_margin_is_kept():
    a = torch.eye(4)[:, :3]
    a[3] = -a[0]
    eye = torch.eye(4, dtype=torch.bool)
    assert triplet(a, a, 1.0, eye) == 0
    assert triplet(a, a, 1.25, eye) == pytest.approx(0.25)


def test_triplet_looks_at_the_hardest_on_either_side():
    """Only the nearest wrong one gets a gradient."""
    a = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]]), dim=1)
    b = F.normalize(torch.tensor([[1.0, 0.1], [0.9, 1.0], [-1.0, 0.0]]), dim=1).requires_grad_()
    cosine = (a @ b.T).detach()
    row = 0.3 + cosine[0, 1] - cosine[0, 0]
    column = 0.3 + cosine[0, 1] - cosine[1, 1]  # b_1 is nearer to a_0 than it should be
    loss = triplet(a, b, 0.3, torch.eye(3, dtype=torch.bool))
    assert loss.item() == pytest.approx(((row.clamp(min=0) + column.clamp(min=0)) / 6).item())
    loss.backward()
    assert (b.grad[2] == 0).all()
    assert b.grad[1].abs().max() > 0


def test_contrast_learns_a_bounded_temperature_and_triplet_has_none():
    a, b = (x.detach() for x in _pairs(5))
    same = torch.eye(5, dtype=torch.bool)
    contrast = ContrastiveLoss(scale=20.0)
    loss = contrast(a, b, same)
    torch.testing.assert_close(loss, info_nce(a, b, 20.0, same), atol=1e-5, rtol=0)
    loss.backward()
    assert contrast.log_scale.grad.abs() > 0
    contrast.log_scale.data.fill_(math.log(5000))
    torch.testing.assert_close(contrast(a, b, same), info_nce(a, b, 100.0, same), atol=1e-4, rtol=0)
    hard = ContrastiveLoss(0.5)
    assert torch.equal(hard(a, b, same), triplet(a, b, 0.5, same))


def test_style_loss_falls_when_prototypes_sit_at_their_centres():
    torch.manual_seed(0)
    loss = StyleLoss(4, 6)
    style = torch.tensor([0, 1, 2, 3, 3])
    centres = F.normalize(loss.centres_SK.detach(), dim=1)
    at_home, astray = loss(centres[style], style), loss(centres[(style + 1) % 4], style)
    elsewhere = loss(F.normalize(torch.randn(5, 6), dim=1), style)
    assert at_home < elsewhere < astray
    logits = centres[style] @ centres.T / 0.1
    torch.testing.assert_close(at_home, F.cross_entropy(logits, style))
    # A centre's length says nothing.
    loss.centres_SK.data.mul_(torch.tensor([[0.1], [3.0], [7.0], [1.0]]))
    torch.testing.assert_close(loss(centres[style], style), at_home)


def test_style_loss_pulls_prototypes_and_centres_together():
    torch.manual_seed(0)
    loss = StyleLoss(3, 6)
    prototypes = torch.randn(9, 6, requires_grad=True)
    style = torch.arange(9) % 3
    optimizer = torch.optim.SGD([prototypes, *loss.parameters()], lr=0.5)
    before = loss(F.normalize(prototypes, dim=1), style).item()
    for _ in range(20):
        optimizer.zero_grad()
        loss(F.normalize(prototypes, dim=1), style).backward()
        optimizer.step()
    assert loss(F.normalize(prototypes, dim=1), style).item() < 0.2 * before
