"""Prints results on stdout and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from data.errors import UniragError
from unirag.schemas import HitOut

__all__ = ["err", "out", "plain", "print_error", "print_hits", "print_json"]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
_MAX_TEXT_CHARACTERS = 280  # printed of a hit's text


def print_json(value: Any) -> None:
    """Print a wire model or plain values as JSON."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_error(error: UniragError) -> int:
    """Print an error as one line on stderr, as JSON too with `--json`. Return its exit code."""
    message = _printable(str(error))
    if "--json" in sys.argv:
        print_json({"error": {"kind": type(error).__name__, "message": message}})
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    return error.exit_code


def print_hits(hits: Sequence[HitOut]) -> None:
    """Print hits, numbered from 1, with their scores and the paths of their pictures."""
    for number, hit in enumerate(hits, 1):
        scores = ", ".join(f"{c} {v:.2f}" for c, v in hit.channels.items() if v is not None)
        _print_parts((f"{number}. {hit.title}", "bold"), (f"{hit.kind}, {scores}", "dim"), indent=0)
        _print_parts((" › ".join(hit.section), "dim"))
        text = " ".join(hit.text.split())
        ellipsis = " …" if len(text) > _MAX_TEXT_CHARACTERS else ""
        _print_parts((f"{text[:_MAX_TEXT_CHARACTERS]}{ellipsis}", ""))
        if hit.image:
            _print_parts((hit.image, "cyan"))
        _print_parts((f"{hit.source}; {hit.licence or 'licence unknown'}", "dim"))


def _print_parts(*parts: tuple[str, str], indent: int = 3) -> None:
    """Print texts in one line, each in its style. Not as markup: rich drops backslashes."""
    styled = [Text(_printable(text), style) for text, style in parts]
    out.print(" " * indent, Text("  ").join(styled), sep="", soft_wrap=True)


def plain(text: str) -> str:
    """Return untrusted text as one line, without rich's markup or terminal commands."""
    return escape(_printable(text))


def _printable(text: str) -> str:
    line = " ".join(part.strip() for part in text.splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
