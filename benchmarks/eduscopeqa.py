"""Ask public questions about a whole textbook, with this code and with earlier code.

    python -m benchmarks.eduscopeqa run --label TEXT [--code ../before] [--without-model]
                                        [--set UNIRAG_NAME=VALUE ...]
    python -m benchmarks.eduscopeqa table

The questions and answers are the development half of EduScopeQA (arXiv 2509.07846), the book is
OpenStax Microbiology, words only. Nothing was trained on them. How ranks are fused, how much is
quoted and how many questions are refused was chosen on them; the other half is for judging. `run`
asks every question as it stands, in a process of its own, of the version in `--code` (this one by
default) with the given settings, and writes the scores to results/eduscopeqa/LABEL.json. An
interrupted run goes on. `table` writes eduscopeqa.md.

Scores: `recall` is the share of the content words of the gold answer in the answer, `holds` the
share of answers with at least 60 % of them, `entailed` the share of answers that entail the gold
answer by the entailment model of this version, `found@5` the share of questions whose first five
hits have 80 % of the gold answer's words.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.environment import BENCHMARKS, HOME, REPOSITORY, RESULTS, SHARED, describe
from generation.words import content_words
from unirag.app.build import build_entailment
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore
from unirag.settings import load_settings

QUESTIONS = SHARED / "benchmarks" / "eduscopeqa" / "questions.json"
BOOK = SHARED / "benchmarks" / "eduscopeqa" / "book"
FOLDER = RESULTS / "eduscopeqa"
HOLDS = 0.6  # share of the gold answer's content words
FOUND = 0.8
_WORKER = """
import json, sys
import unirag

class Silent:
    name = "silent"

    def count(self, text):
        return len(text) // 4 + 1

    def stream(self, messages, max_tokens):
        return iter(())

def open_app(home, with_model):
    if with_model:
        return unirag.open(home=home, ocr=False)
    from unirag.app import App
    from unirag.app.components import Components
    from unirag.settings import load_settings
    return App(Components(load_settings(home=home, ocr=False), chat=Silent()))

home, questions, output, with_model = sys.argv[1:5]
with open(output, "a+") as file, open_app(home, with_model == "yes") as app:
    file.seek(0)
    done = {json.loads(line)["id"] for line in file}
    for question in json.load(open(questions)):
        if question["id"] in done:
            continue
        answer = app.ask(question["question"], limit=5)
        row = {
            "id": question["id"],
            "refused": answer.refused,
            "sentences": [{"text": s.text, "quoted": s.quoted} for s in answer.sentences],
            "hits": [h.item.text for h in answer.hits],
        }
        file.write(json.dumps(row) + chr(10))
        file.flush()
"""


def run(
    code: Path, label: str, settings: Mapping[str, str], workers_home: Path, with_model: bool
) -> None:
    """Index the book and ask all questions with the version in `code`; write the scores."""
    name = label.replace(" ", "-")
    home = workers_home / f"eduscopeqa-{_commit(code)}"  # one index for each version
    answers = workers_home / f"eduscopeqa-{name}.jsonl"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("UNIRAG_")},
        "PYTHONPATH": str(code),
        "OMP_WAIT_POLICY": "PASSIVE",
        "UNIRAG_DTYPE": "float32",
        **settings,
    }
    index = [sys.executable, "-m", "unirag", "index", str(BOOK), "--home", str(home), "--no-ocr"]
    flag = "yes" if with_model else "no"
    ask = [sys.executable, "-c", _WORKER, str(home), str(QUESTIONS), str(answers), flag]
    for command in (index, ask):
        subprocess.run(command, cwd=code, env=environment, check=True)
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    result = {
        "label": label,
        "settings": dict(settings),
        "answers_commit": _commit(code),
        **describe(("torch", "transformers")),
        **scores(rows),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["all"], indent=1))


def scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the scores over all questions and over each kind of question."""
    questions = {q["id"]: q for q in json.loads(QUESTIONS.read_text())}
    gold = [questions[row["id"]] for row in rows]
    texts = [" ".join(s["text"] for s in row["sentences"]) for row in rows]
    settings = load_settings()
    entailment = build_entailment(
        settings, profile_of(settings), ModelStore(settings.models, settings.profile)
    )
    pairs = [(text, q["answer"]) for text, q in zip(texts, gold, strict=True)]
    entailed = entailment.score(pairs)
    details = [
        {
            "type": q["type"],
            "recall": _recall(q["answer"], text),
            "entailed": float(score) >= settings.answer.grounding.support and bool(text),
            "found": _recall(q["answer"], " ".join(row["hits"][:5])) >= FOUND,
            "refused": row["refused"],
            "quoted": bool(text) and all(s["quoted"] for s in row["sentences"]),
            "words": len(text.split()),
        }
        for row, q, text, score in zip(rows, gold, texts, entailed, strict=True)
    ]
    kinds = sorted({d["type"] for d in details})
    return {
        "all": _summary(details),
        **{kind: _summary([d for d in details if d["type"] == kind]) for kind in kinds},
    }


def _summary(details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def share(name: str) -> float:
        return round(mean(bool(d[name]) for d in details), 3)

    return {
        "questions": len(details),
        "recall": round(mean(d["recall"] for d in details), 3),
        "holds": round(mean(d["recall"] >= HOLDS for d in details), 3),
        "entailed": share("entailed"),
        "found@5": share("found"),
        "refused": share("refused"),
        "quotations only": share("quoted"),
        "words": round(median(d["words"] for d in details)),
    }


def _recall(gold: str, text: str) -> float:
    words = set(content_words(gold))
    return len(words & set(content_words(text))) / max(1, len(words))


def table() -> None:
    """Write eduscopeqa.md from the stored results."""
    results = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]
    columns = [name for name in results[0]["all"] if name != "questions"]
    lines = [
        "# Public questions about a whole textbook (EduScopeQA, development half)",
        "",
        "`python -m benchmarks.eduscopeqa run` and `table`; "
        f"{results[0]['all']['questions']} questions, "
        "OpenStax Microbiology, profile `mini`, no seed (greedy decoding), "
        f"{results[0]['device']}.",
        "",
        "`holds`: 60 % of the content words of the gold answer; `entailed`: the answer entails it "
        "by our own check. The fusion of ranks, the length of quotations and the share of refusals "
        "were chosen on these questions (`search.rerank_*`, `answer.quotation.*`).",
        "",
        "| version | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(
            f"| {r['label']} | " + " | ".join(str(r["all"][name]) for name in columns) + " |"
            for r in results
        ),
    ]
    (BENCHMARKS / "eduscopeqa.md").write_text("\n".join(lines) + "\n")


def _commit(code: Path) -> str:
    command = ["git", "-C", str(code), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Run one version, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--code", type=Path, default=REPOSITORY)
    parser.add_argument("--label", default="now")
    parser.add_argument("--without-model", action="store_true", help="quotations alone")
    parser.add_argument("--set", nargs="*", default=[], metavar="UNIRAG_NAME=VALUE")
    parser.add_argument("--home", type=Path, default=HOME.parent)
    options = parser.parse_args()
    if options.action == "table":
        table()
        return
    settings = dict(pair.split("=", 1) for pair in options.set)
    run(
        options.code.resolve(),
        options.label,
        settings,
        options.home,
        not options.without_model,
    )


if __name__ == "__main__":
    main()
