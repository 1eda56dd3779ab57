"""Manifests of pairs, and the published layouts that become manifests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from data.errors import BadInput
from data.manifest import StyledPair, manifest_figures, read_manifest, write_manifest
from data.manifest_layouts import LAYOUTS


def picture(path: Path, colour: str = "white") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    picture(tmp_path / "figures" / "a.png", "red")
    picture(tmp_path / "figures" / "b.png", "blue")
    for name in ("1", "2"):
        picture(tmp_path / "chalk" / f"{name}.jpg", "black")
    return tmp_path


ROWS = [
    {"query": "chalk/1.jpg", "style": "chalk-board", "target": "figures/a.png"},
    {"text": "a red, plain field", "target": "figures/a.png", "split": "test"},
    {"query": "chalk/2.jpg", "style": "sketch", "target": "figures/b.png", "split": "validation"},
]


def test_csv_and_jsonl_hold_the_same_pairs(folder: Path) -> None:
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    (folder / "pairs.csv").write_text(
        "query,style,target,split,text\n"
        "chalk/1.jpg,chalk-board,figures/a.png,,\n"
        ',,figures/a.png,test,"a red, plain field"\n'
        "chalk/2.jpg,sketch,figures/b.png,validation,\n"
    )
    red, blue = folder / "figures" / "a.png", folder / "figures" / "b.png"
    expected = [
        StyledPair(folder / "chalk" / "1.jpg", "chalk-board", red, "train"),
        StyledPair("a red, plain field", "text", red, "test"),
        StyledPair(folder / "chalk" / "2.jpg", "sketch", blue, "validation"),
    ]
    assert read_manifest(folder / "pairs.jsonl") == expected
    assert read_manifest(folder / "pairs.csv") == expected
    (folder / "lists").mkdir()
    assert write_manifest(expected, folder / "lists" / "again.jsonl") == 3
    again = read_manifest(folder / "lists" / "again.jsonl")
    assert [p.target.resolve() for p in again] == [p.target.resolve() for p in expected]
    assert [p.query.name if isinstance(p.query, Path) else p.query for p in again] == [
        "1.jpg", "a red, plain field", "2.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": None}, r"expected query \(a picture\) or text"),
        ({"text": "both"}, r"expected query \(a picture\) or text"),
        ({"style": None}, "style is missing"),
        ({"style": "Big Chalk"}, "style 'Big Chalk'; expected lower-case"),
        ({"style": "original"}, "none of text, original, auto"),
        ({"split": "dev"}, "split 'dev'; expected one of train, validation, test"),
        ({"target": None}, "target is missing"),
        ({"target": "figures/c.png"}, "target figures/c.png: no such file"),
        ({"target": "pairs.jsonl"}, "target pairs.jsonl: not a picture"),
        ({"weight": "2"}, "'weight' is unknown"),
        ({"query": 7}, "query: expected a text"),
    ],
)
def test_every_wrong_row_is_reported_with_its_line(folder, change, message):
    wrong = {k: v for k, v in {**ROWS[0], **change}.items() if v is not None}
    lines = [json.dumps(ROWS[0]), json.dumps(wrong), "{", json.dumps(ROWS[2])]
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    with pytest.raises(BadInput, match=f"pairs.jsonl: line 2: .*{message}.*; line 3: not JSON"):
        read_manifest(folder / "pairs.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pairs.txt", "", "expected a manifest"),
        ("pairs.csv", "query,style,target\n", "no rows"),
        ("pairs.csv", "query,style,target\na,b,c,d\n", "line 2: 'a value too many' is unknown"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=message):
        read_manifest(tmp_path / name)
    with pytest.raises(BadInput, match="cannot be read"):
        read_manifest(tmp_path / "nowhere.csv")


def test_no_picture_and_no_text_is_lost(folder: Path) -> None:
    red, blue = folder / "figures" / "a.png", folder / "figures" / "b.png"
    first, second = folder / "chalk" / "1.jpg", folder / "chalk" / "2.jpg"
    pairs = [
        StyledPair(first, "chalk", red),
        StyledPair(second, "chalk", red),
        *(StyledPair(f"red {n}", "text", red) for n in range(2)),
        *(StyledPair(f"blue {n}", "text", blue) for n in range(3)),
    ]
    figures = manifest_figures(pairs)
    assert [(f.photo, f.alt, f.caption) for f in figures["chalk"]] == [
        (first, "red 0", "red 1"), (second, "red 0", "red 1"),
    ]  # fmt: skip
    assert [(f.photo, f.alt, f.caption) for f in figures["original"]] == [
        (blue, "blue 0", "blue 1"), (blue, "blue 2", ""),
    ]  # fmt: skip
    assert len({f.name for f in figures["chalk"]}) == 1  # the same target


def test_the_published_layouts_become_manifests(tmp_path: Path) -> None:
    for style in ("images", "sketch", "mosaic"):
        picture(tmp_path / style / "n01" / "x.png")
    picture(tmp_path / "art" / "n01" / "x.jpg")  # another suffix
    picture(tmp_path / "images" / "n02" / "y.png")
    (tmp_path / "text" / "n01").mkdir(parents=True)
    (tmp_path / "text" / "n01" / "x.txt").write_text("a bird\nmore\n")
    (tmp_path / "train.json").write_text('[{"image": "n01/x.png", "caption": "n01/x.txt"}]')
    target = tmp_path / "images" / "n01" / "x.png"
    assert list(LAYOUTS["dsr"](tmp_path)) == [
        StyledPair("a bird", "text", target),
        StyledPair(tmp_path / "art" / "n01" / "x.jpg", "art", target),
        StyledPair(tmp_path / "mosaic" / "n01" / "x.png", "mosaic", target),
        StyledPair(tmp_path / "sketch" / "n01" / "x.png", "sketch", target),
    ]
    (tmp_path / "train.json").write_text("[]")
    (tmp_path / "test.json").write_text('[{"image_path": "n02/y.png", "caption": "a cell"}]')
    expected = StyledPair("a cell", "text", tmp_path / "images" / "n02" / "y.png", "test")
    assert list(LAYOUTS["ser"](tmp_path)) == [expected]
    (tmp_path / "test.json").write_text('[{"image_path": "n02/z.png", "caption": "a cell"}]')
    with pytest.raises(BadInput, match=r"test.json: entry 1: .*z.png does not exist"):
        list(LAYOUTS["ser"](tmp_path))
    with pytest.raises(BadInput, match=r"entry 1: the caption .*a cell cannot be read"):
        list(LAYOUTS["dsr"](tmp_path))


def test_hand_drawn_pairs_keep_whole_writers_for_the_test(tmp_path: Path) -> None:
    for name in ("ex1_anna", "ex2_anna", "ex1_ben", "ex2_ben"):
        picture(tmp_path / "photos" / f"{name}.jpg")
        picture(tmp_path / "figures" / f"{name}.png")
    pairs = list(LAYOUTS["hand-drawn"](tmp_path))
    assert {p.style for p in pairs} == {"drawing"}
    writers = {p.split: p.query.stem.split("_")[1] for p in pairs if isinstance(p.query, Path)}
    assert set(writers) == {"train", "test"}
    assert writers["train"] != writers["test"]
    assert all(p.target.stem == p.query.stem for p in pairs if isinstance(p.query, Path))
