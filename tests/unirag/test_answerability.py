"""The answerability model accepts hits that answer the question and refuses the others."""

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


def hit(title: str, words: str, relevance: float = 0.0, **scores: float) -> Hit:
    item = Item(title, "passage", "c", f"s#{title}", title, words)
    return Hit(item, 1.0, scores, relevance=relevance)  # type: ignore[arg-type]


def confidence_of(question: str, *hits: Hit, picture: bool = False) -> float:
    """Return the confidence if all words of the hits are equally rare."""
    hit_words = stems(" ".join(f"{h.item.title} {h.item.text}" for h in hits))
    rarity = {w: 5.0 if stem(w) in hit_words else 0.0 for w in question_words(question, 24)}
    return confidence(question, hits, rarity, has_picture=picture, settings=AnswerabilitySettings())


def test_the_default_weights_are_the_ones_that_the_benchmark_fitted() -> None:
    fitted = json.loads(RESULTS.read_text())["fitted"]
    assert AnswerabilitySettings(**fitted) == AnswerabilitySettings()


def test_a_similar_hit_with_the_words_of_the_question_is_a_good_match() -> None:
    matching_hit = hit("Refraction", "Light bends when it enters glass.", 0.95, text=0.75)
    other_hit = hit("Cells", "Mitochondria release energy.", 0.01, text=0.1)
    assert confidence_of("why does light bend in glass", matching_hit, other_hit) > 0.9
    assert confidence_of("who won the football world cup", other_hit) < 0.1


def test_no_hits_are_no_match() -> None:
    assert confidence_of("anything") == 0.0
    assert confidence("", [], {}, has_picture=True, settings=AnswerabilitySettings()) == 0.0


@pytest.mark.parametrize(
    ("best", "second", "is_good_match"), [(0.95, 0.6, True), (0.4, 0.39, False)]
)
def test_pictures_are_judged_by_similarity_and_margin(
    best: float, second: float, is_good_match: bool
) -> None:
    hits = [hit("a", "x", image=best), hit("b", "y", image=second)]
    assert (confidence_of("", *hits, picture=True) > 0.5) is is_good_match


LAWS = [
    hit("Force", "The net force equals the mass of a body times its acceleration.", 0.9, text=0.9),
    hit("Torque", "A torque turns a wheel of 3 kg about its axis.", 0.9, text=0.8),
]


def test_an_invented_term_is_refused() -> None:
    weak_hits = [replace(h, channels={"text": 0.5}, relevance=0.5) for h in LAWS]
    assert confidence_of("Explain the skaxkliflioic torque law in simple words.", *weak_hits) < 0.5
    assert confidence_of("Explain torque in simple words.", *weak_hits) > 0.5
