from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.records import Hit, Item
from unirag.judge import JudgeSettings, confidence

MEASURED = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "judge.json"


def hit(name: str, words: str, **channels: float) -> Hit:
    return Hit(Item(name, "passage", "c", f"s#{name}", name, words), 1.0, channels)  # type: ignore[arg-type]


def sure(asked: str, *hits: Hit, picture: bool = False) -> float:
    return confidence(asked, hits, has_picture=picture, settings=JudgeSettings())


def test_the_weights_are_those_that_the_benchmark_fitted() -> None:
    fitted = json.loads(MEASURED.read_text())["fitted"]
    assert JudgeSettings(**fitted) == JudgeSettings()


def test_a_hit_that_holds_the_words_and_is_near_is_good() -> None:
    near = hit("Refraction", "Light bends when it enters glass.", text=0.75, bm25=20.0)
    far = hit("Cells", "Mitochondria release energy.", text=0.1, bm25=0.0)
    assert sure("why does light bend in glass", near, far) > 0.9
    assert sure("who won the football world cup", far) < 0.1


def test_nothing_found_is_no_match() -> None:
    assert sure("anything") == 0.0
    assert confidence("", [], has_picture=True, settings=JudgeSettings()) == 0.0


@pytest.mark.parametrize(("best", "second", "good"), [(0.95, 0.6, True), (0.45, 0.44, False)])
def test_pictures_are_judged_by_likeness_and_margin(best: float, second: float, good: bool) -> None:
    hits = [hit("a", "x", image=best), hit("b", "y", image=second)]
    assert (sure("", *hits, picture=True) > 0.5) is good
