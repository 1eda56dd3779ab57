"""What the commands print, and how."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from data.errors import UniragError
from data.pictures import Assets
from data.records import Hit
from unirag.views import source_line

__all__ = [
    "err",
    "fail",
    "out",
    "print_hits",
    "print_json",
    "progress_bar",
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def fail(error: UniragError) -> int:
    """One line on stderr; as JSON where `--json` was asked for."""
    if "--json" in sys.argv:
        print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
    err.print(f"[bold red]error:[/] {_plain(str(error))}", soft_wrap=True)
    return error.exit_code


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
        disable=quiet,
    )
    with bar:
        yield bar


def print_hits(hits: Sequence[Hit], assets: Assets, pictures: bool = True) -> None:
    for n, hit in enumerate(hits, 1):
        item = hit.item
        scores = ", ".join(f"{c} {v:.2f}" for c, v in hit.channels.items())
        out.print(f"[bold]{n}. {_plain(item.title)}[/]  [dim]{item.kind}, {scores}[/]")
        out.print(f"   [dim]{_plain(' › '.join(item.section))}[/]", soft_wrap=True)
        text = " ".join(item.text.split())
        out.print(f"   {_plain(text[:280] + (' …' if len(text) > 280 else ''))}", soft_wrap=True)
        path = assets.path(item.image) if item.image else None
        if path:
            out.print(f"   [cyan]{path}[/]", soft_wrap=True)
            if pictures:
                _show_picture(path)
        out.print(f"   [dim]{_plain(source_line(item))}; {_plain(item.licence or 'licence unknown')}[/]", soft_wrap=True)


def _show_picture(path: Path) -> None:
    """Inline, where the terminal says that it can (kitty's and iTerm2's protocols)."""
    import base64

    if not sys.stdout.isatty():
        return
    data = base64.b64encode(path.read_bytes()).decode()
    if os.environ.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm"):
        sys.stdout.write(f"   \033]1337;File=inline=1;height=12:{data}\a\n")
    elif "kitty" in os.environ.get("TERM", "") and path.suffix == ".png":
        chunks = [data[i : i + 4096] for i in range(0, len(data), 4096)]
        for n, chunk in enumerate(chunks):
            more = int(n < len(chunks) - 1)
            keys = f"f=100,a=T,r=12,m={more}" if n == 0 else f"m={more}"
            sys.stdout.write(f"\033_G{keys};{chunk}\033\\")
        sys.stdout.write("\n")


def _plain(text: str) -> str:
    """Brackets in a text are text, not rich's markup."""
    return text.replace("[", "\\[")
