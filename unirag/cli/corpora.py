"""Commands on what is indexed: corpora, their way to other homes, and another encoder for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from unirag.app import App
from unirag.cli.arguments import ConfigOption, HomeOption, JsonOption, ProfileOption
from unirag.cli.output import err, out, plain, print_json, progress_bar
from unirag.serialization import coverage_line, missing_line
from unirag.settings import load_settings

__all__ = ["corpora_app", "reembed"]

corpora_app = typer.Typer(
    help="List, inspect, add and remove corpora, and carry them to other homes.",
    no_args_is_help=True,
)


@corpora_app.command("list")
def corpora_list(
    home: HomeOption = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """What is indexed."""
    with App(load_settings(config_file, home=home)) as unirag:
        corpora = unirag.corpora()
    if as_json:
        print_json({"corpora": corpora})
        return
    table = Table("corpus", "documents", "figures", "passages", "root")
    for c in corpora:
        table.add_row(
            c["name"], str(c["documents"]), str(c["figures"]), str(c["passages"]), plain(c["root"])
        )
    out.print(table if corpora else "No corpus yet: `unirag index PATH` makes one.")


@corpora_app.command("show")
def corpora_show(
    name: str,
    limit: Annotated[int, typer.Option(min=1, help="Documents to name.")] = 50,
    home: HomeOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What was taken from each document, what was not and why; those that need a look first."""
    with App(load_settings(config_file, home=home)) as unirag:
        found = unirag.coverage(name, limit)
    if as_json:
        print_json(found)
        return
    table = Table("document", "figures", "passages", "what is not there, and why")
    for c in found["covered"]:
        table.add_row(
            plain(c["source"]), str(c["figures"]), str(c["passages"]), plain(missing_line(c))
        )
    out.print(table)
    out.print(coverage_line(found), soft_wrap=True)


@corpora_app.command("add")
def corpora_add(
    name: str,
    path: Path,
    licence: Annotated[str, typer.Option(help="For documents that state none.")] = "",
    attribution: Annotated[str, typer.Option(help="For documents that state none.")] = "",
    home: HomeOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a folder, with its licence, or point a known corpus at another folder."""
    with App(load_settings(config_file, home=home)) as unirag:
        corpus = unirag.add_corpus(name, path, licence, attribution)
    if as_json:
        print_json({"name": corpus.name, "root": corpus.root})
    else:
        root = plain(corpus.root)
        out.print(
            f"{corpus.name} is {root}; `unirag index {root} --corpus {corpus.name}` reads it",
            soft_wrap=True,
        )


@corpora_app.command("remove")
def corpora_remove(
    name: str,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a corpus from the index; the files it was read from stay."""
    with App(load_settings(config_file, home=home, profile=profile)) as unirag:
        count = unirag.remove_corpus(name)
    if as_json:
        print_json({"name": name, "removed": count})
    else:
        out.print(f"{name}: {count} items removed")


@corpora_app.command("export")
def corpora_export(
    name: Annotated[str, typer.Argument(help="The corpus.")],
    file: Annotated[Path, typer.Argument(help="The file to write, such as NAME.unirag.")],
    home: HomeOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a corpus to one file: items, vectors, pictures and what was read."""
    with App(load_settings(config_file, home=home)) as unirag:
        written = unirag.export_corpus(name, file)
    head = written.head
    if as_json:
        print_json(
            {
                "name": name,
                "file": str(file),
                "documents": head.documents,
                "items": head.items,
                "pictures": head.pictures,
                "lacking": [{"id": i.id, "source": i.source} for i in written.lacking],
            }
        )
    else:
        out.print(
            f"{name}: {head.items} items and {head.pictures} pictures of {head.documents} "
            f"documents are in {plain(str(file))}",
            soft_wrap=True,
        )
        for item in written.lacking:
            out.print(f"  [yellow]without its picture[/] {plain(item.locator)}", soft_wrap=True)
    if written.lacking:
        raise typer.Exit(4)


@corpora_app.command("import")
def corpora_import(
    file: Annotated[Path, typer.Argument(help="What `corpora export` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of the corpus of that name.")
    ] = False,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Store what `corpora export` wrote; nothing is read or encoded."""
    with (
        App(load_settings(config_file, home=home, profile=profile)) as unirag,
        _items("importing", as_json, "the same command starts over") as progress,
    ):
        head = unirag.import_corpus(file, replace=replace, progress=progress)
    name = head.corpus.name
    if as_json:
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
            f"documents; `unirag corpora add {name} FOLDER` says where its documents lie here",
            soft_wrap=True,
        )


def reembed(
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode anew what another encoder indexed, without reading it again."""
    with (
        App(load_settings(config_file, home=home, profile=profile)) as unirag,
        _items("encoding", as_json, "the same command goes on from there") as progress,
    ):
        report = unirag.reembed(progress)
    if as_json:
        print_json(report.to_json())
    elif report.items:
        out.print(f"{report.items} items encoded anew; {report.seconds:.1f} s")
        for item, why in report.lacking:
            said = plain(f"{item.locator}: {why}")
            out.print(f"  [yellow]found by its words only[/] {said}", soft_wrap=True)
    else:
        out.print("Nothing to encode: what is indexed is by the encoder of these settings.")
    if report.lacking:
        raise typer.Exit(4)


@contextmanager
def _items(what: str, quiet: bool, interrupted: str) -> Iterator[Callable[[int, int], None]]:
    """A bar over items; Ctrl+C says how to go on."""
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task(what, total=None, detail="items")
        try:
            yield lambda done, total: bar.update(task, completed=done, total=total)
        except KeyboardInterrupt:
            bar.stop()
            err.print(f"stopped; what was there is as it was, and {interrupted}")
            raise typer.Exit(130) from None
