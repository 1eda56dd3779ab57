"""The losses equal plain computations."""

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
    """The first and the last figure are copies."""
    copies_BB = torch.eye(size, dtype=torch.bool)
    copies_BB[0, -1] = copies_BB[-1, 0] = True
    return copies_BB


def _plain_info_nce(a, b, scale: float, copies_BB) -> torch.Tensor:
    size, losses = len(a), []
    for i in range(size):
        for query, keys in ((a, b), (b, a)):
            negatives = [j for j in range(size) if j == i or not copies_BB[i, j]]
            total = sum(torch.exp(scale * query[i] @ keys[j]) for j in negatives)
            losses.append(torch.log(total) - scale * query[i] @ keys[i])
    return torch.stack(losses).mean()


def _plain_triplet(a, b, margin: float, copies_BB) -> torch.Tensor:
    size, losses = len(a), []
    for i in range(size):
        for query, keys in ((a, b), (b, a)):
            negatives = [query[i] @ keys[j] for j in range(size) if j != i and not copies_BB[i, j]]
            hardest = max(negatives) if negatives else -torch.inf
            losses.append(torch.clamp(margin - query[i] @ keys[i] + hardest, min=0))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_info_nce_equals_the_plain_computation(size, scale, copies):
    copies_BB = _copies(size) if copies else torch.eye(size, dtype=torch.bool)
    _assert_equal(
        lambda a, b: info_nce(a, b, scale, copies_BB), _plain_info_nce, size, scale, copies_BB
    )


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_triplet_equals_the_plain_computation(size, margin, copies):
    copies_BB = _copies(size) if copies else torch.eye(size, dtype=torch.bool)
    _assert_equal(
        lambda a, b: triplet(a, b, margin, copies_BB), _plain_triplet, size, margin, copies_BB
    )


def _assert_equal(ours, plain, size: int, strength: float, copies_BB: torch.Tensor) -> None:
    a, b = _pairs(size)
    loss = ours(a, b)
    loss.backward()
    expected_a, expected_b = _pairs(size)
    expected = plain(expected_a, expected_b, strength, copies_BB)
    torch.testing.assert_close(loss, expected, atol=1e-12, rtol=1e-9)
    if expected.requires_grad:
        expected.backward()
    for x, expected_x in ((a, expected_a), (b, expected_b)):
        grad = torch.zeros_like(x) if expected_x.grad is None else expected_x.grad
        torch.testing.assert_close(x.grad, grad, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("diagonal", [False, True])
def test_copies_are_no_negatives(diagonal):
    """With two copies and one other figure the loss is the copies_BB as with one copy."""
    copies = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    copies_BB = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    copies_BB |= diagonal * torch.eye(3, dtype=torch.bool)
    none = torch.zeros(3, 3, dtype=torch.bool)
    nce, without = info_nce(copies, copies, 20, copies_BB), info_nce(copies, copies, 20, none)
    assert nce < 1e-6
    assert without > 0.4
    assert triplet(copies, copies, 0.5, copies_BB) == 0
    assert triplet(copies, copies, 0.5, none) == pytest.approx(1 / 3)


def test_a_batch_of_copies_has_no_loss():
    copies_BB = torch.ones(3, 3, dtype=torch.bool)
    for loss in (
        lambda a, b: info_nce(a, b, 20, copies_BB),
        lambda a, b: triplet(a, b, 1.0, copies_BB),
    ):
        a = _pairs(3)[0].detach().requires_grad_()
        value = loss(a, -a.detach())  # the largest distance
        value.backward()
        assert value == 0
        assert (a.grad == 0).all()


@pytest.mark.parametrize(
    "loss", [lambda a, b, c: info_nce(a, b, 100.0, c), lambda a, b, c: triplet(a, b, 0.2, c)]
)
def test_autocast_does_not_round_the_losses(loss):
    torch.manual_seed(0)
    a, b = (F.normalize(torch.randn(16, 24), dim=1) for _ in range(2))
    copies = torch.zeros(16, 16, dtype=torch.bool)
    expected = loss(a, b, copies)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(a, b, copies), expected)


def test_triplet_is_zero_if_the_margin_holds():
    a = torch.eye(4)[:, :3]
    a[3] = -a[0]
    eye = torch.eye(4, dtype=torch.bool)
    assert triplet(a, a, 1.0, eye) == 0
    assert triplet(a, a, 1.25, eye) == pytest.approx(0.25)


def test_triplet_uses_the_hardest_negative_on_either_side():
    """Only the hardest negative gets a gradient."""
    a = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]]), dim=1)
    b = F.normalize(torch.tensor([[1.0, 0.1], [0.9, 1.0], [-1.0, 0.0]]), dim=1).requires_grad_()
    cosine = (a @ b.T).detach()
    row = 0.3 + cosine[0, 1] - cosine[0, 0]
    column = 0.3 + cosine[0, 1] - cosine[1, 1]  # b_1 is too similar to a_0
    loss = triplet(a, b, 0.3, torch.eye(3, dtype=torch.bool))
    assert loss.item() == pytest.approx(((row.clamp(min=0) + column.clamp(min=0)) / 6).item())
    loss.backward()
    assert (b.grad[2] == 0).all()
    assert b.grad[1].abs().max() > 0


def test_the_contrastive_loss_learns_a_bounded_scale_and_triplet_has_none():
    a, b = (x.detach() for x in _pairs(5))
    copies_BB = torch.eye(5, dtype=torch.bool)
    contrastive = ContrastiveLoss(scale=20.0)
    loss = contrastive(a, b, copies_BB)
    torch.testing.assert_close(loss, info_nce(a, b, 20.0, copies_BB), atol=1e-5, rtol=0)
    loss.backward()
    assert contrastive.log_scale.grad.abs() > 0
    contrastive.log_scale.data.fill_(math.log(5000))
    torch.testing.assert_close(
        contrastive(a, b, copies_BB), info_nce(a, b, 100.0, copies_BB), atol=1e-4, rtol=0
    )
    with_margin = ContrastiveLoss(0.5)
    assert torch.equal(with_margin(a, b, copies_BB), triplet(a, b, 0.5, copies_BB))


def test_style_loss_is_small_for_prototypes_at_their_centres():
    torch.manual_seed(0)
    loss = StyleLoss(4, 6)
    style = torch.tensor([0, 1, 2, 3, 3])
    centres = F.normalize(loss.centres_SK.detach(), dim=1)
    right, wrong = loss(centres[style], style), loss(centres[(style + 1) % 4], style)
    random = loss(F.normalize(torch.randn(5, 6), dim=1), style)
    assert right < random < wrong
    logits = centres[style] @ centres.T / 0.1
    torch.testing.assert_close(right, F.cross_entropy(logits, style))
    # The length of a centre does not matter.
    loss.centres_SK.data.mul_(torch.tensor([[0.1], [3.0], [7.0], [1.0]]))
    torch.testing.assert_close(loss(centres[style], style), right)


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
