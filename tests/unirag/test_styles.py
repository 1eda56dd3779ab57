"""Enrolled styles, and reading their examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from data.errors import BadInput, Mismatch
from retrieval.enrolment import Enrolment
from retrieval.uni_encoder import UniEncoder
from tests.retrieval.tiny import tiny_encoder
from unirag.training.styles import EnrolledStyles, learn_style, read_examples


def enrolment(name: str = "chalk", version: int = 1) -> Enrolment:
    return Enrolment(
        name, version, "tiny-1", 8, True,
        torch.ones(8), torch.ones(24), torch.ones(24), torch.ones(0, 24),
    )  # fmt: skip


def test_removing_the_newest_version_restores_the_one_before(tmp_path):
    styles = EnrolledStyles(tmp_path / "styles")
    assert styles.all() == []
    assert styles.next_version("chalk") == 1
    for version in (1, 2):
        styles.add(enrolment(version=version))
    styles.add(enrolment("ink"))
    assert [(e.name, e.version) for e in styles.in_use("tiny-1")] == [("chalk", 2), ("ink", 1)]
    assert styles.next_version("chalk") == 3
    assert styles.remove("chalk", 2) == 1
    assert [(e.name, e.version) for e in styles.in_use("tiny-1")] == [("chalk", 1), ("ink", 1)]
    assert styles.remove("chalk") == 1
    assert [e.name for e in styles.all()] == ["ink"]


def test_versions_are_ordered_as_numbers(tmp_path):
    styles = EnrolledStyles(tmp_path)
    for version in range(1, 11):
        styles.add(enrolment(version=version))
    assert styles.in_use("tiny-1")[0].version == 10


def test_two_processes_that_enrol_one_name_make_two_versions(tmp_path):
    first, second = EnrolledStyles(tmp_path / "styles"), EnrolledStyles(tmp_path / "styles")
    assert first.listing() == ()
    enrolled = [styles.add(enrolment(version=1)) for styles in (first, second)]
    assert [e.version for e in enrolled] == [e.version for e in first.all()] == [1, 2]
    assert not list((tmp_path / "styles").glob("*.part"))
    listings = [first.listing()]
    second.add(enrolment("ink"))
    listings.append(first.listing())
    second.remove("ink")
    listings.append(first.listing())
    assert len(set(listings)) == 3
    assert first.listing() == listings[-1]


def test_a_half_written_style_is_ignored(tmp_path):
    styles = EnrolledStyles(tmp_path)
    (tmp_path / "chalk-v1.part").write_bytes(b"half of it")
    assert styles.all() == []
    styles.add(enrolment())
    assert [(e.name, e.version) for e in styles.all()] == [("chalk", 1)]
    (tmp_path / "chalk-v2.safetensors").write_bytes(b"broken")
    with pytest.raises(BadInput, match=r"chalk-v2\.safetensors: not an enrolled style"):
        styles.all()


def test_a_style_removed_while_reading_is_ignored(tmp_path, monkeypatch):
    styles, load = EnrolledStyles(tmp_path), Enrolment.load
    styles.add(enrolment())
    styles.add(enrolment("ink"))

    def removed_before_loading(path):
        path.unlink()
        return load(path)

    monkeypatch.setattr(
        Enrolment, "load", lambda p: (removed_before_loading if "ink" in p.name else load)(p)
    )
    assert [e.name for e in styles.all()] == ["chalk"]


@pytest.mark.parametrize("name", ["mosaic", "../chalk", "*", ""])
def test_only_enrolled_styles_can_be_removed(tmp_path, name):
    styles = EnrolledStyles(tmp_path / "styles")
    styles.add(enrolment())
    (tmp_path / "chalk-v1.safetensors").write_bytes(b"of somebody else")
    with pytest.raises(BadInput, match="is not enrolled here; enrolled: chalk v1"):
        styles.remove(name)
    assert (tmp_path / "chalk-v1.safetensors").exists()
    assert len(styles.all()) == 1


def test_a_style_of_another_encoder_is_refused_with_the_remedy(tmp_path):
    styles = EnrolledStyles(tmp_path)
    styles.add(replace(enrolment(), encoder="tiny-0"))
    with pytest.raises(Mismatch, match="unirag styles remove chalk"):
        styles.in_use("tiny-1")


def pictures(folder: Path, count: int, suffix: str = ".png") -> Path:
    folder.mkdir()
    for i in range(count):
        Image.new("RGB", (20, 20), (9 * i, 90, 200)).save(folder / f"figure-{i}{suffix}")
    return folder


def test_examples_are_paired_by_name_without_suffix(tmp_path):
    folder = pictures(tmp_path / "shown", 9, ".jpg")
    originals = pictures(tmp_path / "originals", 12)
    (folder / "notes.txt").write_text("not a picture")
    examples = read_examples(folder, originals)
    assert len(examples.pictures) == 9
    assert examples.originals is not None
    assert [p.getpixel((0, 0))[0] for p in examples.originals] == [9 * i for i in range(9)]
    assert read_examples(folder).originals is None


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


def test_a_new_style_needs_an_unused_name(tmp_path):
    inner = tiny_encoder()
    inner.set_styles({"sketch": torch.ones(8)})
    encoder = UniEncoder("tiny-1", inner)
    examples = read_examples(pictures(tmp_path / "shown", 8))
    others = examples.pictures[:3]
    for wrong, message in (("sketch", "was trained on"), ("Chalk!", "expected lower-case")):
        with pytest.raises(BadInput, match=message):
            learn_style(encoder, wrong, 1, examples, others)
    enrolled = learn_style(encoder, "chalk", 3, examples, others)
    assert (enrolled.name, enrolled.version, enrolled.encoder) == ("chalk", 3, "tiny-1")
    assert (enrolled.examples, enrolled.paired) == (8, False)


def test_learning_needs_figures_to_compare_with(tmp_path):
    encoder = UniEncoder("tiny-1", tiny_encoder())
    examples = read_examples(pictures(tmp_path / "shown", 8))
    with pytest.raises(BadInput, match="unirag index"):
        learn_style(encoder, "chalk", 1, examples, [])
