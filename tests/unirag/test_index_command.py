"""`unirag index`: what it hands over, and how it ends when it is interrupted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from unirag.app import App
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.workspace.catalog import DocumentProblem


def test_it_hands_over_what_was_asked_and_reports(
    unirag: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: dict[str, Any] = {}

    def index(self: App, paths: Any, **options: Any) -> list[IndexReport]:
        given.update(options)
        options["progress"](IndexProgress(documents=1, total=2, items=30, pictures=4, pages=5))
        dead = DocumentProblem(
            "a.pdf", "", "a.pdf: its reader gave nothing for 120 s", is_dead_letter=True
        )
        return [
            IndexReport("x", new=1, figures=4, passages=26, pages=5, problems=[dead], seconds=2)
        ]

    monkeypatch.setattr(App, "index", index)
    monkeypatch.setenv("UNIRAG_HOME", str(tmp_path / "home"))
    said = unirag(f"index {tmp_path} --retry-failed --json")
    assert said.code == 4
    assert given["retry_failed"] is True
    (report,) = said.json["corpora"]
    assert (report["pages"], report["items_per_second"], report["documents"]["failed"]) == (
        5,
        15,
        1,
    )
    said = unirag(f"index {tmp_path}")
    assert given["retry_failed"] is False
    assert "1 new and 0 changed documents" in said.out
    assert "1 failed; 2.0 s" in said.out
    assert "not indexed a.pdf: its reader gave nothing for 120 s" in said.out


def test_ctrl_c_says_how_to_go_on(
    unirag: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def index(self: App, paths: Any, **options: Any) -> list[IndexReport]:
        raise KeyboardInterrupt

    monkeypatch.setattr(App, "index", index)
    monkeypatch.setenv("UNIRAG_HOME", str(tmp_path / "home"))
    said = unirag(f"index {tmp_path}")
    assert said.code == 130
    assert "what is stored is kept, and the same command continues from there" in said.err


def test_where_nothing_changed_no_model_is_loaded(place: Any) -> None:
    code = (
        "import sys, unirag\n"
        "with unirag.open() as app:\n"
        "    [report] = app.index(sys.argv[1:])\n"
        "assert report.unchanged and not report.new, report\n"
        "assert 'torch' not in sys.modules and 'onnxruntime' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(place.cards)], check=True)
    assert place.stored() == place.before


def test_the_demo_runs_from_another_clone(
    unirag: Any, place: Any, chat: Any, tmp_path: Path
) -> None:
    home = tmp_path / "demo"
    with place.open(home=home) as app:
        app.corpora.add("sample", tmp_path)
    said = unirag(f"demo --no-serve --home {home}")
    assert said.code == 0, said
    assert "sample: cards/refraction-and-snells-law.md" in said.out


def test_time_left_is_told_when_something_can_be_said() -> None:
    state = IndexProgress(total=100)
    assert state.seconds_left is None
    state.started_at -= 10
    state.documents = state.unchanged = 40
    assert state.seconds_left is None  # what was unchanged took no time
    state.documents = 50
    assert state.seconds_left == pytest.approx(50, abs=1)
