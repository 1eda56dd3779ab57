"""Views are computed once, by worker processes, and completed after a kill."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.figure_gallery import GalleryFigure
from data.styles import restyle
from retrieval.efficientnet import GRAM, PATCHES, TAPS, EfficientNetLite0
from retrieval.encoder import ORIGINAL
from retrieval.training import views as module
from retrieval.training.views import Views, compute_views

KINDS = ((ORIGINAL, 0), ("sketch", 0), ("sketch", 1))


def _figures(count: int) -> list[GalleryFigure]:
    figures = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 50, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((200, 240)).save(buffer, "PNG")
        figures.append(GalleryFigure(f"figure {number}", buffer.getvalue(), "", "", ""))
    return figures


def test_indices_of_the_views_of_a_style():
    views = Views(_figures(2), KINDS, np.zeros((2, 3, 1, 1)), np.zeros((2, 3, 1)))
    assert len(views) == 2
    assert (views.indices_of("sketch"), views.indices_of(ORIGINAL), views.indices_of("art")) == (
        [1, 2],
        [0],
        [],
    )


def test_an_unknown_style_fails_an_assertion(tmp_path):
    with pytest.raises(AssertionError, match="fresco"):
        compute_views(_figures(1), (("fresco", 0),), 0, tmp_path, tmp_path)


def _no_workers(*_: object) -> None:
    raise AssertionError("no view is left to compute")


def _threads(workers, context, start, arguments) -> ThreadPoolExecutor:
    """Replaces processes, which take seconds to start."""
    return ThreadPoolExecutor(workers, "", start, arguments)


def _overwrite(folder: Path, name: str, row: int, value: object) -> None:
    np.load(folder / f"{name}.npy", mmap_mode="r+")[row] = value


def test_of_two_processes_that_start_together_one_computes(tmp_path, monkeypatch):
    computed: list[int] = []

    def run(units, _figures, _kinds, _seed, _cnn, arrays, _workers):
        for unit in units:
            time.sleep(0.05)
            for row in unit:
                _overwrite(arrays, "done", row, True)
            computed.extend(unit)
            yield len(unit)

    monkeypatch.setattr(module, "_run_workers", run)
    figures = _figures(6)
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(compute_views, figures, KINDS, 0, tmp_path, tmp_path / "views")
            for _ in range(2)
        ]
        assert [len(call.result()) for call in calls] == [6, 6]
    assert computed == list(range(6))


@pytest.mark.models
def test_views_are_features_of_the_cnn_and_are_computed_once(models, tmp_path, monkeypatch):
    cnn, figures = models / "efficientnet-lite0", _figures(5)
    progress: list[tuple[int, int]] = []

    def compute(report=lambda *_: None):
        return compute_views(figures, KINDS, 3, cnn, tmp_path, workers=1, progress=report)

    views = compute(lambda *counts: progress.append(counts))
    assert progress == [(4, 5), (5, 5)]
    assert views.patches_FVTC.shape == (5, 3, PATCHES, sum(TAPS))
    assert views.gram_FVG.shape == (5, 3, GRAM)
    assert not views.patches_FVTC.flags.writeable
    tower = EfficientNetLite0(cnn)
    pictures = [
        figures[4].open(),
        *(restyle(figures[4].open(), "sketch", "figure 4", 3, n) for n in (0, 1)),
    ]
    expected = tower.extract(tower.preprocess(pictures))
    actual = torch.from_numpy(views.patches_FVTC[4].astype(np.float32))
    # fp16 on disk, and the workers' threads sum in another order
    torch.testing.assert_close(actual, expected.patches_BTC, atol=2e-3, rtol=2e-3)
    gram = torch.from_numpy(np.array(views.gram_FVG[4]))
    torch.testing.assert_close(gram, expected.gram_BG, atol=1e-3, rtol=1e-3)
    assert not np.allclose(views.gram_FVG[:, 1], views.gram_FVG[:, 2], atol=1e-3)

    # After a kill one figure is not done. The finished ones are not computed again.
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    original = np.array(views.patches_FVTC)
    _overwrite(folder, "done", 1, False)
    _overwrite(folder, "patches", 1, 0)
    _overwrite(folder, "patches", 2, 7)
    progress.clear()
    monkeypatch.setattr(module, "ProcessPoolExecutor", _threads)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    resumed = compute(lambda *counts: progress.append(counts))
    assert progress == [(5, 5)]
    again = np.asarray(resumed.patches_FVTC[1], np.float32)
    np.testing.assert_allclose(again, original[1].astype(np.float32), atol=0.02, rtol=2e-3)
    assert (resumed.patches_FVTC[2] == 7).all()

    monkeypatch.setattr(module, "_run_workers", _no_workers)
    compute()
    with pytest.raises(AssertionError, match="no view is left"):
        compute_views(figures, KINDS, 4, cnn, tmp_path)  # another seed is another folder
