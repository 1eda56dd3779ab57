"""`unirag train`, `adapt`, `styles` and `eval retrieval` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw, ImageOps

from data.errors import BadInput, Mismatch
from data.pictures import open_picture
from data.records import Query, QueryImage
from data.styles import SEEN_STYLES, restyle
from retrieval.checkpoint import load_checkpoint, read_card
from retrieval.encoder import ORIGINAL
from retrieval.model_card import SHIPPED_ENCODER, checkpoint_name
from tests.retrieval.test_openclip_tower import save as save_clip
from tests.retrieval.tiny import tiny_encoder
from unirag.app import App
from unirag.models.encoders import build_mini_tower
from unirag.models.profiles import PROFILES, profile_of
from unirag.settings import load_settings
from unirag.training import trainer
from unirag.training.presets import preset_names
from unirag.training.run_config import RunConfig, TrainingBook, read_config
from unirag.training.trainer import run_training

FIGURES = Path(__file__).resolve().parent.parent.parent / "data" / "sample" / "figures"


def corpus(folder: Path, count: int = 10) -> Path:
    """Write a corpus of drawings, each with a line of its own and a description."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(folder.name))
    lines = ["# Lines", ""]
    for i in range(count):
        picture = Image.new("RGB", (120, 90), "white")
        corners = [(int(x), int(y)) for x, y in rng.integers(5, 85, (4, 2))]
        ImageDraw.Draw(picture).line(corners, fill=(20 * i % 255, 40, 90), width=3)
        picture.save(folder / f"line-{i}.png")
        lines += [f"![Line number {i} runs through {corners}](line-{i}.png)", ""]
    (folder / "lines.md").write_text("\n".join(lines))
    return folder


def test_every_trained_style_has_a_view() -> None:
    assert {style for style, _ in trainer.TRAINING_VIEWS} == {ORIGINAL, *SEEN_STYLES}


