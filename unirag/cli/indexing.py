"""`unirag index`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from unirag.app import App
from unirag.cli.output import err, out, plain, print_json
from unirag.cli.progress import show_progress
from unirag.cli.session import Session
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.serialization import problem_line
from unirag.workspace.catalog import DocumentProblem

__all__ = ["PARTLY_DONE", "index", "run_index"]

PARTLY_DONE = 4  # exit code if there are dead letters
_INTERRUPTED = 130  # exit code after Ctrl+C
_MAX_PROBLEMS = 10  # printed parts that were left out


def index(
    session: Session,
    paths: Annotated[list[Path], typer.Argument(help="Files, folders or OpenStax repositories.")],
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="Name of the corpus; default: the folder's.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents that are gone.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Read unchanged dead letters again.")
    ] = False,
    ocr: Annotated[bool, typer.Option("--ocr/--no-ocr", help="Read labels in figures.")] = True,
    engine: Annotated[
        str | None, typer.Option("--engine", help="local, or ray: on a cluster (docs/indexing.md).")
    ] = None,
) -> None:
    """Index documents. A second run reads only what changed."""
    with session.open(ocr=None if ocr else False, engine=engine) as app:
        reports = run_index(app, paths, corpus=corpus, prune=prune, retry_failed=retry_failed)
    if session.json:
        print_json({"corpora": [report.to_json() for report in reports]})
    else:
        for report in reports:
            print_report(report)
    if any(report.dead_letters for report in reports):
        raise typer.Exit(PARTLY_DONE)


def run_index(
    app: App,
    paths: Sequence[Path],
    *,
    corpus: str | None = None,
    prune: bool = False,
    retry_failed: bool = False,
) -> list[IndexReport]:
    """Index with a progress display. Ctrl+C ends the command and says how to continue."""
    with show_progress("indexing") as display:
        show: Callable[[IndexProgress], None] = lambda progress: display.update(  # noqa: E731
            progress.documents, progress.total, _detail(progress)
        )
        try:
            return app.index(
                paths, corpus=corpus, prune=prune, retry_failed=retry_failed, progress=show
            )
        except KeyboardInterrupt:
            display.stop()
            err.print("stopped; what is stored is kept, and the same command continues from there")
            raise typer.Exit(_INTERRUPTED) from None


def _detail(progress: IndexProgress) -> str:
    pages = f"{progress.pages} pages, " if progress.pages else ""
    failed = f", {progress.failed} failed" if progress.failed else ""
    return (
        f"{pages}{progress.pictures} figures, {progress.items} items, "
        f"{progress.items_per_second:.1f} items/s{failed}"
    )


def print_report(report: IndexReport) -> None:
    """Print what a run indexed, its dead letters and the parts that it left out."""
    out.print(
        f"[bold]{report.corpus}[/]: {report.figures} figures and {report.passages} passages from "
        f"{report.new} new and {report.changed} changed documents, {report.unchanged} unchanged, "
        f"{report.removed} removed, {len(report.dead_letters)} failed; {report.seconds:.1f} s",
        soft_wrap=True,
    )
    for problem in report.dead_letters:
        out.print(f"  [red]not indexed[/] {_problem_line(problem)}", soft_wrap=True)
    left_out = [p for p in report.problems if not p.is_dead_letter]
    for problem in left_out[:_MAX_PROBLEMS]:
        out.print(f"  [yellow]left out[/] {_problem_line(problem)}", soft_wrap=True)
    if len(left_out) > _MAX_PROBLEMS:
        out.print(
            f"  [yellow]and {len(left_out) - _MAX_PROBLEMS} more[/] (all of them with --json)"
        )
    if report.missing and not report.removed:
        out.print(f"  {len(report.missing)} indexed documents are gone; --prune removes them")


def _problem_line(problem: DocumentProblem) -> str:
    """Return `document: message`. Do not repeat the document if the message names it."""
    message = problem.message.removeprefix(f"{problem.source}: ")
    return plain(f"{problem.source}: {problem_line(message, problem.kind, problem.page)}")
