"""Push and pull of an encoder, with a hub that is a folder on disk in the hub's layout."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.utils import filter_repo_objects

from data.errors import BadInput, Missing
from retrieval.checkpoint import ModelCard, save_checkpoint
from tests.retrieval.tiny import SIZES, tiny_encoder
from unirag.models.encoder_exchange import pull_encoder, push_encoder


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """Replace the hub by the folder `hub`, one folder per repository."""
    root = tmp_path / "hub"

    def create_repo(self, repo, *, private, exist_ok):
        assert exist_ok
        (root / repo).mkdir(parents=True, exist_ok=True)
        (root / repo / ".private").write_text(str(private))

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, revision, commit_message):
        names = [p.name for p in Path(folder_path).iterdir() if p.is_file()]
        for name in filter_repo_objects(names, allow_patterns=allow_patterns):
            (root / repo_id / name).write_bytes((Path(folder_path) / name).read_bytes())

    def model_info(self, repo, *, revision, files_metadata):
        if not (root / repo).exists():
            raise OSError("404")
        files = [SimpleNamespace(rfilename=p.name) for p in (root / repo).iterdir()]
        return SimpleNamespace(siblings=files, sha="abc")

    def snapshot_download(repo, *, revision, local_dir, allow_patterns, ignore_patterns):
        names = [p.name for p in (root / repo).iterdir()]
        for name in filter_repo_objects(names, allow_patterns=allow_patterns):
            (Path(local_dir) / name).write_bytes((root / repo / name).read_bytes())

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return root


@pytest.fixture
def folder(tmp_path) -> Path:
    encoder = tiny_encoder()
    card = ModelCard(name="tiny-1", tower=SIZES, encoder=encoder.config, styles=("sketch",))
    save_checkpoint(encoder, card, tmp_path / "trained")
    (tmp_path / "trained" / "run").mkdir()
    (tmp_path / "trained" / "secret.txt").write_text("notes")
    return tmp_path / "trained"


def test_an_encoder_is_pushed_with_a_card_and_pulled_again(hub, folder, unirag, tmp_path):
    run = unirag(f"encoder push {folder} hub:org/tiny --json")
    assert run.json == {"pushed": "hub:org/tiny"}
    assert {p.name for p in (hub / "org/tiny").iterdir()} == {
        ".private",
        "README.md",
        "config.json",
        "model.safetensors",
    }
    assert (hub / "org/tiny/.private").read_text() == "True"
    card = (hub / "org/tiny/README.md").read_text()
    assert "# tiny-1" in card
    assert "softmax over 4 lora" in card
    run = unirag(f"encoder pull hub:org/tiny --out {tmp_path / 'pulled'} --json")
    assert run.json == {"encoder": "tiny-1", "folder": str(tmp_path / "pulled")}
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "pulled" / name).read_bytes() == (folder / name).read_bytes()


def test_a_card_of_the_authors_stays(hub, folder):
    (folder / "README.md").write_text("mine")
    push_encoder(folder, "hub:org/tiny")
    assert (hub / "org/tiny/README.md").read_text() == "mine"


def test_wrong_folders_and_targets_are_refused(hub, folder, tmp_path):
    with pytest.raises(BadInput, match="not a trained encoder"):
        push_encoder(tmp_path / "nowhere", "hub:org/tiny")
    with pytest.raises(BadInput, match="expected a repository of the Hub"):
        push_encoder(folder, f"path:{folder}")
    with pytest.raises(Missing, match="hub:org/none"):
        pull_encoder("hub:org/none", tmp_path / "pulled")
    (hub / "org/empty").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"no model.safetensors"):
        pull_encoder("hub:org/empty", tmp_path / "pulled")
