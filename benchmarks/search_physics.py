"""Measure whether 82 hand-checked queries find their answers in a whole physics book.

    python -m benchmarks.search_physics [--home DIR] [--corpora DIR] [--profile mini] [--check]

Searches one index of the book openstax-physics with every query of `queries/physics.yaml`, with the
default settings, and looks for the items that were marked relevant by hand:

    recall@5   share of queries with at least one relevant item among the first 5 hits
    found@5    mean share of a query's relevant items among the first 5 hits
    R@1        share of queries whose first hit is relevant
    MRR        mean of 1 / rank of the first relevant hit, 0 beyond rank 20

Indexes the book first if the home lacks it. `query_pictures.py` makes the query pictures from the
book's own, the same ones in every run. Writes results/search_physics.json and search_physics.md.
--check exits with 1 if recall@5 over all queries is below 0.85. --validate only checks the queries
against the book and needs no models.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import unirag
from benchmarks.checked_queries import GROUPS, CheckedQuery, load, read_items, validate
from benchmarks.environment import BENCHMARKS, CORPORA, HOME, describe, short_commit, write_results
from benchmarks.query_pictures import RENDITIONS, render
from data.errors import Missing, UniragError
from data.pictures import open_picture
from data.records import Query, QueryImage, item_id
from retrieval.store import Where
from unirag.app import App

QUERIES = BENCHMARKS / "queries" / "physics.yaml"
SEED = 7
TOP, DEPTH = 5, 20
MIN_RECALL = 0.85
LIBRARIES = (
    "torch", "transformers", "qdrant-edge-py", "onnxruntime",
    "rapidocr", "numpy", "pillow",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """The result of one query.

    `ranks` are the ranks of its relevant items within `DEPTH`, and `top` the locators of the first
    `TOP` hits.
    """

    query: CheckedQuery
    ranks: tuple[int, ...]
    top: tuple[str, ...]
    no_good_match: bool
    ms: float

    @property
    def success(self) -> bool:
        """Whether a relevant item is among the first `TOP` hits."""
        return any(rank <= TOP for rank in self.ranks)


def ensure_indexed(app: App, book: Path, corpus: str, queries: Sequence[CheckedQuery]) -> None:
    """Index the book unless the store holds every relevant item."""
    relevant = {item_id(corpus, locator) for q in queries for locator in q.relevant}

    def count_missing() -> int:
        return len(relevant) - len(app.components.store.get(sorted(relevant)))

    if not count_missing():
        return
    print(f"indexing {book.name} into {app.components.workspace.root} …", file=sys.stderr)
    app.index([book], corpus=corpus)
    if missing := count_missing():
        raise Missing(f"{missing} relevant items are not in the index; index into another --home")


def search(app: App, query: CheckedQuery, corpus: str, book: Path) -> Outcome:
    """Run one query and find the ranks of its relevant items."""
    images = []
    if query.picture:
        data = render(open_picture(book / query.picture), query.rendition, query.picture, SEED)
        images.append(QueryImage(data))
    where = Where(kinds=() if query.kind == "any" else (query.kind,), corpora=(corpus,))
    start = time.perf_counter()
    result = app.search(Query(query.text, images=images), limit=DEPTH, where=where)
    ms = 1000 * (time.perf_counter() - start)
    locators = [hit.item.locator for hit in result.hits]
    ranks = tuple(n for n, locator in enumerate(locators, 1) if locator in query.relevant)
    return Outcome(query, ranks, tuple(locators[:TOP]), result.no_good_match, round(ms, 1))


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the figures of one group; `interval` is Wilson's 95 % interval of recall@5."""
    count = len(outcomes)

    def mean(values: Iterable[float]) -> float:
        return round(sum(values) / count, 3)

    share = sum(o.success for o in outcomes) / count
    z = 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    margin = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    margin /= 1 + z * z / count
    return {
        "queries": count,
        "recall@5": round(share, 3),
        "interval": [round(centre - margin, 3), round(centre + margin, 3)],
        "found@5": mean(sum(r <= TOP for r in o.ranks) / len(o.query.relevant) for o in outcomes),
        "R@1": mean(1 in o.ranks for o in outcomes),
        "MRR": mean(1 / o.ranks[0] if o.ranks else 0 for o in outcomes),
        "no_good_match": sum(o.no_good_match for o in outcomes),
    }


