"""The defining property of each router that comes from a paper of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from retrieval.experts import ExpertConfig, MoELoRALinear, Route
from retrieval.experts.routers import Router, build_router
from retrieval.experts.routers.dynmole import tsallis_entropy

WIDTH = 6


def _router(name: str, options: dict | None = None, **settings) -> Router:
    torch.manual_seed(0)
    values = {"router": name, "temperature": 1.0, "options": {"router": options or {}}, **settings}
    config = ExpertConfig(**values)
    return build_router(config, WIDTH, config.experts)


def _identity(name: str, options: dict | None = None, **settings) -> Router:
    """Return a router whose logits are the first inputs."""
    router = _router(name, options, **settings)
    router.weight.data.copy_(torch.eye(*router.weight.shape))
    return router


def test_dynmole_keeps_all_experts_above_the_threshold_and_few_below():
    router = _identity("dynmole", {"threshold": 0.8}, top_p=0.6)
    unsure = torch.tensor([0.2, 0.1, 0.0, 0.1, 0, 0])
    sure = torch.tensor([4.0, 0.0, 0.0, 0.0, 0, 0])
    gates = router(torch.stack([unsure, sure])).gates
    torch.testing.assert_close(gates[0], unsure[:4].softmax(-1))
    torch.testing.assert_close(gates[1], torch.tensor([1.0, 0, 0, 0]))


def test_tsallis_entropy_lies_between_0_and_1_and_nears_shannons():
    certain, even = torch.tensor([1.0, 0, 0, 0]), torch.full((4,), 0.25)
    for order in (0.5, 1.1, 2.0):
        torch.testing.assert_close(tsallis_entropy(even, order), torch.tensor(1.0))
        assert tsallis_entropy(certain, order) < 1e-3
    probs = torch.tensor([0.5, 0.3, 0.1, 0.1])
    shannon = -(probs * probs.log()).sum() / torch.tensor(4.0).log()
    torch.testing.assert_close(tsallis_entropy(probs, 1.0001), shannon, atol=1e-3, rtol=0)
    gini = (1 - (probs**2).sum()) / (1 - 1 / 4)
    torch.testing.assert_close(tsallis_entropy(probs, 2.0), gini)


def test_the_loss_of_dynmole_makes_it_certain():
    router = _router("dynmole", balance_weight=0.0, entropy_weight=1.0)
    h = torch.randn(32, WIDTH)
    optimizer = torch.optim.Adam(router.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        loss = router(h).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_xlora_trains_its_gates_over_frozen_adapters():
    torch.manual_seed(0)
    route = Route()
    config = ExpertConfig(router="xlora", routed_by="token", temperature=1.0, rank=2)
    layer = MoELoRALinear.wrap(nn.Linear(WIDTH, 5), config, route, "fc", width=3)
    layer.experts.b_ENR.data.normal_()
    with route.carrying(torch.randn(2, 3)):
        layer(torch.randn(2, 7, WIDTH)).square().sum().backward()
    gates = route.gates["fc"][0]
    assert gates.shape == (2, 7, 4)
    assert (gates > 0).all()  # dense
    assert not torch.allclose(gates[0, 0], gates[0, 1])  # from hidden states
    trained = {n for n, p in layer.experts.named_parameters() if p.grad is not None}
    assert trained == {"router.weight", "router.inner"}


def test_lora_mixer_chooses_hard_and_learns_soft():
    router = _identity("lora_mixer", top_k=2)
    h = torch.tensor([[3.0, 2.0, 1.0, 0.5, 0, 0]])
    gates = router(h).gates
    assert ((gates > 0) == torch.tensor([[True, True, False, False]])).all()
    torch.testing.assert_close(gates.sum(), torch.tensor(1.0))
    gates[0, 3].backward()  # not chosen, and yet it teaches the router
    assert router.weight.grad[3].abs().max() > 0


def test_the_loss_of_lora_mixer_is_least_for_certain_inputs_at_even_load():
    router = _identity("lora_mixer", {"specialisation": 1.0}, top_k=1, balance_weight=1.0)
    eye = torch.eye(4, WIDTH)
    specialised, unsure, collapsed = eye * 20, eye * 0.1, eye[[0, 0, 0, 0]] * 20
    assert router(specialised).loss < router(unsure).loss
    assert router(specialised).loss < router(collapsed).loss


def test_promoe_sends_far_inputs_to_the_unconditional_expert_alone():
    router = _router("promoe", {"condition": 0.5}, top_k=2)
    router.weight.data.copy_(torch.eye(4, WIDTH).roll(-1, 0))  # expert e + 1 stands on axis e
    near, far = torch.eye(1, WIDTH)[0], torch.tensor([0, 0, 0, 0, 1.0, 0])
    router.weight.data[1:] = torch.eye(3, WIDTH)
    gates = router(torch.stack([near, far])).gates
    assert gates[0, 0] == 0
    assert gates[0].argmax() == 1
    assert (gates[0] > 0).sum() == 2
    torch.testing.assert_close(gates[1], torch.tensor([1.0, 0, 0, 0]))


def test_the_contrast_of_promoe_pulls_prototypes_to_their_inputs():
    router = _router("promoe", {"contrast": 1.0}, top_k=1, temperature=0.2)
    centres = torch.eye(3, WIDTH)
    h = centres.repeat(10, 1) + 0.1 * torch.randn(30, WIDTH)
    router.weight.data[1:] = centres + 0.8 * torch.randn(3, WIDTH)
    before = router.cosines(centres).diagonal().mean()
    optimizer = torch.optim.Adam(router.parameters(), lr=0.05)
    for _ in range(80):
        optimizer.zero_grad()
        router(h).loss.backward()
        optimizer.step()
    cosines = router.cosines(centres)
    assert cosines.diagonal().mean() > before
    assert (cosines.argmax(1) == torch.arange(3)).all()


def test_mixer_chooses_the_nearest_centroid_and_follows_its_inputs():
    router = _router("mixer", {"rate": 0.5}).train()
    assert not list(router.parameters())
    centres = 4 * torch.eye(4, WIDTH)
    h = centres.repeat(8, 1) + 0.2 * torch.randn(32, WIDTH)
    for _ in range(10):
        router(h)
        router.after_step()
    gates = router.eval()(h).gates
    assert (gates.sum(-1) == 1).all()
    assert (gates.amax(-1) == 1).all()
    nearest = torch.cdist(h, router.centroids_ED).argmin(-1)
    assert (gates.argmax(-1) == nearest).all()
    # each cluster of inputs has one expert, and its centroid is their mean
    for i in range(4):
        rows = h[i::4]
        expert = int(gates[i].argmax())
        assert (gates[i::4].argmax(-1) == expert).all()
        assert (router.centroids_ED[expert] - rows.mean(0)).norm() < 0.1
    before = router.centroids_ED.clone()
    router(torch.randn(9, WIDTH))
    router.after_step()
    assert torch.equal(before, router.centroids_ED)  # serving moves nothing


def test_the_gates_of_rmoe_depend_on_the_layers_before():
    torch.manual_seed(0)
    route = Route()
    config = ExpertConfig(router="rmoe", temperature=1.0, rank=2)
    layers = [
        MoELoRALinear.wrap(nn.Linear(WIDTH, WIDTH), config, route, str(i), width=5)
        for i in range(3)
    ]
    x, prototype = torch.randn(2, 4, WIDTH), torch.randn(2, 5)

    def gates() -> list[torch.Tensor]:
        with route.carrying(prototype):
            for layer in layers:
                layer(x)
        return [route.gates[str(i)][0] for i in range(3)]

    before, again = gates(), gates()
    assert all(torch.equal(a, b) for a, b in zip(before, again, strict=True))  # nothing is left
    layers[1].experts.router.cell.weight_ih.data.mul_(-3)
    after = gates()
    assert torch.equal(before[0], after[0])  # not on later ones
    assert (before[2] - after[2]).abs().max() > 1e-5


def test_the_gates_of_a_group_sum_to_the_gate_of_the_group():
    router = _router("home", {"groups": 2}, experts=5)
    assert router.group_E.tolist() == [0, 0, 0, 1, 1]
    router.groups_GD.data.normal_()
    h = torch.randn(3, WIDTH)
    gates = router(h).gates
    groups = (h @ router.groups_GD.T).softmax(-1)
    torch.testing.assert_close(gates[:, :3].sum(-1), groups[:, 0])
    torch.testing.assert_close(gates[:, 3:].sum(-1), groups[:, 1])


def test_an_expert_about_which_the_passes_disagree_counts_less():
    router = _router("uncertain", {"passes": 64, "dropout": 0.3}, experts=3).eval()
    # expert 1 hangs on a single input, which some passes drop
    router.weight.data.zero_()
    router.weight.data[0] = 0.2
    router.weight.data[1, 0] = 3.0
    h = torch.ones(1, WIDTH)
    passes = router.passes(h)[:, 0]
    plain, weighted, deviation = passes.mean(0), router(h).gates[0], passes.std(0)
    torch.testing.assert_close(weighted.sum(), torch.tensor(1.0))
    assert deviation[1] > 1.5 * deviation[2]
    assert weighted[1] / weighted[2] < 0.7 * plain[1] / plain[2]
    assert torch.equal(router(h).gates, router(h).gates)


def test_top_any_keeps_the_best_experts_up_to_a_learnt_number():
    router = _identity("top_any", top_k=3).eval()
    h = torch.tensor([[3.0, 2.0, 1.0, 0.5, 0, 1.0], [3.0, 2.0, 1.0, 0.5, 1.0, 0]])
    router.counts_kD.data.zero_()
    router.counts_kD.data[0, 5] = 9  # the first input asks for one expert
    router.counts_kD.data[1, 4] = 9  # the second for two
    gates = router(h).gates
    assert ((gates > 0) == torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0]]).bool()).all()
    torch.testing.assert_close(gates.sum(-1), torch.ones(2))


def test_top_any_learns_to_use_fewer_experts():
    router = _router("top_any", {"sparsity": 1.0}, top_k=3).train()
    h = torch.randn(64, WIDTH).abs()
    optimizer = torch.optim.Adam(router.parameters(), lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        router(h).loss.backward()
        optimizer.step()
    assert (router.eval()(h).gates > 0).sum(-1).float().mean() < 1.2


@pytest.mark.parametrize("p", [0.3, 0.9])
def test_harder_inputs_need_more_experts_and_the_dynamic_loss_asks_for_fewer(p):
    router = _identity("top_p", top_p=p, balance_weight=0.0, entropy_weight=1.0)
    easy, hard = torch.tensor([[8.0, 0, 0, 0, 0, 0]]), torch.zeros(1, WIDTH)
    assert (router(easy).gates > 0).sum() == 1
    assert (router(hard).gates > 0).sum() >= (2 if p < 0.5 else 4)
    assert router(easy).loss < router(hard).loss
