"""The defining property of each method in use, on tiny encoders."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.experts import ExpertConfig
from retrieval.experts.registry import load, names
from retrieval.in_use import InUse, build_in_use
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import UniRetrieval
from tests.retrieval.tiny import tiny_encoder

B = 8


def _pictures(seed: int = 0, count: int = B) -> TowerInputs:
    generator = torch.Generator().manual_seed(seed)
    return TowerInputs(
        torch.randn(count, PATCHES, sum(TAPS), generator=generator),
        torch.randn(count, GRAM, generator=generator),
    )


@torch.no_grad()
def _encode(encoder: UniRetrieval, pictures: TowerInputs) -> Tensor:
    return encoder.forward_image(pictures).vectors_BD


def _method(name: str, encoder: UniRetrieval, others=(), **options) -> InUse:
    return build_in_use(name, encoder, load("in_use", name).Options(**options), others)


@pytest.mark.parametrize("name", names("in_use"))
def test_reset_is_exact_after_any_observation(name):
    encoder, others = tiny_encoder(), [tiny_encoder(1)]
    pictures, targets = _pictures(), F.normalize(torch.randn(B, 24), dim=1)
    state = {n: v.clone() for n, v in encoder.state_dict().items()}
    before = _encode(encoder, pictures)
    method = build_in_use(name, encoder, None, others)
    method.observe(pictures, targets)
    vectors = method.encode(_pictures(2))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(B))
    method.reset()
    assert all(torch.equal(v, state[n]) for n, v in encoder.state_dict().items())
    assert torch.equal(_encode(encoder, pictures), before)


def test_c3po_takes_gates_of_successful_neighbours_only():
    encoder = tiny_encoder()
    pictures = _pictures()
    vectors = _encode(encoder, pictures)
    wrong = vectors.clone()
    wrong[4:] = vectors[4:].roll(1, 0)  # the last four are not answered rightly
    method = _method("c3po", encoder, share=1.0, neighbours=1)
    method.observe(pictures, wrong)
    with torch.no_grad():
        encoded = encoder.forward_image(pictures)
    assert len(torch.cat(method._keys)) == 4
    keys = encoded.prototypes_BK[:4]
    query = _pictures(3)
    nearest = (encoder.prototypes.from_gram(query.features_BG) @ keys.T).argmax(1)
    layers = [layer.name for layer in encoder.depth_layers()][-8:]
    with torch.no_grad(), encoder.route.overriding({n: encoded.gates[n][nearest] for n in layers}):
        expected = encoder.forward_image(query).vectors_BD
    torch.testing.assert_close(method.encode(query), expected)
    assert not torch.allclose(method.encode(query), _encode(encoder, query), atol=1e-4)


def test_rewiring_lowers_the_uncertainty_with_weights_fixed():
    encoder = tiny_encoder()
    pictures, gallery = _pictures(), F.normalize(torch.randn(20, 24), dim=1)
    method = _method("rewiring", encoder, steps=20, lr=0.3)
    state = {n: v.clone() for n, v in encoder.state_dict().items()}
    with torch.no_grad():
        before = method.uncertainty(pictures, gallery)
    method.observe(pictures, gallery)
    with torch.no_grad():
        assert method.uncertainty(pictures, gallery) < before - 1e-3
    assert all(torch.equal(v, state[n]) for n, v in encoder.state_dict().items())
    assert set(encoder.state_dict()) == set(state)


def test_meta_dmoe_moves_the_student_towards_its_teachers_without_labels():
    student, teachers = tiny_encoder(), [tiny_encoder(0), tiny_encoder(0)]
    with torch.no_grad():
        for teacher in teachers:
            for layer in teacher.depth_layers():
                layer.experts.b_ENR.add_(0.2 * torch.randn_like(layer.experts.b_ENR))
    pictures, figures = _pictures(), F.normalize(torch.randn(12, 24), dim=1)
    method = _method("meta_dmoe", student, teachers, steps=20)
    taught = method.teach(pictures, figures)
    before = (_encode(student, pictures) * taught).sum(1).mean()
    method.observe(pictures, figures)
    after = (method.encode(pictures) * taught).sum(1).mean()
    assert after > before + 0.3 * (1 - before)


def test_drift_moe_routes_to_the_experts_that_are_right_and_follows_a_drift():
    encoder = tiny_encoder()
    method = _method("drift_moe", encoder)
    for seed in (0, 1):  # the second stream has other pictures and other targets
        pictures = _pictures(seed)
        targets = F.normalize(
            torch.randn(B, 24, generator=torch.Generator().manual_seed(seed)), dim=1
        )
        before = (method.encode(pictures) * targets).sum(1).mean()
        for _ in range(30):
            method.observe(pictures, targets)
        vectors = method.encode(pictures)
        assert (vectors * targets).sum(1).mean() > before
        assert ((vectors @ targets.T).argmax(1) == torch.arange(B)).float().mean() > 0.7
    right = method.correct(pictures, targets).float()
    assert right.shape == (B, 4)
    gates = encoder.eval().forward_image(pictures).gates["1.expand"]
    known = right.sum(1) > 0
    assert (gates * right)[known].sum(1).mean() > right[known].mean()  # above chance


def test_a_blind_guesser_is_rejected_and_diverse_adapters_are_kept():
    good, twin, blind = tiny_encoder(), tiny_encoder(), tiny_encoder()
    with torch.no_grad():
        blind.tower.image_out.weight.zero_()
        blind.tower.image_out.weight[0] = 1e-3  # the same vector for everything
    pictures = _pictures()
    targets = _encode(good, pictures)
    method = _method("open_knowledge", good, [blind, twin], keep=3)
    method.observe(pictures, targets)
    assert blind not in method.chosen
    assert method.chosen[0] is good
    other = tiny_encoder()
    with torch.no_grad():
        for layer in other.depth_layers():
            layer.experts.b_ENR.mul_(-1)
    recall = (_encode(other, pictures) @ targets.T).argmax(1) == torch.arange(B)
    assert recall.float().mean() > 1 / B
    method = _method("open_knowledge", good, [twin, other], keep=2, diversity=5.0)
    method.observe(pictures, targets)
    assert method.chosen == [good, other]  # the twin knows nothing new


def test_mova_runs_only_the_tower_of_the_querys_prototype():
    first, second = tiny_encoder(0), tiny_encoder(5)
    pictures = _pictures(count=2 * B)
    styles = torch.arange(2 * B) % 2
    features = torch.randn(2, GRAM)[styles] * 5
    pictures = TowerInputs(pictures.inputs, features)
    targets = torch.where(
        (styles == 0)[:, None], _encode(first, pictures), _encode(second, pictures)
    )
    method = _method("mova", first, [second])
    method.observe(pictures, targets)
    assert method.choose(pictures).tolist() == styles.tolist()
    torch.testing.assert_close(method.encode(pictures), targets)
    rows = styles == 0
    calls = []
    second.tower.register_forward_hook(lambda *_: calls.append(1))
    second.tower.vision[0].register_forward_hook(lambda *_: calls.append(1))
    method.encode(TowerInputs(pictures.inputs[rows], pictures.features_BG[rows]))
    assert calls == []
    method.encode(pictures)
    assert calls


def test_self_contrast_moves_away_from_the_weak_routing_and_is_exact_at_zero():
    encoder, pictures = tiny_encoder(), _pictures()
    plain = _encode(encoder, pictures)
    assert torch.equal(_method("scmoe", encoder, strength=0.0).encode(pictures), plain)
    with torch.no_grad():
        gates = encoder.forward_image(pictures).gates
    weak = {
        layer.name: F.one_hot(gates[layer.name].topk(2).indices[:, 1], 4).float()
        for layer in encoder.depth_layers()
    }
    with torch.no_grad(), encoder.route.overriding(weak):
        weak_vectors = encoder.forward_image(pictures).vectors_BD
    moved = _method("scmoe", encoder, strength=0.5).encode(pictures)
    expected = F.normalize(plain + 0.5 * (plain - weak_vectors), dim=1)
    torch.testing.assert_close(moved, expected)
    assert ((moved * weak_vectors).sum(1) < (plain * weak_vectors).sum(1)).all()


@pytest.mark.parametrize(
    ("name", "depth", "reason"),
    [
        ("c3po", {"routed_by": "token"}, "routed_by: prototype"),
        ("rewiring", {"router": "mixer"}, "use router=softmax"),
        ("drift_moe", {"parameterisation": "flylora"}, "routed_by: prototype"),
        ("mova", {}, "give further ones"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(name, depth, reason):
    encoder = tiny_encoder(depth=ExpertConfig(rank=2, **depth))
    with pytest.raises(ValueError, match=reason):
        build_in_use(name, encoder)


def test_an_encoder_without_experts_is_refused():
    with pytest.raises(ValueError, match="no depth experts"):
        build_in_use("c3po", tiny_encoder(depth=None))
