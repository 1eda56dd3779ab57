"""Does a student's question find what answers it in a whole physics book?

    python -m benchmarks.search_physics [--home DIR] [--corpora DIR] [--profile mini] [--check]

Asks every query of `queries/physics.yaml` of one index of the book openstax-physics, with the
settings that a student has, and looks for the items that were found relevant by hand:

    recall@5   share of queries with at least one relevant item among the first 5 hits
    found@5    mean share of a query's relevant items among the first 5 hits
    R@1        share of queries whose first hit is relevant
    MRR        mean of 1 / rank of the first relevant hit, 0 beyond rank 20

The book is indexed first where the home lacks it. Query pictures are made from the book's own by
`query_pictures.py`, the same ones every time. Writes results/search_physics.json and
search_physics.md. With --check, exits with 1 where recall@5 over all queries is below 0.85;
--validate only checks the queries against the book, which needs no models.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import unirag
from benchmarks.checked_queries import GROUPS, Query, load, read_items, validate
from benchmarks.environment import CORPORA, HERE, HOME, describe
from benchmarks.query_pictures import WAYS, make
from data.errors import Missing, UniragError
from data.pictures import open_picture
from data.records import item_id
from retrieval.store import Where
from unirag.app import App

QUERIES = HERE / "queries" / "physics.yaml"
SEED = 7
TOP, DEPTH = 5, 20
WANTED = 0.85
LIBRARIES = (
    "torch", "transformers", "sentence-transformers", "qdrant-edge-py", "onnxruntime",
    "rapidocr", "numpy", "pillow",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a query found: the ranks of its relevant items within `DEPTH`, and the first hits."""

    query: Query
    ranks: tuple[int, ...]
    first: tuple[str, ...]
    no_good_match: bool
    ms: float


def ensure_indexed(app: App, book: Path, corpus: str, queries: Sequence[Query]) -> None:
    """Index the book where an item that a query needs is not in the store yet."""
    wanted = {item_id(corpus, locator) for q in queries for locator in q.relevant}

    def lacking() -> int:
        return len(wanted) - len(app.store.get(sorted(wanted)))

    if not lacking():
        return
    print(f"indexing {book.name} into {app.home.root} …", file=sys.stderr)
    app.index([book], corpus=corpus)
    if missing := lacking():
        raise Missing(f"{missing} relevant items are not in the index; index into another --home")


def ask(app: App, query: Query, corpus: str, book: Path, folder: Path) -> Outcome:
    images = []
    if query.picture:
        data = make(open_picture(book / query.picture), query.made, query.picture, SEED)
        images.append(folder / "query")  # a name that says nothing
        images[0].write_bytes(data)
    where = Where(kinds=() if query.kind == "any" else (query.kind,), corpora=(corpus,))
    began = time.perf_counter()
    found = app.search(query.text, images=images, limit=DEPTH, where=where)
    ms = 1000 * (time.perf_counter() - began)
    locators = [hit.item.locator for hit in found.hits]
    ranks = tuple(n for n, locator in enumerate(locators, 1) if locator in query.relevant)
    return Outcome(query, ranks, tuple(locators[:TOP]), found.no_good_match, round(ms, 1))


