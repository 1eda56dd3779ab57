"""`plan`: how large an index becomes and how long it takes, before anything is bought."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from data.cores import cores
from data.errors import BadInput
from data.ocr import LabelReader, OcrSettings
from unirag.app import App
from unirag.cli.arguments import ConfigOption, HomeOption, JsonOption, ProfileOption
from unirag.cli.output import err, out, plain, print_json
from unirag.settings import load_settings

__all__ = ["plan"]

_NO_GPU = "not measured: no GPU was to be had; run this on a machine that has one"


def plan(
    items: Annotated[int, typer.Option("--items", help="Figures and passages in all.")],
    figures: Annotated[
        float | None, typer.Option("--figures", help="Share of figures, 0 to 1; else the home's.")
    ] = None,
    replicas: Annotated[int, typer.Option("--replicas", help="Copies of each shard.")] = 1,
    gpus: Annotated[int, typer.Option("--gpus", help="GPUs that encode.")] = 0,
    ram: Annotated[float, typer.Option("--ram", help="GB of memory of a store's machine.")] = 64,
    ocr: Annotated[bool, typer.Option("--ocr/--no-ocr", help="Read labels in figures.")] = True,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Vectors, memory, disk, shards and hours for so many items, from rates measured here."""
    for option, value, low, high in (
        ("--items", items, 1, 10**12),
        ("--figures", figures or 0, 0, 1),
        ("--replicas", replicas, 1, 100),
        ("--gpus", gpus, 0, 100_000),
        ("--ram", ram, 1, 100_000),
    ):
        if not low <= value <= high:
            raise BadInput(f"{option}: got {value:g}; expected {low:,} to {high:,}")
    from unirag.models.devices import choose_device, describe_device
    from unirag.plan import Machine, Widths, measure, size, weigh

    settings = load_settings(config_file, home=home, profile=profile, ocr=None if ocr else False)
    with App(settings) as unirag:
        sample = weigh(unirag)
        err.print("measuring how fast this machine encodes …")
        device = choose_device(settings.device)
        gpu = device.startswith("cuda")
        # a cache would be faster than it is
        reader = LabelReader(OcrSettings.for_many(cores())) if settings.ocr else None
        rates = measure(describe_device(device), gpu, unirag.encoder, unirag.text, reader)
        widths = Widths(unirag.encoder.width, unirag.text.width)
    share = sample.figures if figures is None else figures
    sizing = size(
        items,
        share,
        widths,
        sample,
        rates,
        replicas,
        Machine(ram * 1e9),
        settings.quantization or "none",
    )
    on_gpus = sizing.encode_hours / gpus if gpu and gpus and sizing.encode_hours else None
    if as_json:
        print_json(
            {
                "items": items,
                "figures": share,
                "replicas": replicas,
                "gpus": gpus,
                "widths": asdict(widths),
                "sample": asdict(sample),
                "rates": asdict(rates),
                "sizing": asdict(sizing),
                "gpu_hours": on_gpus,
                "gpu_note": _NO_GPU if gpus and not gpu else "",
            }
        )
        return
    rows = {
        "vectors": f"{sizing.vectors:,} ({items:,} of text, {round(items * share):,} of figures)",
        "an item": f"{sizing.bytes_per_item:,.0f} bytes, {sample.payload:,.0f} of them payload "
        f"(mean of {sample.items} items of {sample.source})",
        "memory": f"{_gb(sizing.ram)} for {replicas} of each, payloads on disk",
        "disk": f"{_gb(sizing.disk)}, and {_gb(sizing.home)} in the home for pictures and vectors",
        "shards": f"{sizing.shards} on {sizing.machines} machines of {ram:g} GB; "
        f"qdrant.shard_number: {sizing.shards}, qdrant.replication_factor: {replicas}",
        "measured": _measured(rates.pictures, rates.texts, rates.labels, rates.device),
        "here": f"{_hours(sizing.encode_hours)} to encode"
        + (f", {_hours(sizing.labels_hours)} to read labels" if sizing.labels_hours else ""),
    }
    if gpus:
        rows[f"on {gpus} GPUs"] = (
            f"{_hours(on_gpus)} to encode, where reading keeps up" if gpu else _NO_GPU
        )
    for name, said in rows.items():
        out.print(f"[bold]{name:>12}[/]  {plain(said)}", soft_wrap=True)


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


def _hours(hours: float | None) -> str:
    return "not measured" if hours is None else f"{hours:,.1f} h"


def _measured(
    pictures: float | None, texts: float | None, labels: float | None, device: str
) -> str:
    rates = {"pictures": pictures, "texts": texts, "pictures' labels": labels}
    said = ", ".join(f"{rate:.1f} {name}/s" for name, rate in rates.items() if rate)
    return f"{said} ({device})"
