"""The encoder on the mini towers: equal to its tower before training, and its outputs after."""

from __future__ import annotations

import itertools

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.experts import ExpertConfig
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.prompt_bank import BankConfig
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import UniConfig, UniRetrieval

SIZES = MiniConfig(
    width=32, depth=2, heads=2, hidden=48, text_hidden=48, detail=3, sentence=16, out=24
)
BANK = BankConfig(entries=5, prompts=3, width=12)
EXPERTS = ExpertConfig(experts=3, rank=2)
TOKEN = ExpertConfig(experts=3, rank=2, router="top_k", routed_by="token")
B, K = 4, 12
COMPONENTS = [
    (bank, experts, depth)
    for bank, experts, depth in itertools.product(
        (None, BANK), (None, EXPERTS, TOKEN), (None, EXPERTS, TOKEN)
    )
    if bank or not experts  # experts adapt the prompts of a bank
]
KINDS = ("image", "text")


def _encoder(bank=BANK, experts=EXPERTS, depth=EXPERTS, **settings) -> UniRetrieval:
    torch.manual_seed(0)
    tower = MiniTower(SIZES, None, None)
    config = UniConfig(
        bank=bank, experts=experts, depth=depth, prototype=K, sentence=16, **settings
    )
    return UniRetrieval(tower, config).eval()


def _inputs(kind: str, batch: int = B, seed: int = 1) -> TowerInputs:
    generator = torch.Generator().manual_seed(seed)
    if kind == "text":
        words_BS = F.normalize(torch.randn(batch, 16, generator=generator), dim=1)
        return TowerInputs(words_BS, words_BS)
    patches = torch.randn(batch, PATCHES, sum(TAPS), generator=generator)
    return TowerInputs(patches, torch.randn(batch, GRAM, generator=generator))


def _as_trained(encoder: UniRetrieval) -> UniRetrieval:
    """Open the gates and fill B, as training does."""
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "gate_H" in name or "b_ENR" in name:
                parameter.normal_(0, 0.5)
            if "_NPW" in name or "router" in name:
                parameter.normal_()
    return encoder


def _plain(encoder: UniRetrieval, kind: str) -> torch.Tensor:
    """Return the vectors of the tower alone."""
    encode = getattr(encoder.tower, f"forward_{kind}")
    return F.normalize(encode(_inputs(kind).inputs), dim=1)


@pytest.mark.parametrize(
    "components", COMPONENTS, ids=lambda p: "-".join("01"[x is not None] for x in p)
)
@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_encoder_equals_its_tower(components, kind):
    encoder = _encoder(*components)
    encoded = getattr(encoder, f"forward_{kind}")(_inputs(kind))
    torch.manual_seed(0)
    tower = MiniTower(SIZES, None, None).eval()  # without an encoder
    expected = F.normalize(getattr(tower, f"forward_{kind}")(_inputs(kind).inputs), dim=1)
    torch.testing.assert_close(encoded.vectors_BD, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(encoded.vectors_BD.norm(dim=1), torch.ones(B))


@pytest.mark.parametrize(
    "components", COMPONENTS, ids=lambda p: "-".join("01"[x is not None] for x in p)
)
@pytest.mark.parametrize("kind", KINDS)
def test_each_trained_component_changes_the_vectors(components, kind):
    encoder = _as_trained(_encoder(*components))
    bank, _, depth = components
    encoded = getattr(encoder, f"forward_{kind}")(_inputs(kind))
    unchanged = bank is None and (depth is None or kind == "text")
    same = torch.allclose(encoded.vectors_BD, _plain(encoder, kind), atol=1e-3)
    assert same == unchanged
    torch.testing.assert_close(encoded.vectors_BD.norm(dim=1), torch.ones(B))


@pytest.mark.parametrize("kind", KINDS)
def test_experts_adapt_the_prompts(kind):
    encoder = _as_trained(_encoder(depth=None))
    with_experts = getattr(encoder, f"forward_{kind}")(_inputs(kind)).vectors_BD
    encoder.prompt_experts[kind].experts.b_ENR.data.zero_()
    without = getattr(encoder, f"forward_{kind}")(_inputs(kind)).vectors_BD
    assert not torch.allclose(with_experts, without, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_k", [None, 2])
def test_the_weights_of_the_bank_entries_sum_to_one(kind, top_k):
    encoder = _encoder(bank=BANK.model_copy(update={"top_k": top_k}))
    encoded = getattr(encoder, f"forward_{kind}")(_inputs(kind))
    assert encoded.entry_weights_BN.shape == (B, 5)
    torch.testing.assert_close(encoded.entry_weights_BN.sum(1), torch.ones(B))
    assert (
        _encoder(bank=None, experts=None).forward_image(_inputs("image")).entry_weights_BN is None
    )


@pytest.mark.parametrize("layers", [("qkv", "out", "expand", "contract"), ("out",)])
@pytest.mark.parametrize("config", [EXPERTS, TOKEN])
def test_the_gates_of_every_adapted_layer_are_returned(config, layers):
    encoder = _encoder(experts=config, depth=config, layers=layers)
    by_token = config.routed_by == "token"
    gates = encoder.forward_image(_inputs("image")).gates
    layer_names = {f"{i}.{layer}" for i in range(2) for layer in layers}
    assert set(gates) == layer_names | {"prompts.image"}
    for name in layer_names:
        assert gates[name].shape == ((B, 1 + 3 + PATCHES, 3) if by_token else (B, 3))
    assert gates["prompts.image"].shape == ((B, 3, 3) if by_token else (B, 3))
    assert set(encoder.forward_text(_inputs("text")).gates) == {"prompts.text"}
    assert encoder.route.prototype_BD is None


def test_mola_gives_the_upper_block_more_experts():
    depth = ExpertConfig(experts=3, rank=2, allocation="mola")
    gates = _encoder(depth=depth).forward_image(_inputs("image")).gates
    assert (gates["0.qkv"].shape, gates["1.qkv"].shape) == ((B, 1), (B, 5))


def test_a_row_of_a_batch_is_encoded_as_it_is_alone():
    encoder = _as_trained(_encoder())
    for kind in KINDS:
        together = getattr(encoder, f"forward_{kind}")(_inputs(kind)).vectors_BD
        for i in range(B):
            one = TowerInputs(*(tensor[i : i + 1] for tensor in _inputs(kind)))
            alone = getattr(encoder, f"forward_{kind}")(one).vectors_BD
            torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=0)


def test_pictures_can_be_encoded_in_another_style():
    encoder = _as_trained(_encoder())
    prepared = _inputs("image")
    original = encoder.forward_image(prepared)
    again = encoder.forward_image(prepared, prototypes_BK=original.prototypes_BK)
    torch.testing.assert_close(again.vectors_BD, original.vectors_BD)
    other_BK = original.prototypes_BK.roll(1, dims=0)
    other = encoder.forward_image(prepared, prototypes_BK=other_BK)
    assert torch.equal(other.prototypes_BK, other_BK)
    torch.testing.assert_close(other.entry_weights_BN, original.entry_weights_BN.roll(1, dims=0))
    torch.testing.assert_close(other.gates["1.out"], original.gates["1.out"].roll(1, dims=0))
    assert ((other.vectors_BD - original.vectors_BD).abs().amax(1) > 1e-4).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bank": None, "experts": EXPERTS}, "experts without a bank"),
        ({"experts": {"rule": "orthogonal"}}, "rules are for depth experts"),
    ],
)
def test_settings_without_effect_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        UniConfig(**settings)


