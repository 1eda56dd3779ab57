"""Fit the answerability model on some books and measure its refusals on another.

    python -m benchmarks.answerability [--home DIR] [--corpora DIR]

Answerable are the questions that a book suggests itself: its terms in several wordings, objectives,
exercises, figures and statements (`unirag/evaluation/question_generation.py`). Unanswerable are
terms of other books that it never uses, questions of other books more than half of whose longer
words it never uses, and invented terms.

Near misses are unanswerable too: questions about the very subject of some passages that the book
does not answer, beside questions about the same passages that it does (benchmarks/explanations.py).

Words are fitted on a psychology and a statistics book, and measured on openstax-physics against an
anatomy and a statistics book; near misses are measured on an organic chemistry book, which no part
of the search was trained on. Pictures are fitted on the figures of the sample corpus, as a student
would bring them, against pictures of the statistics book. They are measured on figures of the
physics book against pictures of the anatomy book. No book is on both sides. Each model's bias is
shifted so that it refuses a fixed share of the answerable questions that it was fitted on. Writes
results/answerability.json.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

import data.sample
import unirag
from benchmarks.books import read_items
from benchmarks.checked_queries import load
from benchmarks.environment import BENCHMARKS, CORPORA, HOME, describe, write_results
from benchmarks.explanations import HELD_OUT_BOOK, Group, shared_groups
from benchmarks.query_pictures import RENDITIONS, render
from benchmarks.train_cross_encoders import training_groups
from data.pictures import open_picture
from data.records import Item, Query, QueryImage
from unirag.app import App
from unirag.evaluation.question_generation import (
    EvaluationQuestion,
    answerable_questions,
    unanswerable_questions,
)
from unirag.search.answerability import picture_features, word_features
from unirag.settings import Settings
from unirag.settings.search import AnswerabilitySettings, SearchSettings

SEED = 42
QUESTIONS_PER_KIND = 30
FITTING_BOOKS = ("openstax-psychology", "openstax-introductory-statistics-bundle")
FOREIGN_BOOK = "openstax-calculus-bundle"  # neither fitting book answers its terms
# The threshold refuses these shares of the answerable questions that it was fitted on.
REFUSED_WORDS, REFUSED_PICTURES = 0.05, 0.01
QUESTION_FORMS = (
    "What is {}?",
    "what is meant by {}",
    "Explain {} in simple words.",
    "How does {} work and why does it matter?",
    "can you tell me about {}",
    "{}",
)


class PictureQuestion(NamedTuple):
    """A query picture, and whether the corpus holds its figure."""

    path: Path
    answerable: bool


def suggested_questions(items: Iterable[Item], rng: random.Random) -> list[str]:
    """Return questions from the terms, objectives and exercises of a book, shuffled."""
    by_role: dict[str, list[str]] = {"term": [], "objective": [], "exercise": []}
    for item in sorted(items, key=lambda i: i.locator):
        if item.kind == "passage" and item.role in by_role and item.audience == "student":
            by_role[item.role] += questions_of_item(item, rng)
    samples = [
        rng.sample(sorted(set(questions)), min(len(set(questions)), QUESTIONS_PER_KIND))
        for questions in by_role.values()
    ]
    return [question for questions in samples for question in questions]


def questions_of_item(item: Item, rng: random.Random) -> list[str]:
    """Return the questions that a term, objective or exercise suggests."""
    if item.role == "term":
        term = item.title if 2 < len(item.title) < 40 and item.title.isascii() else ""
        return [rng.choice(QUESTION_FORMS).format(term)] if term else []
    lines = [line.removeprefix("- ").strip() for line in item.text.splitlines()]
    if item.role == "objective":
        return [t for t in lines if 30 < len(t) < 160 and not t.endswith(":")]
    first = lines[0] if lines else ""
    return [first] if 30 < len(first) < 200 and first.endswith("?") else []


def foreign_questions(
    books: Sequence[Path], corpus_text: str, count: int, rng: random.Random
) -> list[str]:
    """Return questions of other books with mostly words that `corpus_text` never uses."""
    corpus_words = _long_words(corpus_text)
    form_words = _long_words(" ".join(QUESTION_FORMS))
    pool = []
    for question in (q for book in books for q in suggested_questions(read_items(book), rng)):
        words = _long_words(question) - form_words
        if words and len(words - corpus_words) > len(words) / 2:
            pool.append(question)
    return rng.sample(pool, min(count, len(pool)))


def _long_words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{5,}", text.lower()))


def generate_questions(
    app: App, other_books: Sequence[Path], rng: random.Random
) -> tuple[list[EvaluationQuestion], list[EvaluationQuestion]]:
    """Return the questions that the only corpus of a home answers, and those it does not."""
    items = list(app.components.store.scan())
    answerable = answerable_questions(items, 2 * QUESTIONS_PER_KIND, SEED) + [
        EvaluationQuestion(text, "definition", section=("?",))
        for text in suggested_questions(items, rng)
    ]
    terms = [i for book in other_books for i in read_items(book) if i.role == "term"]
    corpus_text = "\n".join(f"{i.title} {i.text}" for i in items)
    foreign = foreign_questions(other_books, corpus_text, 2 * QUESTIONS_PER_KIND, rng)
    return answerable, [
        *unanswerable_questions(items, terms, 4 * QUESTIONS_PER_KIND, SEED),
        *(EvaluationQuestion(text, "other subject") for text in foreign),
    ]


def word_feature_matrix(
    app: App, questions: Sequence[EvaluationQuestion]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (Q, F) and the answerability (Q,) of some questions."""
    results = [app.search(q.text, limit=5) for q in questions]
    features = [
        word_features(result.hits, result.rarity, AnswerabilitySettings()) for result in results
    ]
    return np.array(features), np.array([q.answerable for q in questions])