def settings(folder: Path, **changes: object) -> Path:
    values = {
        "name": "tiny",
        "books": [{"path": "book"}],
        "tower": {"width": 32, "depth": 1, "heads": 2, "hidden": 32, "text_hidden": 32, "out": 24},
        "train": {"method": "tower", "steps": 3, "figures": 4, "warmup": 1, "save_every": 2},
        **changes,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Not A Name"}, "name: String should match"),
        ({"books": []}, "books: expected at least 1 book, or a manifest"),
        ({"bookz": []}, "bookz: Extra inputs"),
        (
            {"styles": ["fresco"]},
            "'fresco' cannot be trained on; expected some of original, sketch",
        ),
        ({"styles": ["mosaic"]}, "'mosaic' cannot be trained on"),
        ({"train": {"method": "magic"}}, "'magic' is not known; expected one of tower, plain"),
        ({"train": {"lr": -1}}, "train.lr: "),
        (
            {"encoder": {"depth": {"router": "xlora"}}, "train": {}},
            "encoder.depth: .*router=xlora: .*set routed_by: token",
        ),
        (
            {"encoder": {"depth": {"router": "xlora", "routed_by": "token"}}, "train": {}},
            "router=xlora: .*set adapters to one checkpoint per expert",
        ),
        (
            {"encoder": {"depth": {"router": "lora_mixer"}}, "train": {}},
            r"stands on qkv and out only; set layers: \[qkv, out\]",
        ),
        ({"encoder": {"experts": {"parameterisation": "split"}}, "train": {}}, "not on prompts"),
        ({"encoder": {"depth": {}}, "train": {"method": "bank"}}, "leave one of them out"),
        ({"train": {"method": "depth-c3po"}}, "adapts a trained encoder while it serves"),
        (
            {"train": {"method": "depth-rmoe", "gradient_checkpointing": True}},
            "set train.gradient_checkpointing: false",
        ),
        ({"train": {"patience": 2}}, "set validation to a book"),
        ({"compression": {"method": "zip"}}, "'zip' is not known; expected one of sub_moe"),
        ({"compression": {"method": "lego", "options": {"keep": 2}}}, "compression.keep: Input"),
        (
            {"train": {"method": "depth-film"}, "compression": {"method": "lego"}},
            "compression=lego: .*use parameterisation=lora",
        ),
        ({"train": {"method": "bank"}, "compression": {"method": "lego"}}, "no depth experts"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(BadInput, match=f"run.yaml: .*{message}"):
        read_config(settings(tmp_path, **changes))


def test_an_unreadable_settings_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_config(tmp_path / "nowhere.yaml")
    (tmp_path / "run.yaml").write_text("a: [")
    with pytest.raises(BadInput, match="not YAML"):
        read_config(tmp_path / "run.yaml")


def test_paths_are_relative_to_the_file(tmp_path):
    read = read_config(settings(tmp_path, held_out=["other"], start="tower"))
    assert read.books[0].path == tmp_path / "book"
    assert read.held_out == (tmp_path / "other",)
    assert read.start == tmp_path / "tower"


@pytest.mark.models
def test_an_encoder_is_trained_extended_and_evaluated(workspace, unirag, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    workspace.load_models("encoder")
    corpus(tmp_path / "book", 12)
    corpus(tmp_path / "test", 9)
    run_file = settings(tmp_path, held_out=["test"])
    run = unirag(f"train {run_file} --out {tmp_path / 'tower'} --json")
    assert run.code == 0, run
    assert run.json["encoder"] == "tiny"

    method = {"method": "depth", "steps": 2, "figures": 4, "warmup": 1}
    run_file = settings(tmp_path, name="tiny-2", start="tower", train=method)
    run = unirag(f"train {run_file} --out {tmp_path / 'ours'} --json")
    assert run.json["styles"][:2] == ["original", "sketch"]
    run_file = settings(tmp_path, name="tiny-2", start="tower", train={**method, "lr": 0.5})
    run = unirag(f"train {run_file} --out {tmp_path / 'ours'}")
    assert run.code == 2
    assert "holds a run with other settings (lr 0.001, now 0.5)" in run.err

    monkeypatch.setenv("UNIRAG_ENCODER", str(tmp_path / "ours"))
    command = f"eval retrieval {tmp_path / 'test'} --style sketch --queries 5 --json"
    scores = unirag(f"{command} --home {tmp_path / 'new'}").json
    assert (scores["encoder"], scores["gallery"]) == ("tiny-2", 9)
    assert set(scores["scores"]) == {"sketch", "text", "text+sketch"}
    assert scores["scores"]["sketch"]["queries"] == 5

    run = unirag("search --image cards/ray.png")
    assert run.code == 2
    monkeypatch.chdir(workspace.cards)
    run = unirag("search --image ray.png")
    assert f"was indexed with encoder '{checkpoint_name(SHIPPED_ENCODER)}'" in run.err
    assert workspace.contents() == workspace.initial_contents


def manifest(folder: Path, book: Path, count: int = 12) -> Path:
    """Write a manifest of queries in a new style, and of texts, for the pictures of a book."""
    folder.mkdir(parents=True)
    lines = []
    for i in range(count):
        target, query = book / f"line-{i}.png", folder / f"query-{i}.png"
        ImageOps.invert(open_picture(target)).save(query)
        split = "train" if i < count - 4 else "test"
        row = {"style": "night", "target": str(target), "split": split, "query": query.name}
        lines += [row, {"text": f"line number {i}", "target": str(target), "split": split}]
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return folder / "pairs.jsonl"


@pytest.mark.models
def test_pairs_in_a_new_style_are_trained_and_evaluated(unirag, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = manifest(tmp_path / "own", corpus(tmp_path / "book", 12))
    run_file = settings(tmp_path, books=[], manifest=str(pairs))
    run = unirag(f"train {run_file} --out {tmp_path / 'ours'} --json")
    assert run.code == 0, run
    assert run.json["styles"] == ["original", "night", "text"]
    monkeypatch.setenv("UNIRAG_ENCODER", str(tmp_path / "ours"))
    scores = unirag(f"eval retrieval {pairs} --home {tmp_path / 'home'} --json").json
    assert scores["gallery"] == 12
    assert {s: v["queries"] for s, v in scores["scores"].items()} == {"night": 4, "text": 4}
    run = unirag(f"eval retrieval {pairs} --split validation --home {tmp_path / 'home'}")
    assert run.code == 2
    assert "split validation has no query in any style; it has: none" in run.err


@pytest.mark.models
def test_any_legal_combination_is_trained_compressed_and_loaded(unirag, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    corpus(tmp_path / "book", 12)

    def train(name: str, **changes: object) -> Path:
        steps = {"steps": 3, "figures": 6, "warmup": 1, "lr": 0.01}
        run_file = settings(tmp_path, name=name, train=steps, **changes)
        run = unirag(f"train {run_file} --out {tmp_path / name} --json")
        assert run.code == 0, run
        return tmp_path / name

    combined = {
        "router": "dynmole",
        "parameterisation": "sora",
        "allocation": "mola",
        "rule": "omoe",
        "rank": 2,
        "options": {"router": {"threshold": 0.7}},
    }
    folder = train("combined", encoder={"depth": combined})
    depth = read_card(folder).encoder.depth
    assert (depth.router, depth.options["router"]) == ("dynmole", {"threshold": 0.7})

    adapters = []
    for i in range(2):
        alone = {"depth": {"experts": 1, "rank": 2}}
        styles = [("sketch", "art")[i]]
        adapters.append(str(train(f"adapter-{i}", encoder=alone, styles=styles)))
    mixed = {"router": "xlora", "routed_by": "token", "experts": 2, "rank": 2}
    folder = train(
        "mixed", encoder={"depth": mixed}, adapters=adapters, compression={"method": "sub_moe"}
    )
    encoder = load_checkpoint(folder, build_mini_tower)
    assert [s.method for s in encoder.config.compressed] == ["sub_moe"] * 4
    assert all(layer.experts.matrices()[0].shape[0] == 1 for layer in encoder.depth_layers())


@pytest.mark.models
def test_a_style_is_enrolled_listed_used_and_removed(workspace, unirag, tmp_path):
    workspace.load_models("encoder")
    examples, originals = tmp_path / "examples", tmp_path / "originals"
    for folder in (examples, originals):
        folder.mkdir()
    for path in sorted(FIGURES.glob("*.png"))[:9]:
        picture = open_picture(path)
        picture.save(originals / path.name)
        restyle(picture, "stainedglass", path.name, 1).save(examples / path.name)
    query = sorted(FIGURES.glob("*.png"))[20]
    restyle(open_picture(query), "stainedglass", query.name, 2).save(tmp_path / "query.png")

    result_before = unirag(f"search --image {tmp_path / 'query.png'} --json").json
    run = unirag(f"adapt glass --examples {examples} --originals {originals} --json")
    assert run.json == {"name": "glass", "version": 1, "examples": 9}
    rows = unirag("styles list --json").json["styles"]
    assert rows[-1] == {"name": "glass", "version": 1, "examples": 9, "in_use": True}
    assert {"name": "sketch", "version": None, "examples": None, "in_use": True} in rows

    result = unirag(f"search --image {tmp_path / 'query.png'} --json").json
    assert max(result["styles"], key=result["styles"].get) == "glass"
    assert "glass" not in result_before["styles"]
    assert sum(result["styles"].values()) == pytest.approx(1, abs=0.01)
    assert result["experts"] == []  # the shipped encoder has none
    run = unirag(f"search --image {tmp_path / 'query.png'} --style sketch")
    assert "The picture looks like: sketch 100%" in run.out

    assert unirag("styles remove glass").code == 0
    assert (
        unirag(f"search --image {tmp_path / 'query.png'} --json").json["hits"]
        == result_before["hits"]
    )
    run = unirag("styles remove glass")
    assert run.code == 2
    assert "style 'glass' is not enrolled here; enrolled: none" in run.err
    assert workspace.contents() == workspace.initial_contents


@pytest.mark.models
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("search --image ray.png --style fresco", "style 'fresco' is not known; expected auto or"),
        ("eval retrieval . --style fresco", "style 'fresco' is unknown; expected one of sketch"),
        ("eval retrieval nowhere", "nowhere"),
        ("eval generation cards --judge http://127.0.0.1:1/v1", "expected http"),
        ("eval generation cards --system theirs", "expected one of ours"),
        ("adapt glass --examples .", "1 pictures; expected 8 to 512"),
        ("adapt glass --examples nowhere", "not a folder"),
        ("train nowhere.yaml --out there", "nowhere.yaml: cannot be read"),
    ],
)
def test_bad_commands_are_refused(workspace, unirag, monkeypatch, command, message):
    monkeypatch.chdir(workspace.cards)
    run = unirag(command)
    assert (run.code, run.out) == (2, "")
    assert message in run.err
    assert workspace.contents() == workspace.initial_contents


@pytest.mark.models
def test_a_bank_is_trained_around_an_openclip_model_and_serves(models, tmp_path, monkeypatch):
    """The whole path of profile `paper`, with a tiny random ViT in the hub's format."""
    clip = save_clip(tmp_path / "clip")
    mini = PROFILES["mini"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = {
        "home": tmp_path / "home",
        "models": models,
        "profile": "paper",
        "image_model": f"path:{clip}",
        "text_model": str(mini.text.sources[0]),
        "speech_model": str(mini.speech.sources[0]),
        "ocr": False,
    }
    book = corpus(tmp_path / "book", 10)
    query = tmp_path / "query.png"
    restyle(open_picture(book / "line-3.png"), "sketch", "line-3", 1).save(query)

    with App.open(load_settings(**options)) as plain_app:
        plain_app.index([book])
        assert plain_app.search(Query(images=[QueryImage.from_file(query)])).styles == {}
        untrained = plain_app.components.encoder.encode_image([open_picture(query)])

    train = {
        "method": "depth", "steps": 3, "figures": 4, "warmup": 1, "gradient_checkpointing": True,
    }  # fmt: skip
    run = read_config(settings(tmp_path, train=train))
    card = run_training(run, load_settings(**options), tmp_path / "trained")
    assert card.tower == profile_of(load_settings(**options)).image.name
    assert (tmp_path / "trained" / "model.safetensors").stat().st_size < 3_000_000

    options |= {"encoder": tmp_path / "trained", "home": tmp_path / "second-home"}
    with App.open(load_settings(**options)) as trained_app:
        trained_app.index([book])
        result = trained_app.search(Query(images=[QueryImage.from_file(query)]))
        assert result.hits
        assert sum(result.styles.values()) == pytest.approx(1, abs=1e-3)
        assert sum(result.experts) == pytest.approx(1, abs=1e-3)
        trained = trained_app.components.encoder.encode_image([open_picture(query)])
        assert not np.allclose(trained, untrained, atol=1e-4)
        encoded_again = trained_app.components.encoder.encode_image([open_picture(query)])
        np.testing.assert_allclose(trained, encoded_again, atol=1e-6)

    options["home"] = tmp_path / "home"
    with (
        App.open(load_settings(**options)) as trained_app,
        pytest.raises(Mismatch, match="was indexed with"),
    ):
        trained_app.search("a line")

    tower_run = read_config(settings(tmp_path, train={"method": "tower", "steps": 1}))
    with pytest.raises(BadInput, match="brings its own weights"):
        run_training(tower_run, load_settings(**options), tmp_path / "whole")


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_prints_and_reads_as_the_papers_have_it(unirag, tmp_path, preset):
    run = unirag(f"train --preset {preset} --print")
    assert run.code == 0, run
    values = yaml.safe_load(run.out)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values | {"books": [{"path": "book"}]}))
    config = read_config(tmp_path / "run.yaml")
    (tmp_path / "mine.yaml").write_text("books: [{path: book}]")
    assert config == read_config(tmp_path / "mine.yaml", preset)
    bank, train = config.encoder.bank, config.train
    assert (bank.entries, bank.prompts, bank.width, config.encoder.prototype) == (16, 4, 768, 768)
    assert (train.loss, train.margin, train.lr, train.seed) == ("triplet", 1.0, 1e-5, 42)
    assert config.encoder.prompt_attention == "plain"
    assert "ViT-L-14" in config.image_model
    experts = config.encoder.experts
    assert (experts and (experts.experts, experts.rank)) == (
        (4, 8) if preset == "uni-rag" else None
    )
    assert 0 < train.norm_steps < train.steps


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train --out there", "expected the configuration of a run, or --preset"),
        ("train --preset uni-rag", "--out is missing"),
        ("train --preset rag --print", "'rag' is unknown; expected one of uni-rag, uni-retrieval"),
        ("train --preset uni-rag --out there", "preset uni-rag: books: expected at least 1 book"),
        ("train --preset uni-rag --manifest no.csv --out there", "no.csv: cannot be read"),
    ],
)
def test_presets_are_asked_for_what_they_lack(unirag, command, message):
    run = unirag(command)
    assert (run.code, run.out) == (2, "")
    assert message in run.err


