"""Checkpoints with the names and shapes of Uni-Retrieval's public training code."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor, nn

from data.errors import BadInput
from retrieval.openclip_tower import OpenClipTower
from retrieval.training.reference_checkpoint import import_reference
from tests.retrieval.test_openclip_tower import TEXTS, pictures

SIZES = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 128, "patch_size": 8, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 3},
}


class Reference(nn.Module):
    """The parameters of the public code's module, on a small OpenCLIP model."""

    def __init__(self) -> None:
        super().__init__()
        self.openclip = open_clip.CLIP(**SIZES)
        self.visual = self.openclip.visual
        self.key = nn.Parameter(torch.randn(4, 1024))
        self.img_prompt = nn.Parameter(torch.randn(4, 128))
        self.encoder = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReflectionPad2d(1), nn.Conv2d(3, 64, 3))
        self.bank_patch = nn.Conv2d(128, 256, 16, 16)
        self.bank_pool = nn.Linear(256, 4)
        self.bank_linear = nn.Sequential(nn.Linear(256, 512), nn.Linear(512, 128))
        self.style_patch = nn.Conv2d(256, 256, 16, 16)
        self.style_linear = nn.Sequential(nn.Linear(256, 512), nn.Linear(512, 128))


@pytest.fixture
def reference() -> Reference:
    torch.manual_seed(0)
    reference = Reference().eval()
    with torch.no_grad():
        for parameter in reference.openclip.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return reference


@torch.no_grad()
def test_the_imported_tower_gives_the_models_vectors(reference: Reference, tmp_path: Path) -> None:
    torch.save(reference.state_dict(), tmp_path / "style2image_epoch3.pth")
    imported = import_reference(tmp_path / "style2image_epoch3.pth", tmp_path / "tower")
    assert imported.left_out["key"] == (4, 1024)
    assert imported.left_out["bank_patch.weight"] == (256, 128, 16, 16)
    assert not any(name.startswith(("openclip", "visual")) for name in imported.left_out)
    tower = OpenClipTower("authors", imported.folder, None, None)
    pixels, tokens = tower.pixels(pictures(3)), tower.tokens(TEXTS)
    model = reference.openclip
    torch.testing.assert_close(tower.forward_image(pixels), model.encode_image(pixels))
    torch.testing.assert_close(tower.forward_text(tokens), model.encode_text(tokens))
    # the transform of ViT-L-14 laion2b_s32b_b82k: [0, 1] to [-1, 1]
    assert pixels.min() < -0.9
    assert pixels.max() > 0.9


def without_projection(state: dict[str, Tensor]) -> None:
    del state["openclip.text_projection"]


def with_another_copy(state: dict[str, Tensor]) -> None:
    state["visual.proj"] = state["visual.proj"] + 1


def with_a_stranger(state: dict[str, Tensor]) -> None:
    state["decoder.weight"] = torch.ones(1)


def with_a_hole(state: dict[str, Tensor]) -> None:
    state["openclip.ln_final.weight"] = torch.full((64,), torch.nan)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_projection, "openclip.text_projection is missing"),
        (with_another_copy, "visual.proj differs from openclip.visual.proj"),
        (with_a_stranger, "'decoder.weight' is unknown; expected openclip"),
        (with_a_hole, "openclip.ln_final.weight is not finite"),
    ],
)
def test_other_weights_are_refused(reference, tmp_path, damage, message):
    state = dict(reference.state_dict())
    damage(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(BadInput, match=message):
        import_reference(tmp_path / "other.pth", tmp_path / "tower")
    assert not (tmp_path / "tower").exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.pth").write_text("not weights")
    with pytest.raises(BadInput, match=r"notes.pth: cannot be read as weights"):
        import_reference(tmp_path / "notes.pth", tmp_path / "tower")
    with pytest.raises(BadInput, match="cannot be read"):
        import_reference(tmp_path / "nowhere.pth", tmp_path / "tower")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    with pytest.raises(BadInput, match="expected a state dict"):
        import_reference(tmp_path / "list.pth", tmp_path / "tower")
