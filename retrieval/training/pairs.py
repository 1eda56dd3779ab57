"""Training batches: each figure as original, restyled, and in words.

B batch, F figures, N neighbours, V views, T patches, C channels, G Gram features, S sentence width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.errors import BadInput
from data.figure_gallery import GalleryFigure
from data.styles import SEEN_STYLES, restyle
from retrieval.efficientnet import TAPS
from retrieval.encoder import ORIGINAL, Vectors, normalize_rows
from retrieval.tower import Tower, TowerInputs
from retrieval.training.views import Views

__all__ = [
    "TEXT",
    "TRAINED_STYLES",
    "CachedPairs",
    "Pairs",
    "PicturePairs",
    "TrainingBatch",
    "pooled_features",
]

TEXT = "text"
TRAINED_STYLES = (ORIGINAL, *SEEN_STYLES, TEXT)
_COPY_COSINE = 0.97  # of pooled features; above it, figures are copies, crops or recoloured
_NEIGHBOURS = 8  # of each figure; hard negatives are drawn from them


@dataclass(frozen=True)
class TrainingBatch:
    """A batch of figures. Row i of every field belongs to the same figure."""

    queries: TowerInputs
    originals: TowerInputs
    words: TowerInputs
    style_B: Tensor  # int64, indices into TRAINED_STYLES of the queries' styles
    copies_BB: Tensor  # bool, true where two figures are copies of each other
    has_words_B: Tensor  # bool, false for figures without alt text and caption

    def to(self, device: torch.device | str) -> TrainingBatch:
        """Move all tensors to `device`."""
        return TrainingBatch(
            self.queries.to(device),
            self.originals.to(device),
            self.words.to(device),
            self.style_B.to(device),
            self.copies_BB.to(device),
            self.has_words_B.to(device),
        )


class Pairs(Protocol):
    """Training data. The same `rng` draws the same batch."""

    def __len__(self) -> int: ...

    def draw_batch(self, size: int, hard_share: float, rng: np.random.Generator) -> TrainingBatch:
        """Draw `size` figures. A share, at most half, are near neighbours of the others."""
        ...

    def sample_style(self, style: str, count: int, rng: np.random.Generator) -> TowerInputs:
        """Draw `count` pictures of one style, or texts for TEXT."""
        ...

    def sample_figures(self, count: int, rng: np.random.Generator) -> TowerInputs:
        """Draw `count` pictures of all styles, as a sample for feature statistics."""
        ...


class CachedPairs:
    """Pairs from views on disk, for towers that take the frozen CNN's patches.

    `words` (F, 2, S) holds sentence vectors of alt text and caption, NaN where there is none.
    `included` is False for figures to leave out, such as copies of figures in a test book. Queries
    are drawn from `styles`, which are styles of `data.styles` or ORIGINAL; a book without some of
    them is drawn from in the others. Two figures of books with real drawings are never copies,
    however alike: writers draw the same thing in their own layouts.
    """

    def __init__(
        self,
        books: Sequence[Views],
        words: Sequence[NDArray[np.float32]],
        included: Sequence[NDArray[np.bool_]],
        styles: Sequence[str] = SEEN_STYLES,
    ) -> None:
        self.styles = tuple(styles)
        self._books = books
        self._words = words
        self._rows = [
            (book, int(row)) for book, mask in enumerate(included) for row in np.flatnonzero(mask)
        ]
        if not self._rows:
            raise BadInput(
                "no figure is left to train on: each has neither alt text nor caption, or stands "
                "in a held-out book; add other books"
            )
        self.pooled_FC = np.concatenate(
            [pooled_features(views)[mask] for views, mask in zip(books, included, strict=True)]
        )
        self._is_drawn_F = np.array(
            [b.figures[row].photo is not None for b, row in self._located()]
        )
        self._neighbours_FN = _nearest_neighbours(self.pooled_FC, self._is_drawn_F)

    def __len__(self) -> int:
        return len(self._rows)

    def draw_batch(self, size: int, hard_share: float, rng: np.random.Generator) -> TrainingBatch:
        chosen = _choose_figures(len(self), size, hard_share, self._neighbours_FN, rng)
        queries, words, styles = [], [], []
        for i in chosen:
            book, row = self._rows[i]
            known = [s for s in self.styles if self._books[book].indices_of(s)]
            style = known[int(rng.integers(len(known)))]
            styles.append(style)
            views = self._books[book].indices_of(style)
            queries.append((book, row, views[int(rng.integers(len(views)))]))
            words.append(_first_vector(rng.permutation(self._words[book][row])))
        rows = [self._rows[i] for i in chosen]
        originals = [(b, r, self._books[b].indices_of(ORIGINAL)[0]) for b, r in rows]
        words_BS = torch.from_numpy(np.stack(words))
        return TrainingBatch(
            self._read_views(queries),
            self._read_views(originals),
            TowerInputs(words_BS, words_BS),
            torch.tensor([TRAINED_STYLES.index(s) for s in styles]),
            torch.from_numpy(_copies(self.pooled_FC[chosen], self._is_drawn_F[chosen])),
            ~words_BS[:, 0].isnan(),
        )

    def sample_style(self, style: str, count: int, rng: np.random.Generator) -> TowerInputs:
        known = self._rows_of(style)
        rows = [self._rows[known[int(i)]] for i in rng.integers(len(known), size=count)]
        if style == TEXT:
            vectors = [_first_vector(self._words[book][row]) for book, row in rows]
            words_BS = torch.from_numpy(np.stack(vectors))
            return TowerInputs(words_BS, words_BS)
        return self._read_views([(b, r, self._books[b].indices_of(style)[0]) for b, r in rows])

    def sample_figures(self, count: int, rng: np.random.Generator) -> TowerInputs:
        rows = [self._rows[int(i)] for i in rng.integers(len(self), size=count)]
        return self._read_views(
            [(b, r, int(rng.integers(len(self._books[b].kinds)))) for b, r in rows]
        )

    def _located(self) -> list[tuple[Views, int]]:
        """Return the book and the row of each figure."""
        return [(self._books[book], row) for book, row in self._rows]

    def _rows_of(self, style: str) -> list[int]:
        """Return the figures that have a view in a style, or words for TEXT."""
        return [
            i
            for i, (book, row) in enumerate(self._rows)
            if (
                self._books[book].indices_of(style)
                if style != TEXT
                else not np.isnan(self._words[book][row, :, 0]).all()
            )
        ]

    def _read_views(self, indices: Sequence[tuple[int, int, int]]) -> TowerInputs:
        """Read the features of views; `indices` are (book, row, view)."""
        patches = np.stack([self._books[b].patches_FVTC[r, v] for b, r, v in indices])
        gram = np.stack([self._books[b].gram_FVG[r, v] for b, r, v in indices])
        return TowerInputs(torch.from_numpy(patches).float(), torch.from_numpy(gram))


class PicturePairs:
    """Pairs from pictures that are restyled on demand, for towers that take pixels."""

    def __init__(
        self,
        figures: Sequence[GalleryFigure],
        tower: Tower,
        seed: int,
        styles: Sequence[str] = SEEN_STYLES,
    ) -> None:
        self.styles = tuple(styles)
        self._figures = [f for f in figures if f.words]
        self._tower, self._seed = tower, seed

    def __len__(self) -> int:
        return len(self._figures)

    def draw_batch(self, size: int, hard_share: float, rng: np.random.Generator) -> TrainingBatch:
        """Draw `size` figures. Ignores `hard_share`: neighbours need a trained tower."""
        chosen = _choose_figures(len(self), size, 0.0, None, rng)
        figures = [self._figures[i] for i in chosen]
        styles = _draw_styles(self.styles, len(chosen), rng)
        return TrainingBatch(
            self._restyle(figures, styles, rng),
            self._restyle(figures, [ORIGINAL] * len(figures), rng),
            self._prepare_words(figures, rng),
            torch.tensor([TRAINED_STYLES.index(s) for s in styles]),
            torch.eye(len(figures), dtype=torch.bool),
            torch.ones(len(figures), dtype=torch.bool),
        )

    def sample_style(self, style: str, count: int, rng: np.random.Generator) -> TowerInputs:
        figures = [self._figures[int(i)] for i in rng.integers(len(self), size=count)]
        if style == TEXT:
            return self._prepare_words(figures, rng)
        return self._restyle(figures, [style] * count, rng)

    def sample_figures(self, count: int, rng: np.random.Generator) -> TowerInputs:
        figures = [self._figures[int(i)] for i in rng.integers(len(self), size=count)]
        return self._restyle(figures, _draw_styles((ORIGINAL, *self.styles), count, rng), rng)

    def _restyle(
        self, figures: Sequence[GalleryFigure], styles: Sequence[str], rng: np.random.Generator
    ) -> TowerInputs:
        takes = rng.integers(2**31, size=len(figures)).tolist()
        return self._tower.prepare_images(
            [
                f.open() if s == ORIGINAL else restyle(f.open(), s, f.name, self._seed, take)
                for f, s, take in zip(figures, styles, takes, strict=True)
            ]
        )

    def _prepare_words(
        self, figures: Sequence[GalleryFigure], rng: np.random.Generator
    ) -> TowerInputs:
        """Prepare the alt text or the caption of each figure, at random."""
        choices = [[text for text in (f.alt, f.caption) if text] for f in figures]
        return self._tower.prepare_texts(
            [texts[int(rng.integers(len(texts)))] for texts in choices]
        )


def _first_vector(words_NS: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first row that is not NaN, if there is one."""
    with_text = words_NS[~np.isnan(words_NS[:, 0])]
    return np.asarray((with_text if len(with_text) else words_NS)[0])


