"""A photo of a drawing becomes black strokes on white, cut to the drawing; all else is kept."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data.paper import clean_drawing, readings_of


def photo_of_drawing(*, ink: int = 70, paper: int = 205, table: bool = True) -> Image.Image:
    """Return a shaded sheet of squared paper on a dark table, with a box and an arrow on it."""
    sheet = Image.new("L", (800, 600), paper)
    draw = ImageDraw.Draw(sheet)
    for at in range(0, 800, 20):
        draw.line((at, 0, at, 600), fill=paper - 12)
        draw.line((0, at, 800, at), fill=paper - 12)
    draw.rectangle((250, 200, 400, 300), outline=ink, width=4)
    draw.line((400, 250, 560, 250), fill=ink, width=4)
    draw.line((540, 235, 560, 250, 540, 265), fill=ink, width=4)
    draw.ellipse((20, 280, 29, 289), fill=20)  # a punched hole
    if table:
        draw.rectangle((0, 540, 800, 600), fill=30)
    shade = np.linspace(1, 0.55, 800)[None]
    noise = np.random.default_rng(0).normal(0, 2, (600, 800))
    pixels = np.clip(np.asarray(sheet) * shade + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert("RGB")


def cleaned(picture: Image.Image) -> Image.Image:
    drawing = clean_drawing(picture)
    assert drawing is not None
    return drawing


@pytest.mark.parametrize("picture", [photo_of_drawing(), photo_of_drawing(ink=150, table=False)])
def test_shade_squares_hole_and_table_go_and_the_strokes_stay(picture: Image.Image) -> None:
    grey = np.asarray(cleaned(picture).convert("L"))
    height, width = grey.shape
    assert width / height == pytest.approx(310 / 100, rel=0.15)  # the drawing, not the sheet
    assert (grey > 250).mean() > 0.75
    assert (grey < 60).mean() > 0.04
    # the inside of the box is blank: no squares, no shade
    assert (
        grey[
            round(0.2 * height) : round(0.8 * height), round(0.1 * width) : round(0.4 * width)
        ].min()
        > 250
    )


def test_chalk_on_a_board_becomes_black_on_white() -> None:
    board = Image.eval(photo_of_drawing(table=False), lambda value: 255 - value)
    grey = np.asarray(cleaned(board).convert("L"))
    assert (grey > 250).mean() > 0.75
    assert grey.shape[1] / grey.shape[0] == pytest.approx(310 / 100, rel=0.15)


def test_a_photo_of_something_solid_is_no_drawing() -> None:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (12, 16, 3), np.uint8)
    scene = Image.fromarray(blocks).resize((640, 480), Image.Resampling.BICUBIC)
    assert clean_drawing(scene) is None
    assert readings_of(scene) == [scene]


def test_a_drawing_is_read_as_it_is_cleaned_and_without_the_words_at_its_rim() -> None:
    picture = photo_of_drawing(table=False)
    ImageDraw.Draw(picture).line((700, 560, 760, 560), fill=(20, 20, 20), width=4)  # a stray mark
    as_it_is, whole, main = readings_of(picture)
    assert as_it_is is picture
    assert main.width < 0.8 * whole.width


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3000, 2)])
def test_any_size_is_accepted(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    picture = Image.fromarray(noise)
    assert all(min(reading.size) >= 1 for reading in readings_of(picture))
