"""Fit the judge of "no good match" on one book and measure it on another.

    python -m benchmarks.judge [--home DIR] [--corpora DIR]

Fitted on the first modules of a chemistry book. Questions about its own glossary terms, its
learning objectives and its exercises (neither of which a search looks into) should find something;
the same from a psychology and a statistics book should not, where more than half of their longer
words are not the chemistry book's. Measured on openstax-physics: the hand-checked queries against
the same three kinds of question from an anatomy and an organic chemistry book. No book is on both
sides.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import unirag
from benchmarks.checked_queries import load
from benchmarks.environment import CORPORA, HERE, HOME, describe
from data.chunking import Draft, chunk
from data.readers.cnxml import CnxmlReader
from data.records import Item
from unirag.app import App
from unirag.judge import JudgeSettings, confidence, word_features

SEED = 42
MODULES = 45
PER_KIND = 120
# The threshold refuses this share of the answerable questions that it was fitted on.
REFUSED = 0.01
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


def asked_of(items: Iterable[Item], draw: random.Random) -> list[str]:
    """Questions that a book itself suggests: its terms, objectives and exercises, shuffled."""
    found: dict[str, list[str]] = {"term": [], "objective": [], "exercise": []}
    for item in sorted(items, key=lambda i: i.locator):
        if item.kind == "passage" and item.role in found and item.audience == "student":
            found[item.role] += questions_in(item, draw)
    kinds = [draw.sample(sorted(set(of)), min(len(set(of)), PER_KIND)) for of in found.values()]
    return [text for of in kinds for text in of]


def items_of(book: Path) -> Iterator[Item]:
    for document in CnxmlReader().documents(book, book):
        yield from (d.item for d in chunk(document, "x") if isinstance(d, Draft))


def questions_in(item: Item, draw: random.Random) -> list[str]:
    if item.role == "term":
        named = item.title if 2 < len(item.title) < 40 and item.title.isascii() else ""
        return [draw.choice(FORMS).format(named)] if named else []
    lines = [line.removeprefix("- ").strip() for line in item.text.splitlines()]
    if item.role == "objective":
        return [t for t in lines if 30 < len(t) < 160 and not t.endswith(":")]
    first = lines[0] if lines else ""
    return [first] if 30 < len(first) < 200 and first.endswith("?") else []


def foreign(books: Sequence[Path], text: str, count: int, draw: random.Random) -> list[str]:
    """Questions from `books` more than half of whose longer words `text` never uses."""
    known = set(re.findall(r"[a-z]{5,}", text.lower()))
    common = set(re.findall(r"[a-z]{5,}", " ".join(FORMS).lower()))
    pool = []
    for question in (q for book in books for q in asked_of(items_of(book), draw)):
        words = set(re.findall(r"[a-z]{5,}", question.lower())) - common
        if words and len(words - known) > len(words) / 2:
            pool.append(question)
    return draw.sample(pool, min(count, len(pool)))


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
            own = asked_of(app.store.scan(), draw)
            others = [
                books / "openstax-psychology",
                books / "openstax-introductory-statistics-bundle",
            ]
            strange = foreign(others, all_text(app), len(own), draw)
            training = [Question(t, True) for t in own] + [Question(t, False) for t in strange]
            x_QF, y_Q = features(app, training)
            model = LogisticRegression(C=3.0, class_weight="balanced").fit(x_QF, y_Q)
            weights = (float(model.intercept_[0]), *map(float, model.coef_[0]))
            sure_Q = model.predict_proba(x_QF[y_Q])[:, 1]
            fitted = JudgeSettings(
                words=tuple(round(w, 2) for w in weights),
                threshold=round(float(np.quantile(sure_Q, REFUSED)), 2),
            )
            fit = measured(fitted, app, training)
    with unirag.open(home=options.home) as app:
        checked = [q.text for q in load(HERE / "queries" / "physics.yaml")[1] if not q.picture]
        others = [books / "openstax-anatomy-physiology", books / "openstax-organic-chemistry"]
        strange = foreign(others, all_text(app), 200, draw)
        test = [Question(t, True) for t in checked] + [Question(t, False) for t in strange]
        result = {
            **describe(["scikit-learn", "sentence-transformers", "qdrant-edge-py"]),
            "seed": SEED,
            "weights": list(fitted.words),
            "threshold": fitted.threshold,
            "shipped_weights": list(JudgeSettings().words),
            "shipped_threshold": JudgeSettings().threshold,
            "fitted on": fit,
            "fitted, on physics": measured(fitted, app, test),
            "shipped, on physics": measured(JudgeSettings(), app, test),
        }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "judge.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
