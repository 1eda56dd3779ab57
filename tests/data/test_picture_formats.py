"""Formats, frames and transparency of pictures: what is decoded, and what is reported."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from pillow_heif import from_pillow

from data.documents import Figure, Problem
from data.errors import BadInput
from data.picture_decoder import Decoder
from data.pictures import PICTURE_SUFFIXES, Assets, count_frames, open_page, open_picture
from data.readers.pictures import PictureReader
from data.readers.scan import Unit, Walk
from data.reading_events import DocumentEnd, ItemRead
from data.reading_pool import ReaderPool
from data.reading_settings import ReadingSettings

RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def halves(left: Any, right: Any = "black", mode: str = "RGB") -> Image.Image:
    """Return a picture of two colours side by side."""
    picture = Image.new(mode, (64, 48), right)
    picture.paste(left, (0, 0, 32, 48))
    return picture


def encoded(
    picture: Image.Image, form: str, rest: Sequence[Image.Image] = (), **options: Any
) -> bytes:
    buffer = io.BytesIO()
    if form == "HEIF":
        from_pillow(picture).save(buffer, **options)
    else:
        frames = {"save_all": True, "append_images": rest} if rest else {}
        picture.save(buffer, form, **frames, **options)
    return buffer.getvalue()


def left_colour(picture: Image.Image) -> Any:
    return picture.getpixel((8, 24))


def is_near(colour: Any, expected: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(colour, expected, strict=True))


@pytest.mark.parametrize("form", ["AVIF", "HEIF", "WEBP", "GIF", "BMP", "TIFF", "PNG"])
def test_every_format_is_decoded_for_documents_and_for_queries(form: str) -> None:
    data = encoded(halves(RED), form)
    assert is_near(left_colour(open_picture(data)), RED)
    assert count_frames(data)[0] == 1
    with closing(Decoder()) as decoder:
        assert is_near(left_colour(decoder.decode(data)), RED)


def test_a_photo_of_a_phone_with_a_wrong_suffix_is_read(tmp_path: Path) -> None:
    path = tmp_path / "whatsapp.jpg"
    path.write_bytes(encoded(halves(BLUE), "HEIF"))
    assert is_near(left_colour(open_picture(path)), BLUE)
    assert {".heic", ".heif", ".avif"} <= PICTURE_SUFFIXES


@pytest.mark.parametrize(("form", "suffix"), [("HEIF", ".heic"), ("AVIF", ".avif")])
def test_a_stored_picture_has_the_suffix_of_its_content(
    form: str, suffix: str, tmp_path: Path
) -> None:
    assets = Assets(tmp_path)
    data = encoded(halves(RED), form)
    path = assets.path(assets.put(data, open_picture(data)))
    assert path is not None
    assert path.suffix == suffix


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.pictures.MAX_PIXELS", 3_000)
    with pytest.raises(BadInput, match=r"64 x 48 pixels, more than"):
        open_picture(encoded(halves(RED), form))


def test_the_pages_of_a_tiff_are_figures(tmp_path: Path) -> None:
    pages = [halves(RED), halves(GREEN), halves(BLUE)]
    (tmp_path / "handout.tif").write_bytes(encoded(pages[0], "TIFF", pages[1:]))
    (tmp_path / "handout.json").write_text('{"caption": "A handout."}')
    (document,) = PictureReader().documents(tmp_path / "handout.tif", tmp_path)
    figures = list(document.read())
    assert all(isinstance(figure, Figure) for figure in figures)
    assert [f.page for f in figures] == [1, 2, 3]  # type: ignore[union-attr]
    assert {f.caption for f in figures} == {"A handout."}  # type: ignore[union-attr]
    colours = [left_colour(open_picture(f.picture)) for f in figures]  # type: ignore[union-attr, arg-type]
    assert colours == [RED, GREEN, BLUE]


def test_a_preview_in_a_tiff_is_no_page() -> None:
    preview = halves(GREEN).resize((16, 12))
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    data = encoded(halves(RED), "TIFF", [preview, halves(BLUE)])
    assert count_frames(data) == (2, True)
    assert [left_colour(open_page(data, n)) for n in (1, 2)] == [RED, BLUE]


def test_a_page_that_is_too_large_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = halves(GREEN).resize((640, 480))
    (tmp_path / "a.tif").write_bytes(encoded(halves(RED), "TIFF", [large, halves(BLUE)]))
    monkeypatch.setattr("data.pictures.MAX_PIXELS", 10_000)
    (document,) = PictureReader().documents(tmp_path / "a.tif", tmp_path)
    first, problem, last = document.read()
    assert isinstance(first, Figure)
    assert isinstance(last, Figure)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.page) == ("picture", 2)
    assert "640 x 480 pixels" in problem.message


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_is_read_at_its_first_frame_that_shows_something(form: str) -> None:
    blank = Image.new("RGB", (64, 48), "white")
    data = encoded(blank, form, [halves(RED), halves(BLUE)])
    assert count_frames(data) == (3, False)
    assert is_near(left_colour(open_picture(data)), RED)


def test_an_animation_of_blank_frames_is_a_blank_picture() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "red")]
    assert open_picture(encoded(frames[0], "PNG", frames[1:])).getpixel((0, 0)) == (255, 255, 255)


def test_the_other_frames_are_a_problem_with_their_place(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "a.gif").write_bytes(encoded(halves(RED), "GIF", [halves(GREEN), halves(BLUE)]))
    (root / "b.png").write_bytes(encoded(halves(RED), "PNG"))
    walk = Walk(root)
    units = [unit for unit in walk.units() if isinstance(unit, Unit)]
    pool = ReaderPool(ReadingSettings(workers=1), tmp_path / "assets")
    with closing(pool):
        events = list(pool.read(units, "c", lambda _: True, lambda _: True))
        events += pool.read(list(walk.pictures(set())), "c", lambda _: True, lambda _: True)
    (problem,) = [e for e in events if isinstance(e, Problem)]
    assert (problem.anchor, problem.kind) == ("picture", "picture")
    assert problem.message.startswith("a.gif: of 3 frames only the first frame")
    assert [e.item.source for e in events if isinstance(e, ItemRead)] == ["a.gif", "b.png"]
    assert {e.reason for e in events if isinstance(e, DocumentEnd)} == {None}


def drawing(ink: Any, fill: Any = None) -> Image.Image:
    """Return a transparent drawing: a frame, perhaps filled, and a line."""
    picture = Image.new("RGBA", (200, 120), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((20, 20, 180, 100), outline=ink, fill=fill, width=3)
    pen.line((0, 60, 200, 60), fill=ink, width=3)
    return picture


@pytest.mark.parametrize(
    ("picture", "background"),
    [
        (drawing("white"), (0, 0, 0)),
        (drawing((255, 255, 120)), (0, 0, 0)),
        (drawing("black"), (255, 255, 255)),
        (drawing("red"), (255, 255, 255)),
        (drawing("black", "white"), (255, 255, 255)),  # dark ink on white paper
        (Image.new("RGBA", (20, 20), (0, 0, 0, 0)), (255, 255, 255)),
    ],
)
def test_transparency_is_filled_so_that_the_ink_can_be_seen(
    picture: Image.Image, background: tuple[int, int, int]
) -> None:
    assert open_picture(encoded(picture, "PNG")).getpixel((5, 5)) == background


def test_decoders_of_photos_are_loaded_when_the_first_picture_is_opened() -> None:
    code = "import sys, data.pictures; assert 'pillow_heif' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
