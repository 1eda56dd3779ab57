"""`unirag index`: its options, its report, and its end when it is interrupted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from unirag.app import App
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.workspace.catalog import DocumentProblem


def test_options_reach_the_application_and_the_report_is_printed(
    unirag: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index_options: dict[str, Any] = {}

    def index(self: App, paths: Any, **options: Any) -> list[IndexReport]:
        index_options.update(options)
        options["progress"](IndexProgress(documents=1, total=2, items=30, pictures=4, pages=5))
        dead_letter = DocumentProblem(
            "a.pdf", "", "a.pdf: its reader gave nothing for 120 s", is_dead_letter=True
        )
        return [
            IndexReport(
                "x", new=1, figures=4, passages=26, pages=5, problems=[dead_letter], seconds=2
            )
        ]

    monkeypatch.setattr(App, "index", index)
    monkeypatch.setenv("UNIRAG_HOME", str(tmp_path / "home"))
    run = unirag(f"index {tmp_path} --retry-failed --json")
    assert run.code == 4
    assert index_options["retry_failed"] is True
    (report,) = run.json["corpora"]
    assert (report["pages"], report["items_per_second"], report["documents"]["failed"]) == (
        5,
        15,
        1,
    )
    run = unirag(f"index {tmp_path}")
    assert index_options["retry_failed"] is False
    assert "1 new and 0 changed documents" in run.out
    assert "1 failed; 2.0 s" in run.out
    assert "not indexed a.pdf: its reader gave nothing for 120 s" in run.out


def test_ctrl_c_explains_how_to_continue(
    unirag: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def index(self: App, paths: Any, **options: Any) -> list[IndexReport]:
        raise KeyboardInterrupt

    monkeypatch.setattr(App, "index", index)
    monkeypatch.setenv("UNIRAG_HOME", str(tmp_path / "home"))
    run = unirag(f"index {tmp_path}")
    assert run.code == 130
    assert "what is stored is kept, and the same command continues from there" in run.err


def test_no_model_is_loaded_if_nothing_has_changed(workspace: Any) -> None:
    code = (
        "import sys, unirag\n"
        "with unirag.open() as app:\n"
        "    [report] = app.index(sys.argv[1:])\n"
        "assert report.unchanged and not report.new, report\n"
        "assert 'torch' not in sys.modules and 'onnxruntime' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(workspace.cards)], check=True)
    assert workspace.contents() == workspace.initial_contents


def test_the_demo_runs_if_its_corpus_was_indexed_from_another_clone(
    unirag: Any, workspace: Any, chat: Any, tmp_path: Path
) -> None:
    home = tmp_path / "demo"
    with workspace.open(home=home) as app:
        app.corpora.add("sample", tmp_path)
    run = unirag(f"demo --no-serve --home {home}")
    assert run.code == 0, run
    assert "sample: cards/refraction-and-snells-law.md" in run.out


def test_the_remaining_time_is_unknown_until_a_document_is_indexed() -> None:
    state = IndexProgress(total=100)
    assert state.seconds_left is None
    state.started_at -= 10
    state.documents = state.unchanged = 40
    assert state.seconds_left is None  # unchanged documents took no time
    state.documents = 50
    assert state.seconds_left == pytest.approx(50, abs=1)
