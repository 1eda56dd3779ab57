"""How near does indexing come to its encoders alone, and how far ahead of other pipelines is it?

    python -m benchmarks.index_speed [--passages 1500] [--pictures 1500] [--turns 3]

In one run, in turn, on passages of openstax-physics, 20 to a file, and figures of it and of
openstax-college-physics, each a file of its own:

- the text retriever alone, all passages in one call; `unirag index` of the files (read, chunked,
  encoded, BM25, stored, journalled); txtai (content stored) and LangChain with qdrant-client (in
  memory), both with the same MiniLM from the same folder, on the strings that ours encodes;
- the picture encoder alone on decoded pictures; `unirag index` of the picture files, without OCR.

Models are loaded before the clock starts, on both sides. Ours compute in bf16 where the processor
does, which the others leave to their user, so there `unirag in fp32` is the fair one to compare
with them. Ratios of medians. Needs
`pip install txtai langchain-qdrant langchain-huggingface`; without them those arms are left out.
Writes results/index_speed.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import unirag
from benchmarks.environment import CORPORA, HERE, describe
from data.chunking import ItemDraft, chunk
from data.figure_gallery import read_gallery, sample_figures
from data.readers.scan import Rejected, scan
from retrieval.encoder import ORIGINAL, TextRetriever
from retrieval.text import SentenceRetriever
from unirag.indexing.pipeline import searchable_text
from unirag.models.devices import choose_dtype

BOOK = "openstax-physics"
ALBUMS = (BOOK, "openstax-college-physics-bundle")
OTHERS = ("txtai", "langchain_qdrant", "langchain_huggingface")


def passages(number: int) -> list[str]:
    """Texts of the book's passages, as its chunks come."""
    found: list[str] = []
    for document in scan(CORPORA / BOOK):
        if isinstance(document, Rejected):
            continue
        for event in chunk(document, "book"):
            if isinstance(event, ItemDraft) and event.item.kind == "passage":
                found.append(event.item.text)
    step = max(1, len(found) // number)
    return found[::step][:number]


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(arms: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(turns):
        for name, work in arms.items():
            seconds[name].append(timed(work))
    return seconds


def others(folder: Path, texts: Sequence[str]) -> dict[str, Callable[[], object]]:
    """The other pipelines, their models loaded."""
    if not all(find_spec(name) for name in OTHERS):
        return {}
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_qdrant import QdrantVectorStore
    from txtai import Embeddings

    rows = list(texts)
    embedding = HuggingFaceEmbeddings(model_name=str(folder))
    theirs = Embeddings(path=str(folder), content=True)
    theirs.index(rows[:2])
    return {
        "txtai": lambda: theirs.index(rows),
        "LangChain + qdrant-client": lambda: QdrantVectorStore.from_texts(
            rows, embedding, location=":memory:", collection_name="passages"
        ),
    }


def indexed(
    loaded: unirag.App, scratch: Path, folder: Path, text: TextRetriever | None = None
) -> Callable[[], object]:
    """Indexes `folder` into a new home each time, with the models that `loaded` has."""
    models = {"_encoder": loaded.encoder, "text": text or loaded.text}

    def work() -> None:
        home = Path(tempfile.mkdtemp(dir=scratch))
        with unirag.open(home=home, ocr=False) as app:
            app.__dict__.update(models)  # what it would load itself
            [report] = app.index([folder])
            assert not report.problems, report
        shutil.rmtree(home)

    return work


def rates(seconds: dict[str, list[float]], items: int, base: str) -> dict[str, Any]:
    median = {name: statistics.median(some) for name, some in seconds.items()}
    return {
        name: {
            "per_second": round(items / median[name], 1),
            f"of {base}": round(median[base] / median[name], 3),
            "seconds": [round(value, 2) for value in some],
        }
        for name, some in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passages", type=int, default=1500)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unirag-speed-") as name:
        scratch = Path(name)
        written, drawn = scratch / "passages", scratch / "pictures"
        written.mkdir()
        drawn.mkdir()
        texts = passages(given.passages)
        for at in range(0, len(texts), 20):
            parts = (f"## {at + n}\n\n{t}\n" for n, t in enumerate(texts[at : at + 20]))
            (written / f"{at:05}.md").write_text("\n".join(parts))
        figures = sample_figures(
            [f for book in ALBUMS for f in read_gallery(CORPORA / book)], given.pictures, 0
        )
        for number, figure in enumerate(figures):
            figure.open().save(drawn / f"{number:05}.png")

        with unirag.open(home=scratch / "home", ocr=False) as app:
            app.index([written])
            texts = [searchable_text(item) or item.title for item in app.store.scan()]
            text, encoder = app.text, app.encoder
            pictures = [figure.open() for figure in figures]
            arms: dict[str, Callable[[], object]] = {
                "retriever alone": lambda: text.encode_passages(texts),
                "unirag": indexed(app, scratch, written),
            }
            folder = app.models.locate(app.profile.text)
            if choose_dtype("cpu") != torch.float32:
                plain = SentenceRetriever(text.name, folder)
                arms["unirag in fp32"] = indexed(app, scratch, written, plain)
            arms |= others(folder, texts)
            words = rates(in_turn(arms, given.turns), len(texts), "retriever alone")
            looks: dict[str, Callable[[], object]] = {
                "encoder alone": lambda: [
                    encoder.encode_image(pictures[at : at + 32], ORIGINAL)
                    for at in range(0, len(pictures), 32)
                ],
                "unirag": indexed(app, scratch, drawn),
            }
            images = rates(in_turn(looks, given.turns), len(pictures), "encoder alone")
    result = {
        **describe(("torch", "sentence-transformers", "qdrant-edge-py")),
        "threads": torch.get_num_threads(),
        "passages": {"of": BOOK, "count": len(texts), **words},
        "pictures": {"of": ALBUMS, "count": len(pictures), **images},
    }
    said = json.dumps(result, indent=1)
    (HERE / "results" / "index_speed.json").write_text(said + "\n")
    print(said)


if __name__ == "__main__":
    main()
