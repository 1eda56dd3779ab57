"""Questions in English pass; questions that are surely in another language are told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generation.language import LanguageDetector

INTENTS = Path(__file__).resolve().parents[2] / "generation" / "intents.json"


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector()


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Warum bricht sich das Licht?", "de"),
        ("¿Qué es la fotosíntesis?", "es"),
        ("Pourquoi le ciel est-il bleu ?", "fr"),
        ("Come funziona un enzima?", "it"),
        ("что такое фотосинтез?", "ru"),
        ("什么是光合作用?", "zh"),
        ("ما هو التمثيل الضوئي؟", "ar"),
        ("What is the period of a pendulum?", "en"),
    ],
)
def test_the_language_of_a_question(
    detector: LanguageDetector, question: str, language: str
) -> None:
    assert detector.language(question) == language


@pytest.mark.parametrize(
    "text", ["photosynthesis", "F = ma", "pH", "E. coli", "123", "", "lac operon"]
)
def test_a_name_or_a_formula_has_no_certain_language(detector: LanguageDetector, text: str) -> None:
    assert detector.language(text) in (None, "en")


def test_no_english_message_counts_as_another_language(detector: LanguageDetector) -> None:
    messages = [m for examples in json.loads(INTENTS.read_text()).values() for m in examples]
    assert len(messages) == 400
    assert {detector.language(message) for message in messages} <= {None, "en"}
