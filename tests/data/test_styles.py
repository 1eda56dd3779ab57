"""Test the query styles: the same key gives the same picture, and figures stay recognisable."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from data.styles import (
    DRAWING,
    FILTER_STYLES,
    MAX_SIDE,
    NEW_STYLES,
    REDRAWN_STYLES,
    SEEN_STYLES,
    STYLES,
    UNSEEN_STYLES,
    restyle,
)

OPERATORS = [
    pytest.param(operator, id=f"{style.name}{operator.__name__}")
    for style in STYLES.values()
    if not style.redrawn  # tests/data/test_drawing.py has the others
    for operator in style.operators
]


def _figure(width: int, height: int, mirrored: bool = False) -> Image.Image:
    """Draw a box, an ellipse and a line, none of them in the middle."""
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    w, h = width - 1, height - 1
    draw.rectangle((w // 8, h // 8, w // 2, h // 3), fill=(200, 60, 30))
    draw.ellipse((w // 6, h // 2, w // 2, 7 * h // 8), fill=(20, 80, 160))
    draw.line((w // 2, h // 8, w // 3, h), fill="black", width=max(1, min(w, h) // 25))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else picture


def _outline(x_HWC: np.ndarray) -> np.ndarray:
    """Return the blurred edges of a figure, which any style keeps."""
    grey = cv2.cvtColor(x_HWC, cv2.COLOR_RGB2GRAY).astype(np.float32)
    soft = cv2.GaussianBlur(grey, (0, 0), 5)
    edges = np.hypot(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    return edges.ravel()


def _similarity(a_HWC: np.ndarray, b_HWC: np.ndarray) -> float:
    return float(np.corrcoef(_outline(a_HWC), _outline(b_HWC))[0, 1])


# A strip that is scaled down keeps 8 pixels of height.
SIZES = {
    (8, 8): (8, 8),
    (61, 97): (61, 97),
    (160, 8): (160, 8),
    (20, 400): (16, 320),
    (1000, 20): (320, 8),
    (641, 499): (320, 249),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_keep_size_and_dtype(operator, size):
    x_HWC = np.asarray(_figure(*SIZES[size]))
    for seed in range(3):
        y_HWC = operator(x_HWC, np.random.default_rng(seed))
        assert (y_HWC.shape, y_HWC.dtype) == (x_HWC.shape, np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("style", FILTER_STYLES)
def test_a_restyled_figure_fits_and_is_rgb(style, size):
    result = restyle(_figure(*size), style, "a", 0)
    assert (result.size, result.mode) == (SIZES[size], "RGB")
    assert max(result.size) <= MAX_SIDE


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA"])
@pytest.mark.parametrize("style", STYLES)
def test_pictures_of_any_mode_are_restyled(style, mode):
    figure = _figure(53, 37).convert(mode)
    result = restyle(figure, style, "a", 0)
    assert result.mode == "RGB"
    assert result.tobytes() == restyle(figure.convert("RGB"), style, "a", 0).tobytes()


@pytest.mark.parametrize("style", STYLES)
def test_the_same_key_gives_the_same_picture_and_another_key_gives_another(style):
    figure = _figure(120, 90)

    def pixels(name: str = "a", seed: int = 0, number: int = 0) -> bytes:
        return restyle(figure, style, name, seed, number).tobytes()

    assert pixels() == pixels()
    assert len({pixels(), pixels(name="b"), pixels(seed=1), pixels(number=1)}) == 4


def test_restyling_changes_neither_the_picture_nor_the_global_generator():
    figure = _figure(120, 90)
    before, state = figure.tobytes(), np.random.get_state()[1].copy()
    for style in STYLES:
        restyle(figure, style, "a", 0)
    assert figure.tobytes() == before
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("style", [s for s in STYLES if len(STYLES[s].operators) > 1])
def test_every_operator_of_a_style_is_used(style, monkeypatch):
    used = set()

    def spy(operator):
        return lambda x, rng: used.add(operator) or operator(x, rng)

    operators = STYLES[style].operators
    spied = STYLES[style].__class__(style, tuple(spy(o) for o in operators))
    monkeypatch.setitem(STYLES, style, spied)  # type: ignore[arg-type]
    for number in range(40):
        restyle(_figure(16, 16), style, "a", 0, number)
    assert used == set(operators)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_figure_changes_but_stays_recognisable(operator):
    """The edges agree with those of the figure, not with those of its mirror image."""
    x_HWC, mirrored_HWC = (np.asarray(_figure(300, 201, mirrored)) for mirrored in (False, True))
    restyled = [operator(x_HWC, np.random.default_rng(seed)) for seed in range(5)]
    for y_HWC in restyled:
        assert np.abs(y_HWC.astype(int) - x_HWC).mean() > 1
        assert y_HWC.std() > 10
    similarity = np.mean([_similarity(y, x_HWC) for y in restyled])
    assert similarity > 0.35
    assert similarity > np.mean([_similarity(y, mirrored_HWC) for y in restyled]) + 0.2


def test_low_resolution_loses_detail():
    checks = np.indices((200, 200)).sum(0) % 8 < 4
    x_HWC = np.repeat((255 * checks).astype(np.uint8)[..., None], 3, axis=2)
    for operator in STYLES["lowres"].operators:
        for seed in range(4):
            assert operator(x_HWC, np.random.default_rng(seed)).std() < 0.9 * x_HWC.std()


def test_every_style_is_either_seen_in_training_or_unseen():
    assert not set(SEEN_STYLES) & set(UNSEEN_STYLES)
    assert sorted((*SEEN_STYLES, *UNSEEN_STYLES)) == sorted(STYLES)
    assert len(SEEN_STYLES) >= 3
    assert len(UNSEEN_STYLES) >= 3
    assert set(UNSEEN_STYLES) - set(NEW_STYLES) == {"blackboard", "blueprint", "handdrawn"}
    assert set(SEEN_STYLES) & set(REDRAWN_STYLES) == {DRAWING}
    assert len(set(NEW_STYLES) & set(REDRAWN_STYLES)) == 3
    assert sorted((*FILTER_STYLES, *REDRAWN_STYLES)) == sorted(STYLES)
    assert all(STYLES[name].name == name for name in STYLES)
    assert all(STYLES[name].unseen == (name in UNSEEN_STYLES) for name in STYLES)
    seen_operators = {operator for name in SEEN_STYLES for operator in STYLES[name].operators}
    assert not seen_operators & {
        operator for name in UNSEEN_STYLES for operator in STYLES[name].operators
    }


def test_an_unknown_style_is_a_key_error():
    with pytest.raises(KeyError, match="fresco"):
        restyle(_figure(8, 8), "fresco", "a", 0)
