"""Batches for training: figures as they are, restyled, and in words.

B batch, F figures, V views, T patches, C channels, G Gram features, S sentence width.
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
_SAME = 0.97  # cosine of pooled features: above it stand copies, other crops, other colours
_NEAR = 8


@dataclass(frozen=True)
class TrainingBatch:
    """Row i of each part is the same figure."""

    query: TowerInputs
    original: TowerInputs
    words: TowerInputs
    style_B: Tensor  # int64, numbers of the queries' styles in TRAINED_STYLES
    same_BB: Tensor  # bool, true where two figures are copies of each other

    def to(self, device: torch.device | str) -> TrainingBatch:
        return TrainingBatch(
            self.query.to(device),
            self.original.to(device),
            self.words.to(device),
            self.style_B.to(device),
            self.same_BB.to(device),
        )


class Pairs(Protocol):
    """Training data; the same `rng` gives the same batch."""

    def __len__(self) -> int: ...

    def batch(self, size: int, hard: float, rng: np.random.Generator) -> TrainingBatch:
        """`size` figures, a share `hard`, at most a half, near neighbours of the others."""
        ...

    def sample_style(self, style: str, count: int, rng: np.random.Generator) -> TowerInputs:
        """`count` pictures of one style, or texts for TEXT."""
        ...

    def sample_figures(self, count: int, rng: np.random.Generator) -> TowerInputs:
        """`count` pictures of any style, to measure features on."""
        ...


class CachedPairs:
    """From views on disk, for towers that stand on the frozen CNN's patches.

    `words` (F, 2, S) holds sentence vectors of alt text and caption, NaN where there is none.
    `kept` leaves out figures, such as copies of those in a test book. Queries are drawn from
    `styles`: of `data.styles`, or ORIGINAL.
    """

    def __init__(
        self,
        books: Sequence[Views],
        words: Sequence[NDArray[np.float32]],
        kept: Sequence[NDArray[np.bool_]],
        styles: Sequence[str] = SEEN_STYLES,
    ) -> None:
        self.styles = tuple(styles)
        self._books = books
        self._words = words
        self._rows = [
            (book, int(row)) for book, mask in enumerate(kept) for row in np.flatnonzero(mask)
        ]
        if not self._rows:
            raise BadInput(
                "no figure is left to train on: each has neither alt text nor caption, or stands "
                "in a held-out book; add other books"
            )
        self.deep_FC = np.concatenate(
            [pooled_features(v)[m] for v, m in zip(books, kept, strict=True)]
        )
        self._near_FN = _neighbours(self.deep_FC)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, size: int, hard: float, rng: np.random.Generator) -> TrainingBatch:
        chosen = _choose(len(self), size, hard, self._near_FN, rng)
        styles = _drawn(self.styles, len(chosen), rng)
        queries, words = [], []
        for i, style in zip(chosen, styles, strict=True):
            book, row = self._rows[i]
            takes = self._books[book].indices_of(style)
            queries.append((book, row, takes[int(rng.integers(len(takes)))]))
            words.append(_first(rng.permutation(self._words[book][row])))
        rows = [self._rows[i] for i in chosen]
        originals = [(b, r, self._books[b].indices_of(ORIGINAL)[0]) for b, r in rows]
        words_BS = torch.from_numpy(np.stack(words))
        deep_BC = self.deep_FC[chosen]
        return TrainingBatch(
            self._looked(queries),
            self._looked(originals),
            TowerInputs(words_BS, words_BS),
            torch.tensor([TRAINED_STYLES.index(s) for s in styles]),
            torch.from_numpy(deep_BC @ deep_BC.T > _SAME),
        )

    def sample_style(self, style: str, count: int, rng: np.random.Generator) -> TowerInputs:
        rows = [self._rows[int(i)] for i in rng.integers(len(self), size=count)]
        if style == TEXT:
            said = torch.from_numpy(np.stack([_first(self._words[b][r]) for b, r in rows]))
            return TowerInputs(said, said)
        return self._looked([(b, r, self._books[b].indices_of(style)[0]) for b, r in rows])

    def sample_figures(self, count: int, rng: np.random.Generator) -> TowerInputs:
        rows = [self._rows[int(i)] for i in rng.integers(len(self), size=count)]
        return self._looked([(b, r, int(rng.integers(len(self._books[b].kinds)))) for b, r in rows])

    def _looked(self, places: Sequence[tuple[int, int, int]]) -> TowerInputs:
        patches = np.stack([self._books[b].patches_FVTC[r, v] for b, r, v in places])
        gram = np.stack([self._books[b].gram_FVG[r, v] for b, r, v in places])
        return TowerInputs(torch.from_numpy(patches).float(), torch.from_numpy(gram))


class PicturePairs:
    """From pictures, restyled as they are asked for: for towers that take pixels."""

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

    def batch(self, size: int, hard: float, rng: np.random.Generator) -> TrainingBatch:
        """Neighbours are not known before the tower is trained: `hard` is left aside."""
        chosen = _choose(len(self), size, 0.0, None, rng)
        figures = [self._figures[i] for i in chosen]
        styles = _drawn(self.styles, len(chosen), rng)
        return TrainingBatch(
            self._restyled(figures, styles, rng),
            self._restyled(figures, [ORIGINAL] * len(figures), rng),
            self._read(figures, rng),
            torch.tensor([TRAINED_STYLES.index(s) for s in styles]),
            torch.eye(len(figures), dtype=torch.bool),
        )

    def sample_style(self, style: str, count: int, rng: np.random.Generator) -> TowerInputs:
        figures = [self._figures[int(i)] for i in rng.integers(len(self), size=count)]
        if style == TEXT:
            return self._read(figures, rng)
        return self._restyled(figures, [style] * count, rng)

    def sample_figures(self, count: int, rng: np.random.Generator) -> TowerInputs:
        figures = [self._figures[int(i)] for i in rng.integers(len(self), size=count)]
        return self._restyled(figures, _drawn((ORIGINAL, *self.styles), count, rng), rng)

    def _restyled(
        self, figures: Sequence[GalleryFigure], styles: Sequence[str], rng: np.random.Generator
    ) -> TowerInputs:
        takes = rng.integers(2**31, size=len(figures)).tolist()
        return self._tower.prepare_images(
            [
                f.open() if s == ORIGINAL else restyle(f.open(), s, f.name, self._seed, take)
                for f, s, take in zip(figures, styles, takes, strict=True)
            ]
        )

    def _read(self, figures: Sequence[GalleryFigure], rng: np.random.Generator) -> TowerInputs:
        said = [[text for text in (f.alt, f.caption) if text] for f in figures]
        return self._tower.prepare_texts([texts[int(rng.integers(len(texts)))] for texts in said])


def _first(words_NS: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first row that is there."""
    return np.asarray(words_NS[~np.isnan(words_NS[:, 0])][0])


