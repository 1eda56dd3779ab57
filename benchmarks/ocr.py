"""Measure how well labels read by OCR find a figure from its description, and what OCR costs.

    python -m benchmarks.ocr [--text-model FOLDER] [--v4-models FOLDER]

The figures have no caption. Each alt text of a seeded sample of figures is a query, and the OCR
text of each picture is a document. Documents are ranked by BM25 (Qdrant Edge, as in the store), by
the cosine of a sentence encoder, and by the reciprocal rank fusion of both (k = 60). Settings are
chosen on two books. The choice is reported on a third book, against upstream's defaults.

One process with two threads reads each picture with every candidate in turn, so that the ratio to
upstream's defaults holds on a busy machine. `--v4-models` is the `models` folder of the wheel
rapidocr-onnxruntime 1.4.4, for the older PP-OCRv4. Writes results/ocr.json and ocr.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree
from PIL import Image
from platformdirs import user_data_path
from qdrant_edge import Bm25
from rapidocr import RapidOCR
from sentence_transformers import SentenceTransformer

from benchmarks.environment import BENCHMARKS, CORPORA, describe, write_results
from data.ocr import LabelReader, OcrSettings
from data.pictures import open_picture
from data.text_line_order import has_letter_or_digit
from unirag.models.devices import describe_device

TEXT_MODEL = user_data_path("unirag") / "models" / "all-minilm-l6-v2"
CHOICE_BOOKS = ("openstax-anatomy-physiology", "openstax-college-physics-bundle")
REPORT_BOOK = "openstax-chemistry-bundle"
CNXML = "{http://cnx.rice.edu/cnxml}"
DEFAULT = "upstream defaults"
ALLOWED_LOSS = 2.0  # points of R@1 of the fusion, against upstream's defaults
RRF_K = 60

ReadPicture = Callable[[Image.Image], str]


@dataclass(frozen=True)
class Readings:
    """The texts and times of one candidate for every picture of a gallery, in its order."""

    texts: list[str]
    seconds: list[float]
    cpu_seconds: list[float]


def sample_described_pictures(book: str, size: int, seed: int) -> list[tuple[str, Path]]:
    """Return (alt text, picture) of `size` figures with distinct pictures and alt texts."""
    alts: dict[Path, str] = {}
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    for module in sorted((CORPORA / book / "modules").glob("*/index.cnxml")):
        for image in etree.parse(str(module), parser).iterfind(
            f".//{CNXML}figure/{CNXML}media[@alt]/{CNXML}image[@src]"
        ):
            alt = " ".join(image.getparent().get("alt").split())
            picture = (module.parent / image.get("src")).resolve()
            if alt and picture.is_file() and alt not in alts.values():
                alts.setdefault(picture, alt)
    figures = sorted((alt, picture) for picture, alt in alts.items())
    return random.Random(seed).sample(figures, min(size, len(figures)))


def upstream_reader(params: Mapping[str, Any], threads: int) -> ReadPicture:
    """Return upstream's engine with some settings changed; it returns its text line by line."""
    engine = RapidOCR(
        params={
            "Global.log_level": "error",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            **params,
        }
    )
    return lambda picture: "\n".join(
        line for line in engine(picture).txts or () if has_letter_or_digit(line)
    )


def build_candidates(threads: int, v4_models: Path | None) -> dict[str, ReadPicture]:
    """Return every candidate by its name; the first is the baseline."""
    ours = OcrSettings(threads=threads)
    no_cls = {"Global.use_cls": False}
    settings = {
        "0.2 Mpx": replace(ours, figure_pixels=(200_000, 600_000)),
        "0.3 Mpx": replace(ours, figure_pixels=(300_000, 600_000)),
        "0.45 Mpx": replace(ours, figure_pixels=(450_000, 600_000)),
        "0.45 Mpx, labels one by one": replace(ours, figure_pixels=(450_000, 600_000), batch=1),
        "0.6 Mpx": replace(ours, figure_pixels=(600_000, 600_000)),
    }
    readers = {DEFAULT: upstream_reader({}, threads)}
    readers["defaults, no angle classifier"] = upstream_reader(no_cls, threads)
    readers["shorter side 480"] = upstream_reader({**no_cls, "Det.limit_side_len": 480}, threads)
    if v4_models is not None:
        readers["PP-OCRv4 mobile, shorter side 736"] = upstream_reader(
            {
                **no_cls,
                "Det.model_path": str(v4_models / "ch_PP-OCRv4_det_infer.onnx"),
                "Rec.model_path": str(v4_models / "ch_PP-OCRv4_rec_infer.onnx"),
            },
            threads,
        )
    return readers | {name: LabelReader(s).read for name, s in settings.items()}


