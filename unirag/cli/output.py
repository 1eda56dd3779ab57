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
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from data.errors import UniragError
from data.pictures import Assets
from data.records import Hit
from unirag.serialization import source_line

__all__ = [
    "err",
    "fail",
    "out",
    "plain",
    "print_hits",
    "print_json",
    "progress_bar",
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def fail(error: UniragError) -> int:
    """One line on stderr; as JSON too where `--json` was asked for."""
    message = _printable(str(error))
    if "--json" in sys.argv:
        print_json({"error": {"kind": type(error).__name__, "message": message}})
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    return error.exit_code


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A bar on a terminal; nothing in a log."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    )
    with bar:
        yield bar


def print_hits(hits: Sequence[Hit], assets: Assets, pictures: bool = True) -> None:
    for n, hit in enumerate(hits, 1):
        item = hit.item
        scores = ", ".join(f"{c} {v:.2f}" for c, v in hit.channels.items())
        _print((f"{n}. {item.title}", "bold"), (f"{item.kind}, {scores}", "dim"), indent=0)
        _print((" › ".join(item.section), "dim"))
        text = " ".join(item.text.split())
        _print((f"{text[:280]}{' …' if len(text) > 280 else ''}", ""))
        path = assets.path(item.image) if item.image else None
        if path:
            _print((str(path), "cyan"))
            if pictures:
                _show_picture(path)
        _print((f"{source_line(item)}; {item.licence or 'licence unknown'}", "dim"))


def _print(*parts: tuple[str, str], indent: int = 3) -> None:
    """One line of text from outside, each part in its style; markup would eat backslashes."""
    styled = [Text(_printable(text), style) for text, style in parts]
    out.print(" " * indent, Text("  ").join(styled), sep="", soft_wrap=True)


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


def plain(text: str) -> str:
    """Text from outside as one line of text: no markup of rich's, no commands to the terminal."""
    return escape(_printable(text))


def _printable(text: str) -> str:
    line = " ".join(part.strip() for part in text.splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
