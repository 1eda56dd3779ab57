"""Test that the sample corpus is complete and that the drawing scripts make its figures."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

import data.sample
from data.chunking import ItemDraft, chunk
from data.documents import Document
from data.readers.scan import scan

SAMPLE = Path(data.sample.__file__).parent
CARDS = sorted((SAMPLE / "cards").glob("*.md"))
SUBJECTS = {
    "Physics", "Chemistry", "Biology", "Earth science", "Technology", "Engineering", "Mathematics",
}  # fmt: skip


def test_there_are_cards_of_every_subject() -> None:
    assert len(CARDS) >= 48
    subjects = {yaml.safe_load(c.read_text().split("---")[1])["subject"] for c in CARDS}
    assert subjects == SUBJECTS


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.stem)
def test_a_card_is_complete(card: Path) -> None:
    _, front, body = card.read_text(encoding="utf-8").split("---\n", 2)
    meta = yaml.safe_load(front)
    assert set(meta) == {"title", "subject", "level", "licence", "attribution"}
    assert meta["level"] in ("school", "college")
    assert 200 <= len(body.split()) <= 500
    assert "\\(" in body or "\\[" in body
    assert body.count("\\(") == body.count("\\)")
    assert body.count("\\[") == body.count("\\]")
    figures = re.findall(r"!\[([^\]]+)\]\((\S+) \"(Figure \d+\. [^\"]+)\"\)", body)
    assert figures
    for alt, path, caption in figures:
        assert len(alt.split()) >= 5
        assert caption.split(".")[0] in body.replace(caption, "")
        with Image.open(card.parent / path) as picture:
            assert picture.width == 640
            assert 300 <= picture.height <= 600


def test_every_figure_is_drawn_by_a_script_and_shown_by_a_card() -> None:
    pytest.importorskip("matplotlib", reason="the scripts draw with matplotlib (extra dev)")
    drawing = importlib.import_module("data.sample.draw.style")
    importlib.import_module("data.sample.draw.__main__")
    files = {p.stem for p in (SAMPLE / "figures").glob("*.png")}
    names = {n for c in CARDS for n in re.findall(r"\(\.\./figures/(\S+)\.png", c.read_text())}
    assert files == names == set(drawing.FIGURES)


def test_a_script_draws_the_committed_figure_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="the scripts draw with matplotlib (extra dev)")
    drawing = importlib.import_module("data.sample.draw.style")
    importlib.import_module("data.sample.draw.__main__")
    monkeypatch.setattr(drawing, "DESTINATION", tmp_path)
    name = "simple-pendulum"
    with (
        Image.open(drawing.save(name)) as new,
        Image.open(SAMPLE / "figures" / f"{name}.png") as old,
    ):
        assert new.size == old.size
        # Another version of matplotlib or of its fonts may move an edge by a pixel.
        small = [i.convert("L").resize((64, 44)).get_flattened_data() for i in (new, old)]
        assert sum(abs(a - b) for a, b in zip(*small, strict=True)) / len(small[0]) < 4


def test_the_readers_read_the_whole_corpus() -> None:
    items = []
    for document in scan(SAMPLE):
        assert isinstance(document, Document), document
        for draft in chunk(document, "sample"):
            assert isinstance(draft, ItemDraft), draft
            items.append(draft.item)
    assert sum(i.kind == "figure" for i in items) >= len(CARDS)
    assert {"term", "example", "text"} <= {i.role for i in items}
    assert all(i.licence == "CC BY 4.0" for i in items)
