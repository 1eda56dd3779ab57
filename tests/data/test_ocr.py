"""Test OCR on pictures that the tests draw, and the reading order of lines without an engine."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import data.ocr
from data.errors import Missing, UniragError
from data.ocr import LabelReader, OcrCache, OcrSettings, scale
from data.text_line_order import TextLine, group_rows, join_hyphenated, join_paragraphs, straighten

ROOT = Path(__file__).resolve().parents[2]


def drawn(
    labels: list[tuple[int, int, str]], size: tuple[int, int] = (480, 320), points: int = 24
) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for x, y, text in labels:
        pen.text((x, y), text, fill="black", font=ImageFont.load_default(points))
    return picture


def text_line(
    text: str, left: float, top: float, width: float = 80, height: float = 10
) -> TextLine:
    right, bottom = left + width, top + height
    return TextLine(text, np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))


@pytest.fixture(scope="module")
def reader() -> LabelReader:
    return LabelReader()


def test_labels_come_in_reading_order(reader: LabelReader) -> None:
    picture = drawn([(300, 40, "Nucleus"), (30, 220, "Cell wall"), (30, 42, "Vacuole")])
    assert reader.read(picture) == "Vacuole\nNucleus\nCell wall"


def test_repeated_labels_and_single_signs_are_dropped(reader: LabelReader) -> None:
    picture = drawn([(30, 30, "Force"), (300, 30, "Force"), (30, 150, "+"), (30, 240, "12 N")])
    assert reader.read(picture).split("\n") == ["Force", "12 N"]


def test_a_word_over_two_lines_is_joined(reader: LabelReader) -> None:
    picture = drawn([(30, 30, "Mitochon-"), (30, 58, "drion"), (300, 200, "Matrix")])
    assert reader.read(picture) == "Mitochondrion\nMatrix"


@pytest.mark.parametrize("degrees", [90, 270])
def test_a_vertical_axis_label_is_read_in_both_directions(
    reader: LabelReader, degrees: int
) -> None:
    name = drawn([(20, 20, "Temperature")], (220, 60)).rotate(degrees, expand=True)
    picture = Image.new("RGB", (320, 320), "white")
    picture.paste(name, (20, 40))
    assert reader.read(picture) == "Temperature"


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("RGB", (1, 1)),
        ("RGB", (1, 900)),
        ("L", (9, 4000)),
        ("RGBA", (4000, 9)),
        ("RGB", (600, 31)),
        ("P", (90, 90)),
    ],
)
def test_a_picture_without_words_has_no_labels(
    reader: LabelReader, mode: str, size: tuple[int, int]
) -> None:
    assert reader.read(Image.new(mode, size, "white")) == ""


def test_words_below_the_minimum_score_are_dropped() -> None:
    picture = drawn([(30, 30, "Entropy")])
    assert LabelReader(OcrSettings(min_score=1.0)).read(picture) == ""
    assert LabelReader(OcrSettings(min_score=0.5)).read(picture) == "Entropy"


def test_a_page_is_read_column_by_column(reader: LabelReader) -> None:
    left = ["A force changes the", "motion of a body that", "is free to move."]
    right = ["Energy is conserved", "in every closed sys-", "tem that we know."]
    lines = [(240, 40, "Forces and Energy")]
    lines += [(40, 160 + 34 * i, text) for i, text in enumerate(left)]
    lines += [(400, 160 + 34 * i, text) for i, text in enumerate(right)]
    page = drawn(lines, (720, 340), 28).rotate(4, fillcolor="white", expand=True)
    assert reader.read_page(page).split("\n\n") == [
        "Forces and Energy",
        "A force changes the motion of a body that is free to move.",
        "Energy is conserved in every closed system that we know.",
    ]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((400, 100), (800, 200)),  # scaled up to the lower bound
        ((40, 10), (100, 25)),  # by no more than the maximum scale
        ((1000, 250), (1000, 250)),  # unchanged between the bounds
        ((4000, 1000), (1600, 400)),  # scaled down to the upper bound
        ((4000, 10), (1600, 4)),  # the area of a strip includes its bars
    ],
)
def test_scaling_keeps_the_shape_and_bounds_the_size(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    picture = scale(Image.new("L", size), (160_000, 640_000), 2.5)
    assert (picture.size, picture.mode) == (expected, "RGB")


def test_small_print_in_a_large_picture_is_read(reader: LabelReader) -> None:
    labels = [(100, 100, "Endoplasmic reticulum"), (900, 800, "Golgi apparatus")]
    assert reader.read(drawn(labels, (1300, 1000), 16)) == "Endoplasmic reticulum\nGolgi apparatus"


def test_nothing_is_downloaded(tmp_path: Path) -> None:
    """Run in a new process whose sockets all fail and whose home is empty."""
    drawn([(30, 30, "Voltage")]).save(tmp_path / "figure.png")
    script = """
