"""Test the drawn styles: figures are traced, redrawn by hand, and photographed."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data.style_operators import drawing, unseen_drawing
from data.style_operators.drawing import operators
from data.style_operators.drawing.hand import Hand, redraw
from data.style_operators.drawing.letters import FONTS, Handwriting, write_label
from data.style_operators.drawing.sheet import choose_sheet, choose_view, place_drawing
from data.style_operators.drawing.strokes import Strokes, concatenate
from data.style_operators.drawing.tracing import thin, trace, trace_skeleton
from data.styles import MAX_SIDE, REDRAWN_STYLES, STYLES, restyle

OPERATORS = [
    pytest.param(operator, id=style)
    for style in REDRAWN_STYLES
    for operator in STYLES[style].operators
]
WRITING = Handwriting(FONTS[0], 0.0, 0.0)
# A hand that copies exactly.
STEADY = Hand(0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 1, 1, 8, WRITING)


def _page(height: int = 300, width: int = 400) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def _framed_figure(mirrored: bool) -> Image.Image:
    """Return a frame whose left half, or right half, holds circles."""
    x_HWC = _page()
    cv2.rectangle(x_HWC, (20, 20), (380, 280), (0, 0, 0), 2)
    for i, (column, row) in enumerate(((70, 80), (150, 80), (70, 210), (150, 210), (110, 150))):
        cv2.circle(x_HWC, (column, row), 30, (0, 0, 0), 2 + i % 2)
        cv2.circle(x_HWC, (column, row), 14, (20, 40, 160), 2)
    return Image.fromarray(x_HWC[:, ::-1] if mirrored else x_HWC)


def _line_of(strokes: Strokes, number: int) -> np.ndarray:
    return strokes.points_P2[strokes.stroke_P == number]


def _detail(picture: Image.Image) -> tuple[float, float]:
    """Return how much is drawn in the left and in the right half."""
    grey = np.asarray(picture.convert("L"), np.float32)
    edges = np.abs(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.2), cv2.CV_32F))
    middle = grey.shape[1] // 2
    return float(edges[:, :middle].sum()), float(edges[:, middle:].sum())


@pytest.mark.parametrize("style", REDRAWN_STYLES)
def test_what_stands_left_is_drawn_left(style):
    shares = []
    for mirrored in (False, True):
        figure = _framed_figure(mirrored)
        sides = np.sum([_detail(restyle(figure, style, "a", seed)) for seed in range(12)], axis=0)
        shares.append(sides[0] / sides.sum())
    assert shares[0] > shares[1] + 0.05


FIGURES = {
    "tiny": np.zeros((8, 8, 3), np.uint8),
    "strip": np.full((8, 160, 3), 90, np.uint8),
    "column": np.random.default_rng(0).integers(0, 256, (400, 20, 3), dtype=np.uint8),
    "white": _page(),
    "black": np.zeros((200, 300, 3), np.uint8),
    "noise": np.random.default_rng(1).integers(0, 256, (500, 640, 3), dtype=np.uint8),
    "one line": cv2.line(_page(), (20, 20), (300, 200), (0, 0, 0), 2),
}


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_any_figure_becomes_a_picture_of_a_bounded_size(operator, figure):
    x_HWC = FIGURES[figure]
    before = x_HWC.copy()
    for seed in range(4):
        y_HWC = operator(x_HWC, np.random.default_rng(seed))
        assert y_HWC.dtype == np.uint8
        assert y_HWC.ndim == 3
        assert max(y_HWC.shape[:2]) <= MAX_SIDE
        assert min(y_HWC.shape[:2]) >= 80
        assert np.array_equal(operator(x_HWC, np.random.default_rng(seed)), y_HWC)
    assert np.array_equal(x_HWC, before)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_drawing_shows_more_than_an_empty_sheet(operator):
    figure = np.asarray(_framed_figure(False))
    with_lines, without = (
        np.mean(
            [sum(_detail(Image.fromarray(operator(x, np.random.default_rng(s))))) for s in range(6)]
        )
        for x in (figure, _page())
    )
    assert with_lines > 1.3 * without


def test_thinning_leaves_lines_one_pixel_wide_in_one_piece():
    mask = np.zeros((120, 160), np.uint8)
    cv2.line(mask, (10, 10), (150, 100), 1, 7)
    cv2.circle(mask, (80, 60), 40, 1, 5)
    thinned = thin(mask)
    assert cv2.connectedComponents(thinned)[0] == cv2.connectedComponents(mask)[0] == 2
    squares = cv2.boxFilter(thinned, cv2.CV_32F, (2, 2), normalize=False)
    assert squares.max() <= 3  # no 2 x 2 square is full
    assert np.all(mask[thinned > 0] == 1)
    ends = cv2.filter2D(thinned, cv2.CV_8U, np.ones((3, 3))) * thinned == 2
    assert np.count_nonzero(ends) == 2


def test_a_circle_is_one_closed_stroke():
    mask = np.zeros((200, 200), np.uint8)
    cv2.circle(mask, (100, 90), 60, 1, 3)
    strokes = trace_skeleton(thin(mask), 0.5)
    assert len(strokes) == 1
    radius = np.hypot(*(strokes.points_P2 - (100, 90)).T)
    assert np.all(np.abs(radius - 60) < 2)
    assert np.array_equal(strokes.points_P2[0], strokes.points_P2[-1])


def test_lines_go_straight_on_through_a_crossing():
    mask = np.zeros((200, 200), np.uint8)
    cv2.line(mask, (20, 100), (180, 100), 1, 3)
    cv2.line(mask, (100, 20), (100, 180), 1, 3)
    strokes = trace_skeleton(thin(mask), 1.0)
    assert len(strokes) == 2
    spans = sorted(np.ptp(_line_of(strokes, s), axis=0).round().tolist() for s in range(2))
    assert np.allclose(spans, [(0, 160), (160, 0)], atol=6)
    assert len(set(strokes.component_S.tolist())) == 1


def test_words_become_boxes_and_the_frame_around_them_a_stroke():
    x_HWC = _page(400, 600)
    cv2.rectangle(x_HWC, (100, 100), (420, 260), (0, 0, 0), 2)
    cv2.putText(
        x_HWC, "velocity", (150, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA
    )
    tracing = trace(x_HWC, 30, 1.0, word_length=2.0)
    scale = 600 / max(tracing.size)
    boxes = np.array(tracing.labels) * scale
    assert len(boxes) >= 1
    assert boxes[:, 0].min() > 130
    assert boxes[:, 1].min() > 150
    assert (boxes[:, 1] + boxes[:, 3]).max() < 220
    frame = tracing.strokes.lengths.argmax()
    low, high = (f(_line_of(tracing.strokes, frame) * scale, axis=0) for f in (np.min, np.max))
    assert np.allclose(low, (100, 100), atol=6)
    assert np.allclose(high, (420, 260), atol=6)
    copied = trace(x_HWC, 30, 1.0, word_length=1e3)
    assert copied.labels == []
    assert len(copied.strokes) > len(tracing.strokes)


def test_strokes_carry_the_colour_of_the_figure():
    x_HWC = cv2.line(_page(), (20, 40), (380, 40), (220, 30, 30), 3)
    cv2.line(x_HWC, (20, 200), (380, 200), (30, 60, 200), 3)
    strokes = trace(x_HWC, 30, 1.0, 2.0).strokes
    assert len(strokes) == 2
    order = np.argsort([_line_of(strokes, s)[:, 1].mean() for s in range(2)])
    assert strokes.colour_S3[order].argmax(axis=1).tolist() == [0, 2]


def test_a_steady_hand_copies_the_layout_and_an_unsteady_one_moves_it():
    tracing = trace(np.asarray(_framed_figure(False)), 30, 1.0, 1e3)
    steady = redraw(tracing, STEADY, np.random.default_rng(0))
    moved = redraw(tracing, replace(STEADY, spacing=16, warp=6), np.random.default_rng(0))
    # Components still turn and grow a little, less so the larger they are.
    extents = [np.ptp(s.points_P2, axis=0) for s in (tracing.strokes, steady)]
    assert np.allclose(*extents, rtol=0.05)
    assert len(steady) == len(tracing.strokes)
    distance = [np.abs(s.points_P2[:40] - steady.points_P2[:40]).max() for s in (steady, moved)]
    assert distance[0] == 0 < 3 < distance[1] < 60


def test_about_a_third_of_the_components_is_left_out_but_not_most_of_the_lines():
    x_HWC = _page(500, 600)
    for row in range(5):
        for column in range(6):
            cv2.circle(x_HWC, (60 + 95 * column, 60 + 95 * row), 24 + row, (0, 0, 0), 2)
    tracing = trace(x_HWC, 30, 1.0, 1e3)
    total = len(np.unique(tracing.strokes.component_S))
    assert total == 30
    drawn = [
        redraw(tracing, replace(STEADY, left_out=0.45), np.random.default_rng(seed))
        for seed in range(30)
    ]
    counts = [len(np.unique(strokes.component_S)) for strokes in drawn]
    assert 0.6 < np.mean(counts) / total < 0.9
    lengths = [strokes.lengths.sum() for strokes in drawn]
    assert min(lengths) > 0.4 * tracing.strokes.lengths.sum()


def test_straight_lines_stay_nearly_straight_and_some_are_drawn_twice():
    x_HWC = cv2.line(_page(), (30, 150), (370, 150), (0, 0, 0), 2)
    tracing = trace(x_HWC, 30, 1.0, 2.0)
    hand = replace(STEADY, bow=0.014, wobble=1.0, spacing=16, warp=6)
    bends = []
    for seed in range(20):
        line = redraw(tracing, hand, np.random.default_rng(seed)).points_P2
        chord = line[-1] - line[0]
        across = np.cross(np.append(chord, 0), np.c_[line - line[0], np.zeros(len(line))])[:, 2]
        bends.append(np.abs(across).max() / np.hypot(*chord))
    assert 1 < np.mean(bends) < 15
    assert max(bends) < 0.1 * 500
    assert len(redraw(tracing, replace(hand, doubled=1.0), np.random.default_rng(0))) == 2


@pytest.mark.parametrize("font", FONTS)
def test_words_are_written_in_their_box(font):
    box = (100.0, 50.0, 120.0, 14.0)
    strokes = write_label(box, 10, 7, replace(WRITING, font=font), np.random.default_rng(3))
    low, high = strokes.points_P2.min(0), strokes.points_P2.max(0)
    assert set(strokes.component_S.tolist()) == {7}
    assert strokes.is_label_S.all()
    assert len(strokes) > 5
    assert np.all(low > (85, 30))
    assert np.all(high < (275, 80))
    assert 8 < high[1] - low[1] < 40


def test_strokes_are_resampled_at_equal_steps_and_selected_whole():
    lines = [
        np.array([(0, 0), (30, 0), (30, 40)], np.float32),
        np.array([(5, 5), (5, 6)], np.float32),
    ]
    strokes = Strokes.of(lines, [4, 9], is_label=False)
    assert np.allclose(strokes.lengths, (70, 1), atol=1e-3)
    even = strokes.resample(7.0)
    steps = np.hypot(*np.diff(_line_of(even, 0), axis=0).T)
    assert len(steps) == 10
    assert np.allclose(steps[[0, 1, -1]], 7, atol=1e-3)
    assert np.allclose(_line_of(even, 1), lines[1])
    second = even.select(np.array([False, True]))
    assert (len(second), second.component_S.tolist()) == (1, [9])
    both = concatenate([even, second])
    assert np.allclose(_line_of(both, 2), lines[1])
    smooth = even.smooth(3)
    assert np.allclose(_line_of(smooth, 0)[[0, -1]], lines[0][[0, -1]])
    assert np.hypot(*(_line_of(smooth, 0) - (30, 0)).T).min() > 0.5  # the corner is round


def test_a_drawing_lies_on_its_sheet_and_in_the_view_of_the_camera():
    points = np.random.default_rng(0).uniform(0, (500, 300), (200, 2)).astype(np.float32)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sheet = choose_sheet(True, rng)
        placed = place_drawing(points, sheet, rng)
        assert placed.min() > -10
        assert np.all(placed.max(0) < (sheet.width + 10, sheet.height + 10))
        for framing in ("scan", "close", "table"):
            view = choose_view(placed, sheet, framing, rng)
            assert max(view.size) == 256
            seen = view.project(placed)
            inside = np.all((seen > 0) & (seen < view.size), axis=1)
            assert inside.mean() > 0.7
            right = view.project(np.array([(0, 0), (10, 0), (0, 10)], np.float32))
            assert right[1, 0] > right[0, 0]
            assert right[2, 1] > right[0, 1]


def test_coloured_pens_follow_the_figure_and_one_pen_draws_everything():
    figure = np.array([(220, 30, 30), (20, 20, 20), (30, 60, 210)], np.float32)
    pens = ((25, 28, 32), (25, 60, 165), (190, 35, 40))
    assert operators._pens_like(figure, pens).tolist() == [2, 0, 1]
    assert operators._pens_like(figure, pens[:1]).tolist() == [0, 0, 0]


def test_unseen_drawings_share_no_code_with_trained_ones():
    def imported(path: Path) -> set[str]:
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("data."):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        return names

    unseen = imported(Path(unseen_drawing.__file__))
    common = "data.style_operators.common"
    assert unseen == {f"{common}.Pixels", f"{common}.smooth_noise", f"{common}.to_grey"}
    files = list(Path(drawing.__file__).parent.glob("*.py"))
    assert len(files) > 5
    trained = {name for path in files for name in imported(path)}
    assert not any("unseen" in name for name in trained)
    source = Path(unseen_drawing.__file__).read_text()
    assert not any(font in source for font in FONTS)