def generate_picture_questions(
    app: App, foreign_book: Path, rng: random.Random, folder: Path
) -> list[PictureQuestion]:
    """Render each figure of the home as a student brings it, and as many of another book."""
    digests = sorted({i.image for i in app.components.store.scan() if i.image})
    foreign_pictures = sorted((foreign_book / "media").iterdir())
    questions: list[PictureQuestion] = []
    for digest, foreign in zip(digests, rng.sample(foreign_pictures, len(digests)), strict=True):
        figure = app.components.assets.path(digest)
        assert figure is not None
        for source, answerable in ((figure, True), (foreign, False)):
            rendition = rng.choice(sorted(RENDITIONS))
            path = folder / f"{len(questions)}"
            path.write_bytes(render(open_picture(source), rendition, source.name, SEED))
            questions.append(PictureQuestion(path, answerable))
    return questions


def picture_feature_matrix(
    app: App, questions: Sequence[PictureQuestion]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (Q, F) and the answerability (Q,) of some query pictures."""
    results = [app.search(Query(images=[QueryImage.from_file(q.path)]), limit=5) for q in questions]
    features = [picture_features(result.hits) for result in results]
    return np.array(features), np.array([q.answerable for q in questions])


def fit_weights(x_QF: np.ndarray, y_Q: np.ndarray, refused_share: float) -> tuple[float, ...]:
    """Fit logistic weights, bias first, so that 0.5 refuses `refused_share` of the answerable."""
    model = LogisticRegression(C=3.0, class_weight="balanced").fit(x_QF, y_Q)
    weights = (float(model.intercept_[0]), *map(float, model.coef_[0]))
    bias, *others = (round(w, 2) for w in weights)
    confidence_Q = model.predict_proba(x_QF[y_Q])[:, 1]
    threshold = float(np.quantile(confidence_Q, refused_share))
    shifted = bias - float(np.log(threshold / (1 - threshold)))
    return (round(shifted, 2), *others)


def explanation_questions(groups: Iterable[Group]) -> list[EvaluationQuestion]:
    """Return the questions of some groups: those that the evidence answers, and near misses."""
    questions = []
    for group in groups:
        questions.append(EvaluationQuestion(group.question, "explanation", section=("?",)))
        questions.append(EvaluationQuestion(group.unanswerable, "near miss"))
    return questions


def refusal_rates(refused: np.ndarray, answerable: np.ndarray) -> dict[str, float]:
    """Return precision and recall of the refusals, and the share of answerable ones refused."""
    correct = float((refused & ~answerable).sum())
    return {
        "questions": len(answerable),
        "unanswerable": int((~answerable).sum()),
        "refusal_precision": round(correct / max(1, int(refused.sum())), 3),
        "refusal_recall": round(correct / int((~answerable).sum()), 3),
        "answerable_refused": round(float((refused & answerable).sum() / answerable.sum()), 3),
    }


def measure_words(app: App, questions: Sequence[EvaluationQuestion]) -> dict[str, Any]:
    """Return the refusal rates with the settings of the home, and the refused share by kind."""
    refused = np.array([app.search(q.text, limit=5).no_good_match for q in questions])
    kinds = np.array([q.kind for q in questions])
    return {
        **refusal_rates(refused, np.array([q.answerable for q in questions])),
        "refused": {k: round(float(refused[kinds == k].mean()), 3) for k in sorted(set(kinds))},
    }


def measure_pictures(app: App, questions: Sequence[PictureQuestion]) -> dict[str, float]:
    """Return the refusal rates of query pictures with the settings of the home."""
    refused = [
        app.search(Query(images=[QueryImage.from_file(q.path)]), limit=5).no_good_match
        for q in questions
    ]
    return refusal_rates(np.array(refused), np.array([q.answerable for q in questions]))


def fit(
    books: Path, folder: Path, rng: random.Random
) -> tuple[AnswerabilitySettings, dict[str, Any]]:
    """Fit words on two books and pictures on the sample corpus.

    Returns the settings, which share the threshold 0.5, and the number of questions of each kind.
    """
    features, answerable = [], []
    groups = training_groups()
    for name in FITTING_BOOKS:
        other_books = [books / other for other in (*FITTING_BOOKS, FOREIGN_BOOK) if other != name]
        with unirag.open(home=folder / f"home-{name}", ocr=False) as app:
            app.index([books / name])
            answered, unanswered = generate_questions(app, other_books, rng)
            near = explanation_questions(g for g in groups if g.book == name)
            fitted = [*answered, *(q for q in unanswered if q.kind != "false premise"), *near]
            book_features, book_answerable = word_feature_matrix(app, fitted)
            features.append(book_features)
            answerable.append(book_answerable)
    words = fit_weights(np.concatenate(features), np.concatenate(answerable), REFUSED_WORDS)
    with unirag.open(home=folder / "sample", ocr=False) as app:
        app.index([Path(data.sample.__file__).parent])
        (folder / "pictures").mkdir()
        pictures = generate_picture_questions(
            app, books / FITTING_BOOKS[1], rng, folder / "pictures"
        )
        picture = fit_weights(*picture_feature_matrix(app, pictures), REFUSED_PICTURES)
    settings = AnswerabilitySettings(threshold=0.5, words=words, picture=picture)
    return settings, {"words": sum(map(len, answerable)), "pictures": len(pictures)}


def main() -> None:
    """Fit, measure and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME, help="home with openstax-physics")
    parser.add_argument("--corpora", type=Path, default=CORPORA, help="folder of the books")
    options = parser.parse_args()
    books = options.corpora
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fitted, sizes = fit(books, folder, rng)
        settings = Settings(
            home=options.home, ocr=False, search=SearchSettings(answerability=fitted)
        )
        near_settings = settings.model_copy(update={"home": folder / "home-held-out"})
        with App.open(near_settings) as app:
            app.index([books / HELD_OUT_BOOK])
            held_out = (g for g in shared_groups() if g.book == HELD_OUT_BOOK)
            near_misses = measure_words(app, explanation_questions(held_out))
        with App.open(settings) as app:
            checked = [
                EvaluationQuestion(q.text, "checked", section=("?",))
                for q in load(BENCHMARKS / "queries" / "physics.yaml")[1]
                if not q.picture
            ]
            other_books = [
                books / "openstax-anatomy-physiology",
                books / "openstax-introductory-statistics-bundle",
            ]
            answered, unanswered = generate_questions(app, other_books, rng)
            (folder / "test").mkdir()
            pictures = generate_picture_questions(app, other_books[0], rng, folder / "test")
            pictures = rng.sample(pictures, min(200, len(pictures)))
            results = {
                **describe(["scikit-learn", "transformers", "qdrant-edge-py"]),
                "seed": SEED,
                "fitted on": sizes,
                "fitted": fitted.model_dump(),
                "near misses, on organic chemistry": near_misses,
                "words, on physics": measure_words(app, [*checked, *answered, *unanswered]),
                "pictures, on physics": measure_pictures(app, pictures),
            }
    print(write_results("answerability", results))


if __name__ == "__main__":
    main()