def read_in_turn(
    readers: Mapping[str, ReadPicture], pictures: Sequence[Image.Image]
) -> dict[str, Readings]:
    """Read each picture with every reader before the next one; the first picture warms up."""
    readings = {name: Readings([], [], []) for name in readers}
    for read in readers.values():
        read(pictures[0])
    for picture in pictures:
        for name, read in readers.items():
            wall, cpu = time.perf_counter(), time.process_time()
            readings[name].texts.append(read(picture))
            readings[name].seconds.append(time.perf_counter() - wall)
            readings[name].cpu_seconds.append(time.process_time() - cpu)
    return readings


def bm25_scores(queries: Sequence[str], documents: Sequence[str]) -> np.ndarray:
    """Return scores (queries, documents), with the inverse document frequency of Qdrant."""
    model = Bm25()
    vectors = [model.embed_document(d) for d in documents]
    weights = [dict(zip(v.indices, v.values, strict=True)) for v in vectors]
    document_counts = Counter(term for w in weights for term in w)
    idf = {
        term: math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
        for term, n in document_counts.items()
    }
    scores = np.zeros((len(queries), len(documents)))
    for i, query in enumerate(queries):
        for term in model.embed_query(query).indices:
            for j, w in enumerate(weights):
                scores[i, j] += idf.get(term, 0.0) * w.get(term, 0.0)
    return scores


def cosine_scores(
    model: SentenceTransformer, queries: Sequence[str], documents: Sequence[str]
) -> np.ndarray:
    """Return cosines (queries, documents); a picture without text scores -1."""
    query_vectors, document_vectors = (
        model.encode(list(texts), normalize_embeddings=True) for texts in (queries, documents)
    )
    scores = query_vectors @ document_vectors.T
    scores[:, [not d for d in documents]] = -1.0
    return np.asarray(scores)


def fuse(*channels: np.ndarray) -> np.ndarray:
    """Fuse scores by reciprocal ranks; equal scores share the worst of their ranks."""
    return np.sum([1 / (RRF_K + rank_scores(scores)) for scores in channels], axis=0)


def rank_scores(scores: np.ndarray) -> np.ndarray:
    """Return the rank of each score within its row, from 1; ties share their worst rank."""
    return np.stack([np.searchsorted(np.sort(-row), -row, side="right") for row in scores])


def recall(scores: np.ndarray, k: int) -> float:
    """Return R@k in per cent, where figure i answers query i; ties count against it."""
    return float(100 * np.mean(np.diag(rank_scores(scores)) <= k))


def score(
    model: SentenceTransformer, queries: Sequence[str], readings: Readings, baseline: Readings
) -> dict[str, Any]:
    """Return the recall, the times and the ratios to the baseline of one candidate."""
    bm25 = bm25_scores(queries, readings.texts)
    cosine = cosine_scores(model, queries, readings.texts)
    fusion = fuse(bm25, cosine)
    seconds = readings.seconds
    return {
        "r1": {
            "bm25": round(recall(bm25, 1), 1),
            "cosine": round(recall(cosine, 1), 1),
            "fusion": round(recall(fusion, 1), 1),
        },
        "r10_fusion": round(recall(fusion, 10), 1),
        "pictures_without_text": sum(not t for t in readings.texts),
        "seconds": {
            "mean": round(float(np.mean(seconds)), 3),
            **{f"p{q}": round(float(np.percentile(seconds, q)), 3) for q in (20, 50, 80)},
            "cpu_mean": round(float(np.mean(readings.cpu_seconds)), 3),
        },
        "time_to_default": round(sum(seconds) / sum(baseline.seconds), 3),
        "cpu_to_default": round(sum(readings.cpu_seconds) / sum(baseline.cpu_seconds), 3),
    }


