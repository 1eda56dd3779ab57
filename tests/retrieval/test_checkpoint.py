"""A saved encoder loads unchanged, and a folder with anything else is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from data.errors import BadInput
from retrieval.checkpoint import ModelCard, load_checkpoint, read_card, save_checkpoint
from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.experts import ExpertConfig
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.prompt_bank import BankConfig
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import UniConfig, UniRetrieval

SIZES = MiniConfig(
    width=32, depth=2, heads=2, hidden=48, text_hidden=48, detail=3, sentence=16, out=24
)
EXPERTS = ExpertConfig(experts=3, rank=2)
CONFIG = UniConfig(
    bank=BankConfig(entries=5, prompts=3, width=12),
    experts=EXPERTS,
    depth=EXPERTS,
    prototype=12,
    sentence=16,
)
CARD = ModelCard(name="tiny-1", tower=SIZES, encoder=CONFIG, styles=("sketch", "text"))


def _tower(card: ModelCard, seed: int = 9) -> MiniTower:
    """Build a tower with other weights than the saved ones, which loading must overwrite."""
    torch.manual_seed(seed)
    return MiniTower(card.tower if isinstance(card.tower, MiniConfig) else SIZES, None, None)


def _trained(seed: int = 0) -> UniRetrieval:
    encoder = UniRetrieval(_tower(CARD, seed), CONFIG)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "gate_H" in name or "b_ENR" in name or "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
        encoder.tower.fit(3 + 2 * torch.randn(2, PATCHES, sum(TAPS)))
        encoder.prototypes.fit(torch.randn(9, GRAM))
    encoder.set_styles({"sketch": torch.randn(12), "text": torch.randn(12)})
    return encoder.eval()


def _vectors(encoder: UniRetrieval) -> torch.Tensor:
    torch.manual_seed(1)
    pictures = TowerInputs(3 + 2 * torch.randn(5, PATCHES, sum(TAPS)), torch.randn(5, GRAM))
    words_BS = F.normalize(torch.randn(5, 16), dim=1)
    with torch.no_grad():
        return torch.cat(
            [
                encoder.forward_image(pictures).vectors_BD,
                encoder.forward_text(TowerInputs(words_BS, words_BS)).vectors_BD,
            ]
        )


@pytest.fixture
def folder(tmp_path) -> Path:
    save_checkpoint(_trained(), CARD, tmp_path / "deep" / "tiny")
    return tmp_path / "deep" / "tiny"


def test_a_saved_encoder_loads_unchanged(folder):
    encoder, loaded = _trained(), load_checkpoint(folder, _tower)
    assert not loaded.training
    assert torch.cosine_similarity(_vectors(encoder), _vectors(loaded)).min() > 0.9999
    assert loaded.styles == ("sketch", "text")
    assert read_card(folder) == CARD
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        # fp16 has 11 bits; tensors of one dimension (statistics, gates, norms) stay in fp32
        rtol = 2**-11 if value.ndim > 1 else 0
        torch.testing.assert_close(value, encoder.state_dict()[name], atol=1e-7, rtol=rtol)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_saving_again_replaces_the_checkpoint(folder):
    other = _trained(seed=3)
    save_checkpoint(other, CARD, folder)
    assert (
        torch.cosine_similarity(_vectors(other), _vectors(load_checkpoint(folder, _tower))).min()
        > 0.9999
    )


def test_on_an_openclip_tower_only_the_trained_parameters_are_stored(tmp_path):
    encoder = _trained()
    card = CARD.model_copy(update={"tower": "ViT-B-32"})
    save_checkpoint(encoder, card, tmp_path)
    stored = set(load_file(tmp_path / "model.safetensors"))
    adapters = {name for name, _ in encoder.adapter_parameters()}
    assert adapters <= stored
    tower_names = {n for n in stored - adapters if n.startswith("tower.")}
    assert tower_names
    assert all("norm" in name for name in tower_names)

    def build_tower(card: ModelCard) -> MiniTower:
        tower = _tower(card, seed=0)
        tower.mean_C.copy_(encoder.tower.mean_C)
        tower.deviation_C.copy_(encoder.tower.deviation_C)
        return tower

    vectors = _vectors(load_checkpoint(tmp_path, build_tower))
    assert torch.cosine_similarity(_vectors(encoder), vectors).min() > 0.9999


def _without(name: str):
    def change(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        save_file({k: v for k, v in state.items() if k != name}, folder / "model.safetensors")

    return change


def _with(name: str):
    def change(folder: Path) -> None:
        state = load_file(folder / "model.safetensors") | {name: torch.ones(2)}
        save_file(state, folder / "model.safetensors")

    return change


def _card(**change):
    def write(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text())
        for path, value in change.items():
            *parents, last = path.split("__")
            section = values
            for parent in parents:
                section = section[parent]
            section[last] = value
        (folder / "config.json").write_text(json.dumps(values))

    return write


def _cut(name: str, size: int):
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return change


def _bytes(name: str, data: bytes):
    return lambda folder: (folder / name).write_bytes(data)


DAMAGES = {
    "no card": lambda folder: (folder / "config.json").unlink(),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "an empty card": _bytes("config.json", b""),
    "half a card": _cut("config.json", 100),
    "a card that is not text": _bytes("config.json", b"\xff\xfe\x80{"),
    "a card of something else": _bytes("config.json", b'{"architectures": ["CLIPModel"]}'),
    "an unknown key": _card(colour="red"),
    "inconsistent sizes": _card(tower__heads=5),
    "a bank of another width": _card(encoder__bank__width=13),
    "empty weights": _bytes("model.safetensors", b""),
    "weights in another format": _bytes("model.safetensors", b"PK\x03\x04 a zip, or a pickle" * 9),
    "half the header": _cut("model.safetensors", 50),
    "half the weights": _cut("model.safetensors", 60_000),
    "a missing weight": _without("bank.keys_ND"),
    "a missing weight of the tower": _without("tower.patch.weight"),
    "an unknown weight": _with("tower.visual.conv1.weight"),
    "a wider tower": _card(tower__width=64),
    "a deeper tower": _card(tower__depth=3),
    "a flatter tower": _card(tower__depth=1),
    "another number of entries": _card(encoder__bank__entries=6),
    "no bank": _card(encoder__bank=None),
    "no experts": _card(encoder__depth=None),
    "more experts": _card(encoder__depth__experts=4),
    "more styles": _card(styles=["sketch", "text", "art"]),
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_bad_input_with_the_folder_and_a_remedy(folder, change):
    change(folder)
    with pytest.raises(BadInput, match=r"unirag train|train again") as raised:
        load_checkpoint(folder, _tower)
    assert str(folder) in str(raised.value)


def test_a_folder_without_a_checkpoint_is_bad_input(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(BadInput, match="not a trained encoder"):
            load_checkpoint(path, _tower)
        with pytest.raises(BadInput, match="unirag train"):
            read_card(path)
