from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.records import Hit, Item
from generation.words import stem, stems
from unirag.search.answerability import asked_words, confidence
from unirag.settings.search import AnswerabilitySettings

MEASURED = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "judge.json"


def hit(name: str, words: str, **channels: float) -> Hit:
    return Hit(Item(name, "passage", "c", f"s#{name}", name, words), 1.0, channels)  # type: ignore[arg-type]


def sure(asked: str, *hits: Hit, picture: bool = False) -> float:
    """Each word as rare as any other, where some hit has it."""
    held = stems(" ".join(f"{h.item.title} {h.item.text}" for h in hits))
    rarity = {word: 5.0 if stem(word) in held else 0.0 for word in asked_words(asked)}
    return confidence(asked, hits, rarity, has_picture=picture, settings=AnswerabilitySettings())


def test_the_weights_are_those_that_the_benchmark_fitted() -> None:
    fitted = json.loads(MEASURED.read_text())["fitted"]
    assert AnswerabilitySettings(**fitted) == AnswerabilitySettings()


def test_a_hit_that_holds_the_words_and_is_near_is_good() -> None:
    near = hit("Refraction", "Light bends when it enters glass.", text=0.75, bm25=20.0)
    far = hit("Cells", "Mitochondria release energy.", text=0.1, bm25=0.0)
    assert sure("why does light bend in glass", near, far) > 0.9
    assert sure("who won the football world cup", far) < 0.1


def test_nothing_found_is_no_match() -> None:
    assert sure("anything") == 0.0
    assert confidence("", [], {}, has_picture=True, settings=AnswerabilitySettings()) == 0.0


@pytest.mark.parametrize(("best", "second", "good"), [(0.95, 0.6, True), (0.45, 0.44, False)])
def test_pictures_are_judged_by_likeness_and_margin(best: float, second: float, good: bool) -> None:
    hits = [hit("a", "x", image=best), hit("b", "y", image=second)]
    assert (sure("", *hits, picture=True) > 0.5) is good


LAWS = [
    hit("Force", "The net force equals the mass of a body times its acceleration.", text=0.9),
    hit("Torque", "A torque turns a wheel of 3 kg about its axis.", text=0.8),
]


@pytest.mark.parametrize(
    ("asked", "good"),
    [
        ("Why is it that the net force equals the mass of a body times its acceleration?", True),
        ("Why does the net torque equal the mass of a body times its acceleration?", False),
        ("Why does a torque turn a wheel of 3 kg about its axis?", True),
        ("Why does a torque turn a wheel of 9 kg about its axis?", False),
        ("What equals the mass of a body times its acceleration?", True),
        ("Net force equals mass of a body times its ____.\n(a) torque\n(b) acceleration", True),
        ("Net force equals mass of a body times its ____, a torque.", False),
    ],
)
def test_what_the_sources_say_of_something_else_is_no_premise(asked: str, good: bool) -> None:
    assert (sure(asked, *LAWS) > 0.5) is good


def test_a_source_that_says_all_of_it_settles_the_doubt() -> None:
    asked = "Why does the net torque equal the mass of a body times its acceleration?"
    whole = hit("Odd", "The net torque equals the mass of a body times its acceleration.", text=0.8)
    assert sure(asked, *LAWS, whole) > 0.5


def test_a_term_that_nobody_uses_is_not_answered() -> None:
    far = [replace(h, channels={"text": 0.5}) for h in LAWS]
    assert sure("Explain the skaxkliflioic torque law in simple words.", *far) < 0.5
    assert sure("Explain torque in simple words.", *far) > 0.5