@pytest.mark.models
@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_is_trained_around_an_openclip_model_and_serves(
    models, tmp_path, monkeypatch, preset
):
    """A step of each stage on pairs of one's own, with a tiny random ViT in the hub's format."""
    clip, mini = save_clip(tmp_path / "clip"), PROFILES["mini"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = {
        "home": tmp_path / "home",
        "models": models,
        "profile": "paper",
        "text_model": str(mini.text.sources[0]),
        "speech_model": str(mini.speech.sources[0]),
        "ocr": False,
    }
    book = corpus(tmp_path / "book", 6)
    values = {
        "image_model": f"path:{clip}",
        "manifest": str(manifest(tmp_path / "own", book, 6)),
        "train": {"steps": 2, "norm_steps": 1, "figures": 2, "warmup": 1},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    run = read_config(tmp_path / "run.yaml", preset)
    losses: list[dict[str, float]] = []
    card = run_training(
        run, load_settings(**options), tmp_path / "ours", report=lambda _, v: losses.append(v)
    )
    assert (card.name, card.encoder.prompt_attention) == (preset, "plain")
    assert set(card.styles) == {"original", "night", "text"}
    assert {"loss/pictures", "loss/words"} <= set(losses[0]) & set(losses[1])

    options |= {"encoder": tmp_path / "ours", "image_model": f"path:{clip}"}
    with App.open(load_settings(**options)) as app:
        app.index([book])
        result = app.search(Query(images=[QueryImage.from_file(tmp_path / "own" / "query-3.png")]))
        assert result.hits
        assert set(result.styles) == {"original", "night", "text"}


@pytest.mark.parametrize("rank", [0, 1])
def test_of_the_ranks_of_a_training_the_first_saves_the_encoder(rank, tmp_path, monkeypatch):
    waited: list[int] = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "barrier", lambda: waited.append(rank))
    encoder = tiny_encoder()
    config = RunConfig(name="tiny", books=(TrainingBook(path=tmp_path),))
    trainer._save(config, encoder, encoder.tower.config, tmp_path / "encoder")
    assert (tmp_path / "encoder").exists() is (rank == 0)
    assert waited == [rank]