import socket, sys
def blocked(*args, **kwargs):
    raise AssertionError("a connection was tried")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = blocked
from PIL import Image
from data.ocr import LabelReader
assert "rapidocr" not in sys.modules and "onnxruntime" not in sys.modules
sys.stdout.write(LabelReader().read(Image.open(sys.argv[1])))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "figure.png")],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Voltage", "")


@pytest.mark.parametrize("package", ["rapidocr", "onnxruntime"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = data.ocr.importlib.util.find_spec
    monkeypatch.setattr(
        data.ocr.importlib.util, "find_spec", lambda n: None if n == package else find_spec(n)
    )
    with pytest.raises(Missing, match=rf"package {package}; run: pip install"):
        LabelReader().read(drawn([]))


def test_a_model_that_the_wheel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from data import ocr_engine

    monkeypatch.setattr(ocr_engine, "MODELS", {"Det": "gone.onnx"})
    with pytest.raises(Missing, match=r"gone\.onnx: no such file.*run: pip install"):
        LabelReader().read(drawn([]))


class CountingReader(LabelReader):
    """Count the pictures; the label of a picture is its width."""

    calls = 0

    def _read_figure(self, picture: Image.Image) -> str:
        self.calls += 1
        return f"width {picture.width}"


def test_a_digest_is_read_once_for_each_setting(tmp_path: Path) -> None:
    picture = Image.new("RGB", (30, 30))
    cache = OcrCache(tmp_path / "new folder" / "labels.db")
    first = CountingReader(cache=cache)
    for digests in ("a", "ab", "b"):
        assert first.read_all(dict.fromkeys(digests, picture)) == dict.fromkeys(digests, "width 30")
    assert first.calls == 2
    assert (first.cached("a"), first.cached("c")) == ("width 30", None)
    cache.close()

    cache = OcrCache(tmp_path / "new folder" / "labels.db")
    again, threads, other = (
        CountingReader(OcrSettings(**changed), cache=cache)
        for changed in ({}, {"threads": 1}, {"box_threshold": 0.4})
    )
    for each in (again, threads, other):
        each.read_all({"a": picture})
    assert (again.calls, threads.calls, other.calls) == (0, 0, 1)


def test_empty_labels_are_cached_too(tmp_path: Path) -> None:
    cache = OcrCache(tmp_path / "labels.db")
    assert cache.get("a", "s") is None
    cache.put("a", "s", "")
    assert cache.get("a", "s") == ""


def test_without_a_cache_every_picture_is_read() -> None:
    reader = CountingReader()
    for _ in range(2):
        assert reader.read_all({"a": Image.new("RGB", (9, 9))}) == {"a": "width 9"}
    assert reader.calls == 2


def test_several_threads_and_connections_share_the_cache(tmp_path: Path) -> None:
    caches = [OcrCache(tmp_path / "labels.db") for _ in range(2)]

    def work(worker: int) -> list[str | None]:
        cache, digests = caches[worker % 2], [f"{worker}-{i}" for i in range(50)]
        for digest in digests:
            cache.put(digest, "s", f"label of {digest}")
        return [cache.get(digest, "s") for digest in digests]

    with ThreadPoolExecutor(6) as pool:
        assert [len(set(texts) - {None}) for texts in pool.map(work, range(6))] == [50] * 6
    assert all(
        caches[1].get(f"{w}-{i}", "s") == f"label of {w}-{i}" for w in range(6) for i in range(50)
    )


def test_a_file_that_is_not_a_cache_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    path.write_bytes(b"not a database at all " * 100)
    message = r"labels\.db: the OCR cache cannot be used \(file is not a database\); .*move it away"
    with pytest.raises(UniragError, match=message):
        OcrCache(path)


def test_a_cache_that_cannot_be_opened_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        UniragError, match=r"labels\.db: the OCR cache cannot be used \(File exists"
    ):
        OcrCache(tmp_path / "file" / "labels.db")
    (tmp_path / "labels.db").mkdir()
    with pytest.raises(UniragError, match=r"labels\.db: the OCR cache cannot be used \(unable to"):
        OcrCache(tmp_path / "labels.db")

    cache = OcrCache(tmp_path / "other.db")
    cache._database.execute("PRAGMA query_only=ON")
    with pytest.raises(UniragError, match=r"other\.db: the OCR cache cannot be used \(attempt to"):
        cache.put("a", "s", "text")


def test_one_reader_serves_many_threads_and_reads_many_pictures(reader: LabelReader) -> None:
    words = ["Torque", "Lens", "Proton", "Enzyme"]
    pictures = [drawn([(30, 30, word)], (200, 100)) for word in words]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(reader.read, pictures)) == words
    several = LabelReader(OcrSettings.for_many(2))
    by_digest = dict(zip("abcd", pictures, strict=True))
    assert several.read_all(by_digest) == dict(zip("abcd", words, strict=True))


