"""Are answers supported, rightly cited, quick, and refused where they should be?

    python -m benchmarks.answers run BOOK [--seeds 0 1 2] [--home DIR]
    python -m benchmarks.answers table
    python -m benchmarks.answers examples

`run` asks what a book itself answers and what it does not (`unirag/evaluation/question_generation.py`): over two books
and three seeds 360 questions and 144. Ours answers all of them, plain RAG and the model alone
each twelfth. Nothing was trained or chosen on the books of the table. What answers said is not
kept: it is the books'. `examples` asks the sample corpus, whose texts are our own, and writes 40
answers as they came to docs/answers.md, with the times of the demo's set-up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import data.sample
import unirag
from benchmarks.environment import CORPORA, HERE, HOME, describe
from data.records import Answer
from unirag.evaluation.answers import SYSTEMS, Answered, evaluate_answers, table
from unirag.evaluation.question_generation import Asked, questions, unanswerable

RESULTS = HERE / "results" / "answers"
DOCS = HERE.parent / "docs" / "answers.md"
ANSWERABLE, UNANSWERABLE = 60, 24  # of a book and seed
EVERY = 12
EXAMPLES, WITHOUT = 40, 10  # the latter of the former have no answer
SEED = 7
SHOWN = {
    "unsupported": "unsupported sentences %",
    "unsupported numbers": "unsupported numbers %",
    "citation precision": "citation precision",
    "citation recall": "citation recall",
    "rouge_l": "ROUGE-L",
    "refusal precision": "refusal precision",
    "refusal recall": "refusal recall",
    "correct": "short answers right",
    "quoted": "quotations only",
}


def run(book: str, seeds: Sequence[int], home: Path) -> None:
    # now: the first result makes the tree another than the commit
    described = describe(("torch", "transformers", "qdrant-edge-py", "rouge-score"))
    with unirag.open(home=home, ocr=False) as app:
        if book not in {c["name"] for c in app.corpora()}:
            app.index([CORPORA / book])
        for seed in seeds:
            rows = evaluate_answers(
                app,
                book,
                answerable=ANSWERABLE,
                refusable=UNANSWERABLE,
                seed=seed,
                every=EVERY,
                progress=lambda n, of: print(n, "of", of, flush=True),
            )
            result = {
                **described,
                "threads": os.environ.get("OMP_NUM_THREADS", "all"),
                "book": book,
                "seed": seed,
                "scores": table(rows),
                "answers": [_without_words(row) for row in rows],
            }
            RESULTS.mkdir(parents=True, exist_ok=True)
            (RESULTS / f"{book}-{seed}.json").write_text(json.dumps(result, indent=1) + "\n")
            print(json.dumps(result["scores"], indent=1), flush=True)


def _without_words(row: Answered) -> dict[str, Any]:
    """The sentences of a textbook stay where they are; its places are kept."""
    kept = {k: v for k, v in asdict(row).items() if k not in ("question", "sentences", "evidence")}
    return {**kept, "cited": [list(locators) for _, locators in row.sentences]}


def made_table() -> str:
    """Mean and spread over the seeds, each seed's figure the mean of the books."""
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    seeds = sorted({r["seed"] for r in results})
    books = sorted({r["book"] for r in results})
    counts = {
        system: sum(a["system"] == system for r in results for a in r["answers"])
        for system in SYSTEMS
    }
    lines = [
        f"Made by `python -m benchmarks.answers table`. Books: {', '.join(books)}, of which "
        "nothing was learned or chosen. Mean of the books, then mean ± standard deviation over "
        f"seeds {seeds}. "
        f"Answers: {', '.join(f'{s} {n}' for s, n in counts.items())}. "
        f"Device: {results[0]['device']}; commit {results[0]['commit'][:12]}.",
        "",
        f"| score | {' | '.join(SYSTEMS)} |",
        "|---" * (len(SYSTEMS) + 1) + "|",
    ]
    for name, shown in SHOWN.items():
        cells = []
        for system in SYSTEMS:
            each = []
            for seed in seeds:
                values = [
                    r["scores"][system][name]
                    for r in results
                    if r["seed"] == seed and r["scores"][system][name] is not None
                ]
                if values:
                    each.append(mean(values))
            times = 100 if shown.endswith("%") else 1
            digits = 1 if shown.endswith("%") else 3
            spread = stdev(each) if len(each) > 1 else 0.0
            cells.append(
                f"{mean(each) * times:.{digits}f} ± {spread * times:.{digits}f}" if each else "-"
            )
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    lines += ["", "Ours, refused by kind of question (of all books and seeds):", ""]
    lines += ["| kind | asked | refused | right source cited |", "|---|---|---|---|"]
    ours = [a for r in results for a in r["answers"] if a["system"] == "ours"]
    for kind in dict.fromkeys(a["kind"] for a in ours):
        of = [a for a in ours if a["kind"] == kind]
        cited = sum(a["citations_right"] > 0 for a in of) if of[0]["answerable"] else "-"
        lines.append(f"| {kind} | {len(of)} | {sum(a['refused'] for a in of)} | {cited} |")
    return "\n".join(lines) + "\n"