def pooled_features(views: Views) -> Vectors:
    """Return unit vectors (F, 1280): the mean of the CNN's last map over each original."""
    original = views.indices_of(ORIGINAL)[0]
    pooled = [
        np.asarray(views.patches_FVTC[f, original, :, : TAPS[0]], np.float32).mean(0)
        for f in range(len(views))
    ]
    return normalize_rows(np.stack(pooled))


def _copies(pooled_FC: Vectors, is_drawn_F: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (F, F), true for two figures that are copies of each other, and on the diagonal."""
    alike_FF = pooled_FC @ pooled_FC.T > _COPY_COSINE
    alike_FF &= ~(is_drawn_F[:, None] & is_drawn_F)
    np.fill_diagonal(alike_FF, True)
    return alike_FF


def _nearest_neighbours(pooled_FC: Vectors, is_drawn_F: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the indices (F, N) of each figure's nearest figures that are not copies."""
    cosine_FF = pooled_FC @ pooled_FC.T
    cosine_FF[_copies(pooled_FC, is_drawn_F)] = -1
    count = min(_NEIGHBOURS, len(pooled_FC) - 1)
    return np.argpartition(-cosine_FF, count, axis=1)[:, :count]


def _draw_styles(styles: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    return [styles[int(s)] for s in rng.integers(len(styles), size=count)]


def _choose_figures(
    total: int,
    size: int,
    hard_share: float,
    neighbours_FN: NDArray[np.int64] | None,
    rng: np.random.Generator,
) -> list[int]:
    """Choose distinct figures at random, a share of them among the neighbours of the rest."""
    size = min(size, total)
    order = rng.permutation(total).tolist()
    anchors = order[: max(1, size - round(hard_share * size))]
    chosen = dict.fromkeys(anchors)
    for i in anchors:
        if neighbours_FN is None or len(chosen) >= size:
            break
        chosen[int(rng.choice(neighbours_FN[i]))] = None
    # Two figures may draw the same neighbour, so random figures fill the batch.
    for i in order:
        if len(chosen) >= size:
            break
        chosen[i] = None
    return list(chosen)
