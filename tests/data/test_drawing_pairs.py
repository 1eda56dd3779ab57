"""Test the reader of real drawings: pairs by name, and whole writers held out."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data.drawing_pairs import photo_variant, read_drawing_pairs, split_by_writer
from data.errors import BadInput
from data.pictures import digest_of, open_picture

REAL = (
    Path(
        os.environ.get(
            "UNIRAG_TEST_BENCHMARKS", Path(__file__).resolve().parents[3] / "shared" / "benchmarks"
        )
    )
    / "hand-drawn"
)


def _save(folder: Path, stem: str, kind: str, suffix: str, shade: int) -> Path:
    path = folder / kind / f"{stem}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (shade, 0, 0)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three exercises by five writers; not everybody did every exercise."""
    for writer in range(5):
        for exercise in range(3 if writer != 2 else 1):
            stem = f"ex{exercise}_writer{writer}"
            _save(tmp_path, stem, "photos", ".jpg", 10 * writer)
            _save(tmp_path, stem, "figures", ".png", 50 + 10 * writer + exercise)
    (tmp_path / "photos" / "Thumbs.db").write_bytes(b"x")
    return tmp_path


def test_a_photo_is_paired_with_the_figure_of_its_name(folder):
    pairs = read_drawing_pairs(folder)
    assert len(pairs) == 13
    pair = pairs[4]
    assert (pair.exercise, pair.writer, pair.photo.name) == ("ex0", "writer4", "ex0_writer4.jpg")
    assert pair.figure.name == digest_of((folder / "figures" / "ex0_writer4.png").read_bytes())
    assert pair.figure.open().getpixel((0, 0)) == (90, 0, 0)
    assert pair.open_photo().size == (12, 9)


def test_a_variant_of_a_photo_shows_the_same_from_another_place(folder):
    x_HWC = np.full((480, 640, 3), 230, np.uint8)
    cv2.circle(x_HWC, (160, 150), 60, (20, 20, 120), -1)
    path = folder / "photos" / "ex0_writer0.jpg"
    Image.fromarray(x_HWC).save(path)
    varied = [np.asarray(photo_variant(path, 0, number)) for number in range(8)]
    assert np.array_equal(varied[0], np.asarray(open_picture(path)))
    assert np.array_equal(varied[3], np.asarray(photo_variant(path, 0, 3)))
    assert len({v.tobytes() for v in varied}) == 8
    assert not np.array_equal(varied[3], np.asarray(photo_variant(path, 1, 3)))
    for y_HWC in varied:
        assert y_HWC.shape == (480, 640, 3)
        rows, columns = np.nonzero(y_HWC[..., 0] < 0.5 * np.median(y_HWC[..., 0]))
        assert abs(columns.mean() - 160) < 60
        assert abs(rows.mean() - 150) < 60


@pytest.mark.parametrize("seed", range(6))
def test_a_held_out_writer_has_no_drawing_in_training(folder, seed):
    pairs = read_drawing_pairs(folder)
    training, held_out = split_by_writer(pairs, 0.4, seed)
    assert len(training) + len(held_out) == len(pairs)
    writers = [{pair.writer for pair in part} for part in (training, held_out)]
    assert [len(w) for w in writers] == [3, 2]
    assert not writers[0] & writers[1]
    again = split_by_writer(pairs[::-1], 0.4, seed)
    assert {p.photo for p in again[1]} == {p.photo for p in held_out}


def test_the_seed_chooses_the_writers_and_both_sides_have_some(folder):
    pairs = read_drawing_pairs(folder)
    splits = [frozenset(p.writer for p in split_by_writer(pairs, 0.2, s)[1]) for s in range(20)]
    assert len(set(splits)) > 2
    for share, count in ((0.0, 1), (1.0, 4)):
        held_out = split_by_writer(pairs, share)[1]
        assert len({p.writer for p in held_out}) == count


def test_one_writer_cannot_be_split(folder):
    pairs = [p for p in read_drawing_pairs(folder) if p.writer == "writer1"]
    with pytest.raises(BadInput, match="1 writers cannot be split"):
        split_by_writer(pairs)


def test_a_file_without_its_partner_is_an_error_that_names_it(folder):
    (folder / "figures" / "ex1_writer3.png").unlink()
    with pytest.raises(BadInput, match="'ex1_writer3' is not in both"):
        read_drawing_pairs(folder)


def test_other_folders_and_names_are_refused(folder, tmp_path):
    with pytest.raises(BadInput, match="no such folder; expected photos/ and figures/"):
        read_drawing_pairs(tmp_path / "elsewhere")
    _save(folder, "pendulum", "photos", ".jpg", 1)
    _save(folder, "pendulum", "figures", ".png", 1)
    with pytest.raises(BadInput, match="expected a name such as ex00_writer0001"):
        read_drawing_pairs(folder)


def test_two_photos_of_one_name_are_refused(folder):
    _save(folder, "ex0_writer0", "photos", ".png", 1)
    with pytest.raises(BadInput, match="same stem; rename one"):
        read_drawing_pairs(folder)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(BadInput, match="no pictures"):
        read_drawing_pairs(tmp_path)


@pytest.mark.corpora
def test_the_real_set_is_read_and_split_by_its_86_writers():
    if not REAL.is_dir():
        pytest.skip("the real drawings are not here; set UNIRAG_TEST_BENCHMARKS to their folder")
    pairs = read_drawing_pairs(REAL)
    assert len(pairs) == 573
    assert len({pair.writer for pair in pairs}) == 86
    assert len({pair.figure.name for pair in pairs}) == 573
    training, held_out = split_by_writer(pairs)
    assert len({pair.writer for pair in held_out}) == 17
    assert len({pair.writer for pair in training}) == 69
    assert max(pairs[0].open_photo().size) == 640
