"""How long a cited answer takes on openstax-physics, and how it is cited.

    python -m benchmarks.ask_physics [--home DIR] [--questions N]

Asks the passage questions of `queries/physics.yaml` one after the other in one process, after one
question that loads the model. After each, the language model alone gets the same prompt once more:
the ratio tells what search and checks add. Every answer is written to results/ask_physics.json,
good and bad.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import unirag
from benchmarks.checked_queries import load
from benchmarks.environment import HERE, HOME, describe
from data.records import Answer, Hit
from generation.evidence import assemble
from generation.prompts import prompt
from unirag.app import App


def bare(app: App, question: str, hits: Sequence[Hit]) -> float:
    """Seconds that the language model alone takes for the same prompt, whole."""
    settings = app.settings.answer
    evidence = assemble(
        question,
        hits,
        app.text.encode_passages,
        app.chat.count,
        items=settings.items,
        tokens=settings.evidence_tokens,
    )
    began = time.perf_counter()
    for _ in app.chat.stream(prompt(question, evidence), settings.max_tokens):
        pass
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME, help="home with openstax-physics")
    parser.add_argument("--questions", type=int, default=20)
    options = parser.parse_args()
    _, queries = load(HERE / "queries" / "physics.yaml")
    questions = [q for q in queries if q.group == "passage"][: options.questions]
    rows = []
    with unirag.open(home=options.home) as app:
        app.ask("What is physics?")
        ratios = []
        for query in questions:
            began = time.perf_counter()
            answer: Answer = app.ask(query.text, limit=5)
            seconds = time.perf_counter() - began
            before = answer.timings_ms.get("total", 0.0)  # the search, which comes first
            if not answer.refused:
                ratios.append(seconds / bare(app, query.text, answer.hits))
            locators = {h.item.id: h.item.locator for h in answer.hits}
            cited = {locators[c] for s in answer.sentences for c in s.citations}
            rows.append(
                {
                    "question": query.text,
                    "answer": [
                        [s.text, [locators[c] for c in s.citations]] for s in answer.sentences
                    ],
                    "quoted": answer.quoted,
                    "refused": answer.refused,
                    "cites_relevant": bool(cited & set(query.relevant)),
                    "seconds": round(seconds, 2),
                    "first_token_s": round(
                        (before + answer.timings_ms.get("first_token", 0.0)) / 1000, 2
                    ),
                }
            )
    answered = [r for r in rows if not r["refused"]]
    written = [r for r in answered if not r["quoted"]]
    result = {
        **describe(["torch", "transformers"]),
        "questions": len(rows),
        "refused": len(rows) - len(answered),
        "quoted": len(answered) - len(written),
        "answers_citing_a_relevant_item": sum(bool(r["cites_relevant"]) for r in answered),
        "seconds": spread([float(r["seconds"]) for r in answered]),
        "first_token_s": spread([float(r["first_token_s"]) for r in answered]),
        "ratio_to_the_language_model_alone": spread(ratios),
        "answers": rows,
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "ask_physics.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "answers"}, indent=2))


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 2),
        "p90": round(ordered[int(0.9 * (len(ordered) - 1))], 2),
        "max": round(ordered[-1], 2),
    }


if __name__ == "__main__":
    main()
