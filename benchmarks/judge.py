"""Fit the judge of "no good match" on one book and measure it on another.

    python -m benchmarks.judge [--home DIR] [--corpora DIR]

Fitted on the first modules of a chemistry book: questions about its own glossary terms should find
something, questions about terms of a psychology and of a statistics book that its text never uses
should not. Measured on openstax-physics: the hand-checked queries against terms of an anatomy and of
an organic chemistry book that the physics book never uses. No book is on both sides.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import unirag
from benchmarks.checked_queries import load
from benchmarks.environment import CORPORA, HERE, HOME, describe
from data.chunking import Draft, chunk
from data.readers.cnxml import CnxmlReader
from unirag.app import App
from unirag.judge import JudgeSettings, confidence, word_features

SEED = 42
MODULES = 45
FORMS = (
    "What is {}?",
    "what is meant by {}",
    "Explain {} in simple words.",
    "How does {} work and why does it matter?",
    "can you tell me about {}",
    "{}",
)


@dataclass(frozen=True)
class Question:
    text: str
    answerable: bool


def terms(book: Path, limit: int | None = None) -> list[str]:
    """Glossary terms of a book, two letters or more, in reading order."""
    found = []
    for document in CnxmlReader().documents(book, book):
        for draft in chunk(document, "x"):
            if isinstance(draft, Draft) and draft.item.role == "term":
                found.append(draft.item.title)
        if limit and len(found) >= limit:
            break
    return [t for t in dict.fromkeys(found) if len(t) > 2 and t.isascii()]


def foreign(books: Sequence[Path], text: str, count: int, draw: random.Random) -> list[str]:
    """Terms of `books` none of whose longer words occurs in `text`."""
    known = set(text.lower().split())
    pool = [
        term
        for book in books
        for term in terms(book)
        if not {w for w in term.lower().split() if len(w) > 4} & known
    ]
    return draw.sample(pool, min(count, len(pool)))


def ask_about(names: Sequence[str], answerable: bool, draw: random.Random) -> Iterator[Question]:
    for name in names:
        yield Question(draw.choice(FORMS).format(name), answerable)


def features(app: App, questions: Sequence[Question]) -> tuple[np.ndarray, np.ndarray]:
    rows = [word_features(q.text, app.search(q.text, limit=5).hits) for q in questions]
    return np.array(rows), np.array([q.answerable for q in questions])


def all_text(app: App) -> str:
    return "\n".join(f"{i.title} {i.text}" for i in app.store.scan())


def part_of(book: Path, modules: int, target: Path) -> Path:
    """A repository of the first modules, without pictures."""
    (target / "modules").mkdir(parents=True)
    shutil.copytree(book / "META-INF", target / "META-INF")
    shutil.copytree(book / "collections", target / "collections")
    for document in list(CnxmlReader().documents(book, book))[:modules]:
        place = target / document.source
        place.parent.mkdir(parents=True)
        shutil.copyfile(document.path, place)
    return target


def measured(settings: JudgeSettings, app: App, questions: Sequence[Question]) -> dict[str, float]:
    """Precision and recall of the refusal: how often a refusal is right, and how many are made."""
    refused = np.array(
        [
            confidence(
                q.text, app.search(q.text, limit=5).hits, has_picture=False, settings=settings
            )
            < settings.threshold
            for q in questions
        ]
    )
    unanswerable = np.array([not q.answerable for q in questions])
    right = float((refused & unanswerable).sum())
    return {
        "questions": len(questions),
        "unanswerable": int(unanswerable.sum()),
        "refusal_precision": round(right / max(1, refused.sum()), 3),
        "refusal_recall": round(right / unanswerable.sum(), 3),
        "answerable_refused": round(
            float((refused & ~unanswerable).sum() / (~unanswerable).sum()), 3
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--home", type=Path, default=HOME, help="home with openstax-physics")
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    options = parser.parse_args()
    books = options.corpora
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        book = part_of(books / "openstax-chemistry-bundle", MODULES, Path(folder) / "chemistry")
        with unirag.open(home=Path(folder) / "home", ocr=False) as app:
            app.index([book])
            own = [i.title for i in app.store.scan() if i.role == "term" and len(i.title) > 2]
            own = draw.sample(sorted(set(own)), min(200, len(set(own))))
            others = [
                books / "openstax-psychology",
                books / "openstax-introductory-statistics-bundle",
            ]
            strange = foreign(others, all_text(app), 200, draw)
            training = [*ask_about(own, True, draw), *ask_about(strange, False, draw)]
            x_QF, y_Q = features(app, training)
            model = LogisticRegression(C=3.0, class_weight="balanced").fit(x_QF, y_Q)
            weights = (float(model.intercept_[0]), *map(float, model.coef_[0]))
            fitted = JudgeSettings(words=tuple(round(w, 2) for w in weights))
            fit = measured(fitted, app, training)
    with unirag.open(home=options.home) as app:
        checked = [q.text for q in load(HERE / "queries" / "physics.yaml")[1] if not q.picture]
        others = [books / "openstax-anatomy-physiology", books / "openstax-organic-chemistry"]
        strange = foreign(others, all_text(app), len(checked), draw)
        test = [Question(t, True) for t in checked] + [*ask_about(strange, False, draw)]
        result = {
            **describe(["scikit-learn", "sentence-transformers", "qdrant-edge-py"]),
            "seed": SEED,
            "weights": list(fitted.words),
            "shipped_weights": list(JudgeSettings().words),
            "fit (chemistry)": fit,
            "fitted, on physics": measured(fitted, app, test),
            "shipped, on physics": measured(JudgeSettings(), app, test),
        }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "judge.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