def pooled_features(views: Views) -> Vectors:
    """(F, 1280) unit vectors: the CNN's pooled last grid of each original."""
    original = views.indices_of(ORIGINAL)[0]
    pooled = [
        np.asarray(views.patches_FVTC[f, original, :, : TAPS[0]], np.float32).mean(0)
        for f in range(len(views))
    ]
    return normalize_rows(np.stack(pooled))


def _neighbours(deep_FC: Vectors) -> NDArray[np.int64]:
    """(F, N) numbers of the nearest figures that are no copies."""
    cosine_FF = deep_FC @ deep_FC.T
    cosine_FF[cosine_FF > _SAME] = -1
    count = min(_NEAR, len(deep_FC) - 1)
    return np.argpartition(-cosine_FF, count, axis=1)[:, :count]


def _drawn(styles: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    return [styles[int(s)] for s in rng.integers(len(styles), size=count)]


def _choose(
    total: int,
    size: int,
    hard: float,
    near_FN: NDArray[np.int64] | None,
    rng: np.random.Generator,
) -> list[int]:
    size = min(size, total)
    order = rng.permutation(total).tolist()
    anchors = order[: max(1, size - round(hard * size))]
    chosen = dict.fromkeys(anchors)
    for i in anchors:
        if near_FN is None or len(chosen) >= size:
            break
        chosen[int(rng.choice(near_FN[i]))] = None
    # Two figures may have drawn the same neighbour: others take the places that are left.
    for i in order:
        if len(chosen) >= size:
            break
        chosen[i] = None
    return list(chosen)
