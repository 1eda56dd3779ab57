"""Training batches: each figure as original, restyled, and in words.

B batch, F figures, N neighbours, V views, T patches, C channels, G Gram features, S sentence width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.errors import BadInput
from data.figure_gallery import GalleryFigure
from data.styles import DRAWING, SEEN_STYLES
from retrieval.efficientnet import TAPS
from retrieval.encoder import ORIGINAL, Vectors, normalize_rows
from retrieval.tower import Tower, TowerInputs
from retrieval.training.views import Views, query_picture

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
    style_B: Tensor  # int64, indices into `Pairs.style_names` of the queries' styles
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
    """Training data. The same `rng` draws the same batch.

    `style_names` are the styles that it holds examples of: ORIGINAL first, TEXT last if any figure
    has words.
    """

    style_names: tuple[str, ...]

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
    are drawn from `styles`, which are styles of `data.styles` or ORIGINAL. A figure with a query
    that a person made is drawn in the style of that query. Two such figures are never copies,
    however alike, unless they are the same: writers draw the same thing in their own layouts.
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
        self._figures = [self._books[book].figures[row] for book, row in self._rows]
        self._neighbours_FN = _nearest_neighbours(self.pooled_FC, self._figures)
        self.style_names = _style_names(
            (style for views in books for style, _ in views.kinds), bool(self._rows_of(TEXT))
        )

    def __len__(self) -> int:
        return len(self._rows)

    def draw_batch(self, size: int, hard_share: float, rng: np.random.Generator) -> TrainingBatch:
        chosen = _choose_figures(len(self), size, hard_share, self._neighbours_FN, rng)
        queries, words, styles = [], [], []
        for i in chosen:
            book, row = self._rows[i]
            known = self._query_styles(i)
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
            torch.tensor([self.style_names.index(s) for s in styles]),
            torch.from_numpy(_copies(self.pooled_FC[chosen], [self._figures[i] for i in chosen])),
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

    def _query_styles(self, index: int) -> tuple[str, ...]:
        """Return the styles in which a figure may be asked for."""
        figure, book = self._figures[index], self._books[self._rows[index][0]]
        if figure.photo is not None:
            return (figure.photo_style,)
        return tuple(style for style in self.styles if book.indices_of(style))

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
    """Pairs from pictures that are restyled on demand, for towers that take pixels.

    A figure with a query that a person made is drawn in the style of that query.
    """

    def __init__(
        self,
        figures: Sequence[GalleryFigure],
        tower: Tower,
        seed: int,
        styles: Sequence[str] = SEEN_STYLES,
    ) -> None:
        self.styles = tuple(styles)
        self._figures = [f for f in figures if f.words or f.photo is not None]
        self._tower, self._seed = tower, seed
        if not self._figures:
            raise BadInput(
                "no figure is left to train on: each has neither alt text nor caption, or stands "
                "in a held-out book; add other books"
            )
        restyled = SEEN_STYLES if any(f.photo is None for f in self._figures) else ()
        photo_styles = [f.photo_style for f in self._figures if f.photo is not None]
        self.style_names = _style_names(
            (*restyled, *photo_styles), any(f.words for f in self._figures)
        )

    def __len__(self) -> int:
        return len(self._figures)

    def draw_batch(self, size: int, hard_share: float, rng: np.random.Generator) -> TrainingBatch:
        """Draw `size` figures. Ignores `hard_share`: neighbours need a trained tower."""
        chosen = _choose_figures(len(self), size, 0.0, None, rng)
        figures = [self._figures[i] for i in chosen]
        styles = _draw_styles(self.styles, figures, rng)
        names = np.array([figure.name for figure in figures])
        return TrainingBatch(
            self._restyle(figures, styles, rng),
            self._restyle(figures, [ORIGINAL] * len(figures), rng),
            self._prepare_words(figures, rng),
            torch.tensor([self.style_names.index(s) for s in styles]),
            torch.from_numpy(names[:, None] == names),
            torch.tensor([bool(figure.words) for figure in figures]),
        )

    def sample_style(self, style: str, count: int, rng: np.random.Generator) -> TowerInputs:
        if style == TEXT:
            known = [f for f in self._figures if f.words]
        elif style == ORIGINAL:
            known = self._figures
        else:
            known = [f for f in self._figures if f.photo is None or f.photo_style == style]
        figures = [known[int(i)] for i in rng.integers(len(known), size=count)]
        if style == TEXT:
            return self._prepare_words(figures, rng)
        return self._restyle(figures, [style] * count, rng)

    def sample_figures(self, count: int, rng: np.random.Generator) -> TowerInputs:
        figures = [self._figures[int(i)] for i in rng.integers(len(self), size=count)]
        return self._restyle(figures, _draw_styles((ORIGINAL, *self.styles), figures, rng), rng)

    def _restyle(
        self, figures: Sequence[GalleryFigure], styles: Sequence[str], rng: np.random.Generator
    ) -> TowerInputs:
        takes = rng.integers(2**31, size=len(figures)).tolist()
        return self._tower.prepare_images(
            [
                self._query(figure, style, take)
                for figure, style, take in zip(figures, styles, takes, strict=True)
            ]
        )

    def _query(self, figure: GalleryFigure, style: str, take: int) -> Image.Image:
        """Return a query. Only a drawing on paper is seen from other places than its photo."""
        picture = figure.open()
        if style == ORIGINAL:
            return picture
        if figure.photo is not None and style != DRAWING:
            take = 0
        return query_picture(figure, picture, style, self._seed, take)

    def _prepare_words(
        self, figures: Sequence[GalleryFigure], rng: np.random.Generator
    ) -> TowerInputs:
        """Prepare the alt text or the caption of each figure, at random; "" if it has none."""
        choices = [[text for text in (f.alt, f.caption) if text] or [""] for f in figures]
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


def _copies(pooled_FC: Vectors, figures: Sequence[GalleryFigure]) -> NDArray[np.bool_]:
    """Return (F, F), true for two figures that are copies of each other, and on the diagonal."""
    names_F = np.array([figure.name for figure in figures])
    is_drawn_F = np.array([figure.photo is not None for figure in figures])
    alike_FF = pooled_FC @ pooled_FC.T > _COPY_COSINE
    alike_FF &= ~(is_drawn_F[:, None] & is_drawn_F)
    return np.asarray(alike_FF | (names_F[:, None] == names_F))


def _nearest_neighbours(pooled_FC: Vectors, figures: Sequence[GalleryFigure]) -> NDArray[np.int64]:
    """Return the indices (F, N) of each figure's nearest figures that are not copies."""
    cosine_FF = pooled_FC @ pooled_FC.T
    cosine_FF[_copies(pooled_FC, figures)] = -1
    count = min(_NEIGHBOURS, len(pooled_FC) - 1)
    return np.argpartition(-cosine_FF, count, axis=1)[:, :count]


def _style_names(query_styles: Iterable[str], has_words: bool) -> tuple[str, ...]:
    """Return ORIGINAL, the styles of `data.styles`, those with other names, and TEXT."""
    present = set(query_styles)
    seen = tuple(style for style in SEEN_STYLES if style in present)
    new = sorted(present - set(TRAINED_STYLES))
    return (ORIGINAL, *seen, *new, *((TEXT,) if has_words else ()))


def _draw_styles(
    styles: Sequence[str], figures: Sequence[GalleryFigure], rng: np.random.Generator
) -> list[str]:
    """Draw a style for each figure; a query that a person made has its own."""
    drawn = [styles[int(s)] for s in rng.integers(len(styles), size=len(figures))]
    return [
        style if figure.photo is None else figure.photo_style
        for style, figure in zip(drawn, figures, strict=True)
    ]


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
