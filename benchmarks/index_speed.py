"""Measure indexing against its encoders alone and against other pipelines.

    python -m benchmarks.index_speed [--passages 1500] [--pictures 1500] [--turns 3]

One run, in interleaved rounds, on passages of openstax-physics (20 to a file) and on figures of it
and of openstax-college-physics (one to a file):

- Passages: the text retriever alone, with all passages in one call; `unirag index` of the files
  (read, chunked, encoded, BM25, stored, journalled); txtai (content stored) and LangChain with
  qdrant-client (in memory). Both others use the same MiniLM from the same folder and get the
  strings that unirag encodes.
- Pictures: the picture encoder alone on decoded pictures; `unirag index` of the picture files,
  without OCR.

Models are loaded before the clock starts, on both sides. unirag computes in bf16 where the
processor does; the other pipelines leave that to their user, so `unirag in fp32` is the fair
comparison there. Reports ratios of medians. The other pipelines need
`pip install txtai langchain-qdrant langchain-huggingface`; without it they are left out. Writes
results/index_speed.json.
"""

from __future__ import annotations

import argparse
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
from benchmarks.environment import CORPORA, describe, write_results
from data.chunking import ItemDraft, chunk
from data.figure_gallery import read_gallery, sample_figures
from data.readers.scan import Rejected, scan
from retrieval.encoder import ORIGINAL, TextRetriever
from retrieval.sentence_retriever import SentenceRetriever
from unirag.app import App
from unirag.app.components import Components
from unirag.indexing.pipeline import searchable_text
from unirag.models.devices import choose_dtype
from unirag.settings import load_settings

PASSAGE_BOOK = "openstax-physics"
FIGURE_BOOKS = (PASSAGE_BOOK, "openstax-college-physics-bundle")
PASSAGES_PER_FILE, PICTURE_BATCH = 20, 32
OTHER_PIPELINES = ("txtai", "langchain_qdrant", "langchain_huggingface")
Arms = dict[str, Callable[[], object]]


def read_passages(count: int) -> list[str]:
    """Return about `count` passages of the book, evenly spread, as it is chunked."""
    passages: list[str] = []
    for document in scan(CORPORA / PASSAGE_BOOK):
        if isinstance(document, Rejected):
            continue
        for event in chunk(document, "book"):
            if isinstance(event, ItemDraft) and event.item.kind == "passage":
                passages.append(event.item.text)
    step = max(1, len(passages) // count)
    return passages[::step][:count]


def time_call(work: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_in_rounds(arms: Arms, rounds: int) -> dict[str, list[float]]:
    """Time every arm once per round, so that all of them meet the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, work in arms.items():
            seconds[name].append(time_call(work))
    return seconds


def other_pipelines(model_folder: Path, texts: Sequence[str]) -> Arms:
    """Return the other pipelines with their models loaded, or nothing if one is not installed."""
    if not all(find_spec(name) for name in OTHER_PIPELINES):
        return {}
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_qdrant import QdrantVectorStore
    from txtai import Embeddings

    rows = list(texts)
    embedding = HuggingFaceEmbeddings(model_name=str(model_folder))
    txtai = Embeddings(path=str(model_folder), content=True)
    txtai.index(rows[:2])
    return {
        "txtai": lambda: txtai.index(rows),
        "LangChain + qdrant-client": lambda: QdrantVectorStore.from_texts(
            rows, embedding, location=":memory:", collection_name="passages"
        ),
    }


def index_with(
    loaded: Components, scratch: Path, folder: Path, text: TextRetriever | None = None
) -> Callable[[], object]:
    """Return an arm that indexes `folder` into a new home with the models of `loaded`."""
    retriever = text or loaded.text

    def work() -> None:
        home = Path(tempfile.mkdtemp(dir=scratch))
        settings = load_settings(home=home, ocr=False)
        components = Components(settings, encoder=loaded.encoder, text=retriever)
        with App(components) as app:
            [report] = app.index([folder])
            assert not report.problems, report
        shutil.rmtree(home)

    return work


def rates(seconds: dict[str, list[float]], items: int, base: str) -> dict[str, Any]:
    """Return items per second and the ratio to the rate of `base`, from medians."""
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        name: {
            "per_second": round(items / median[name], 1),
            f"of {base}": round(median[base] / median[name], 3),
            "seconds": [round(value, 2) for value in values],
        }
        for name, values in seconds.items()
    }


def write_passages(folder: Path, texts: Sequence[str]) -> None:
    """Write the passages as Markdown files of `PASSAGES_PER_FILE` sections."""
    folder.mkdir()
    for start in range(0, len(texts), PASSAGES_PER_FILE):
        file_texts = texts[start : start + PASSAGES_PER_FILE]
        sections = (f"## {start + n}\n\n{text}\n" for n, text in enumerate(file_texts))
        (folder / f"{start:05}.md").write_text("\n".join(sections))


def main() -> None:
    """Measure passages, then pictures, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passages", type=int, default=1500)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--turns", type=int, default=3, help="rounds [%(default)s]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unirag-speed-") as name:
        scratch = Path(name)
        passage_folder, picture_folder = scratch / "passages", scratch / "pictures"
        write_passages(passage_folder, read_passages(options.passages))
        picture_folder.mkdir()
        figures = sample_figures(
            [f for book in FIGURE_BOOKS for f in read_gallery(CORPORA / book)], options.pictures, 0
        )
        for number, figure in enumerate(figures):
            figure.open().save(picture_folder / f"{number:05}.png")

        with unirag.open(home=scratch / "home", ocr=False) as app:
            app.index([passage_folder])
            components = app.components
            texts = [searchable_text(item) or item.title for item in components.store.scan()]
            text, encoder = components.text, components.encoder
            pictures = [figure.open() for figure in figures]
            passage_arms: Arms = {
                "retriever alone": lambda: text.encode_passages(texts),
                "unirag": index_with(components, scratch, passage_folder),
            }
            model_folder = components.models.locate(components.profile.text)
            if choose_dtype("cpu") != torch.float32:
                in_fp32 = SentenceRetriever(text.name, model_folder)
                passage_arms["unirag in fp32"] = index_with(
                    components, scratch, passage_folder, in_fp32
                )
            passage_arms |= other_pipelines(model_folder, texts)
            passage_rates = rates(
                time_in_rounds(passage_arms, options.turns), len(texts), "retriever alone"
            )
            picture_arms: Arms = {
                "encoder alone": lambda: [
                    encoder.encode_image(pictures[start : start + PICTURE_BATCH], ORIGINAL)
                    for start in range(0, len(pictures), PICTURE_BATCH)
                ],
                "unirag": index_with(components, scratch, picture_folder),
            }
            picture_rates = rates(
                time_in_rounds(picture_arms, options.turns), len(pictures), "encoder alone"
            )
    results = {
        **describe(("torch", "transformers", "qdrant-edge-py")),
        "threads": torch.get_num_threads(),
        "passages": {"of": PASSAGE_BOOK, "count": len(texts), **passage_rates},
        "pictures": {"of": FIGURE_BOOKS, "count": len(pictures), **picture_rates},
    }
    print(write_results("index_speed", results))


if __name__ == "__main__":
    main()