def table(results: dict[str, Any], misses: Sequence[Outcome]) -> str:
    """Format search_physics.md."""
    lines = [
        "# Search in a whole physics book",
        "",
        f"Made by `python -m benchmarks.search_physics`: {results['all']['queries']} queries, "
        "written and checked by hand (`queries/physics.yaml`), among "
        f"{results['items']} items. Profile {results['profile']} on {results['device']}, commit "
        f"{short_commit(results['commit'])}. recall@5 is the share of queries with at least one "
        "relevant item among the first 5 hits, with its 95 % interval.",
        "",
        "| queries | n | recall@5 | found@5 | R@1 | MRR | no good match |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in (*results["groups"].items(), ("**all**", results["all"])):
        low, high = row["interval"]
        lines.append(
            f"| {name} | {row['queries']} | {row['recall@5']:.2f} ({low:.2f} to {high:.2f}) "
            f"| {row['found@5']:.2f} | {row['R@1']:.2f} | {row['MRR']:.2f} "
            f"| {row['no_good_match']} |"
        )
    lines += ["", "## Misses", ""]
    for miss in misses:
        rank = f"rank {miss.ranks[0]}" if miss.ranks else f"not in the first {DEPTH}"
        first = f"`{miss.top[0]}`" if miss.top else "nothing"
        name = f"{miss.query.group}: {miss.query.name}"
        lines.append(f"- {name}: first hit {first}; relevant `{miss.query.relevant[0]}`, {rank}")
    if not misses:
        lines.append("None.")
    return "\n".join([*lines, ""])


def run(arguments: argparse.Namespace) -> float:
    """Return recall@5 over all queries, or NaN if the queries were only validated."""
    corpus, queries = load(QUERIES)
    book = arguments.corpora / corpus
    validate(queries, read_items(book, corpus), book, QUERIES.name)
    print(f"{len(queries)} queries fit the book", file=sys.stderr)
    if arguments.validate:
        return math.nan
    with unirag.open(home=arguments.home, profile=arguments.profile) as app:
        ensure_indexed(app, book, corpus, queries)
        outcomes = [search(app, query, corpus, book) for query in queries]
        results: dict[str, Any] = {
            **describe(LIBRARIES),
            "profile": app.components.profile.name,
            "encoder": app.components.encoder.name,
            "text_model": app.components.text.name,
            "seed": SEED,
            "items": app.components.store.count(Where(corpora=(corpus,))),
        }
    results["all"] = summarise(outcomes)
    by_group = {g: [o for o in outcomes if o.query.group == g] for g in GROUPS}
    by_rendition = {r: [o for o in outcomes if o.query.rendition == r] for r in RENDITIONS}
    results["groups"] = {name: summarise(part) for name, part in by_group.items() if part}
    results["renditions"] = {name: summarise(part) for name, part in by_rendition.items() if part}
    results["queries"] = [
        {
            "group": o.query.group,
            "query": o.query.name,
            "relevant": len(o.query.relevant),
            "ranks": o.ranks,
            "first": o.top,
            "no_good_match": o.no_good_match,
            "ms": o.ms,
        }
        for o in outcomes
    ]
    text = table(results, [o for o in outcomes if not o.success])
    write_results("search_physics", results)
    (BENCHMARKS / "search_physics.md").write_text(text)
    print(text)
    return float(results["all"]["recall@5"])


def main() -> int:
    """Run the benchmark and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME, help="kept between runs [%(default)s]")
    parser.add_argument("--corpora", type=Path, default=CORPORA, help="folder of the books")
    parser.add_argument("--profile", help="mini, base or paper")
    parser.add_argument("--validate", action="store_true", help="only check the queries")
    parser.add_argument("--check", action="store_true", help=f"fail below recall@5 of {MIN_RECALL}")
    arguments = parser.parse_args()
    try:
        recall = run(arguments)
    except UniragError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.check and recall < MIN_RECALL:
        print(f"recall@5 is {recall}; expected at least {MIN_RECALL}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