def examples() -> None:
    """40 answers to questions that the sample corpus suggests, drawn by seed, as they came."""
    with (
        TemporaryDirectory(prefix="unirag-answers-") as folder,
        unirag.open(home=Path(folder) / "home") as app,
    ):
        app.index([Path(data.sample.__file__).parent], corpus="sample")
        items = list(app.store.scan())
        asked = questions(items, EXAMPLES - WITHOUT, SEED)
        asked += unanswerable(items, [], WITHOUT, SEED)
        random.Random(SEED).shuffle(asked)
        app.ask("What is a force?")  # loads the models
        answers = [(q, app.ask(q.text, limit=5)) for q in asked]
    written = [a for _, a in answers if not a.refused]
    first = sorted((a.timings_ms["total"] + a.timings_ms["first_sentence"]) / 1000 for a in written)
    whole = sorted((a.timings_ms["total"] + a.timings_ms["generate"]) / 1000 for a in written)
    times = {
        **describe(("torch", "transformers")),
        "cores": len(os.sched_getaffinity(0)),
        "answers": len(written),
        "first_sentence_s": {p: round(_at(first, p), 2) for p in (50, 90, 100)},
        "whole_s": {p: round(_at(whole, p), 2) for p in (50, 90, 100)},
    }
    (HERE / "results" / "answer_times.json").write_text(json.dumps(times, indent=1) + "\n")
    print(json.dumps(times, indent=1))
    head = (
        "# Forty answers, as they came\n\n"
        "Made by `python -m benchmarks.answers examples`: questions that the sample corpus itself "
        f"suggests and {WITHOUT} that it does not answer, drawn with seed {SEED} and not by hand, "
        "good and bad. “…” are sentences of the sources, the rest is the language model's "
        "(profile `mini`).\n"
    )
    DOCS.write_text(head + "".join(_example(n, *pair) for n, pair in enumerate(answers, 1)))


def _example(number: int, asked: Asked, answer: Answer) -> str:
    items = {h.item.id: h.item for h in answer.hits}
    order = list(dict.fromkeys(c for s in answer.sentences for c in s.citations))
    said = [
        (f"“{s.text}”" if s.quoted else s.text)
        + " "
        + "".join(f"[{order.index(c) + 1}]" for c in s.citations)
        for s in answer.sentences
    ]
    lines = ["", f"## {number}. {asked.text}", "", f"*{asked.kind}*", ""]
    lines += [" ".join(said) if said else "No evidence. The nearest material:", ""]
    shown = [items[c] for c in order] or [h.item for h in answer.hits[:2]]
    for n, item in enumerate(shown, 1):
        text = " ".join(item.text.split())
        lines.append(f"> [{n}] *{item.locator}* {text}")
        lines.append(">")
    return "\n".join(lines[:-1]) + "\n"


def _at(values: Sequence[float], percentile: int) -> float:
    return values[round(percentile / 100 * (len(values) - 1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="one book")
    running.add_argument("book", help="folder of the corpora")
    running.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.add_argument("--home", type=Path, default=HOME, help="indexes the book if it has to")
    commands.add_parser("table", help="answers.md out of what was run")
    commands.add_parser("examples", help="docs/answers.md and the times")
    options = parser.parse_args()
    if options.command == "run":
        run(options.book, options.seeds, options.home)
    elif options.command == "table":
        (HERE / "answers.md").write_text("# Answers\n\n" + made_table())
        print((HERE / "answers.md").read_text())
    else:
        examples()


if __name__ == "__main__":
    main()
