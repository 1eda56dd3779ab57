"""Let a reader choose between the answers of two versions, blind.

    python -m benchmarks.readers_choice sheet --before LABEL --after LABEL [--home DIR]
    python -m benchmarks.readers_choice score JUDGEMENTS

`sheet` draws 60 of the public questions on the microbiology book (benchmarks/eduscopeqa.py), puts
the two answers of each side by side in random order and writes a sheet with the evidence for the
reader, without saying which version is which. The reader gives each answer 0 to 2 points for:
correct, answers the question, readable. `score` adds them up, writes results/readers_choice.json
and puts all 60 questions and answers, unedited, on docs/answers.md.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.eduscopeqa import QUESTIONS
from benchmarks.environment import HOME, REPOSITORY, write_results
from data.refusal import REFUSAL

SEED = 1  # seed 0 drew the questions of the first round, whose verdicts shaped this version
COUNT = 60
MARKS = ("correct", "answers", "readable")
SHEET = HOME.parent / "readers_choice.json"
PAGE = REPOSITORY / "docs" / "answers.md"


def make_sheet(before: str, after: str, home: Path) -> None:
    """Write the sheet of the reader and, beside it, the key that says which answer is which."""
    rng = random.Random(SEED)
    questions = json.loads(QUESTIONS.read_text())
    rows = {label: _rows(home, label) for label in (before, after)}
    chosen = rng.sample([q for q in questions if all(q["id"] in r for r in rows.values())], COUNT)
    sheet, key = [], {}
    for question in chosen:
        order = [before, after]
        rng.shuffle(order)
        key[question["id"]] = {"A": order[0], "B": order[1]}
        sheet.append(
            {
                "id": question["id"],
                "question": question["question"],
                "reference answer": question["answer"],
                "evidence": rows[after][question["id"]]["hits"][:5],
                "A": _text(rows[order[0]][question["id"]]),
                "B": _text(rows[order[1]][question["id"]]),
            }
        )
    SHEET.write_text(json.dumps(sheet, indent=1, ensure_ascii=False))
    names = {"before": before, "after": after}
    SHEET.with_suffix(".key.json").write_text(json.dumps({"names": names, "key": key}))
    print(f"{SHEET}: judge each answer with 0 to 2 points for {', '.join(MARKS)}")


def score(judgements: Path) -> None:
    """Add up the points of each version and publish all answers.

    `judgements` is a JSON list of {"id", "A": {"correct", "answers", "readable"}, "B": {...}}.
    """
    sheet = {row["id"]: row for row in json.loads(SHEET.read_text())}
    secret = json.loads(SHEET.with_suffix(".key.json").read_text())
    points: dict[str, dict[str, int]] = {}
    chosen: dict[str, dict[str, Any]] = {}
    wins = {"before": 0, "after": 0, "equal": 0}
    versions = {label: version for version, label in secret["names"].items()}
    for judgement in json.loads(judgements.read_text()):
        sums = {}
        for side in ("A", "B"):
            version = versions[secret["key"][judgement["id"]][side]]
            sums[version] = sum(judgement[side][mark] for mark in MARKS)
            total = points.setdefault(version, dict.fromkeys((*MARKS, "sum"), 0))
            for mark in MARKS:
                total[mark] += judgement[side][mark]
            total["sum"] += sums[version]
            row = chosen.setdefault(judgement["id"], {})
            row[version] = (sheet[judgement["id"]][side], sums[version])
        better = max(sums, key=lambda version: sums[version])
        wins["equal" if sums["before"] == sums["after"] else better] += 1
    results = {
        "questions": len(chosen),
        "seed": SEED,
        "points": points,
        "after / before": round(points["after"]["sum"] / points["before"]["sum"], 3),
        "better": wins,
    }
    print(write_results("readers_choice", results))
    PAGE.write_text(_page(sheet, chosen, results))


def _page(sheet: Mapping[str, Any], chosen: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    points = results["points"]
    lines = [
        "# Sixty answers, unedited",
        "",
        "Public questions ([EduScopeQA](https://arxiv.org/abs/2509.07846), CC BY 4.0) on OpenStax "
        "Microbiology (CC BY-NC-SA 4.0, © Rice University; so are the sentences quoted here), "
        f"drawn at random with seed {SEED}. Profile `mini` answered them before and after the "
        "reranker and the check that reads came in. A language model that did not know which is "
        "which gave each answer 0 to 2 points for being correct, for answering the question and "
        "for being readable, with the evidence in view. It punished padding.",
        "",
        f"{points['before']['sum']} points before, {points['after']['sum']} after "
        "(`python -m benchmarks.readers_choice`).",
        "",
    ]
    for question_id, versions in chosen.items():
        row = sheet[question_id]
        lines += [f"### {row['question']}", ""]
        for version in ("before", "after"):
            text, marks = versions[version]
            lines += [f"*{version}, {marks} of 6:* {text}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(home: Path, label: str) -> dict[str, dict[str, Any]]:
    file = home / f"eduscopeqa-{label}.jsonl"
    return {row["id"]: row for row in map(json.loads, file.read_text().splitlines())}


def _text(row: Mapping[str, Any]) -> str:
    sentences: Sequence[Mapping[str, Any]] = row["sentences"]
    return REFUSAL if row["refused"] else " ".join(s["text"] for s in sentences)


def main() -> None:
    """Write the sheet, or add up the judgements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("sheet", "score"))
    parser.add_argument("judgements", type=Path, nargs="?")
    parser.add_argument("--before", default="before")
    parser.add_argument("--after", default="now")
    parser.add_argument("--home", type=Path, default=HOME.parent)
    options = parser.parse_args()
    if options.action == "sheet":
        make_sheet(options.before, options.after, options.home)
    else:
        score(options.judgements)


if __name__ == "__main__":
    main()
