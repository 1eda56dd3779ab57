"""Test the CNXML reader on real books, if they are on this machine."""

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
    return [(document, event) for document in documents for event in document.read()]


def test_the_counts_of_the_physics_book_agree_with_its_xml(
    physics: list[tuple[Document, Block | Figure | Problem]],
) -> None:
    expected: Counter[str] = Counter()
    for path in {document.path for document, _ in physics}:
        for element in etree.parse(path).iter(etree.Element):
            name = etree.QName(element).localname
            expected[name] += 1
            if name == "figure" and "unnumbered" not in element.get("class", "").split():
                expected["numbered"] += 1
    events = [event for _, event in physics]
    roles = Counter(event.role for event in events if isinstance(event, Block))
    figures = [event for event in events if isinstance(event, Figure)]
    assert len({document.source for document, _ in physics}) == expected["document"] == 100
    assert len(figures) == expected["image"]
    assert len([f for f in figures if f.number]) == expected["numbered"]
    assert roles["term"] >= expected["definition"]
    assert {"text", "example", "exercise", "solution", "summary", "objective"} <= roles.keys()


def test_the_figure_numbers_of_the_physics_book_are_the_printed_ones(
    physics: list[tuple[Document, Block | Figure | Problem]],
) -> None:
    figures = [event for _, event in physics if isinstance(event, Figure) and event.number]
    by_chapter: dict[str, list[int]] = {}
    for number in dict.fromkeys(figure.number for figure in figures):
        start, _, count = number.partition(".")
        by_chapter.setdefault(start, []).append(int(count or 0))
    chapters = {key: counts for key, counts in by_chapter.items() if key.isdigit()}
    assert len(chapters) == 23
    assert all(sorted(c) == list(range(1, len(c) + 1)) for c in chapters.values())
    sources = {document.source for document, _ in physics}
    anchors = {(document.source, event.anchor) for document, event in physics}
    for document, event in physics:
        for ref in event.refs if isinstance(event, Block) else ():
            source, _, anchor = ref.rpartition("#")
            assert (source or document.source) in sources
            assert ((source or document.source), anchor) in anchors


@pytest.mark.skipif(not CORPORA.is_dir(), reason=f"no corpora at {CORPORA}")
@pytest.mark.parametrize("book", sorted(path.name for path in CORPORA.glob("openstax-*")))
def test_real_books_are_read_without_error(book: str) -> None:
    """Check every 25th module of each book: unique anchors, no empty or unformatted text."""
    path = CORPORA / book
    reader = CnxmlReader()
    assert reader.claims(path)
    documents = list(reader.documents(path, path))
    assert len({document.source for document in documents}) == len(documents)
    assert len({document.fingerprint for document in documents}) == len(documents)
    for document in documents[::25]:
        assert document.licence.startswith("CC BY")
        anchors: set[str] = set()
        for event in document.read():
            if isinstance(event, Problem):
                continue
            assert event.anchor
            assert event.anchor not in anchors
            anchors.add(event.anchor)
            text = event.text if isinstance(event, Block) else event.caption + event.alt
            assert text.strip() == text != ""
            assert not re.search(r"  |\t|\xa0|\n\n", text)
            if isinstance(event, Block):
                assert event.text.count("\\(") == event.text.count("\\)")