def run(
    book: str, size: int, seed: int, readers: Mapping[str, ReadPicture], model: SentenceTransformer
) -> dict[str, Any]:
    """Read and rank the figures of one book with every candidate."""
    figures = sample_described_pictures(book, size, seed)
    queries = [alt for alt, _ in figures]
    readings = read_in_turn(readers, [open_picture(picture) for _, picture in figures])
    baseline = readings[DEFAULT]
    rows = {name: score(model, queries, r, baseline) for name, r in readings.items()}
    for name, row in rows.items():
        print(book, name, json.dumps(row), file=sys.stderr, flush=True)
    return {"book": book, "figures": len(figures), "candidates": rows}


def choose(explored: Sequence[Mapping[str, Any]]) -> str:
    """Return the candidate with the least CPU time that loses at most `ALLOWED_LOSS` points."""

    def mean(name: str, *keys: str) -> float:
        values = []
        for book_run in explored:
            value: Any = book_run["candidates"][name]
            for key in keys:
                value = value[key]
            values.append(value)
        return float(np.mean(values))

    names = explored[0]["candidates"]
    floor = mean(DEFAULT, "r1", "fusion") - ALLOWED_LOSS
    accurate = [name for name in names if mean(name, "r1", "fusion") >= floor]
    return min(accurate, key=lambda name: mean(name, "cpu_to_default"))


def table(results: Mapping[str, Any]) -> str:
    """Format ocr.md."""
    lines = [
        "# OCR of figure labels",
        "",
        "Made by `python -m benchmarks.ocr`: figures are found from their alt text by the OCR text "
        "of the picture alone. R@1 and R@10 in per cent; wall and CPU seconds per picture, in one "
        f"process with {results['threads']} threads on {results['device']['cpu']}, "
        f"{results['device']['cores']} cores, load {results['device']['load']} at the start. The "
        "ratios are to upstream's defaults, which read each picture in turn with the others.",
    ]
    for part in (*results["explored"], results["reported"]):
        purpose = "report" if part is results["reported"] else "choice"
        lines += [
            "",
            f"## {part['book']}, {part['figures']} figures ({purpose})",
            "",
            "| settings | R@1 BM25 | R@1 cosine | R@1 fusion | R@10 fusion | s (p50) | s (mean) "
            "| CPU s | time to default | CPU to default |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for name, row in part["candidates"].items():
            r1, s = row["r1"], row["seconds"]
            lines.append(
                f"| {name} | {r1['bm25']} | {r1['cosine']} | {r1['fusion']} | {row['r10_fusion']} "
                f"| {s['p50']} | {s['mean']} | {s['cpu_mean']} | {row['time_to_default']} "
                f"| {row['cpu_to_default']} |"
            )
    lines += ["", f"Chosen on the first two books: **{results['chosen']}**.", ""]
    return "\n".join(lines)


def describe_load() -> dict[str, Any]:
    """Return the processor, its cores and the load of the machine."""
    cpu = describe_device("cpu")
    return {"cpu": cpu, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}


def main() -> None:
    """Choose the settings on two books, report them on a third, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--text-model", type=Path, default=TEXT_MODEL)
    parser.add_argument("--v4-models", type=Path)
    parser.add_argument("--explore", type=int, default=50, help="figures per book for the choice")
    parser.add_argument("--report", type=int, default=295, help="figures for the report")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()

    device = describe_load()
    model = SentenceTransformer(str(options.text_model), device="cpu", local_files_only=True)
    readers = build_candidates(options.threads, options.v4_models)
    explored = [run(b, options.explore, options.seed, readers, model) for b in CHOICE_BOOKS]
    chosen = choose(explored)
    finalists = {name: readers[name] for name in dict.fromkeys((DEFAULT, chosen))}
    reported = run(REPORT_BOOK, options.report, options.seed, finalists, model)
    results = {
        **describe(("rapidocr", "onnxruntime", "qdrant-edge-py", "numpy")),
        "device": device,
        "seed": options.seed,
        "threads": options.threads,
        "chosen": chosen,
        "explored": explored,
        "reported": reported,
    }
    write_results("ocr", results)
    (BENCHMARKS / "ocr.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
