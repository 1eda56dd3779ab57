"""Measure whether answers are supported, rightly cited, fast, and refused where they should be.

    python -m benchmarks.answers run BOOK [--seeds 0 1 2] [--home DIR]
    python -m benchmarks.answers table
    python -m benchmarks.answers examples

`run` asks questions that a book answers and questions that it does not
(`unirag/evaluation/question_generation.py`): 360 and 144 over two books and three seeds. Our system
answers all of them. Plain RAG with the same model, and the model alone, answer one in twelve.
Nothing was trained or chosen on the books of the table. The words of the answers are not stored,
because they belong to the books.

`table` writes answers.md from the stored results. `examples` asks the sample corpus, whose texts
are our own. It writes 40 unedited answers to docs/sample_answers.md and the times of the demo's
set-up to results/answer_times.json.
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
from benchmarks.environment import (
    BENCHMARKS,
    CORPORA,
    HOME,
    REPOSITORY,
    RESULTS,
    describe,
    short_commit,
    write_results,
)
from data.records import Answer
from unirag.evaluation.answers import SYSTEMS, ScoredAnswer, evaluate_answers, score_table
from unirag.evaluation.question_generation import (
    EvaluationQuestion,
    answerable_questions,
    unanswerable_questions,
)

ANSWER_RESULTS = RESULTS / "answers"
EXAMPLES_PAGE = REPOSITORY / "docs" / "sample_answers.md"
ANSWERABLE, UNANSWERABLE = 60, 24  # questions of a book and seed
BASELINE_EVERY = 12  # the baselines answer one question in twelve
EXAMPLES, UNANSWERABLE_EXAMPLES = 40, 10  # the 40 include the 10
EXAMPLES_SEED = 7
SCORE_LABELS = {
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
    """Evaluate one book with every seed and write a file for each."""
    # describe first: the first result file changes the tree
    environment = describe(("torch", "transformers", "qdrant-edge-py", "rouge-score"))
    with unirag.open(home=home, ocr=False) as app:
        if book not in {c["name"] for c in app.corpora.list()}:
            app.index([CORPORA / book])
        for seed in seeds:
            rows = evaluate_answers(
                app,
                book,
                answerable=ANSWERABLE,
                refusable=UNANSWERABLE,
                seed=seed,
                every=BASELINE_EVERY,
                progress=lambda n, total: print(n, "of", total, flush=True),
            )
            results = {
                **environment,
                "threads": os.environ.get("OMP_NUM_THREADS", "all"),
                "book": book,
                "seed": seed,
                "scores": score_table(rows),
                "answers": [_without_words(row) for row in rows],
            }
            ANSWER_RESULTS.mkdir(parents=True, exist_ok=True)
            write_results(f"answers/{book}-{seed}", results)
            print(json.dumps(results["scores"], indent=1), flush=True)


def _without_words(row: ScoredAnswer) -> dict[str, Any]:
    """Return the scores and the cited locators, without the words of the textbook."""
    words = ("question", "sentences", "evidence")
    scores = {name: value for name, value in asdict(row).items() if name not in words}
    return {**scores, "cited": [list(locators) for _, locators in row.sentences]}


def format_tables() -> str:
    """Format answers.md from the stored results."""
    results = [json.loads(path.read_text()) for path in sorted(ANSWER_RESULTS.glob("*.json"))]
    seeds = sorted({r["seed"] for r in results})
    books = sorted({r["book"] for r in results})
    counts = {
        system: sum(a["system"] == system for r in results for a in r["answers"])
        for system in SYSTEMS
    }
    lines = [
        f"Made by `python -m benchmarks.answers table`. Books: {', '.join(books)}; nothing was "
        "learned or chosen on them. Mean over the books, then mean ± standard deviation over "
        f"seeds {seeds}. "
        f"Answers: {', '.join(f'{s} {n}' for s, n in counts.items())}. "
        f"Device: {results[0]['device']}; commit {short_commit(results[0]['commit'])}.",
        "",
        f"| score | {' | '.join(SYSTEMS)} |",
        "|---" * (len(SYSTEMS) + 1) + "|",
    ]
    for name, label in SCORE_LABELS.items():
        cells = [_score_cell(results, seeds, system, name, label) for system in SYSTEMS]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += ["", "Our refusals by kind of question, over all books and seeds:", ""]
    lines += ["| kind | questions | refused | right source cited |", "|---|---|---|---|"]
    ours = [a for r in results for a in r["answers"] if a["system"] == "ours"]
    for kind in dict.fromkeys(a["kind"] for a in ours):
        answers = [a for a in ours if a["kind"] == kind]
        refused = sum(a["refused"] for a in answers)
        cited: int | str = "-"
        if answers[0]["answerable"]:
            cited = sum(a["citations_right"] > 0 for a in answers)
        lines.append(f"| {kind} | {len(answers)} | {refused} | {cited} |")
    return "\n".join(lines) + "\n"


def _score_cell(
    results: Sequence[Any], seeds: Sequence[int], system: str, name: str, label: str
) -> str:
    """Return the mean and the spread over seeds of one score, each seed the mean of its books."""
    seed_means = []
    for seed in seeds:
        scores = [r["scores"][system][name] for r in results if r["seed"] == seed]
        if values := [score for score in scores if score is not None]:
            seed_means.append(mean(values))
    if not seed_means:
        return "-"
    factor, digits = (100, 1) if label.endswith("%") else (1, 3)
    spread = stdev(seed_means) if len(seed_means) > 1 else 0.0
    return f"{mean(seed_means) * factor:.{digits}f} ± {spread * factor:.{digits}f}"


def write_examples() -> None:
    """Answer 40 generated questions of the sample corpus, and write the answers and the times."""
    with (
        TemporaryDirectory(prefix="unirag-answers-") as folder,
        unirag.open(home=Path(folder) / "home") as app,
    ):
        app.index([Path(data.sample.__file__).parent], corpus="sample")
        items = list(app.components.store.scan())
        questions = answerable_questions(items, EXAMPLES - UNANSWERABLE_EXAMPLES, EXAMPLES_SEED)
        questions += unanswerable_questions(items, [], UNANSWERABLE_EXAMPLES, EXAMPLES_SEED)
        random.Random(EXAMPLES_SEED).shuffle(questions)
        app.ask("What is a force?")  # loads the models
        answers = [(q, app.ask(q.text, limit=5)) for q in questions]
    timings = [answer.timings_ms for _, answer in answers if not answer.refused]
    first = sorted((t["total"] + t["first_sentence"]) / 1000 for t in timings)
    whole = sorted((t["total"] + t["generate"]) / 1000 for t in timings)
    times = {
        **describe(("torch", "transformers")),
        "cores": len(os.sched_getaffinity(0)),
        "answers": len(timings),
        "first_sentence_s": {p: round(_percentile(first, p), 2) for p in (50, 90, 100)},
        "whole_s": {p: round(_percentile(whole, p), 2) for p in (50, 90, 100)},
    }
    print(write_results("answer_times", times))
    header = (
        "# Forty unedited answers\n\n"
        "Made by `python -m benchmarks.answers examples`. The sample corpus suggests the questions "
        f"itself; it does not answer {UNANSWERABLE_EXAMPLES} of them. They are drawn with seed "
        f"{EXAMPLES_SEED} and not chosen by hand, so good and bad answers are shown. Text in “…” "
        "is quoted from the sources; the language model (profile `mini`) wrote the rest.\n"
    )
    examples = (_format_example(n, *pair) for n, pair in enumerate(answers, 1))
    EXAMPLES_PAGE.write_text(header + "".join(examples))


def _format_example(number: int, question: EvaluationQuestion, answer: Answer) -> str:
    items = {h.item.id: h.item for h in answer.hits}
    cited_ids = list(dict.fromkeys(c for s in answer.sentences for c in s.citations))
    sentences = [
        (f"“{s.text}”" if s.quoted else s.text)
        + " "
        + "".join(f"[{cited_ids.index(c) + 1}]" for c in s.citations)
        for s in answer.sentences
    ]
    lines = ["", f"## {number}. {question.text}", "", f"*{question.kind}*", ""]
    lines += [" ".join(sentences) if sentences else "No evidence. The nearest material:", ""]
    sources = [items[c] for c in cited_ids] or [h.item for h in answer.hits[:2]]
    for n, item in enumerate(sources, 1):
        text = " ".join(item.text.split())
        lines.append(f"> [{n}] *{item.locator}* {text}")
        lines.append(">")
    return "\n".join(lines[:-1]) + "\n"


def _percentile(ordered: Sequence[float], percentile: int) -> float:
    return ordered[round(percentile / 100 * (len(ordered) - 1))]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="evaluate one book")
    run_command.add_argument("book", help="folder of the corpora")
    run_command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    run_command.add_argument("--home", type=Path, default=HOME, help="indexes the book if missing")
    commands.add_parser("table", help="write answers.md from the results")
    commands.add_parser("examples", help="write docs/sample_answers.md and the times")
    options = parser.parse_args()
    if options.command == "run":
        run(options.book, options.seeds, options.home)
    elif options.command == "table":
        text = "# Answers\n\n" + format_tables()
        (BENCHMARKS / "answers.md").write_text(text)
        print(text)
    else:
        write_examples()


if __name__ == "__main__":
    main()
