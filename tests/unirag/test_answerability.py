"""The answerability model accepts hits that answer the question and refuses false premises."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.records import Hit, Item
from generation.words import stem, stems
from unirag.search.answerability import confidence, question_words
from unirag.settings.search import AnswerabilitySettings

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "answerability.json"


def hit(title: str, words: str, **scores: float) -> Hit:
    return Hit(Item(title, "passage", "c", f"s#{title}", title, words), 1.0, scores)  # type: ignore[arg-type]


def confidence_of(question: str, *hits: Hit, picture: bool = False) -> float:
    """Return the confidence if all words of the hits are equally rare."""
    hit_words = stems(" ".join(f"{h.item.title} {h.item.text}" for h in hits))
    rarity = {w: 5.0 if stem(w) in hit_words else 0.0 for w in question_words(question, 24)}
    return confidence(question, hits, rarity, has_picture=picture, settings=AnswerabilitySettings())


def test_the_default_weights_are_the_ones_that_the_benchmark_fitted() -> None:
    fitted = json.loads(RESULTS.read_text())["fitted"]
    assert AnswerabilitySettings(**fitted) == AnswerabilitySettings()


def test_a_similar_hit_with_the_words_of_the_question_is_a_good_match() -> None:
    matching_hit = hit("Refraction", "Light bends when it enters glass.", text=0.75, bm25=20.0)
    other_hit = hit("Cells", "Mitochondria release energy.", text=0.1, bm25=0.0)
    assert confidence_of("why does light bend in glass", matching_hit, other_hit) > 0.9
    assert confidence_of("who won the football world cup", other_hit) < 0.1


def test_no_hits_are_no_match() -> None:
    assert confidence_of("anything") == 0.0
    assert confidence("", [], {}, has_picture=True, settings=AnswerabilitySettings()) == 0.0


@pytest.mark.parametrize(
    ("best", "second", "is_good_match"), [(0.95, 0.6, True), (0.45, 0.44, False)]
)
def test_pictures_are_judged_by_similarity_and_margin(
    best: float, second: float, is_good_match: bool
) -> None:
    hits = [hit("a", "x", image=best), hit("b", "y", image=second)]
    assert (confidence_of("", *hits, picture=True) > 0.5) is is_good_match


LAWS = [
    hit("Force", "The net force equals the mass of a body times its acceleration.", text=0.9),
    hit("Torque", "A torque turns a wheel of 3 kg about its axis.", text=0.8),
]


@pytest.mark.parametrize(
    ("question", "is_good_match"),
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
def test_a_premise_that_changes_a_sentence_of_the_sources_is_refused(
    question: str, is_good_match: bool
) -> None:
    assert (confidence_of(question, *LAWS) > 0.5) is is_good_match


def test_a_source_that_holds_the_whole_premise_makes_it_true() -> None:
    question = "Why does the net torque equal the mass of a body times its acceleration?"
    source = hit(
        "Odd", "The net torque equals the mass of a body times its acceleration.", text=0.8
    )
    assert confidence_of(question, *LAWS, source) > 0.5


def test_an_invented_term_is_refused() -> None:
    weak_hits = [replace(h, channels={"text": 0.5}) for h in LAWS]
    assert confidence_of("Explain the skaxkliflioic torque law in simple words.", *weak_hits) < 0.5
    assert confidence_of("Explain torque in simple words.", *weak_hits) > 0.5
