"""`unirag adapt`, `unirag styles`, `unirag manifest` and `unirag train`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from data.errors import BadInput
from unirag.cli.output import out, plain, print_json
from unirag.cli.progress import show_progress
from unirag.cli.session import Session, command_group, with_session

__all__ = ["adapt", "manifest", "styles_group", "train"]

styles_group = command_group("List and remove query styles.")


def train(
    session: Session,
    run: Annotated[
        Path | None, typer.Argument(help="Configuration of the run, YAML; see docs/training.md.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the encoder; resumes there.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Settings of a paper below yours: uni-rag, uni-retrieval.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Pairs to train on, .jsonl or .csv.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the configuration with the preset; do not train.")
    ] = False,
) -> None:
    """Train an encoder on figures and pairs. A killed run continues where it stopped."""
    from unirag.training.run_config import config_text, read_config
    from unirag.training.trainer import run_training

    if run is None and preset is None:
        raise BadInput("expected the configuration of a run, or --preset, or both")
    if show:
        if preset is None:
            raise BadInput("--print needs a preset; name one with --preset")
        typer.echo(config_text(run, preset), nl=False)
        return
    if folder is None:
        raise BadInput("--out is missing; expected the folder of the encoder")
    settings = session.settings()
    config = read_config(run, preset, manifest)
    with show_progress("views") as display:

        def show_views(done: int, total: int) -> None:
            display.update(done, total, description="views")

        def show_step(step: int, values: Mapping[str, float]) -> None:
            detail = ", ".join(f"{k.split('/')[-1]} {v:.3g}" for k, v in values.items())
            display.update(step, config.train.steps, detail, description="steps")

        card = run_training(config, settings, folder, show_views, show_step)
    if session.json:
        print_json({"encoder": card.name, "folder": str(folder), "styles": list(card.styles)})
    else:
        path = plain(str(folder))
        out.print(f"{card.name} is in {path}; use it with `encoder: {path}`")


def manifest(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    layout: Annotated[str, typer.Option(help="ser, dsr or hand-drawn.")],
    path: Annotated[Path, typer.Option("--out", help="Manifest to write, .jsonl.")],
) -> None:
    """Write the manifest of a published data set, for `train` and `eval retrieval`."""
    from data.manifest import write_manifest
    from data.manifest_layouts import LAYOUTS

    if layout not in LAYOUTS:
        raise BadInput(f"layout {layout!r} is unknown; expected one of {', '.join(LAYOUTS)}")
    if path.suffix != ".jsonl":
        raise BadInput(f"--out {path}: expected a file name that ends in .jsonl")
    count = write_manifest(LAYOUTS[layout](folder), path)
    if session.json:
        print_json({"manifest": str(path), "pairs": count})
    else:
        out.print(f"{count} pairs are in {plain(str(path))}")


def adapt(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the style, such as blackboard.")],
    examples: Annotated[Path, typer.Option("--examples", help="Folder with 8 or more pictures.")],
    originals: Annotated[
        Path | None,
        typer.Option("--originals", help="Folder with the figures they show, same file names."),
    ] = None,
) -> None:
    """Learn a query style from examples. Stored vectors stay as they are."""
    with session.open() as app:
        entry = app.styles.adapt(name, examples, originals)
    if session.json:
        print_json({"name": entry.name, "version": entry.version, "examples": entry.examples})
    else:
        kind = "paired" if entry.paired else "unpaired"
        out.print(
            f"{entry.name} v{entry.version} learned from {entry.examples} {kind} examples; queries "
            "that look like it use it from now on"
        )


@styles_group.command("list")
@with_session
def list_styles(session: Session) -> None:
    """List the query styles that the encoder detects."""
    with session.open() as app:
        styles = app.styles.list()
    if session.json:
        print_json({"styles": styles})
        return
    table = Table("style", "version", "examples", "in use")
    for style in styles:
        table.add_row(
            style["name"],
            str(style["version"] or "trained"),
            str(style["examples"] or ""),
            "yes" if style["in_use"] else "no",
        )
    out.print(table)


@styles_group.command("remove")
@with_session
def remove_style(
    session: Session,
    name: str,
    version: Annotated[int | None, typer.Option(min=1, help="One version; default: all.")] = None,
) -> None:
    """Delete an enrolled style. The version before a deleted one is used again."""
    with session.open() as app:
        count = app.styles.remove(name, version)
    if session.json:
        print_json({"name": name, "removed": count})
    else:
        out.print(f"{name}: {count} versions removed")
