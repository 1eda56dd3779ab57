"""`unirag encoder`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unirag.cli.output import out, plain, print_json
from unirag.cli.session import Session, command_group, with_session

__all__ = ["encoder_group"]

encoder_group = command_group("Exchange trained encoders.")
Folder = Annotated[Path, typer.Argument(help="Folder that `unirag train` wrote.")]
Target = Annotated[str, typer.Argument(help="Repository of the Hub: hub:org/name.")]


@encoder_group.command("push")
@with_session
def push(
    session: Session,
    folder: Folder,
    target: Target,
    public: Annotated[bool, typer.Option("--public", help="Let everyone see it.")] = False,
) -> None:
    """Upload an encoder with its model card to the Hub."""
    from unirag.models.encoder_exchange import push_encoder

    source = push_encoder(folder, target, private=not public)
    if session.json:
        print_json({"pushed": source})
    else:
        out.print(f"{plain(str(folder))} is in {plain(source)}")


@encoder_group.command("pull")
@with_session
def pull(
    session: Session,
    target: Target,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write it to.")],
) -> None:
    """Download an encoder from the Hub."""
    from unirag.models.encoder_exchange import pull_encoder

    card = pull_encoder(target, folder)
    if session.json:
        print_json({"encoder": card.name, "folder": str(folder)})
    else:
        path = plain(str(folder))
        out.print(f"{card.name} is in {path}; use it with `encoder: {path}`")


@encoder_group.command("export-peft")
@with_session
def export(
    session: Session,
    folder: Folder,
    target: Annotated[Path, typer.Option("--out", help="Folder for the adapters.")],
) -> None:
    """Write the LoRA experts of an encoder with a mini tower as adapters of PEFT."""
    from retrieval.checkpoint import load_checkpoint, read_card
    from retrieval.training.peft_exchange import export_peft
    from unirag.models.encoders import build_mini_tower

    encoder = load_checkpoint(folder, build_mini_tower)
    folders = export_peft(encoder, target, read_card(folder).name)
    if session.json:
        print_json({"adapters": [str(path) for path in folders]})
    else:
        out.print("\n".join(plain(str(path)) for path in folders))


@encoder_group.command("import-reference")
@with_session
def import_checkpoint(
    session: Session,
    checkpoint: Annotated[Path, typer.Argument(help="File that the public code saved, .pth.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the OpenCLIP model.")],
) -> None:
    """Write the tower of a checkpoint of Uni-Retrieval's public code as an OpenCLIP model."""
    from retrieval.training.reference_checkpoint import import_reference

    imported = import_reference(checkpoint, folder)
    if session.json:
        shapes = {name: list(shape) for name, shape in imported.left_out.items()}
        print_json({"folder": str(folder), "left_out": shapes})
        return
    path = plain(str(folder))
    out.print(f"The tower is in {path}; use it with `image_model: path:{path}`")
    out.print(f"Left out, since only the tower is of use: {plain(', '.join(imported.left_out))}")