def measured(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of one group; `interval` is Wilson's 95 % interval of recall@5."""
    count = len(outcomes)

    def mean(values: Iterable[float]) -> float:
        return round(sum(values) / count, 3)

    share = sum(_success(o) for o in outcomes) / count
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    spread /= 1 + z * z / count
    return {
        "queries": count,
        "recall@5": round(share, 3),
        "interval": [round(middle - spread, 3), round(middle + spread, 3)],
        "found@5": mean(sum(r <= TOP for r in o.ranks) / len(o.query.relevant) for o in outcomes),
        "R@1": mean(1 in o.ranks for o in outcomes),
        "MRR": mean(1 / o.ranks[0] if o.ranks else 0 for o in outcomes),
        "said_no_match": sum(o.no_good_match for o in outcomes),
    }


def _success(outcome: Outcome) -> bool:
    return any(rank <= TOP for rank in outcome.ranks)


def table(results: dict[str, Any], misses: Sequence[Outcome]) -> str:
    lines = [
        "# Search in a whole physics book",
        "",
        f"Made by `python -m benchmarks.search_physics`: {results['all']['queries']} queries, "
        "worded and checked by hand (`queries/physics.yaml`), among "
        f"{results['items']} items. Profile {results['profile']} on {results['device']}, commit "
        f"{results['commit'][:12]}. recall@5 is the share of queries with at least one relevant "
        "item among the first 5, with its 95 % interval.",
        "",
        "| queries | n | recall@5 | found@5 | R@1 | MRR | said no match |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in (*results["groups"].items(), ("**all**", results["all"])):
        low, high = row["interval"]
        lines.append(
            f"| {name} | {row['queries']} | {row['recall@5']:.2f} ({low:.2f} to {high:.2f}) "
            f"| {row['found@5']:.2f} | {row['R@1']:.2f} | {row['MRR']:.2f} "
            f"| {row['said_no_match']} |"
        )
    lines += ["", "## Misses", ""]
    for miss in misses:
        rank = f"rank {miss.ranks[0]}" if miss.ranks else f"not in the first {DEPTH}"
        first = f"`{miss.first[0]}`" if miss.first else "nothing"
        wanted = f"`{miss.query.relevant[0]}`"
        name = f"{miss.query.group}: {miss.query.name}"
        lines.append(f"- {name}: {first} came first; {wanted}, {rank}")
    if not misses:
        lines.append("None.")
    return "\n".join([*lines, ""])


def run(arguments: argparse.Namespace) -> float:
    """recall@5 over all queries; NaN where they were only validated."""
    corpus, queries = load(QUERIES)
    book = arguments.corpora / corpus
    validate(queries, read_items(book, corpus), book, QUERIES.name)
    print(f"{len(queries)} queries fit the book", file=sys.stderr)
    if arguments.validate:
        return math.nan
    with (
        unirag.open(home=arguments.home, profile=arguments.profile) as app,
        tempfile.TemporaryDirectory() as folder,
    ):
        ensure_indexed(app, book, corpus, queries)
        outcomes = [ask(app, query, corpus, book, Path(folder)) for query in queries]
        results: dict[str, Any] = {
            **describe(LIBRARIES),
            "profile": app.profile.name,
            "encoder": app.encoder.name,
            "text_model": app.text.name,
            "seed": SEED,
            "items": app.store.count(Where(corpora=(corpus,))),
        }
    results["all"] = measured(outcomes)
    groups = {g: [o for o in outcomes if o.query.group == g] for g in GROUPS}
    ways = {w: [o for o in outcomes if o.query.made == w] for w in WAYS}
    results["groups"] = {name: measured(of) for name, of in groups.items() if of}
    results["ways"] = {name: measured(of) for name, of in ways.items() if of}
    results["queries"] = [
        {
            "group": o.query.group,
            "query": o.query.name,
            "relevant": len(o.query.relevant),
            "ranks": o.ranks,
            "first": o.first,
            "no_good_match": o.no_good_match,
            "ms": o.ms,
        }
        for o in outcomes
    ]
    text = table(results, [o for o in outcomes if not _success(o)])
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "search_physics.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "search_physics.md").write_text(text)
    print(text)
    return float(results["all"]["recall@5"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME, help="kept between runs [%(default)s]")
    parser.add_argument("--corpora", type=Path, default=CORPORA, help="folder of the books")
    parser.add_argument("--profile", help="mini, base or paper")
    parser.add_argument("--validate", action="store_true", help="only check the queries")
    parser.add_argument("--check", action="store_true", help=f"fail below recall@5 of {WANTED}")
    arguments = parser.parse_args()
    try:
        recall = run(arguments)
    except UniragError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.check and recall < WANTED:
        print(f"recall@5 is {recall}; expected at least {WANTED}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
