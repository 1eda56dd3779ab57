"""The shelf of enrolled styles, and reading examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from data.errors import BadInput, Mismatch
from retrieval.enrolment import Enrolment
from retrieval.serving import UniEncoder
from tests.retrieval.tiny import tiny_encoder
from unirag.training.styles import EnrolledStyles, learn_style, read_examples


def entry(name: str = "chalk", version: int = 1) -> Enrolment:
    return Enrolment(
        name, version, "tiny-1", 8, True,
        torch.ones(8), torch.ones(24), torch.ones(24), torch.ones(0, 24),
    )  # fmt: skip


def test_the_newest_version_is_in_use_and_removing_it_brings_back_the_one_before(tmp_path):
    shelf = EnrolledStyles(tmp_path / "styles")
    assert shelf.all() == []
    assert shelf.next_version("chalk") == 1
    for version in (1, 2):
        shelf.add(entry(version=version))
    shelf.add(entry("ink"))
    assert [(e.name, e.version) for e in shelf.in_use("tiny-1")] == [("chalk", 2), ("ink", 1)]
    assert shelf.next_version("chalk") == 3
    assert shelf.remove("chalk", 2) == 1
    assert [(e.name, e.version) for e in shelf.in_use("tiny-1")] == [("chalk", 1), ("ink", 1)]
    assert shelf.remove("chalk") == 1
    assert [e.name for e in shelf.all()] == ["ink"]


def test_ten_versions_are_counted_as_numbers(tmp_path):
    shelf = EnrolledStyles(tmp_path)
    for version in range(1, 11):
        shelf.add(entry(version=version))
    assert shelf.in_use("tiny-1")[0].version == 10


def test_two_that_learn_a_name_at_once_make_two_versions(tmp_path):
    first, second = EnrolledStyles(tmp_path / "styles"), EnrolledStyles(tmp_path / "styles")
    assert first.listing() == ()
    made = [shelf.add(entry(version=1)) for shelf in (first, second)]
    assert [e.version for e in made] == [e.version for e in first.all()] == [1, 2]
    assert not list((tmp_path / "styles").glob("*.part"))
    seen = [first.listing()]
    second.add(entry("ink"))
    seen.append(first.listing())
    second.remove("ink")
    seen.append(first.listing())
    assert len(set(seen)) == 3
    assert first.listing() == seen[-1]


def test_what_a_kill_left_half_written_is_no_style(tmp_path):
    shelf = EnrolledStyles(tmp_path)
    (tmp_path / "chalk-v1.part").write_bytes(b"half of it")
    assert shelf.all() == []
    shelf.add(entry())
    assert [(e.name, e.version) for e in shelf.all()] == [("chalk", 1)]
    (tmp_path / "chalk-v2.safetensors").write_bytes(b"broken")
    with pytest.raises(BadInput, match=r"chalk-v2\.safetensors: not an enrolled style"):
        shelf.all()


def test_what_is_removed_while_it_is_looked_at_is_left_out(tmp_path, monkeypatch):
    shelf, load = EnrolledStyles(tmp_path), Enrolment.load
    shelf.add(entry())
    shelf.add(entry("ink"))

    def late(path):
        path.unlink()
        return load(path)

    monkeypatch.setattr(Enrolment, "load", lambda p: (late if "ink" in p.name else load)(p))
    assert [e.name for e in shelf.all()] == ["chalk"]


@pytest.mark.parametrize("name", ["mosaic", "../chalk", "*", ""])
def test_what_is_not_enrolled_cannot_be_removed(tmp_path, name):
    shelf = EnrolledStyles(tmp_path / "styles")
    shelf.add(entry())
    (tmp_path / "chalk-v1.safetensors").write_bytes(b"of somebody else")
    with pytest.raises(BadInput, match="is not enrolled here; enrolled: chalk v1"):
        shelf.remove(name)
    assert (tmp_path / "chalk-v1.safetensors").exists()
    assert len(shelf.all()) == 1


def test_a_style_of_other_weights_is_refused_with_the_way_out(tmp_path):
    shelf = EnrolledStyles(tmp_path)
    shelf.add(replace(entry(), encoder="tiny-0"))
    with pytest.raises(Mismatch, match="unirag styles remove chalk"):
        shelf.in_use("tiny-1")


def pictures(folder: Path, count: int, suffix: str = ".png") -> Path:
    folder.mkdir()
    for i in range(count):
        Image.new("RGB", (20, 20), (9 * i, 90, 200)).save(folder / f"figure-{i}{suffix}")
    return folder


def test_examples_are_paired_by_name_whatever_the_suffix(tmp_path):
    shown = pictures(tmp_path / "shown", 9, ".jpg")
    originals = pictures(tmp_path / "originals", 12)
    (shown / "notes.txt").write_text("not a picture")
    read = read_examples(shown, originals)
    assert len(read.pictures) == 9
    assert read.originals is not None
    assert [p.getpixel((0, 0))[0] for p in read.originals] == [9 * i for i in range(9)]
    assert read_examples(shown).originals is None


def test_bad_examples_are_refused(tmp_path):
    with pytest.raises(BadInput, match="7 pictures; expected 8 to 512"):
        read_examples(pictures(tmp_path / "few", 7))
    with pytest.raises(BadInput, match=r"figure-7\.png: no picture named figure-7 in"):
        read_examples(pictures(tmp_path / "a", 8), pictures(tmp_path / "b", 7))
    with pytest.raises(BadInput, match="not a folder"):
        read_examples(tmp_path / "nowhere")
    (tmp_path / "a" / "figure-0.png").write_bytes(b"broken")
    with pytest.raises(BadInput, match=r"figure-0\.png"):
        read_examples(tmp_path / "a")


def test_learning_takes_a_name_of_ones_own(tmp_path):
    inner = tiny_encoder()
    inner.set_styles({"sketch": torch.ones(8)})
    encoder = UniEncoder("tiny-1", inner)
    read = read_examples(pictures(tmp_path / "shown", 8))
    others = read.pictures[:3]
    for wrong, said in (("sketch", "was trained on"), ("Chalk!", "expected lower-case")):
        with pytest.raises(BadInput, match=said):
            learn_style(encoder, wrong, 1, read, others)
    made = learn_style(encoder, "chalk", 3, read, others)
    assert (made.name, made.version, made.encoder) == ("chalk", 3, "tiny-1")
    assert (made.examples, made.paired) == (8, False)


def test_without_figures_to_compare_with_nothing_can_be_learned(tmp_path):
    encoder = UniEncoder("tiny-1", tiny_encoder())
    read = read_examples(pictures(tmp_path / "shown", 8))
    with pytest.raises(BadInput, match="unirag index"):
        learn_style(encoder, "chalk", 1, read, [])
