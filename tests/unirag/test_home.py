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


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from unirag.workspace.paths import Workspace\n"
        f"h = Workspace(Path({str(tmp_path)!r})); h.open(); print('open', flush=True); sys.stdin.read()"
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
    home = Workspace(tmp_path)
    assert str(other.pid) in (home.holder() or "")
    with pytest.raises(Busy, match=rf"process {other.pid} .*--home.*UNIRAG_QDRANT_URL"):
        home.open()
    other.kill()  # no clean close: the system gives the lock back
    other.wait()
    assert home.holder() is None
    home.open()
    home.close()


def test_open_close_open(tmp_path: Path) -> None:
    home = Workspace(tmp_path / "new" / "home")
    assert home.holder() is None
    home.open()
    assert home.holder() is None
    home.close()
    home.open()
    home.close()


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot be used as a folder"):
        Workspace(tmp_path / "file").open()


def test_a_shared_home_is_open_to_many(tmp_path: Path) -> None:
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    first.open(shared=True)
    second.open(shared=True)
    assert first.holder() is second.holder() is None
    first.close()
    second.close()


def test_one_at_a_time_changes_what_is_indexed(tmp_path: Path) -> None:
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    said: list[object] = []

    def try_again(home: Workspace) -> None:
        try:
            with home.hold_index_lock():
                said.append(home)
        except Busy as error:
            said.append(str(error))

    with first.hold_index_lock():
        with first.hold_index_lock():  # a job, and the indexing that it is made of
            pass
        for home in (second, first):  # another process, another thread
            thread = threading.Thread(target=try_again, args=(home,))
            thread.start()
            thread.join()
    try_again(second)
    assert said[2:] == [second]
    for message in said[:2]:
        assert f"is being indexed by process {os.getpid()} (" in str(message)
        assert "cancel its index job" in str(message)
