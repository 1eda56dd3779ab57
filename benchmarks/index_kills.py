"""Check that an index that is killed again and again equals an undisturbed one.

    python -m benchmarks.index_kills [--kills 50] [--papers 300] [--book DIR] [--seed 7]
        [--dtype auto]

Indexes a book (openstax-physics) and generated PDFs undisturbed, then into other homes with SIGKILL
at random points. Compares the collections item by item: ids, payloads and vectors. The lifetime of
each run is drawn at random, up to a share of the undisturbed time, so that kills hit starting,
reading, encoding and writing alike. When a home is complete before the last kill, another begins.

Vectors may differ by rounding, because a run that continues encodes other texts together. The
difference is smallest in fp32, the default here; `--dtype auto` uses the processor's own. Writes
results/index_kills.json. Exits with 1 if anything is lost, duplicated or different.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as qe
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from benchmarks.environment import CORPORA, REPOSITORY, describe, write_results

LIBRARIES = ("torch", "transformers", "qdrant-edge-py", "pypdfium2", "numpy")
# Largest difference by rounding in a component of a unit vector; bf16 keeps 8 bits.
TOLERANCE = {"float32": 1e-5, "auto": 2**-8}
WORDS = (
    "light lens ray focus mirror wave crest trough energy force mass charge field current atom "
    "cell leaf root enzyme acid base salt bond heat work gas pressure volume orbit planet star"
).split()
StoredPoints = dict[str, tuple[dict[str, Any], dict[str, Any]]]  # id -> payload and vectors


@dataclass(frozen=True)
class CollectionDifference:
    """The number of differences between two collections.

    `missing` and `extra` count points of only one side, `payloads` and `vectors` points whose
    payload or vectors differ. `largest_difference` is the largest of any vector component.
    """

    items: int
    missing: int
    extra: int
    payloads: int
    vectors: int
    largest_difference: float

    @property
    def identical(self) -> bool:
        """Whether no point is lost, duplicated or different."""
        return not (self.missing or self.extra or self.payloads or self.vectors)


def write_papers(folder: Path, count: int, seed: int) -> None:
    """Write PDFs of one to four pages of words, with a figure on each first page."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        canvas = Canvas(str(folder / f"paper-{number:03}.pdf"), invariant=True)
        for page in range(rng.randint(1, 4)):
            for line in range(30):
                words = " ".join(rng.choices(WORDS, k=9))
                canvas.drawString(72, 740 - 14 * line, f"{words.capitalize()}.")
            if page == 0:
                figure = Image.new("RGB", (160, 120), "white")
                draw = ImageDraw.Draw(figure)
                draw.ellipse([rng.randrange(60), rng.randrange(40), 110, 100], outline="black")
                draw.line([rng.randrange(160), 0, rng.randrange(160), 120], fill="blue", width=3)
                canvas.drawImage(ImageReader(figure), 72, 180, 200, 130)
                canvas.drawString(72, 160, f"Figure 1. {rng.choice(WORDS)} of paper {number}.")
            canvas.showPage()
        canvas.save()


def read_collection(home: Path) -> StoredPoints:
    """Return the payload and the vectors of every point in the embedded collection of a home."""
    shard = qe.EdgeShard.load(str(home / "collection" / "shard"))
    points: StoredPoints = {}
    offset = None
    try:
        while True:
            request = qe.ScrollRequest(
                offset=offset, limit=1000, with_payload=True, with_vector=True
            )
            records, offset = shard.scroll(request)
            for record in records:
                assert str(record.id) not in points, f"{record.id} occurs twice"
                points[str(record.id)] = (dict(record.payload or {}), dict(record.vector))
            if offset is None:
                return points
    finally:
        shard.close()


