"""The CNXML reader on the real books, where they are."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from lxml import etree

from data.documents import Block, Document, Figure, Problem
from data.readers.cnxml import CnxmlReader

CORPORA = Path(
    os.environ.get(
        "UNIRAG_TEST_CORPORA", Path(__file__).resolve().parents[2].parent / "shared" / "corpora"
    )
)
PHYSICS = CORPORA / "openstax-physics"


@pytest.fixture(scope="module")
def physics() -> list[tuple[Document, Block | Figure | Problem]]:
    if not PHYSICS.is_dir():
        pytest.skip(f"no corpora at {CORPORA}")
    documents = CnxmlReader().documents(PHYSICS, PHYSICS)
    return [(document, part) for document in documents for part in document.read()]


def test_physics_counts_agree_with_its_xml(
    physics: list[tuple[Document, Block | Figure | Problem]],
) -> None:
    wanted: Counter[str] = Counter()
    for path in {document.path for document, _ in physics}:
        for element in etree.parse(path).iter(etree.Element):
            name = etree.QName(element).localname
            wanted[name] += 1
            if name == "figure" and "unnumbered" not in element.get("class", "").split():
                wanted["numbered"] += 1
    parts = [part for _, part in physics]
    roles = Counter(part.role for part in parts if isinstance(part, Block))
    figures = [part for part in parts if isinstance(part, Figure)]
    assert len({document.source for document, _ in physics}) == wanted["document"] == 100
    assert len(figures) == wanted["image"]
    assert len([f for f in figures if f.number]) == wanted["numbered"]
    assert roles["term"] >= wanted["definition"]
    assert {"text", "example", "exercise", "solution", "summary", "objective"} <= roles.keys()


def test_physics_numbers_are_the_printed_ones(
    physics: list[tuple[Document, Block | Figure | Problem]],
) -> None:
    figures = [part for _, part in physics if isinstance(part, Figure) and part.number]
    by_chapter: dict[str, list[int]] = {}
    for number in dict.fromkeys(part.number for part in figures):
        start, _, count = number.partition(".")
        by_chapter.setdefault(start, []).append(int(count or 0))
    chapters = {key: counts for key, counts in by_chapter.items() if key.isdigit()}
    assert len(chapters) == 23
    assert all(sorted(c) == list(range(1, len(c) + 1)) for c in chapters.values())
    sources = {document.source for document, _ in physics}
    anchors = {(document.source, part.anchor) for document, part in physics}
    for document, part in physics:
        for ref in part.refs if isinstance(part, Block) else ():
            source, _, anchor = ref.rpartition("#")
            assert (source or document.source) in sources
            assert ((source or document.source), anchor) in anchors


@pytest.mark.skipif(not CORPORA.is_dir(), reason=f"no corpora at {CORPORA}")
@pytest.mark.parametrize("book", sorted(path.name for path in CORPORA.glob("openstax-*")))
def test_real_books_read_without_error(book: str) -> None:
    """Every 25th module of each book: unique anchors, no empty or unformatted text."""
    path = CORPORA / book
    reader = CnxmlReader()
    assert reader.claims(path)
    documents = list(reader.documents(path, path))
    assert len({document.source for document in documents}) == len(documents)
    assert len({document.fingerprint for document in documents}) == len(documents)
    for document in documents[::25]:
        assert document.licence.startswith("CC BY")
        anchors: set[str] = set()
        for part in document.read():
            if isinstance(part, Problem):
                continue
            assert part.anchor
            assert part.anchor not in anchors
            anchors.add(part.anchor)
            text = part.text if isinstance(part, Block) else part.caption + part.alt
            assert text.strip() == text != ""
            assert not re.search(r"  |\t|\xa0|\n\n", text)
            if isinstance(part, Block):
                assert part.text.count("\\(") == part.text.count("\\)")
