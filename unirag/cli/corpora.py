"""`unirag corpora` and `unirag reembed`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from unirag.cli.indexing import PARTLY_DONE
from unirag.cli.output import err, out, plain, print_json
from unirag.cli.progress import show_progress
from unirag.cli.session import Session, command_group, with_session
from unirag.schemas import CoverageOut
from unirag.serialization import coverage_line, left_out_line

__all__ = ["corpora_group", "reembed"]

corpora_group = command_group(
    "List, inspect, add and remove corpora, and carry them to other workspaces."
)


@corpora_group.command("list")
@with_session
def list_corpora(session: Session) -> None:
    """List the indexed corpora."""
    with session.open() as app:
        corpora = app.corpora.list()
    if session.json:
        print_json({"corpora": corpora})
        return
    table = Table("corpus", "documents", "figures", "passages", "root")
    for corpus in corpora:
        counts = (str(corpus[name]) for name in ("documents", "figures", "passages"))
        table.add_row(corpus["name"], *counts, plain(corpus["root"]))
    out.print(table if corpora else "No corpus yet: `unirag index PATH` makes one.")


@corpora_group.command("show")
@with_session
def show_coverage(
    session: Session,
    name: str,
    limit: Annotated[int, typer.Option(min=1, help="Number of documents.")] = 50,
) -> None:
    """Say what was indexed from each document, what was not, and why. Problems come first."""
    with session.open() as app:
        coverage = CoverageOut.model_validate(app.corpora.coverage(name, limit))
    if session.json:
        print_json(coverage)
        return
    table = Table("document", "figures", "passages", "what is missing, and why")
    for document in coverage.covered:
        table.add_row(
            plain(document.source),
            str(document.figures),
            str(document.passages),
            plain(left_out_line(document)),
        )
    out.print(table)
    out.print(coverage_line(coverage), soft_wrap=True)


@corpora_group.command("add")
@with_session
def add_corpus(
    session: Session,
    name: str,
    path: Path,
    licence: Annotated[str, typer.Option(help="For documents that state none.")] = "",
    attribution: Annotated[str, typer.Option(help="For documents that state none.")] = "",
) -> None:
    """Name a folder, with its licence, or point a corpus at another folder."""
    with session.open() as app:
        corpus = app.corpora.add(name, path, licence, attribution)
    if session.json:
        print_json({"name": corpus.name, "root": corpus.root})
    else:
        root = plain(corpus.root)
        out.print(
            f"{corpus.name} is {root}; `unirag index {root} --corpus {corpus.name}` reads it",
            soft_wrap=True,
        )


@corpora_group.command("remove")
@with_session
def remove_corpus(session: Session, name: str) -> None:
    """Delete a corpus from the index. The files that it was read from stay."""
    with session.open() as app:
        count = app.corpora.remove(name)
    if session.json:
        print_json({"name": name, "removed": count})
    else:
        out.print(f"{name}: {count} items removed")


@corpora_group.command("export")
@with_session
def export_corpus(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the corpus.")],
    file: Annotated[Path, typer.Argument(help="File to write, such as NAME.unirag.")],
) -> None:
    """Write a corpus to one file: items, vectors, pictures and catalog."""
    with session.open() as app:
        written = app.corpora.export(name, file)
    head = written.header
    if session.json:
        print_json(
            {
                "name": name,
                "file": str(file),
                "documents": head.documents,
                "items": head.items,
                "pictures": head.pictures,
                "missing_pictures": [
                    {"id": i.id, "source": i.source} for i in written.missing_pictures
                ],
            }
        )
    else:
        out.print(
            f"{name}: {head.items} items and {head.pictures} pictures of {head.documents} "
            f"documents are in {plain(str(file))}",
            soft_wrap=True,
        )
        for item in written.missing_pictures:
            out.print(f"  [yellow]without its picture[/] {plain(item.locator)}", soft_wrap=True)
    if written.missing_pictures:
        raise typer.Exit(PARTLY_DONE)


@corpora_group.command("import")
@with_session
def import_corpus(
    session: Session,
    file: Annotated[Path, typer.Argument(help="File that `corpora export` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the corpus of that name.")
    ] = False,
) -> None:
    """Store a corpus that `corpora export` wrote. Nothing is read or encoded."""
    with (
        session.open() as app,
        _show_items("importing", "the same command starts over") as progress,
    ):
        head = app.corpora.import_file(file, replace=replace, progress=progress)
    name = head.corpus.name
    if session.json:
        print_json(
            {
                "name": name,
                "documents": head.documents,
                "items": head.items,
                "pictures": head.pictures,
            }
        )
    else:
        out.print(
            f"{name}: {head.items} items and {head.pictures} pictures of {head.documents} "
            f"documents; `unirag corpora add {name} FOLDER` says where its documents are here",
            soft_wrap=True,
        )


def reembed(session: Session) -> None:
    """Encode the indexed items again after a change of the encoder, without reading documents."""
    with (
        session.open() as app,
        _show_items("encoding", "the same command continues from there") as progress,
    ):
        report = app.corpora.reembed(progress)
    if session.json:
        print_json(report.to_json())
    elif report.items:
        out.print(f"{report.items} items encoded again; {report.seconds:.1f} s")
        for item, reason in report.missing_pictures:
            line = plain(f"{item.locator}: {reason}")
            out.print(f"  [yellow]found by its words only[/] {line}", soft_wrap=True)
    else:
        out.print("Nothing to encode: the encoder of these settings indexed everything.")
    if report.missing_pictures:
        raise typer.Exit(PARTLY_DONE)


@contextmanager
def _show_items(description: str, interrupted: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress over items. Ctrl+C ends the command and says how to continue."""
    with show_progress(description) as display:
        try:
            yield lambda done, total: display.update(done, total, "items")
        except KeyboardInterrupt:
            display.stop()
            err.print(f"stopped; the stored corpora are unchanged, and {interrupted}")
            raise typer.Exit(130) from None