def compare_collections(
    expected: StoredPoints, actual: StoredPoints, tolerance: float = TOLERANCE["float32"]
) -> CollectionDifference:
    """Count the differences; vectors differ if a component is more than `tolerance` apart."""
    payloads, vectors, largest = 0, 0, 0.0
    for key in expected.keys() & actual.keys():
        (expected_payload, expected_vectors), (payload, actual_vectors) = expected[key], actual[key]
        payloads += expected_payload != payload
        if expected_vectors.keys() != actual_vectors.keys():
            vectors += 1
            continue
        pairs = ((vector, actual_vectors[name]) for name, vector in expected_vectors.items())
        difference = max((_vector_difference(a, b) for a, b in pairs), default=0.0)
        vectors += difference > tolerance
        largest = max(largest, difference)
    return CollectionDifference(
        len(expected),
        len(expected.keys() - actual.keys()),
        len(actual.keys() - expected.keys()),
        payloads,
        vectors,
        largest,
    )


def _vector_difference(a: Any, b: Any) -> float:
    """Return the largest difference of a component; infinity for sparse vectors that differ."""
    if isinstance(a, qe.SparseVector):
        weights_a = dict(zip(a.indices, a.values, strict=True))
        weights_b = dict(zip(b.indices, b.values, strict=True))
        return 0.0 if weights_a == weights_b else np.inf
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


def run_with_kills(
    command: Callable[[int], Sequence[str]],
    kills: int,
    max_seconds: float,
    rng: random.Random,
    **options: Any,
) -> int:
    """Run a command until `kills` processes were killed, each after up to `max_seconds`.

    `command` takes the number of a home. When the work is done before the kill, the next run uses
    another home. Returns the number of homes, all of them complete.
    """
    killed, home = 0, 0
    while killed < kills:
        process = subprocess.Popen(command(home), **options)
        try:
            code = process.wait(rng.uniform(0, max_seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        else:
            if code not in (0, 4):
                raise RuntimeError(f"the run ended with exit code {code}; expected 0 or 4")
            home += 1
    subprocess.run(command(home), check=True, **options)
    return home + 1


def main() -> int:
    """Run the benchmark and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--papers", type=int, default=300)
    parser.add_argument("--book", type=Path, default=CORPORA / "openstax-physics")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ocr", action="store_true", help="read labels too; much slower")
    parser.add_argument("--dtype", choices=TOLERANCE, default="float32", help="of the encoders")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unirag-kills-") as scratch:
        papers = Path(scratch) / "papers"
        write_papers(papers, options.papers, options.seed)
        books = [str(options.book.absolute())] if options.book.is_dir() else []

        def command(home: str) -> list[str]:
            ocr = [] if options.ocr else ["--no-ocr"]
            arguments = [*ocr, "--home", str(Path(scratch) / home), "--json"]
            return [sys.executable, "-m", "unirag", "index", *books, str(papers), *arguments]

        environment = {**os.environ, "UNIRAG_DTYPE": options.dtype}
        quiet = {"stdout": subprocess.DEVNULL, "cwd": REPOSITORY, "env": environment}
        start = time.perf_counter()
        subprocess.run(command("undisturbed"), check=True, **quiet)  # type: ignore[call-overload]
        undisturbed_seconds = time.perf_counter() - start
        max_seconds = undisturbed_seconds / 3  # so that a home takes several kills
        rng = random.Random(options.seed)
        homes = run_with_kills(
            lambda n: command(f"killed-{n}"), options.kills, max_seconds, rng, **quiet
        )
        expected = read_collection(Path(scratch) / "undisturbed")
        differences = [
            compare_collections(
                expected,
                read_collection(Path(scratch) / f"killed-{n}"),
                TOLERANCE[options.dtype],
            )
            for n in range(homes)
        ]
    results = {
        **describe(LIBRARIES),
        "book": books and options.book.name,
        "papers": options.papers,
        "kills": options.kills,
        "seed": options.seed,
        "dtype": options.dtype,
        "undisturbed_seconds": round(undisturbed_seconds, 1),
        "homes": [asdict(difference) for difference in differences],
        "identical": all(difference.identical for difference in differences),
    }
    print(write_results("index_kills", results))
    return 0 if results["identical"] else 1


if __name__ == "__main__":
    sys.exit(main())