def test_an_interrupted_forward_does_not_block_the_next(monkeypatch):
    encoder = _encoder()
    with pytest.raises(RuntimeError):
        encoder.forward_image(TowerInputs(torch.zeros(B, PATCHES, 3), torch.zeros(B, GRAM)))
    encoder.forward_image(_inputs("image"))


def _train_step(encoder: UniRetrieval, checkpointing: bool) -> tuple[torch.Tensor, dict, list[int]]:
    """Return loss, gradients and block calls of a step with three forward passes."""
    calls = [0]
    for block in (*encoder.tower.image_blocks, *encoder.tower.text_blocks):
        block.attention.register_forward_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))
    encoder.train()
    encoder.checkpointing = checkpointing
    torch.manual_seed(5)
    target = torch.randn(24)
    batches = [
        encoder.forward_image(_inputs("image", 6)),
        encoder.forward_image(_inputs("image", 5, seed=3)),
        encoder.forward_text(_inputs("text", 7)),
    ]
    losses = [(batch.vectors_BD @ target).square().mean() for batch in batches]
    loss = torch.stack([*losses, *(batch.router_loss for batch in batches)]).sum()
    loss.backward()
    # Layers that run again in `backward` record nothing.
    assert {name: len(gates) for name, gates in encoder.route.gates.items()} == {"prompts.text": 1}
    grads = {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}
    return loss.detach(), grads, calls


DEPTHS = {
    "prototype, softmax": EXPERTS,
    "token, top-k": TOKEN,
    "prototype, top-p": ExpertConfig(experts=3, rank=2, router="top_p", balance_weight=1.0),
    "token, null": ExpertConfig(experts=3, rank=2, router="null", routed_by="token"),
}


@pytest.mark.parametrize("depth", DEPTHS.values(), ids=DEPTHS)
def test_checkpointing_changes_neither_loss_nor_gradients(depth):
    loss, grads, calls = _train_step(_as_trained(_encoder(depth=depth)), False)
    recomputed_loss, recomputed_grads, recomputed_calls = _train_step(
        _as_trained(_encoder(depth=depth)), True
    )
    assert (calls, recomputed_calls) == ([5], [10])
    torch.testing.assert_close(recomputed_loss, loss, atol=1e-6, rtol=1e-6)
    assert recomputed_grads.keys() == grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(recomputed_grads[name], grad, atol=1e-6, rtol=1e-4)
    routers = [n for n in grads if n.startswith("tower.") and "router" in n]
    assert len(routers) == 8
    assert all(grads[n].abs().max() > 0 for n in routers)


def test_checkpointing_is_for_training_only():
    encoder = _encoder()
    encoder.checkpointing = True
    encoder.train().forward_image(_inputs("image"))
    encoder.eval().forward_image(_inputs("image"))
    assert encoder.tower.wrap_block is None


def test_the_centroids_of_styles_have_unit_length():
    encoder = _encoder()
    encoder.set_styles({"sketch": torch.full((K,), 3.0), "art": torch.arange(K).float()})
    assert encoder.styles == ("sketch", "art")
    torch.testing.assert_close(encoder.centroids_SK.norm(dim=1), torch.ones(2))
    assert encoder.centroids_SK[0, 0] == pytest.approx(K**-0.5)
    assert "centroids_SK" in encoder.state_dict()


def test_adapter_parameters_are_those_that_the_plain_tower_lacks():
    encoder = _encoder()
    tower_names = {
        name
        for name, _ in MiniTower(SIZES, None, None).named_parameters(prefix="tower")
        if "gate_H" not in name
    }
    adapter_names = {name for name, _ in encoder.adapter_parameters()}
    assert not adapter_names & tower_names
    assert adapter_names | tower_names == {name for name, _ in encoder.named_parameters()}


def test_a_bank_of_another_width_than_the_prototypes_is_refused():
    with pytest.raises(ValidationError, match=r"bank\.width=64, prototype=128"):
        UniConfig(bank=BankConfig(width=64))
