"""The locks of a workspace: one process opens it, one thread changes its index."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from data.errors import BadInput, Busy
from unirag.workspace.paths import Workspace

ROOT = Path(__file__).resolve().parents[2]


def test_a_second_process_learns_which_process_holds_the_lock(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from unirag.workspace.paths import Workspace\n"
        f"workspace = Workspace(Path({str(tmp_path)!r})); workspace.open()\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    workspace = Workspace(tmp_path)
    assert str(other.pid) in (workspace.holder() or "")
    with pytest.raises(Busy, match=rf"process {other.pid} .*--home.*UNIRAG_QDRANT_URL"):
        workspace.open()
    other.kill()  # not closed: the operating system releases the lock
    other.wait()
    assert workspace.holder() is None
    workspace.open()
    workspace.close()


def test_a_workspace_can_be_opened_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "new" / "home")
    assert workspace.holder() is None
    workspace.open()
    assert workspace.holder() is None
    workspace.close()
    workspace.open()
    workspace.close()


def test_a_file_is_refused_as_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot be used as a folder"):
        Workspace(tmp_path / "file").open()


def test_a_shared_workspace_can_be_opened_twice(tmp_path: Path) -> None:
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    first.open(shared=True)
    second.open(shared=True)
    assert first.holder() is second.holder() is None
    first.close()
    second.close()


def test_one_thread_at_a_time_changes_the_index(tmp_path: Path) -> None:
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    outcomes: list[object] = []

    def try_to_lock(workspace: Workspace) -> None:
        try:
            with workspace.hold_index_lock():
                outcomes.append(workspace)
        except Busy as error:
            outcomes.append(str(error))

    with first.hold_index_lock():
        with first.hold_index_lock():  # an index job locks, and so does its indexing
            pass
        for workspace in (second, first):  # another process, another thread
            thread = threading.Thread(target=try_to_lock, args=(workspace,))
            thread.start()
            thread.join()
    try_to_lock(second)
    assert outcomes[2:] == [second]
    for message in outcomes[:2]:
        assert f"is being indexed by process {os.getpid()} (" in str(message)
        assert "cancel its index job" in str(message)
