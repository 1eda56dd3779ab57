"""`unirag plan`: estimate how large an index becomes and how long it takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from data.cpu_cores import count_cores
from data.errors import BadInput
from data.ocr import LabelReader, OcrSettings
from unirag.app import App
from unirag.cli.output import err, out, plain, print_json
from unirag.cli.session import Session

if TYPE_CHECKING:
    from unirag.plan import EncodingRates, IndexSize, ItemSample, VectorWidths

__all__ = ["plan"]

_NO_GPU = "not measured: this machine has no GPU; run the command on one that has"


def plan(
    session: Session,
    items: Annotated[int, typer.Option("--items", help="Number of figures and passages.")],
    figures: Annotated[
        float | None,
        typer.Option("--figures", help="Share of figures, 0 to 1; default: the workspace's."),
    ] = None,
    replicas: Annotated[int, typer.Option("--replicas", help="Copies of each shard.")] = 1,
    gpus: Annotated[int, typer.Option("--gpus", help="Number of GPUs that encode.")] = 0,
    ram: Annotated[float, typer.Option("--ram", help="Memory of a store's machine, GB.")] = 64,
    ocr: Annotated[bool, typer.Option("--ocr/--no-ocr", help="Read labels in figures.")] = True,
) -> None:
    """Estimate vectors, memory, disk, shards and hours, from rates measured on this machine."""
    _check_ranges(items, figures, replicas, gpus, ram)
    from unirag.plan import StoreMachine, estimate_size, sample_workspace

    settings = session.settings(ocr=None if ocr else False)
    with session.open_app(settings) as app:
        sample = sample_workspace(app)
        err.print("measuring how fast this machine encodes …")
        widths, rates = _measure(app)
    share = sample.figure_share if figures is None else figures
    size = estimate_size(
        items,
        share,
        widths,
        sample,
        rates,
        replicas,
        StoreMachine(ram * 1e9),
        settings.quantization or "none",
    )
    hours_on_gpus = size.encode_hours / gpus if rates.gpu and gpus and size.encode_hours else None
    if session.json:
        print_json(
            {
                "items": items,
                "figures": share,
                "replicas": replicas,
                "gpus": gpus,
                "widths": asdict(widths),
                "sample": asdict(sample),
                "rates": asdict(rates),
                "sizing": asdict(size),
                "gpu_hours": hours_on_gpus,
                "gpu_note": _NO_GPU if gpus and not rates.gpu else "",
            }
        )
        return
    rows = _rows(items, share, replicas, ram, sample, rates, size)
    if gpus:
        on_gpus = f"{_hours(hours_on_gpus)} to encode, if reading keeps up"
        rows[f"on {gpus} GPUs"] = on_gpus if rates.gpu else _NO_GPU
    for name, text in rows.items():
        out.print(f"[bold]{name:>12}[/]  {plain(text)}", soft_wrap=True)


def _check_ranges(items: int, figures: float | None, replicas: int, gpus: int, ram: float) -> None:
    for option, value, low, high in (
        ("--items", items, 1, 10**12),
        ("--figures", figures or 0, 0, 1),
        ("--replicas", replicas, 1, 100),
        ("--gpus", gpus, 0, 100_000),
        ("--ram", ram, 1, 100_000),
    ):
        if not low <= value <= high:
            raise BadInput(f"{option}: got {value:g}; expected {low:,} to {high:,}")


def _measure(app: App) -> tuple[VectorWidths, EncodingRates]:
    from unirag.models.devices import choose_device, describe_device
    from unirag.plan import VectorWidths, measure_rates

    components = app.components
    device = choose_device(app.settings.device)
    # no OCR cache: cached labels would make OCR look faster than it is
    ocr = LabelReader(OcrSettings.for_many(count_cores())) if app.settings.ocr else None
    rates = measure_rates(
        describe_device(device),
        device.startswith("cuda"),
        components.encoder,
        components.text,
        ocr,
    )
    return VectorWidths(components.encoder.width, components.text.width), rates


def _rows(
    items: int,
    share: float,
    replicas: int,
    ram: float,
    sample: ItemSample,
    rates: EncodingRates,
    size: IndexSize,
) -> dict[str, str]:
    labels = f", {_hours(size.labels_hours)} to read labels" if size.labels_hours else ""
    return {
        "vectors": f"{size.vectors:,} ({items:,} of text, {round(items * share):,} of figures)",
        "an item": f"{size.bytes_per_item:,.0f} bytes, {sample.payload_bytes:,.0f} of them payload "
        f"(mean of {sample.items} items of {sample.source})",
        "memory": f"{_gigabytes(size.ram_bytes)} for {replicas} of each, payloads on disk",
        "disk": f"{_gigabytes(size.disk_bytes)}, and {_gigabytes(size.workspace_bytes)} in the "
        "workspace for pictures and vectors",
        "shards": f"{size.shards} on {size.machines} machines of {ram:g} GB; "
        f"qdrant.shard_number: {size.shards}, qdrant.replication_factor: {replicas}",
        "measured": _measured_rates(rates),
        "here": f"{_hours(size.encode_hours)} to encode{labels}",
    }


def _gigabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:,.1f} GB"


def _hours(hours: float | None) -> str:
    return "not measured" if hours is None else f"{hours:,.1f} h"


def _measured_rates(rates: EncodingRates) -> str:
    by_kind = {
        "pictures": rates.pictures_per_second,
        "texts": rates.texts_per_second,
        "pictures' labels": rates.labels_per_second,
    }
    measured = ", ".join(f"{rate:.1f} {kind}/s" for kind, rate in by_kind.items() if rate)
    return f"{measured} ({rates.device})"
