"""Find the page that answers a question in real PDFs, with unirag and with BM25 over raw text.

    python -m benchmarks.mmdocir [--ocr] [--reader-only] [--documents N]

The PDFs and questions are the development half of MMDocIR as the shared benchmarks hold it: slides,
reports, papers, brochures, manuals. Each question is about one document: its pages are ranked, and
recall@k is the share of its gold pages among the first k, in the mean over all questions.

`raw` is BM25 over the page texts of pypdfium2. `reader` is the same BM25 over the page texts of
unirag's reader. `search` is unirag's own search for items of the document; a page ranks by its best
item. `words_kept` is the share of the words of the raw text, outside headers and footers, that the
reader keeps. `boxes` is the share of the hits on a gold page whose boxes overlap the gold box.
Without `--ocr` no picture is read, and scanned pages have no words. Results: results/mmdocir.json.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import pypdfium2 as pdfium
from snowballstemmer import stemmer

import unirag
from benchmarks.environment import HOME, SHARED, describe, write_results
from data.documents import Block, Figure, Problem
from data.readers.pdf import PdfReader
from retrieval.store import Where

DOCUMENTS = SHARED / "benchmarks" / "mmdocir" / "documents"
QUESTIONS = SHARED / "benchmarks" / "mmdocir" / "questions.jsonl"
CUTS = (1, 3, 5)
HITS = 60  # items of a search, of which the first pages are taken
K1, B = 1.2, 0.75  # of BM25
EDGE_LINES = 4  # lines at the top and the bottom of a page that may be headers and footers
_STEMMER = stemmer("english")
_STEMS: dict[str, str] = {}


@dataclass(frozen=True)
class Question:
    """A question about a document, with its gold pages (from 0) and boxes in fractions."""

    text: str
    source: str
    pages: frozenset[int]
    boxes: tuple[tuple[int, float, float, float, float], ...]


def load_questions(limit: int | None) -> list[Question]:
    """Return the questions of the first `limit` documents."""
    questions = []
    for line in QUESTIONS.read_text().splitlines()[:limit]:
        document = json.loads(line)
        for question in document["questions"]:
            boxes = [
                (place["page"], *_fractions(place["bbox"], place["page_size"]))
                for place in question["layout_mapping"]
            ]
            pages = frozenset(question["page_id"])
            questions.append(Question(question["Q"], document["document"], pages, tuple(boxes)))
    return questions


def _fractions(box: Sequence[float], size: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left / size[0], top / size[1], right / size[0], bottom / size[1]


class PlainBm25:
    """BM25 over the pages of one document."""

    def __init__(self, pages: Sequence[str]) -> None:
        self._counts = [Counter(_stems(page)) for page in pages]
        lengths = [sum(counts.values()) for counts in self._counts]
        usual = mean(lengths) or 1.0
        self._norms = [K1 * (1 - B + B * length / usual) for length in lengths]
        found = Counter(word for counts in self._counts for word in counts)
        self._rarity = {
            word: math.log(1 + (len(pages) - n + 0.5) / (n + 0.5)) for word, n in found.items()
        }

    def rank(self, question: str) -> list[int]:
        """Return the pages, best first; pages of equal score in the order of the document."""
        words = _stems(question)
        scores = [
            sum(self._rarity[w] * c[w] * (K1 + 1) / (c[w] + norm) for w in words if w in c)
            for c, norm in zip(self._counts, self._norms, strict=True)
        ]
        return sorted(range(len(scores)), key=lambda page: -scores[page])


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.replace("\u00ad", "").casefold())


def _stems(text: str) -> list[str]:
    words = _words(text)
    for word in words:
        if word not in _STEMS:
            _STEMS[word] = _STEMMER.stemWord(word)
    return [_STEMS[word] for word in words]


def raw_pages(path: Path) -> list[str]:
    """Return the text of each page as pypdfium2 gives it, words at line ends joined."""
    pdf = pdfium.PdfDocument(path)
    try:
        texts = [page.get_textpage().get_text_range() for page in pdf]
    finally:
        pdf.close()
    return [text.replace("\ufffe", "").replace("\x02", "") for text in texts]


def reader_pages(path: Path, page_count: int, reads_scans: bool) -> list[str]:
    """Return the text of each page as unirag's reader gives it, each heading once."""
    reader = PdfReader() if reads_scans else PdfReader(ocr=None)
    (document,) = reader.documents(path, path.parent)
    pages = [""] * page_count
    seen: set[tuple[str, ...]] = set()
    for content in document.read():
        if isinstance(content, Problem) or content.page is None:
            continue
        pages[content.page - 1] += "\n" + "\n".join(_parts(content, seen))
    return pages


def _parts(content: Block | Figure, seen: set[tuple[str, ...]]) -> Iterator[str]:
    for depth in range(1, len(content.section) + 1):
        if content.section[:depth] not in seen:
            seen.add(content.section[:depth])
            yield content.section[depth - 1]
    if isinstance(content, Block):
        yield content.text
    else:
        yield from (f"Figure {content.number}" if content.number else "", content.caption)
        yield from (content.alt, content.text)


