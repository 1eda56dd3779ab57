"""Test reading in processes that can be killed: the events, their order, and what is lost."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from data.chunking import ItemDraft, chunk
from data.documents import Document
from data.errors import UniragError
from data.readers import Rejected, scan
from data.readers.scan import Unit, Walk
from data.reading_events import (
    Count,
    DocumentEnd,
    DocumentStart,
    Event,
    Idle,
    ItemRead,
    PageRead,
    UnitFailed,
)
from data.reading_pool import ReaderPool
from data.reading_settings import ReadingSettings

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (sys.executable, str(Path(__file__).with_name("hostile_reader.py")))
WORDS = "{} is a word.\n"
Pool = Callable[..., ReaderPool]


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    opened: list[ReaderPool] = []

    def make(command: tuple[str, ...] = (), **settings: float) -> ReaderPool:
        limits = ReadingSettings(**{"workers": 2, **settings})  # type: ignore[arg-type]
        options = {"command": command} if command else {}
        opened.append(ReaderPool(limits, tmp_path / "assets", **options))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for reader_pool in opened:
        reader_pool.close()


def read(
    pool: ReaderPool,
    root: Path,
    select: Callable[[DocumentStart], bool] = lambda _: True,
    decode_again: Callable[[str], bool] = lambda _: True,
) -> list[Event]:
    walk = Walk(root)
    units = [u for u in walk.units() if isinstance(u, Unit)]
    events = list(pool.read(units, "c", select, decode_again))
    pictures = {p for e in events if isinstance(e, DocumentStart) for p in e.pictures}
    events += pool.read(list(walk.pictures(pictures)), "c", select, decode_again)
    return [e for e in events if not isinstance(e, Idle)]


def reasons(events: list[Event]) -> list[str | None]:
    return [e.reason for e in events if isinstance(e, DocumentEnd)]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_events_are_those_of_the_readers_in_their_order(
    pool: Pool, root: Path, tmp_path: Path, workers: int
) -> None:
    for n in range(7):
        (root / f"{n}.md").write_text(f"# Lens {n}\n\nIt bends light.\n\n![a lens](p{n}.png)\n")
        (root / f"p{n}.png").write_bytes(png("red" if n else "blue"))
    (root / "bare.png").write_bytes(png("green"))
    (root / "empty.txt").write_bytes(b"")
    with zipfile.ZipFile(root / "m.zip", "w") as archive:
        for n in range(5):
            archive.writestr(f"{n}.txt", WORDS.format(n))
        archive.writestr("x.zip", "x")
    events = read(pool(workers=workers), root)
    expected: list[object] = []
    for part in scan(root):
        if isinstance(part, Rejected):
            expected.append(part)
            continue
        expected.append((part.source, part.fingerprint, part.title))
        expected += _texts(part)
    actual: list[object] = []
    for event in events:
        if isinstance(event, Rejected):
            actual.append(event)
        elif isinstance(event, DocumentStart):
            actual.append((event.source, event.fingerprint, event.title))
        elif isinstance(event, ItemRead):
            actual.append((event.item.locator, event.item.text, event.picture is not None))
    assert actual == expected
    assert Count(6) in events
    assert reasons(events).count(None) == 13
    assert "empty.txt: empty file" in (reasons(events)[7] or "")
    pictures = [e.picture for e in events if isinstance(e, ItemRead) and e.picture]
    assert [p.getpixel((0, 0)) for p in pictures[:2]] == [(0, 0, 255), (255, 0, 0)]
    assert len(list((tmp_path / "assets").rglob("*.png"))) == 3


def _texts(document: Document) -> list[object]:
    try:
        drafts = [d for d in chunk(document, "c") if isinstance(d, ItemDraft)]
    except UniragError:
        return []
    return [(d.item.locator, d.item.text, d.picture is not None) for d in drafts]


def test_only_selected_documents_are_read_and_only_new_pictures_decoded(
    pool: Pool, root: Path
) -> None:
    for n in range(3):
        (root / f"{n}.txt").write_text(WORDS.format(n))
    (root / "a.png").write_bytes(png())
    shared = pool()
    events = read(shared, root, select=lambda start: start.source in ("1.txt", "a.png"))
    starts = [(e.source, e.selected) for e in events if isinstance(e, DocumentStart)]
    assert starts == [("0.txt", False), ("1.txt", True), ("2.txt", False), ("a.png", True)]
    items = [e for e in events if isinstance(e, ItemRead)]
    assert [i.item.source for i in items] == ["1.txt", "a.png"]
    digests: list[str] = []

    def decode_again(digest: str) -> bool:
        digests.append(digest)
        return False

    again = [e for e in read(shared, root, decode_again=decode_again) if isinstance(e, ItemRead)]
    assert digests == [items[1].item.image]  # stored by now: the first run did not ask
    assert (again[-1].item, again[-1].picture) == (items[1].item, None)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("hang", r"made no progress for 6 s; .*reading\.stall_seconds.*--retry-failed"),
        ("drip", r"took longer than 8 s; .*reading\.file_seconds"),
        ("crash", r"ended suddenly \(signal Segmentation fault\).*save it again"),
        ("eat", r"more than the 400 MB .*reading\.file_megabytes"),
        ("fault", r"reading it failed \(KeyError\("),
    ],
)
def test_a_file_that_ruins_its_reader_costs_only_itself(
    pool: Pool, root: Path, fault: str, message: str
) -> None:
    text = "".join(f"Chapter {n}\n\nA paragraph of chapter {n}.\n\n" for n in range(40))
    (root / f"read-{fault}.txt").write_text(text)
    for name in ("a", "b", "y", "z"):
        (root / f"{name}.txt").write_text(WORDS.format(name))
    with zipfile.ZipFile(root / "m.zip", "w") as archive:
        for name in ("a", f"read-{fault}", "z"):
            archive.writestr(f"{name}.txt", text)
    events = read(pool(HOSTILE, stall_seconds=6, file_seconds=8, file_megabytes=400), root)
    failures = [r for r in reasons(events) if r]
    assert len(failures) == 2, failures
    for source, reason in zip((f"m.zip/read-{fault}", f"read-{fault}"), failures, strict=True):
        assert reason.startswith(f"{source}.txt: ")
        assert re.search(message, reason), reason
    assert reasons(events).count(None) == 6


@pytest.mark.parametrize("fault", ["hang", "crash"])
def test_a_file_that_ruins_its_reader_before_there_is_a_document(
    pool: Pool, root: Path, fault: str
) -> None:
    for name in ("a", f"find-{fault}", "z"):
        (root / f"{name}.txt").write_text(WORDS.format(name))
    with zipfile.ZipFile(root / "m.zip", "w") as archive:
        archive.writestr(f"find-{fault}.txt", WORDS)
        archive.writestr("ok.txt", WORDS)
    events = read(pool(HOSTILE, stall_seconds=6), root)
    failed = [e.unit.source for e in events if isinstance(e, UnitFailed)]
    assert failed == [f"find-{fault}.txt", "m.zip", "m.zip"]  # one from each process
    assert reasons(events) == [None, None]


def test_pages_are_reported_as_they_are_read(pool: Pool, root: Path) -> None:
    """The pages make few passages, which come at the end: the reader must not seem idle."""
    canvas = Canvas(str(root / "a.pdf"))
    for number in range(5):
        for line in range(12):
            words = " ".join(f"w{number}{line}{n}" for n in range(9))
            canvas.drawString(72, 700 - 14 * line, f"{words} and so on.")
        canvas.showPage()
    canvas.save()
    events = read(pool(), root)
    assert [e.number for e in events if isinstance(e, PageRead)] == [1, 2, 3, 4, 5]
    assert reasons(events) == [None]


def test_a_slow_reader_that_makes_progress_is_not_given_up(pool: Pool, root: Path) -> None:
    text = "".join(f"A paragraph of number {n}.\n\n" for n in range(20))
    (root / "read-drip.txt").write_text(text)  # one passage, after 8 seconds
    assert reasons(read(pool(HOSTILE, stall_seconds=6), root)) == [None]


def test_output_that_a_library_prints_is_ignored(pool: Pool, root: Path) -> None:
    (root / "read-print.txt").write_text(WORDS)
    assert reasons(read(pool(HOSTILE), root)) == [None]


def test_a_reader_that_does_not_start_is_an_error(pool: Pool, root: Path) -> None:
    (root / "a.txt").write_text(WORDS)
    with pytest.raises(UniragError, match=r"no process can be started .*exit code 3.*doctor"):
        read(pool((sys.executable, "-c", "raise SystemExit(3)")), root)


def readers(parent: int) -> set[int]:
    pids = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"PPid:\t{parent}\n" in status.read_text():
                pids.add(int(status.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return pids


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts processes in /proc")
def test_closing_ends_every_process_in_the_middle_of_its_work(
    pool: Pool, root: Path, tmp_path: Path
) -> None:
    for name in ("a", "b", "read-hang"):
        (root / f"{name}.txt").write_text(WORDS.format(name))
    before = readers(os.getpid())
    hostile_pool = pool(HOSTILE)
    events = hostile_pool.read(
        [u for u in Walk(root).units() if isinstance(u, Unit)],
        "c",
        lambda _: True,
        lambda _: True,
    )
    next(events)
    assert len(readers(os.getpid()) - before) == 2
    start = time.monotonic()
    hostile_pool.close()
    assert time.monotonic() - start < 60
    assert readers(os.getpid()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_readers_die_with_their_parent_even_if_they_hang(root: Path, tmp_path: Path) -> None:
    (root / "read-hang.txt").write_text(WORDS)
    script = (
        "import sys; from pathlib import Path; from data.readers.scan import Walk\n"
        "from data.reading_pool import ReaderPool\n"
        "from data.reading_settings import ReadingSettings\n"
        "pool = ReaderPool(ReadingSettings(), Path(sys.argv[1]), sys.argv[3:])\n"
        "for e in pool.read([*Walk(sys.argv[2]).units()], 'c', bool, bool): print(e, flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "assets"), str(root), *HOSTILE],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    while b"DocumentStart" not in process.stdout.readline():
        pass
    time.sleep(0.3)
    (hanging,) = readers(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(600):
        if not Path(f"/proc/{hanging}").exists() or _is_zombie(hanging):
            return
        time.sleep(0.05)
    os.kill(hanging, signal.SIGKILL)
    pytest.fail("the reader is still running")


def _is_zombie(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
