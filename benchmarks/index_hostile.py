"""Measure the cost of hostile files for an index run: items lost, seconds, and memory up to 3 GB.

    python -m benchmarks.index_hostile [--pictures 20000] [--pages 3000] [--tiff-megabytes 500]
        [--ocr]

Makes a folder of thousands of small pictures and these files: a long PDF, a PDF that is cut off, a
PDF whose only page keeps its reader busy beyond its time limit, a PDF whose nested forms (10 to the
tenth in all) use up the memory of its reader, and a TIFF of hundreds of megabytes.

Indexes the folder with the real models in a process of its own, and samples the memory of that
process and its descendants four times a second (Linux). Then indexes it again, unchanged. Writes
results/index_hostile.json. Exits with 1 if a good file is missing or a bad one is not exactly one
dead letter. The TIFF is good if it is within the limits.
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
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from benchmarks.environment import REPOSITORY, describe, write_results

STALL_SECONDS = 5  # reading.stall_seconds: short, so that the file that hangs costs less
SLOW_PAGE_LINES = 1_000_000  # reading them takes longer than that
FORM_DEPTH = 10  # levels of forms that each draw the next one ten times

_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


class IndexRun(NamedTuple):
    """The report of an index run, its wall time and its peak memory in bytes."""

    report: dict[str, Any]
    seconds: float
    peak_bytes: int


def write_long_pdf(path: Path, pages: int) -> None:
    """Write a valid PDF with many pages of text."""
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


def write_slow_pdf(path: Path) -> None:
    """Write a page with `SLOW_PAGE_LINES` lines of text, which compress to a few kilobytes."""
    line = b"(" + 40 * b"a" + b") Tj 0 -1 Td "
    packed = zlib.compress(b"BT /H 8 Tf 72 700 Td " + SLOW_PAGE_LINES * line + b"ET")
    write_pdf(
        path,
        [
            _page_object(b"/Font << /H 5 0 R >>"),
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
            _FONT,
        ],
    )


def write_greedy_pdf(path: Path) -> None:
    """Write nested forms: each draws the next one ten times, and the last one writes a letter."""
    objects = [
        _page_object(b"/XObject << /F 6 0 R >>"),
        b"<< /Length 5 >>\nstream\n/F Do\nendstream",
        _FONT,
    ]
    for level in range(FORM_DEPTH):
        last = level == FORM_DEPTH - 1
        content = b"BT /H 9 Tf (x) Tj ET\n" if last else b"/F Do\n" * 10
        resources = b"/Font << /H 5 0 R >>" if last else b"/XObject << /F %d 0 R >>" % (level + 7)
        objects.append(
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 200] /Resources << %s >> "
            b"/Length %d >>\nstream\n%s\nendstream" % (resources, len(content), content)
        )
    write_pdf(path, objects)


def write_pdf(path: Path, objects: Sequence[bytes]) -> None:
    """Write a PDF of one page. `objects` start at number 3, the page; number 4 is its content."""
    catalog = b"<< /Type /Catalog /Pages 2 0 R >>"
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    data, offsets = b"%PDF-1.7\n", []
    for number, text in enumerate([catalog, pages, *objects], 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    xref_offset = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(offsets) + 1)
    path.write_bytes(data + b"startxref\n%d\n%%%%EOF\n" % xref_offset)


def _page_object(resources: bytes) -> bytes:
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << %s >> >>" % resources
    )


def write_folder(root: Path, pictures: int, pages: int, megabytes: int) -> None:
    """Write the folder to index; `megabytes` is the size of the TIFF."""
    rng = np.random.default_rng(0)
    (root / "pictures").mkdir(parents=True)
    for number in range(pictures):
        tiles = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(tiles).resize((96, 72), Image.Resampling.NEAREST)
        picture.save(root / "pictures" / f"{number:05}.png")
    write_long_pdf(root / "long.pdf", pages)
    complete = (root / "long.pdf").read_bytes()
    (root / "cut-off.pdf").write_bytes(complete[:2000])
    write_slow_pdf(root / "slow.pdf")
    write_greedy_pdf(root / "greedy.pdf")
    side = int((megabytes * 1e6 / 3) ** 0.5)
    strip = rng.integers(0, 256, (side, 1, 3), dtype=np.uint8)
    Image.MAX_IMAGE_PIXELS = None
    Image.fromarray(np.repeat(strip, side, axis=1)).save(root / "scan.tiff")


def memory_of(pid: int) -> int:
    """Return the bytes of a process and its descendants; shared pages are divided among them."""
    total, pids = 0, [pid]
    while pids:
        folder = Path("/proc") / str(pids.pop())
        try:
            rollup = (folder / "smaps_rollup").read_text()
            total += 1024 * int(rollup.split("Pss:")[1].split()[0])
            for task in (folder / "task").iterdir():
                pids += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):  # the process has ended
            continue
    return total


def run_index(command: Sequence[str]) -> IndexRun:
    """Run an index command and sample its memory until it ends."""
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as process:
        assert process.stdout is not None
        ended = threading.Event()

        def sample_memory() -> None:
            nonlocal peak
            while not ended.wait(0.25):
                peak = max(peak, memory_of(process.pid))

        sampler = threading.Thread(target=sample_memory)
        sampler.start()
        output = process.stdout.read()
        ended.set()
        sampler.join()
    return IndexRun(json.loads(output)["corpora"][0], time.perf_counter() - start, peak)


def main() -> int:
    """Run the benchmark and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--pages", type=int, default=3_000)
    parser.add_argument("--tiff-megabytes", type=int, default=500)
    parser.add_argument("--ocr", action="store_true", help="read labels too; much slower")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unirag-hostile-") as name:
        root = Path(name)
        write_folder(root / "corpus", options.pictures, options.pages, options.tiff_megabytes)
        config = root / "unirag.yaml"
        config.write_text(f"reading: {{stall_seconds: {STALL_SECONDS}}}\n")
        arguments = ["--home", str(root / "home"), "--config", str(config), "--json"]
        arguments += [] if options.ocr else ["--no-ocr"]
        command = [sys.executable, "-m", "unirag", "index", str(root / "corpus"), *arguments]
        first = run_index(command)
        second = run_index(command)
    report = first.report
    dead_letters = {letter["source"]: letter["message"] for letter in report["dead_letters"]}
    bad = {"cut-off.pdf", "slow.pdf", "greedy.pdf"} | ({"scan.tiff"} & dead_letters.keys())
    only_bad = dead_letters.keys() == bad and len(report["dead_letters"]) == len(bad)
    complete = report["documents"]["new"] == options.pictures + 5 - len(bad)
    results = {
        **describe(("torch", "pypdfium2", "pillow")),
        **vars(options),
        "stall_seconds": STALL_SECONDS,
        "seconds": round(first.seconds, 1),
        "most_megabytes": round(first.peak_bytes / 1e6),
        "report": {k: v for k, v in report.items() if k not in ("dead_letters", "problems")},
        "dead_letters": dead_letters,
        "again_seconds": round(second.seconds, 1),
        "again_indexing_seconds": second.report["seconds"],
        "again_unchanged": second.report["documents"]["unchanged"],
    }
    print(write_results("index_hostile", results))
    return 0 if only_bad and complete else 1


if __name__ == "__main__":
    sys.exit(main())