def without_edges(pages: Sequence[str]) -> list[str]:
    """Return page texts without the lines at their edges that repeat on other pages."""
    lines_of = [[line for line in page.splitlines() if line.strip()] for page in pages]
    edges = Counter(
        key
        for lines in lines_of
        for key in {_line_key(line) for line in (*lines[:EDGE_LINES], *lines[-EDGE_LINES:])}
    )
    least = max(3, 0.15 * len(pages))

    def is_kept(position: int, lines: Sequence[str]) -> bool:
        is_edge = position < EDGE_LINES or position >= len(lines) - EDGE_LINES
        key = _line_key(lines[position])
        return not (is_edge and (edges[key] >= least or re.fullmatch(r"\W*(page )?#\W*", key)))

    return [
        "\n".join(line for n, line in enumerate(lines) if is_kept(n, lines)) for lines in lines_of
    ]


def _line_key(line: str) -> str:
    return re.sub(r"\d+", "#", line.strip().casefold())


def recalls(ranks: Sequence[Sequence[int]], questions: Sequence[Question]) -> dict[str, float]:
    """Return recall@k in percent."""
    return {
        f"recall@{k}": round(
            100
            * mean(
                len(q.pages & set(pages[:k])) / len(q.pages)
                for q, pages in zip(questions, ranks, strict=True)
            ),
            1,
        )
        for k in CUTS
    }


def compare_texts(questions: Sequence[Question], reads_scans: bool) -> dict[str, Any]:
    """Return the recall of BM25 over raw text and over the reader's text, and the words kept."""
    raw_ranks, reader_ranks = [], []
    raw_count = kept_count = 0
    seconds = {"raw": 0.0, "reader": 0.0}
    worst: dict[str, float] = {}
    for source in dict.fromkeys(question.source for question in questions):
        started = time.perf_counter()
        raw = raw_pages(DOCUMENTS / source)
        between = time.perf_counter()
        read = reader_pages(DOCUMENTS / source, len(raw), reads_scans)
        seconds["raw"] += between - started
        seconds["reader"] += time.perf_counter() - between
        wanted = Counter(_words("\n".join(without_edges(raw))))
        lost = wanted - Counter(_words("\n".join(read)))
        raw_count += wanted.total()
        kept_count += wanted.total() - lost.total()
        if wanted:
            worst[source] = round(1 - lost.total() / wanted.total(), 4)
        own = [question.text for question in questions if question.source == source]
        raw_bm25, reader_bm25 = PlainBm25(raw), PlainBm25(read)
        raw_ranks += [raw_bm25.rank(text) for text in own]
        reader_ranks += [reader_bm25.rank(text) for text in own]
    return {
        "raw": recalls(raw_ranks, questions),
        "reader": recalls(reader_ranks, questions),
        "words_kept": round(kept_count / raw_count, 4),
        "words_kept_worst": dict(sorted(worst.items(), key=lambda entry: entry[1])[:5]),
        "seconds_ratio": round(seconds["reader"] / seconds["raw"], 1),
    }


def search_pages(questions: Sequence[Question], ocr: bool) -> dict[str, Any]:
    """Index the documents and return the recall of unirag's search, and how boxes overlap."""
    home = HOME.parent / f"mmdocir-{'ocr' if ocr else 'plain'}"
    shutil.rmtree(home, ignore_errors=True)
    paths = [DOCUMENTS / source for source in dict.fromkeys(q.source for q in questions)]
    ranks: list[list[int]] = []
    overlaps: list[bool] = []
    with unirag.open(home=home, ocr=ocr) as app:
        app.index(paths)
        for question in questions:
            where = Where(sources=(question.source,))
            hits = app.search(question.text, limit=HITS, where=where).hits
            pages = [hit.item.page - 1 for hit in hits if hit.item.page]
            ranks.append(list(dict.fromkeys(pages)))
            overlaps += [_overlaps(hit.item, question) for hit in hits[:5] if _is_on(hit, question)]
    return {
        "search": recalls(ranks, questions),
        "boxes": round(100 * mean(overlaps), 1) if overlaps else None,
        "hits_on_gold_pages": len(overlaps),
    }


def _is_on(hit: Any, question: Question) -> bool:
    page = (hit.item.page or 0) - 1
    return any(page == box[0] for box in question.boxes)


def _overlaps(item: Any, question: Question) -> bool:
    boxes = [box for box in item.boxes if box[0] == item.page]
    if item.bbox:
        boxes.append((item.page, *item.bbox))
    return any(
        page - 1 == gold[0]
        and min(right, gold[3]) > max(left, gold[1])
        and min(bottom, gold[4]) > max(top, gold[2])
        for page, left, top, right, bottom in boxes
        for gold in question.boxes
    )


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description="Page recall on real PDFs.")
    parser.add_argument("--ocr", action="store_true", help="read pictures and scanned pages")
    parser.add_argument("--reader-only", action="store_true", help="do not index and search")
    parser.add_argument("--documents", type=int, help="only the first N documents")
    arguments = parser.parse_args()
    questions = load_questions(arguments.documents)
    result: Mapping[str, Any] = {
        "questions": len(questions),
        "ocr": arguments.ocr,
        **describe(("pypdfium2", "rapidocr", "torch")),
        **compare_texts(questions, arguments.ocr),
        **({} if arguments.reader_only else search_pages(questions, arguments.ocr)),
    }
    name = "mmdocir-ocr" if arguments.ocr else "mmdocir"
    print(write_results(name, result))


if __name__ == "__main__":
    main()
