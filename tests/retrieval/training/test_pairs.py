"""Training batches. Every value encodes its figure and its view."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from data.errors import BadInput
from data.figure_gallery import GalleryFigure
from data.styles import SEEN_STYLES, restyle
from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.encoder import ORIGINAL
from retrieval.tower import TowerInputs
from retrieval.training.pairs import (
    TEXT,
    TRAINED_STYLES,
    CachedPairs,
    PicturePairs,
    pooled_features,
)
from retrieval.training.views import Views
from retrieval.training.words import encode_words

# The original is not the first view, and some styles have several takes.
KINDS = (
    (SEEN_STYLES[0], 0),
    (ORIGINAL, 0),
    *((style, 0) for style in SEEN_STYLES[1:]),
    (SEEN_STYLES[0], 1),
)
ALT, CAPTION = 0, 1
S = 6


def _views(numbers: range, directions_FC: np.ndarray) -> Views:
    """Views whose gram features, and middle channels, hold (number of the figure, view)."""
    count, kinds = len(numbers), len(KINDS)
    patches = np.zeros((count, kinds, 1, sum(TAPS)), np.float16)
    patches[..., : TAPS[0]] = directions_FC[:, None, None]
    patches[:, [v for v, k in enumerate(KINDS) if k[0] != ORIGINAL], :, : TAPS[0]] *= -1
    gram = np.zeros((count, kinds, GRAM), np.float32)
    for f, number in enumerate(numbers):
        for v in range(kinds):
            patches[f, v, 0, TAPS[0] : TAPS[0] + 2] = gram[f, v, :2] = number, v
    figures = [GalleryFigure(str(n), b"", "", "", "") for n in numbers]
    shape = (count, kinds, PATCHES, sum(TAPS))
    return Views(figures, KINDS, np.broadcast_to(patches, shape), gram)


def _words(numbers: range) -> np.ndarray:
    """Vectors of (number, ALT or CAPTION). Every third has no alt text, every fourth no caption."""
    words = np.zeros((len(numbers), 2, S), np.float32)
    for f, number in enumerate(numbers):
        for which in (ALT, CAPTION):
            words[f, which, :2] = number, which
        if number % 3 == 0:
            words[f, ALT] = np.nan
        elif number % 4 == 0:
            words[f, CAPTION] = np.nan
    return words


def _directions(count: int, cluster: int, seed: int = 0) -> np.ndarray:
    """Figures of one cluster have a cosine of about 0.8, others of about 0."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(-(-count // cluster), TAPS[0]))
    return 0.9 * centres[np.arange(count) // cluster] + 0.45 * rng.normal(size=(count, TAPS[0]))


def _pairs(count: int = 40, cluster: int = 10, included: np.ndarray | None = None) -> CachedPairs:
    """Two books; the first has `count // 4` figures."""
    directions, first = _directions(count, cluster), max(1, count // 4)
    books = [book for book in (range(first), range(first, count)) if book]
    mask = np.ones(count, bool) if included is None else included
    return CachedPairs(
        [_views(p, directions[p.start : p.stop]) for p in books],
        [_words(p) for p in books],
        [mask[p.start : p.stop] for p in books],
    )


def _numbers(prepared: TowerInputs) -> list[int]:
    return prepared.features_BG[:, 0].int().tolist()


def _batches(pairs: CachedPairs, size: int, hard_share: float, count: int = 30):
    return [
        pairs.draw_batch(size, hard_share, np.random.default_rng(seed)) for seed in range(count)
    ]


def test_each_row_of_a_batch_is_one_figure():
    drawn_views, drawn_words = set(), set()
    for batch in _batches(_pairs(), 12, 0.5):
        numbers = _numbers(batch.originals)
        assert numbers == _numbers(batch.queries) == _numbers(batch.words)
        for part in (batch.queries, batch.originals):
            assert part.inputs.shape == (12, PATCHES, sum(TAPS))
            assert part.inputs.dtype == part.features_BG.dtype == torch.float32
            code = part.inputs[:, :, TAPS[0] : TAPS[0] + 2]
            assert torch.equal(code, part.features_BG[:, None, :2].expand_as(code))
        assert torch.equal(batch.words.inputs, batch.words.features_BG)
        views = batch.queries.features_BG[:, 1].int().tolist()
        styles = [TRAINED_STYLES[s] for s in batch.style_B.tolist()]
        assert [KINDS[v][0] for v in views] == styles
        assert not {ORIGINAL, TEXT} & set(styles)
        assert (batch.originals.features_BG[:, 1] == 1).all()
        assert batch.style_B.dtype == torch.int64
        drawn_views |= {KINDS[v] for v in views}
        drawn_words |= set(zip(numbers, batch.words.inputs[:, 1].int().tolist(), strict=True))
    assert drawn_views == set(KINDS) - {(ORIGINAL, 0)}
    for number, which in drawn_words:
        assert not (number % 3 == 0 and which == ALT)
        assert not (number % 3 and number % 4 == 0 and which == CAPTION)
    assert {which for number, which in drawn_words if number == 1} == {ALT, CAPTION}


def test_equal_generators_draw_the_same_batch():
    pairs = _pairs()
    one, again, other = (pairs.draw_batch(9, 0.5, np.random.default_rng(s)) for s in (4, 4, 5))
    for part in ("queries", "originals", "words"):
        for x, y in zip(getattr(one, part), getattr(again, part), strict=True):
            assert torch.equal(x, y)
    assert torch.equal(one.style_B, again.style_B)
    assert torch.equal(one.copies_BB, again.copies_BB)
    assert _numbers(one.originals) != _numbers(other.originals)


@pytest.mark.parametrize("hard_share", [0.0, 0.3, 0.5])
@pytest.mark.parametrize(("count", "size"), [(40, 12), (40, 40), (40, 60), (13, 7), (3, 2), (1, 4)])
def test_a_batch_has_the_requested_size_and_no_figure_twice(count, size, hard_share):
    for batch in _batches(_pairs(count), size, hard_share, 8):
        numbers = _numbers(batch.originals)
        assert len(numbers) == len(set(numbers)) == min(size, count)
        assert batch.copies_BB.shape == (len(numbers), len(numbers))


def test_hard_batches_contain_near_neighbours():
    def neighbour_share(hard_share: float) -> float:
        pairs = _pairs()
        chosen = [_numbers(b.originals) for b in _batches(pairs, 2, hard_share, 60)]
        return float(np.mean([a // 10 == b // 10 for a, b in chosen]))

    assert neighbour_share(0.5) == 1
    assert neighbour_share(0.0) < 0.5


def test_copies_are_marked_and_are_no_hard_negatives():
    directions = _directions(24, 12)
    directions[5] = 3 * directions[2] + 1e-3  # the same picture, brighter
    views = _views(range(24), directions)
    pairs = CachedPairs([views], [_words(range(24))], [np.ones(24, bool)])
    batches_with_both = 0
    for batch in _batches(pairs, 24, 0.0, 1) + _batches(pairs, 10, 0.5, 20):
        numbers = _numbers(batch.originals)
        copies = {(numbers[i], numbers[j]) for i, j in batch.copies_BB.nonzero().tolist() if i != j}
        batches_with_both += 2 in numbers and 5 in numbers
        assert copies == ({(2, 5), (5, 2)} if {2, 5} <= set(numbers) else set())
        assert batch.copies_BB.diagonal().all()
    assert batches_with_both
    assert 5 not in pairs._neighbours_FN[2]
    assert 2 not in pairs._neighbours_FN[5]


def test_excluded_figures_are_never_drawn():
    included = np.arange(40) % 5 != 1
    pairs = _pairs(included=included)
    assert len(pairs) == 32
    assert pairs.pooled_FC.shape == (32, TAPS[0])
    rng = np.random.default_rng(0)
    drawn = {n for b in _batches(pairs, 12, 0.5) for n in _numbers(b.originals)}
    drawn |= set(_numbers(pairs.sample_figures(200, rng))) | set(
        _numbers(pairs.sample_style(SEEN_STYLES[1], 200, rng))
    )
    assert drawn == set(np.flatnonzero(included))


def test_no_figure_to_train_on_is_bad_input():
    with pytest.raises(BadInput, match="no figure is left to train on"):
        _pairs(included=np.zeros(40, bool))


def test_samples_of_one_style_and_of_all():
    pairs, rng = _pairs(), np.random.default_rng(0)
    for style in (ORIGINAL, *SEEN_STYLES):
        prepared = pairs.sample_style(style, 20, rng)
        assert {KINDS[int(v)][0] for v in prepared.features_BG[:, 1]} == {style}
        assert prepared.inputs.shape == (20, PATCHES, sum(TAPS))
    texts = pairs.sample_style(TEXT, 50, rng)
    assert not torch.isnan(texts.inputs).any()
    alts = {int(n) for n, which in texts.inputs[:, :2].tolist() if which == ALT}
    assert alts
    assert all(n % 3 for n in alts)
    sampled = pairs.sample_figures(300, rng)
    assert {int(v) for v in sampled.features_BG[:, 1]} == set(range(len(KINDS)))


def test_pooled_features_are_the_mean_of_the_last_map_of_the_original():
    directions = _directions(3, 1)
    expected = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(pooled_features(_views(range(3), directions)), expected, atol=1e-3)


class _Tower:
    """A picture becomes its mean colour, a text its length."""

    def prepare_images(self, images):
        x_BC = torch.tensor(np.stack([np.asarray(i, np.float32).mean((0, 1)) for i in images]))
        return TowerInputs(x_BC, x_BC)

    def prepare_texts(self, texts):
        x_B1 = torch.tensor([[float(len(t))] for t in texts])
        return TowerInputs(x_B1, x_B1)


def _figure(number: int, caption: str, alt: str) -> GalleryFigure:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (5 * number, 255 - 5 * number, 9)).save(buffer, "PNG")
    return GalleryFigure(f"figure {number}", buffer.getvalue(), caption, alt, "")


def test_pictures_are_restyled_on_demand():
    figures = [
        _figure(n, "c" * (100 + n) * bool(n % 2), "a" * (n + 1) * bool(n % 3)) for n in range(12)
    ]
    pairs = PicturePairs(figures, _Tower(), seed=7)
    assert len(pairs) == 10  # two have no words
    lengths = set()
    for seed in range(10):
        batch, again = (pairs.draw_batch(6, 0.5, np.random.default_rng(seed)) for _ in range(2))
        assert torch.equal(batch.queries.inputs, again.queries.inputs)
        assert torch.equal(batch.copies_BB, torch.eye(6, dtype=torch.bool))
        numbers = (batch.originals.inputs[:, 0] / 5).round().int().tolist()
        assert len(set(numbers)) == 6
        for number, length in zip(numbers, batch.words.inputs[:, 0].int().tolist(), strict=True):
            figure = figures[number]
            assert length in {len(t) for t in (figure.alt, figure.caption) if t}
            lengths.add((number, length))
    assert {length for number, length in lengths if number == 1} == {2, 101}
    # The first query, by hand from the same generator.
    style = TRAINED_STYLES[int(batch.style_B[0])]
    mean = batch.queries.inputs[0]
    rng = np.random.default_rng(9)
    chosen = rng.permutation(10)[:6]
    styles = rng.integers(len(SEEN_STYLES), size=6)
    takes = rng.integers(2**31, size=6)
    assert SEEN_STYLES[styles[0]] == style
    figure = [f for f in figures if f.words][chosen[0]]
    expected = restyle(figure.open(), style, figure.name, 7, int(takes[0]))
    torch.testing.assert_close(mean, _Tower().prepare_images([expected]).inputs[0])


class _Sentences:
    name, width = "counting", 3

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode_passages(self, texts):
        self.texts += texts
        return np.array([[len(t), t.startswith("a"), 1] for t in texts], np.float32)


def test_words_are_encoded_once_and_missing_ones_are_nan(tmp_path):
    retriever = _Sentences()
    figures = [_figure(0, "cap", "alt text"), _figure(1, "", "a" * 900), _figure(2, "", "")]
    words = encode_words(figures, retriever, tmp_path / "words")
    assert words.shape == (3, 2, 3)
    assert words[0].tolist() == [[8, 1, 1], [3, 0, 1]]
    assert words[1, ALT].tolist() == [600, 1, 1]
    assert np.isnan(words[1, CAPTION]).all()
    assert np.isnan(words[2]).all()
    again = encode_words(figures, retriever, tmp_path / "words")
    np.testing.assert_array_equal(again, words)
    assert len(retriever.texts) == 3
    encode_words(figures[:1], retriever, tmp_path / "words")
    assert len(retriever.texts) == 5
