"""Does an index that was killed again and again end as one that nobody disturbed?

    python -m benchmarks.index_kills [--kills 50] [--papers 300] [--book DIR] [--seed 7]
        [--dtype auto]

Indexes a book (openstax-physics) and generated PDFs undisturbed, then into other homes with SIGKILL
at random points, and compares the collections item by item: ids, payloads and vectors. How long
each run may live is drawn anew, up to a share of the undisturbed time, so that kills fall into
starting, reading, encoding and writing alike; when a home is whole before the last kill, another
begins. Vectors may differ by what rounding does: a run that
goes on encodes other texts together. That is next to nothing in fp32, in which this runs unless
asked for `--dtype auto`. Writes results/index_kills.json; exits with 1 where anything is lost,
doubled or different.
"""

from __future__ import annotations

import argparse
import json
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

from benchmarks.environment import CORPORA, HERE, describe

LIBRARIES = ("torch", "sentence-transformers", "qdrant-edge-py", "pypdfium2", "numpy")
# In a unit vector's components, for what rounding does; bf16 keeps 8 bits.
TOLERANCE = {"float32": 1e-5, "auto": 2**-8}
WORDS = (
    "light lens ray focus mirror wave crest trough energy force mass charge field current atom "
    "cell leaf root enzyme acid base salt bond heat work gas pressure volume orbit planet star"
).split()
Stored = dict[str, tuple[dict[str, Any], dict[str, Any]]]


@dataclass(frozen=True)
class Compared:
    """How two collections differ: nothing is lost, doubled or other where all are 0."""

    items: int
    missing: int
    extra: int
    payloads: int
    vectors: int
    largest_difference: float

    @property
    def same(self) -> bool:
        return not (self.missing or self.extra or self.payloads or self.vectors)


def write_papers(folder: Path, count: int, seed: int) -> None:
    """PDFs of one to four pages with words, and a figure on each first page."""
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


def collection(home: Path) -> Stored:
    """Payload and vectors of every point of the home's embedded collection."""
    shard = qe.EdgeShard.load(str(home / "collection" / "shard"))
    found: Stored = {}
    offset = None
    try:
        while True:
            request = qe.ScrollRequest(
                offset=offset, limit=1000, with_payload=True, with_vector=True
            )
            records, offset = shard.scroll(request)
            for record in records:
                assert str(record.id) not in found, f"{record.id} is there twice"
                found[str(record.id)] = (dict(record.payload or {}), dict(record.vector))
            if offset is None:
                return found
    finally:
        shard.close()


def compare(one: Stored, other: Stored, tolerance: float = TOLERANCE["float32"]) -> Compared:
    payloads, vectors, largest = 0, 0, 0.0
    for key in one.keys() & other.keys():
        (payload_a, vectors_a), (payload_b, vectors_b) = one[key], other[key]
        payloads += payload_a != payload_b
        if vectors_a.keys() != vectors_b.keys():
            vectors += 1
            continue
        apart = 0.0
        for name, a in vectors_a.items():
            b = vectors_b[name]
            if isinstance(a, qe.SparseVector):
                same = dict(zip(a.indices, a.values, strict=True)) == dict(
                    zip(b.indices, b.values, strict=True)
                )
                apart = max(apart, 0.0 if same else np.inf)
            else:
                apart = max(apart, float(np.abs(np.asarray(a) - np.asarray(b)).max()))
        vectors += apart > tolerance
        largest = max(largest, apart)
    return Compared(
        len(one),
        len(one.keys() - other.keys()),
        len(other.keys() - one.keys()),
        payloads,
        vectors,
        largest,
    )


def run_killed(
    command: Callable[[int], Sequence[str]],
    kills: int,
    longest: float,
    rng: random.Random,
    **options: Any,
) -> int:
    """Run until `kills` processes were killed, each after up to `longest` seconds.

    Where the work is done before its kill, it begins again in another home: `command` takes the
    number of the home. Returns how many homes there are; all of them are whole.
    """
    done, home = 0, 0
    while done < kills:
        process = subprocess.Popen(command(home), **options)
        try:
            code = process.wait(rng.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            done += 1
        else:
            if code not in (0, 4):
                raise RuntimeError(f"the run ended with {code}")
            home += 1
    subprocess.run(command(home), check=True, **options)
    return home + 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--papers", type=int, default=300)
    parser.add_argument("--book", type=Path, default=CORPORA / "openstax-physics")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ocr", action="store_true", help="read labels too; slower by far")
    parser.add_argument("--dtype", choices=TOLERANCE, default="float32", help="of the encoders")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unirag-kills-") as scratch:
        papers = Path(scratch) / "papers"
        write_papers(papers, given.papers, given.seed)
        books = [str(given.book.absolute())] if given.book.is_dir() else []

        def command(home: str) -> list[str]:
            ocr = [] if given.ocr else ["--no-ocr"]
            where = ["--home", str(Path(scratch) / home), "--json"]
            return [sys.executable, "-m", "unirag", "index", *books, str(papers), *ocr, *where]

        environment = {**os.environ, "UNIRAG_DTYPE": given.dtype}
        quiet = {"stdout": subprocess.DEVNULL, "cwd": HERE.parent, "env": environment}
        began = time.perf_counter()
        subprocess.run(command("calm"), check=True, **quiet)  # type: ignore[call-overload]
        calm = time.perf_counter() - began
        longest = calm / 3  # so that a home takes several kills
        rng = random.Random(given.seed)
        homes = run_killed(lambda n: command(f"killed-{n}"), given.kills, longest, rng, **quiet)
        whole = collection(Path(scratch) / "calm")
        compared = [
            compare(whole, collection(Path(scratch) / f"killed-{n}"), TOLERANCE[given.dtype])
            for n in range(homes)
        ]
    result = {
        **describe(LIBRARIES),
        "book": books and given.book.name,
        "papers": given.papers,
        "kills": given.kills,
        "seed": given.seed,
        "dtype": given.dtype,
        "undisturbed_seconds": round(calm, 1),
        "homes": [asdict(one) for one in compared],
        "same": all(one.same for one in compared),
    }
    target = HERE / "results" / "index_kills.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if result["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
