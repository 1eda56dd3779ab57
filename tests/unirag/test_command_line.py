"""The common options of all commands, JSON output, progress in a log, and `unirag settings`."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from rich.console import Console

from unirag.cli import progress
from unirag.settings.describe import describe_settings


@pytest.mark.parametrize(
    "command",
    [
        "--home {home} --json corpora list",
        "corpora --home {home} --json list",
        "corpora list --home {home} --json",
        "--home /somewhere/else --json corpora list --home {home}",
    ],
)
def test_common_options_stand_before_and_behind_a_command(
    unirag: Any, workspace: Any, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNIRAG_HOME")
    run = unirag(command.format(home=workspace.home))
    assert run.code == 0, run
    assert [corpus["name"] for corpus in run.json["corpora"]] == ["cards"]


def test_a_settings_file_can_be_named_before_the_command(unirag: Any, workspace: Any) -> None:
    config = workspace.root / "other.yaml"
    config.write_text("serch: 1\n")
    run = unirag(f"--config {config} search light")
    assert run.code == 2
    assert "unknown setting 'serch'" in run.err


def test_commands_without_json_refuse_it(unirag: Any) -> None:
    run = unirag("mcp --json")
    assert run.code == 2
    assert "--json" in run.err


def test_settings_prints_every_setting(unirag: Any) -> None:
    rows = unirag("settings --json").json["settings"]
    assert [row["key"] for row in rows] == [d.key for d in describe_settings()]
    row = next(row for row in rows if row["key"] == "search.bm25")
    assert row["variable"] == "UNIRAG_SEARCH__BM25"
    assert (row["type"], row["default"], row["bounds"]) == ("number", "0.7", "> 0, <= 1")
    text = unirag("settings").out
    assert "service.seconds = 120.0 (number, > 0, <= 3600; UNIRAG_SERVICE__SECONDS)" in text


def test_methods_prints_every_method_with_paper_and_size(unirag: Any) -> None:
    listed = unirag("methods --json").json
    assert len(listed["methods"]) >= 49
    row = next(row for row in listed["methods"] if row["name"] == "dynmole")
    assert (row["family"], row["paper"], row["arxiv"]) == ("router", "DynMoLE", "2504.00661")
    assert row["places"] == ["depth", "prompts"]
    assert row["parameters"] == 4 * 8 * (384 + 768) + 4 * 128
    assert "384 to 768" in listed["example_layer"]
    text = unirag("methods").out
    assert all(row["name"] in text for row in listed["methods"])


def test_a_log_gets_a_progress_line_even_while_nothing_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=log, force_terminal=False))
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    with progress.show_progress("indexing") as display:
        display.update(3, 10, "2 figures")
        deadline = time.monotonic() + 60
        while log.getvalue().count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = log.getvalue().splitlines()
    assert len(lines) >= 2
    assert lines[-1].startswith("indexing: 3 of 10 after 0:0")
    assert lines[-1].endswith("; 2 figures")


def test_a_quick_command_prints_no_progress_line(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=log, force_terminal=False))
    with progress.show_progress("indexing") as display:
        display.update(1, 1)
    assert log.getvalue() == ""
