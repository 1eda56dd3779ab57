from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.errors import BadInput, Busy
from unirag.home import Home

ROOT = Path(__file__).resolve().parents[2]


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from unirag.home import Home\n"
        f"h = Home(Path({str(tmp_path)!r})); h.open(); print('open', flush=True); sys.stdin.read()"
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
    home = Home(tmp_path)
    assert str(other.pid) in (home.holder() or "")
    with pytest.raises(Busy, match=rf"process {other.pid} .*--home.*UNIRAG_QDRANT_URL"):
        home.open()
    other.kill()  # no clean close: the system gives the lock back
    other.wait()
    assert home.holder() is None
    home.open()
    home.close()


def test_open_close_open(tmp_path: Path) -> None:
    home = Home(tmp_path / "new" / "home")
    assert home.holder() is None
    home.open()
    assert home.holder() is None
    home.close()
    home.open()
    home.close()


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot be used as a folder"):
        Home(tmp_path / "file").open()
