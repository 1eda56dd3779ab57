"""Measure the check of sentences: does it pass what the sources say, and nothing else?

    python -m benchmarks.support

Every faithful and every wrong sentence of three sets goes through `Grounder`, as if the language
model had written it with its labels: the shared groups on a book that the check was not trained on,
our own groups on three more such books, and our sentences on the sample corpus's cards. Writes
support.md and results/support.json.

The column `words alone` is a logistic regression over the words and word pairs of the sentence,
trained like the check but without the evidence. Where it is far above 0.5, the style of a sentence
betrays whether it is right, and a good result proves little.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.environment import BENCHMARKS, REPOSITORY, describe, write_results
from benchmarks.explanations import (
    HELD_OUT_BOOK,
    KINDS,
    Claim,
    Group,
    Passage,
    shared_groups,
    written_groups,
)
from data.chunking import ItemDraft, chunk
from data.readers.markdown import MarkdownReader
from data.records import Item
from generation.evidence import Evidence
from generation.grounding import Grounder
from generation.settings import GroundingSettings
from generation.text_models import TextModels
from unirag.app.build import build_entailment, build_text_retriever
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore
from unirag.settings import load_settings

CARDS = REPOSITORY / "data" / "sample" / "cards"
CARD_SENTENCES = REPOSITORY / "tests" / "generation" / "card_sentences.json"
WRONG_SHARES = (0.05, 0.08, 0.10, 0.15, 0.20, 0.30)  # points of the curve


class Scored(NamedTuple):
    """A sentence with its kind, empty if faithful, and the best support that counts."""

    text: str
    kind: str
    support: float


def main() -> None:
    """Score the three sets and write the table."""
    settings = load_settings()
    models = load_text_models()
    shared = shared_groups()
    written = written_groups("train")
    training = [g for g in shared if g.book != HELD_OUT_BOOK] + written
    sets = {
        "shared groups, organic chemistry": [g for g in shared if g.book == HELD_OUT_BOOK],
        "our groups, anatomy, chemistry, physics": written_groups("heldout"),
        "our sentences on the sample cards": card_groups(),
    }
    words_alone = _WordsAlone(training)
    results = {
        name: _summary(score_groups(groups, models), words_alone, settings.answer.grounding.support)
        for name, groups in sets.items()
    }
    write_results(
        "support",
        {
            **describe(("torch", "transformers")),
            "threshold": settings.answer.grounding.support,
            "sets": results,
        },
    )
    page = _page(results, settings.answer.grounding.support)
    (BENCHMARKS / "support.md").write_text(page)
    print(page)


def load_text_models() -> TextModels:
    """Load the text models of the profile in use; nothing here needs the reranker."""
    settings = load_settings()
    profile, store = profile_of(settings), ModelStore(settings.models, settings.profile)
    retriever = build_text_retriever(settings, profile, store)
    entailment = build_entailment(settings, profile, store)
    return TextModels(
        retriever.encode_passages, lambda pairs: np.zeros(len(pairs), np.float32), entailment.score
    )


def card_groups() -> list[Group]:
    """Return one group for each card of the sample corpus that has sentences."""
    rows = json.loads(CARD_SENTENCES.read_text())
    return [_card_group(card, rows) for card in sorted({row["card"] for row in rows})]


def _card_group(card: str, rows: Iterable[Mapping[str, Any]]) -> Group:
    """Return the items of a card as evidence; the sentences about it name no source."""
    (document,) = MarkdownReader().documents(CARDS / card, CARDS)
    items = [draft.item for draft in chunk(document, "sample") if isinstance(draft, ItemDraft)]
    claims = [
        Claim(row["text"], (), "" if row["supported"] else row["kind"])
        for row in rows
        if row["card"] == card
    ]
    return Group(
        card,
        "",
        tuple(Passage(n, i.title, " ".join(i.text.split())) for n, i in enumerate(items, 1)),
        "",
        tuple(c for c in claims if not c.kind),
        tuple(c for c in claims if c.kind),
        "",
        None,
    )


def score_groups(groups: Sequence[Group], models: TextModels) -> list[Scored]:
    """Return every sentence of the groups with its support."""
    return [
        Scored(claim.text, claim.kind, _support(grounder, claim.text, claim.cites, models))
        for group in groups
        for grounder in [Grounder(evidence_of(group, models), models, GroundingSettings())]
        for claim in (*group.faithful, *group.wrong)
    ]


def evidence_of(group: Group, models: TextModels) -> list[Evidence]:
    """Return the evidence of a group as an answer has it."""
    evidence = []
    for passage in group.evidence:
        item = Item(str(passage.label), "passage", "c", passage.title, passage.title, passage.text)
        sentences = tuple(passage.sentences)
        vectors_SD = models.embed(sentences)
        evidence.append(Evidence(passage.label, item, sentences, vectors_SD, passage.text))
    return evidence


def _support(grounder: Grounder, text: str, cites: Sequence[int], models: TextModels) -> float:
    """Return the best support by sources that also hold the numbers and formulas of `text`."""
    choices = grounder.supports(text, models.embed([text])[0], cites)
    return max((s for labels, s in choices if grounder.has_facts(text, labels)), default=0.0)


class _WordsAlone:
    """Tells right sentences from wrong ones by their own words."""

    def __init__(self, groups: Sequence[Group]) -> None:
        claims = [claim for g in groups for claim in (*g.faithful, *g.wrong)]
        self._words = TfidfVectorizer(ngram_range=(1, 2), min_df=2)
        features = self._words.fit_transform([c.text for c in claims])
        self._model = LogisticRegression(C=3, max_iter=1000)
        self._model.fit(features, [not c.kind for c in claims])

    def scores(self, texts: Sequence[str]) -> Any:
        """Return the probability that each text is right."""
        return self._model.predict_proba(self._words.transform(texts))[:, 1]


def _summary(rows: Sequence[Scored], words_alone: _WordsAlone, threshold: float) -> dict[str, Any]:
    support = np.array([row.support for row in rows])
    is_right = np.array([not row.kind for row in rows])
    right, wrong = support[is_right], support[~is_right]
    kinds = {kind: [row.support >= threshold for row in rows if row.kind == kind] for kind in KINDS}
    return {
        "faithful": len(right),
        "wrong": len(wrong),
        "faithful passed": round(float((right >= threshold).mean()), 3),
        "wrong passed": round(float((wrong >= threshold).mean()), 3),
        "AUC": round(float(roc_auc_score(is_right, support)), 3),
        "words alone": round(
            float(roc_auc_score(is_right, words_alone.scores([row.text for row in rows]))), 3
        ),
        "curve": {
            str(share): round(float((right > np.quantile(wrong, 1 - share)).mean()), 3)
            for share in WRONG_SHARES
        },
        "wrong passed by kind": {
            kind: round(float(np.mean(passed)), 3) for kind, passed in kinds.items() if passed
        },
    }


def _page(results: Mapping[str, Mapping[str, Any]], threshold: float) -> str:
    columns = ("faithful", "wrong", "faithful passed", "wrong passed", "AUC", "words alone")
    lines = [
        "# The check of sentences",
        "",
        f"`python -m benchmarks.support`; profile `mini`, threshold {threshold}. The check before "
        "this one passed 0.3 % of 330 faithful sentences of the shared groups and 15.5 % of 316 "
        "wrong ones.",
        "",
        "| set | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    lines += [
        f"| {name} | " + " | ".join(str(result[c]) for c in columns) + " |"
        for name, result in results.items()
    ]
    lines += [
        "",
        "Faithful sentences passed, if the threshold lets this share of the wrong ones pass:",
        "",
        "| set | " + " | ".join(f"{share:.0%}" for share in WRONG_SHARES) + " |",
        "|---" * (len(WRONG_SHARES) + 1) + "|",
    ]
    lines += [
        f"| {name} | " + " | ".join(str(v) for v in result["curve"].values()) + " |"
        for name, result in results.items()
    ]
    lines += [
        "",
        "Wrong sentences passed, by kind:",
        "",
        "| set | " + " | ".join(KINDS) + " |",
        "|---" * (len(KINDS) + 1) + "|",
    ]
    lines += [
        f"| {name} | "
        + " | ".join(str(result["wrong passed by kind"].get(k, "-")) for k in KINDS)
        + " |"
        for name, result in results.items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
