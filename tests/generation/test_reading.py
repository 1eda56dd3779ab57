"""What the shipped text models read: support, relevance, feedback. Skips without the models."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from data.chunking import ItemDraft, chunk
from data.readers.markdown import MarkdownReader
from data.records import Answer, Hit, Item, Sentence
from data.sentences import split_sentences
from generation.answer import Answerer
from generation.evidence import Evidence
from generation.grounding import Grounder
from generation.settings import AnswerSettings
from generation.tasks import EXPLAIN, TaskRequest
from generation.text_models import TextModels
from retrieval.cross_encoder import ENTAILMENT_WEIGHTS, RERANKER_WEIGHTS, CrossEncoder
from retrieval.sentence_retriever import SentenceRetriever
from tests.generation.answering import PENDULUM, Script, hit
from unirag.models.profiles import PROFILES

CARDS = Path(__file__).parents[2] / "data" / "sample" / "cards"
CARD_SENTENCES = json.loads((Path(__file__).parent / "card_sentences.json").read_text())


@pytest.fixture(scope="module")
def reading(models: Path) -> TextModels:
    """The text models of profile `mini`."""
    trunk = models / PROFILES["mini"].text.name
    return TextModels(
        SentenceRetriever("minilm", trunk).encode_passages,
        CrossEncoder.over_trunk(RERANKER_WEIGHTS, trunk).score,
        CrossEncoder.over_trunk(ENTAILMENT_WEIGHTS, trunk).score,
    )


def grounder_of(reading: TextModels, *texts: str, support: float | None = None) -> Grounder:
    """Return a grounder whose sources have these texts, with its own limit of support if given."""
    evidence = []
    for label, text in enumerate(texts, 1):
        sentences = tuple(split_sentences(text))
        item = Item(str(label), "passage", "c", f"s#{label}", "", text)
        evidence.append(Evidence(label, item, sentences, reading.embed(sentences), text))
    settings = AnswerSettings().grounding
    if support is not None:
        settings = settings.model_copy(update={"support": support})
    return Grounder(evidence, reading, settings)


def check(reading: TextModels, source: str, text: str) -> Sentence | None:
    """Return the sentence if `source` supports it."""
    return grounder_of(reading, source).check(text)


def test_most_wrong_sentences_about_the_cards_are_dropped(reading: TextModels) -> None:
    passed: dict[bool, list[bool]] = defaultdict(list)
    for card in sorted({row["card"] for row in CARD_SENTENCES}):
        (document,) = MarkdownReader().documents(CARDS / card, CARDS)
        items = [d.item for d in chunk(document, "c") if isinstance(d, ItemDraft)]
        texts = (" ".join(item.text.split()) for item in items)
        grounder = grounder_of(reading, *texts, support=AnswerSettings().small.support)
        for row in CARD_SENTENCES:
            if row["card"] == card:
                passed[row["supported"]].append(grounder.check(row["text"]) is not None)
    assert len(passed[False]) >= 60
    shares = {supported: sum(values) / len(values) for supported, values in passed.items()}
    assert shares[False] <= 0.03
    assert shares[True] >= 0.05


def test_a_small_model_cannot_equate_what_the_book_tells_apart(reading: TextModels) -> None:
    weight = (
        "Mass is the amount of matter in an object; weight is the force of attraction between two "
        "objects. An object’s mass m does not change but its weight mg can. Because weight depends "
        "on the force of gravity, a 1.0-kg mass weighs 9.8 N on Earth and only 1.7 N on the moon."
    )
    grounder = grounder_of(reading, weight, support=AnswerSettings().small.support)
    assert grounder.check('The answer is: "Yes, mass is the same as weight."') is None
    assert grounder.check("Mass is the same as weight.") is None


@pytest.mark.parametrize(
    "text",
    [
        "Kinetic energy does not grow with the square of the speed of a body.",
        "Kinetic energy shrinks with the square of the speed of a moving body.",
        "Kinetic energy equals mass times acceleration.",
    ],
)
def test_a_sentence_that_turns_the_source_round_is_dropped(reading: TextModels, text: str) -> None:
    source = "Kinetic energy grows with the square of the speed of a moving body."
    assert check(reading, source, source)
    assert check(reading, source, text) is None


def answer(
    reading: TextModels, question: str, hits: list[Hit], task: TaskRequest = EXPLAIN
) -> Answer:
    answerer = Answerer(Script(""), reading, AnswerSettings())
    vector = reading.embed([question])[0]
    *_, last = answerer.stream(question, hits, question_vector=vector, task=task)
    assert isinstance(last, Answer)
    return last


def test_the_definition_of_the_term_comes_first(reading: TextModels) -> None:
    hits = [
        hit("Uses", "A wrench limits the torque of a motor."),
        hit("torque", "torque: turning effect of a force about an axis", role="term"),
    ]
    assert answer(reading, "What is torque?", hits).sentences[0].citations == ("torque",)


def test_both_of_two_compared_terms_are_defined(reading: TextModels) -> None:
    terms = [
        hit("mass", "mass: the quantity of matter in a body", role="term"),
        hit("weight", "weight: the force of gravity on a body", role="term"),
        hit("text", "People speak of weight between meals."),
    ]
    found = answer(reading, "What is the difference between mass and weight?", terms)
    assert {("mass",), ("weight",)} <= {s.citations for s in found.sentences}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("The period of a pendulum depends on its length.", "Right: "),
        ("The mass of the bob does not change the period.", "Right: "),
        ("The mass of the bob changes the period of a pendulum.", "Wrong: "),
        ("On the Moon the pendulum swings about 3.5 times more slowly.", "Wrong. The sources give"),
        ("Napoleon was born in Corsica.", "The sources do not say this: "),
    ],
)
def test_feedback_says_right_or_wrong_and_shows_the_source(
    reading: TextModels, text: str, verdict: str
) -> None:
    task = TaskRequest("feedback", student_answer=text)
    comment = answer(reading, "What sets the period of a pendulum?", PENDULUM, task).sentences[0]
    assert comment.text.startswith(verdict)
    assert text in comment.text
    assert comment.citations
