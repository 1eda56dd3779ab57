"""Fit the judge of "no good match" on one book and measure it on another.

    python -m benchmarks.judge [--home DIR] [--corpora DIR]

Fitted on the first modules of a psychology and of an organic chemistry book. What a book asks and
answers itself (terms, objectives, exercises, figures, statements: `unirag/evaluation/question_generation.py`, and terms
in several wordings) should find something; terms of other books that it never uses, questions more
than half of whose longer words are not its own, and terms that nobody uses should not. Measured on
openstax-physics, against an anatomy and a statistics book; questions that take for granted what the
book says of something else (nothing is fitted for those) are counted there by themselves. No book
is on both sides. Pictures: fitted on the figures of the sample corpus, as a student would bring
them, against pictures of the organic chemistry book; measured on figures of the physics book
against anatomy. Both judgements are shifted to refuse 1 % of the answerable questions they were
fitted on.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import data.sample
import unirag
from benchmarks.checked_queries import load
from benchmarks.environment import CORPORA, HERE, HOME, describe
from benchmarks.query_pictures import WAYS, make
from data.chunking import Draft, chunk
from data.pictures import open_picture
from data.readers.cnxml import CnxmlReader
from data.records import Item
from unirag.app import App
from unirag.evaluation.question_generation import Asked, questions, unanswerable
from unirag.search.answerability import picture_features, word_features
from unirag.settings import Settings
from unirag.settings.search import AnswerabilitySettings, SearchSettings

SEED = 42
MODULES = 60
PER_KIND = 120
FITTED = ("openstax-psychology", "openstax-organic-chemistry")
STRANGE = "openstax-calculus-bundle"  # whose terms neither of those answers
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


Pictures = list[tuple[Path, bool]]


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


def book_questions(
    app: App, others: Sequence[Path], draw: random.Random
) -> tuple[list[Asked], list[Asked]]:
    """What the only corpus of a home answers, and what it does not."""
    own = list(app.store.scan())
    answered = questions(own, 2 * PER_KIND, SEED) + [
        Asked(text, "definition", place=("?",)) for text in asked_of(own, draw)
    ]
    terms = [i for book in others for i in items_of(book) if i.role == "term"]
    text = "\n".join(f"{i.title} {i.text}" for i in own)
    strange = foreign(others, text, 2 * PER_KIND, draw)
    return answered, [
        *unanswerable(own, terms, 4 * PER_KIND, SEED),
        *(Asked(text, "other subject") for text in strange),
    ]


def features(app: App, asked: Sequence[Asked]) -> tuple[np.ndarray, np.ndarray]:
    rows = [
        word_features(found.hits, found.rarity)
        for found in (app.search(q.text, limit=5) for q in asked)
    ]
    return np.array(rows), np.array([q.answerable for q in asked])


def picture_questions(app: App, foreign_book: Path, draw: random.Random, folder: Path) -> Pictures:
    """Each figure of the home as a student would bring it, and as many pictures of another book."""
    own = sorted({i.image for i in app.store.scan() if i.image})
    others = sorted((foreign_book / "media").iterdir())
    made = []
    for digest, other in zip(own, draw.sample(others, len(own)), strict=True):
        source = app.assets.path(digest)
        assert source is not None
        for path, answerable in ((source, True), (other, False)):
            way = draw.choice(sorted(WAYS))
            target = folder / f"{len(made)}"
            target.write_bytes(make(open_picture(path), way, path.name, SEED))
            made.append((target, answerable))
    return made


def picture_rows(app: App, pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    found = [app.search(images=[path], limit=5) for path, _ in pictures]
    return np.array([picture_features(f.hits) for f in found]), np.array([a for _, a in pictures])


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


def fitted_weights(x_QF: np.ndarray, y_Q: np.ndarray) -> tuple[tuple[float, ...], float]:
    """Logistic weights, bias first, and the threshold that refuses `REFUSED` of the answerable."""
    model = LogisticRegression(C=3.0, class_weight="balanced").fit(x_QF, y_Q)
    weights = (float(model.intercept_[0]), *map(float, model.coef_[0]))
    sure_Q = model.predict_proba(x_QF[y_Q])[:, 1]
    return tuple(round(w, 2) for w in weights), float(np.quantile(sure_Q, REFUSED))


def rates(refused: np.ndarray, answerable: np.ndarray) -> dict[str, float]:
    """Precision and recall of the refusal, and how often it meets what could be answered."""
    right = float((refused & ~answerable).sum())
    return {
        "questions": len(answerable),
        "unanswerable": int((~answerable).sum()),
        "refusal_precision": round(right / max(1, int(refused.sum())), 3),
        "refusal_recall": round(right / int((~answerable).sum()), 3),
        "answerable_refused": round(float((refused & answerable).sum() / answerable.sum()), 3),
    }


def by_words(app: App, asked: Sequence[Asked]) -> dict[str, Any]:
    """As the home's settings judge; `refused` is the share of each kind."""
    refused = np.array([app.search(q.text, limit=5).no_good_match for q in asked])
    kinds = np.array([q.kind for q in asked])
    return {
        **rates(refused, np.array([q.answerable for q in asked])),
        "refused": {k: round(float(refused[kinds == k].mean()), 3) for k in sorted(set(kinds))},
    }


