"""Does a folder of hostile files cost an index run more than those files, or more than 3 GB?

    python -m benchmarks.index_hostile [--pictures 20000] [--pages 3000] [--tiff-megabytes 500]
        [--ocr]

Makes a folder with a long PDF, one that is cut off, one whose only page keeps its reader busy
beyond its time, one whose forms draw forms, 10 to the tenth in all, until the memory of its reader
is at its end, a TIFF of hundreds of megabytes and thousands of small pictures. Indexes it with the
real models in a process of its own and adds up the memory of that process and all that it started,
four times a second (Linux). Then indexes it again, unchanged. Writes results/index_hostile.json;
exits with 1 where a good file is missing or a bad one is not exactly one dead letter. The TIFF is
good where it can be read within the limits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from benchmarks.environment import HERE, describe

STALL = 5  # seconds of reading.stall_seconds, so that the file that hangs costs no two minutes
LINES = 1_000_000  # of the page that takes longer than that


_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def write_long(path: Path, pages: int) -> None:
    canvas = Canvas(str(path), invariant=True)
    for page in range(pages):
        for line in range(20):
            canvas.drawString(
                72,
                740 - 18 * line,
                f"Page {page}, line {line}: a body of {page + line} kg rests on a plane.",
            )
        canvas.showPage()
    canvas.save()


def write_slow(path: Path) -> None:
    """A page with `LINES` lines of text, which a few kilobytes hold compressed."""
    line = b"(" + 40 * b"a" + b") Tj 0 -1 Td "
    packed = zlib.compress(b"BT /H 8 Tf 72 700 Td " + LINES * line + b"ET")
    write_pdf(
        path,
        [
            _page(b"/Font << /H 5 0 R >>"),
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
            _FONT,
        ],
    )


def write_greedy(path: Path) -> None:
    """Form 0 draws form 1 ten times, and so on; the last one writes a letter."""
    depth = 10
    objects = [
        _page(b"/XObject << /F 6 0 R >>"),
        b"<< /Length 5 >>\nstream\n/F Do\nendstream",
        _FONT,
    ]
    for level in range(depth):
        last = level == depth - 1
        draws = b"BT /H 9 Tf (x) Tj ET\n" if last else b"/F Do\n" * 10
        inner = b"/Font << /H 5 0 R >>" if last else b"/XObject << /F %d 0 R >>" % (level + 7)
        objects.append(
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 200] /Resources << %s >> "
            b"/Length %d >>\nstream\n%s\nendstream" % (inner, len(draws), draws)
        )
    write_pdf(path, objects)


def write_pdf(path: Path, objects: Sequence[bytes]) -> None:
    """A PDF of one page, which is the first of `objects`, number 3; its content is number 4."""
    head = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"]
    data, places = b"%PDF-1.7\n", []
    for number, text in enumerate([*head, *objects], 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(places) + 1)
    path.write_bytes(data + b"startxref\n%d\n%%%%EOF\n" % start)


def _page(resources: bytes) -> bytes:
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << %s >> >>" % resources
    )


def write_folder(root: Path, pictures: int, pages: int, megabytes: int) -> None:
    rng = np.random.default_rng(0)
    (root / "pictures").mkdir(parents=True)
    for number in range(pictures):
        tiles = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(tiles).resize((96, 72), Image.Resampling.NEAREST)
        picture.save(root / "pictures" / f"{number:05}.png")
    write_long(root / "long.pdf", pages)
    whole = (root / "long.pdf").read_bytes()
    (root / "cut-off.pdf").write_bytes(whole[:2000])
    write_slow(root / "slow.pdf")
    write_greedy(root / "greedy.pdf")
    side = int((megabytes * 1e6 / 3) ** 0.5)
    strip = rng.integers(0, 256, (side, 1, 3), dtype=np.uint8)
    Image.MAX_IMAGE_PIXELS = None
    Image.fromarray(np.repeat(strip, side, axis=1)).save(root / "scan.tiff")


def memory_of(pid: int) -> int:
    """Bytes that a process and its descendants hold; pages they share are divided among them."""
    total, waiting = 0, [pid]
    while waiting:
        at = Path("/proc") / str(waiting.pop())
        try:
            rollup = (at / "smaps_rollup").read_text()
            total += 1024 * int(rollup.split("Pss:")[1].split()[0])
            for task in (at / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):  # it has ended meanwhile
            continue
    return total


def watched(command: Sequence[str]) -> tuple[dict[str, Any], float, int]:
    """What a run printed, its seconds and the most memory of it and of all that it started."""
    began, most = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parent, text=True) as process:
        assert process.stdout is not None
        ended = threading.Event()

        def watch() -> None:
            nonlocal most
            while not ended.wait(0.25):
                most = max(most, memory_of(process.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        said = process.stdout.read()
        ended.set()
        watching.join()
    return json.loads(said)["corpora"][0], time.perf_counter() - began, most


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--pages", type=int, default=3_000)
    parser.add_argument("--tiff-megabytes", type=int, default=500)
    parser.add_argument("--ocr", action="store_true", help="read labels too; slower by far")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unirag-hostile-") as name:
        root = Path(name)
        write_folder(root / "corpus", given.pictures, given.pages, given.tiff_megabytes)
        settings = root / "unirag.yaml"
        settings.write_text(f"reading: {{stall_seconds: {STALL}}}\n")
        where = ["--home", str(root / "home"), "--config", str(settings), "--json"]
        where += [] if given.ocr else ["--no-ocr"]
        command = [sys.executable, "-m", "unirag", "index", str(root / "corpus"), *where]
        first, seconds, most = watched(command)
        again, unchanged, _ = watched(command)
    dead = {letter["source"]: letter["message"] for letter in first["dead_letters"]}
    bad = {"cut-off.pdf", "slow.pdf", "greedy.pdf"} | ({"scan.tiff"} & dead.keys())
    right = dead.keys() == bad and len(first["dead_letters"]) == len(bad)
    complete = first["documents"]["new"] == given.pictures + 5 - len(bad)
    result = {
        **describe(("torch", "pypdfium2", "pillow")),
        **vars(given),
        "stall_seconds": STALL,
        "seconds": round(seconds, 1),
        "most_megabytes": round(most / 1e6),
        "report": {k: v for k, v in first.items() if k not in ("dead_letters", "problems")},
        "dead_letters": dead,
        "again_seconds": round(unchanged, 1),
        "again_indexing_seconds": again["seconds"],
        "again_unchanged": again["documents"]["unchanged"],
    }
    text = json.dumps(result, indent=1)
    (HERE / "results" / "index_hostile.json").write_text(text + "\n")
    print(text)
    return 0 if right and complete else 1


if __name__ == "__main__":
    sys.exit(main())
