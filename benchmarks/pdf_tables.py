"""Read the tables of PDFs with unirag's reader and with pdfplumber, and compare the rows.

    pip install pdfplumber
    python -m benchmarks.pdf_tables

The tables are those of the shared files of Docling whose maintainers wrote them down as Markdown,
without tables of contents, and of `tests/data/pdf`. A row counts as found if all its cells have
the right words. `f1` is over the rows of all files; `seconds` are seconds of the processor;
`megabytes` is the largest memory of the process.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.environment import REPOSITORY, SHARED, describe, write_results
from data.documents import Block
from data.readers.pdf import PdfReader
from data.tables import parse_table

DOCLING = SHARED / "benchmarks" / "docling" / "pdf"
OWN = {
    "vitamins.pdf": (
        "| Vitamin | Disease of adults | Disease of children | Source |\n"
        "| --- | --- | --- | --- |\n"
        "| A | night blindness and dry skin of the whole body |  "
        "| carrots, liver and butter from summer milk |\n"
        "| C |  | scurvy of infants | lemons |\n| D | soft bones | rickets | fish oil |"
    ),
    "sideways.pdf": (
        "| Metal | Density (kg/m3) | Melting point |\n| --- | --- | --- |\n"
        "| Osmium | 22 590 | 3033 C |\n| Tungsten | 19 250 | 3422 C |\n| Lithium | 534 | 180 C |"
    ),
}
Row = tuple[str, ...]


def files() -> dict[Path, Counter[Row]]:
    """Return the rows that each file holds, by path."""
    right = {
        REPOSITORY / "tests" / "data" / "pdf" / name: _markdown_rows(text)
        for name, text in OWN.items()
    }
    for markdown in sorted((DOCLING / "groundtruth").glob("*.md")):
        path = DOCLING / "sources" / f"{markdown.stem}.pdf"
        rows = _markdown_rows(markdown.read_text())
        if path.is_file() and rows:
            right[path] = rows
    return right


def _markdown_rows(text: str) -> Counter[Row]:
    rows: Counter[Row] = Counter()
    for line in text.splitlines():
        cells = line.strip().strip("|").split("|")
        is_contents = len(cells) == 2 and re.fullmatch(r"[\d\s]*|[ivxl]+", cells[1].strip())
        if line.startswith("|") and not set(line) <= set("|-: ") and not is_contents:
            rows[_row(cells)] += 1
    return rows


def _row(cells: Iterable[str | None]) -> Row:
    """Return the letters and digits of each cell; empty cells count."""
    return tuple("".join(c for c in (cell or "").casefold() if c.isalnum()) for cell in cells)


def read_unirag(path: Path) -> Counter[Row]:
    """Return the rows of the tables that unirag's reader finds."""
    rows: Counter[Row] = Counter()
    (document,) = PdfReader(ocr=None).documents(path, path.parent)
    for content in document.read():
        table = parse_table(content.text) if isinstance(content, Block) else None
        rows.update(_row(row) for row in (table.rows if table else ()))
    return rows


def read_pdfplumber(path: Path) -> Counter[Row]:
    """Return the rows of the tables that pdfplumber finds with its default settings."""
    import pdfplumber

    with pdfplumber.open(path) as pdf:
        return Counter(
            _row(row) for page in pdf.pages for table in page.extract_tables() for row in table
        )


READERS: dict[str, Callable[[Path], Counter[Row]]] = {
    "unirag": read_unirag,
    "pdfplumber": read_pdfplumber,
}


def measure(name: str) -> dict[str, Any]:
    """Return the scores of one reader."""
    found_count = read_count = right_count = 0
    started = time.process_time()
    by_file = {}
    for path, right in files().items():
        rows = READERS[name](path)
        found = (rows & right).total()
        by_file[path.name] = f"{found} of {right.total()} rows, {rows.total()} read"
        found_count, read_count = found_count + found, read_count + rows.total()
        right_count += right.total()
    return {
        "recall": round(found_count / right_count, 3),
        "precision": round(found_count / max(read_count, 1), 3),
        "f1": round(2 * found_count / (read_count + right_count), 3),
        "seconds": round(time.process_time() - started, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "files": by_file,
    }


def main() -> None:
    """Measure each reader in a process of its own and write the results."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    command = [sys.executable, "-m", "benchmarks.pdf_tables"]
    results = {
        name: json.loads(subprocess.run([*command, name], check=True, stdout=-1).stdout)
        for name in READERS
    }
    print(write_results("pdf_tables", {**describe(("pypdfium2", "pdfplumber")), **results}))


if __name__ == "__main__":
    main()