def test_a_flight_of_steps_is_not_a_row() -> None:
    steps = [text_line(str(i), left=100.0 * i, top=4.0 * i) for i in range(6)]
    assert [len(row) for row in group_rows(steps)] == [2, 2, 2]


def test_only_the_line_below_continues_a_split_word() -> None:
    split = text_line("photo-", 0, 0)
    assert join_hyphenated([split, text_line("synthesis", 0, 12)]) == ["photosynthesis"]
    assert join_hyphenated([split, text_line("synthesis", 200, 12)]) == ["photo-", "synthesis"]
    assert join_hyphenated([split, text_line("synthesis", 0, 60)]) == ["photo-", "synthesis"]
    assert join_hyphenated([split, text_line("System", 0, 12)]) == ["photo-", "System"]
    assert join_hyphenated([text_line("5-", 0, 0), text_line("a", 0, 12)]) == ["5-", "a"]


def test_the_numbers_of_a_list_are_not_a_column() -> None:
    lines = [text_line(f"{n}.", 0, 12.0 * n, 8) for n in range(4)]
    lines += [text_line(f"Step {n}", 30, 12.0 * n, 300) for n in range(4)]
    assert join_paragraphs(lines) == ["0. Step 0 1. Step 1 2. Step 2 3. Step 3"]


def test_paragraphs_are_split_at_gaps_and_columns() -> None:
    page = [text_line("title", 0, 0, 300)]
    page += [text_line(f"r{n}", 170, 40 + 12.0 * n, 130) for n in range(3)]
    page += [text_line(f"l{n}", 0, 40 + 12.0 * n, 130) for n in range(3)]
    page += [text_line("l3", 0, 100, 130)]
    assert join_paragraphs(page) == ["title", "l0 l1 l2", "l3", "r0 r1 r2"]
    assert join_paragraphs([]) == []
    assert join_paragraphs([text_line("*", 0, 0)]) == []


def test_a_thousand_distant_specks_need_no_deep_recursion() -> None:
    specks = [text_line(str(n), 0, 50.0 * n) for n in range(1200)]
    assert join_paragraphs(specks) == [str(n) for n in range(1200)]


@pytest.mark.parametrize("degrees", [-12.0, 0.0, 7.0])
def test_a_tilted_page_is_straightened(degrees: float) -> None:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    level = [text_line("a", 0, 0), text_line("b", 0, 40), text_line("i", 100, 0, 4)]
    tilted = [TextLine(b.text, b.corners @ turn) for b in level]
    for line, expected in zip(straighten(tilted), level, strict=True):
        np.testing.assert_allclose(line.corners, expected.corners, atol=1e-9)


def test_vertical_text_is_not_straightened() -> None:
    tall: Any = TextLine("axis", np.array([[0, 80], [0, 0], [10, 0], [10, 80]], dtype=np.float64))
    assert straighten([tall])[0] is tall