def by_picture(app: App, pictures: Pictures) -> dict[str, float]:
    refused = [app.search(images=[path], limit=5).no_good_match for path, _ in pictures]
    return rates(np.array(refused), np.array([a for _, a in pictures]))


def fit(
    books: Path, folder: Path, draw: random.Random
) -> tuple[AnswerabilitySettings, dict[str, Any]]:
    """Words on parts of two books, pictures on the sample corpus; one threshold for both."""
    x, y = [], []
    for name in FITTED:
        book = part_of(books / name, MODULES, folder / name)
        others = [books / other for other in (*FITTED, STRANGE) if other != name]
        with unirag.open(home=folder / f"home-{name}", ocr=False) as app:
            app.index([book])
            answered, empty = book_questions(app, others, draw)
            told = [q for q in empty if q.kind != "false premise"]  # a rule finds those
            rows, answerable = features(app, [*answered, *told])
            x.append(rows)
            y.append(answerable)
    words, words_at = fitted_weights(np.concatenate(x), np.concatenate(y))
    with unirag.open(home=folder / "sample", ocr=False) as app:
        app.index([Path(data.sample.__file__).parent])
        (folder / "pictures").mkdir()
        pictures = picture_questions(app, books / FITTED[1], draw, folder / "pictures")
        picture, picture_at = fitted_weights(*picture_rows(app, pictures))
    # shift each bias so that both judgements use the threshold 0.5
    settings = AnswerabilitySettings(
        threshold=0.5, words=_shifted(words, words_at), picture=_shifted(picture, picture_at)
    )
    return settings, {"words": sum(map(len, y)), "pictures": len(pictures)}


def _shifted(weights: tuple[float, ...], threshold: float) -> tuple[float, ...]:
    bias = weights[0] - float(np.log(threshold / (1 - threshold)))
    return (round(bias, 2), *weights[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME, help="home with openstax-physics")
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    options = parser.parse_args()
    books = options.corpora
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fitted, sizes = fit(books, folder, draw)
        settings = Settings(
            home=options.home, ocr=False, search=SearchSettings(answerability=fitted)
        )
        with App(settings) as app:
            checked = [
                Asked(q.text, "checked", place=("?",))
                for q in load(HERE / "queries" / "physics.yaml")[1]
                if not q.picture
            ]
            others = [
                books / "openstax-anatomy-physiology",
                books / "openstax-introductory-statistics-bundle",
            ]
            answered, empty = book_questions(app, others, draw)
            (folder / "test").mkdir()
            pictures = picture_questions(app, others[0], draw, folder / "test")
            pictures = draw.sample(pictures, min(200, len(pictures)))
            result = {
                **describe(["scikit-learn", "sentence-transformers", "qdrant-edge-py"]),
                "seed": SEED,
                "fitted on": sizes,
                "fitted": fitted.model_dump(),
                "words, on physics": by_words(app, [*checked, *answered, *empty]),
                "pictures, on physics": by_picture(app, pictures),
            }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "judge.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
