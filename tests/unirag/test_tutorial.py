"""Every command of docs/tutorial.md, on tiny data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw, ImageFilter

from retrieval.checkpoint import read_card
from unirag.api.app_factory import create_api
from unirag.cli import serving

TUTORIAL = Path(__file__).resolve().parent.parent.parent / "docs" / "tutorial.md"
TINY = {"steps": 3, "figures": 4, "warmup": 1}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TUTORIAL.read_text(), re.M | re.S)


def draw_pairs(folder: Path) -> None:
    """Write figures, and blurred copies of them as the photos of three writers."""
    rng = np.random.default_rng(0)
    for name in ("photos", "figures"):
        (folder / name).mkdir(parents=True)
    for exercise in range(3):
        for writer in range(1, 4):
            picture = Image.new("RGB", (160, 120), "white")
            corners = [(int(x), int(y)) for x, y in rng.integers(5, 115, (5, 2))]
            ImageDraw.Draw(picture).line(corners, fill="black", width=4)
            stem = f"ex{exercise:02}_writer{writer:04}"
            picture.save(folder / "figures" / f"{stem}.png")
            picture.filter(ImageFilter.BLUR).save(folder / "photos" / f"{stem}.jpg")


@pytest.mark.models
def test_the_tutorial_leads_from_pairs_to_an_encoder_that_serves(
    unirag, models, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UNIRAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UNIRAG_MODELS", str(models))
    monkeypatch.setenv("UNIRAG_OCR", "false")
    draw_pairs(tmp_path / "drawings")
    run = yaml.safe_load(blocks("yaml")[0])
    run["train"] |= TINY
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    stamps: list[str] = []

    def answer_one_search(app, bound):
        with TestClient(create_api(app), base_url="http://127.0.0.1") as client:
            response = client.post("/v1/search", json={"text": "ex00"})
        assert response.status_code == 200, response.text
        stamps.append(app.components.encoder.name)

    monkeypatch.setattr(serving, "_run_server", answer_one_search)
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 10
    outputs = {}
    for command in commands:
        if command.startswith("export "):
            monkeypatch.setenv(*command.removeprefix("export ").split("="))
            continue
        arguments = command.removeprefix("unirag ").replace("serve", "serve --port 0")
        result = unirag(arguments)
        assert result.code == 0, (command, result)
        outputs[command] = result.out
    assert read_card(tmp_path / "encoder").name == "my-drawings"
    assert set(read_card(tmp_path / "encoder").styles) == {"original", "drawing"}
    assert "my-drawings; gallery of 9 figures" in outputs["unirag eval retrieval pairs.jsonl"]
    assert "ex00_writer0001" in next(v for k, v in outputs.items() if " search " in k)
    assert stamps == ["my-drawings"]
