"""The output of the command line."""

from __future__ import annotations

import pytest

from data.records import Hit, Item
from unirag.cli.output import print_hits
from unirag.serialization import hit_out


def test_formulas_and_brackets_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = r"The period is \[T = 2\pi\sqrt{\frac{L}{g}}\] or [red]not[/red]."
    item = Item("i", "passage", "c", "s#i", "Period [s]", text, section=("Book", "[1] Swing"))
    print_hits([hit_out(Hit(item, 1.0, {"text": 0.5}), str)])
    output = capsys.readouterr().out
    assert text in output
    assert "1. Period [s]  passage, text 0.50" in output
    assert "Book › [1] Swing" in output
