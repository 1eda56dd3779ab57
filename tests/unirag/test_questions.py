"""Questions made out of a corpus: what they ask, and that the others have no answer in it."""

from __future__ import annotations

from data.records import Item
from unirag.evaluation.question_generation import (
    answerable_questions,
    section_keys,
    unanswerable_questions,
)


def item(locator: str, role: str, title: str, text: str, chapter: str, **more: object) -> Item:
    source = f"{chapter}.md"
    section = ("Book", chapter, f"{chapter}.1")
    return Item(
        locator, "passage", "book", locator, title, text,
        role=role, section=section, source=source, **more,  # type: ignore[arg-type]
    )  # fmt: skip


BOOK = [
    item("a", "term", "refraction", "refraction: bending of light at a boundary of media", "Light"),
    item("b", "term", "torque", "torque: turning effect of a force about an axis", "Motion"),
    item("c", "objective", "Goals", "- Explain how a lens forms an image\n- Sing", "Light"),
    item("d", "summary", "Summary", "A lens forms an image where its rays meet.", "Light"),
    item("e", "exercise", "Problem", "How long does a fall of 20 m take?", "Motion"),
    item("h", "text", "Wrenches", "Long wrenches give torque of 45 N m to rusty bolts.", "Motion"),
    item("f", "solution", "Problem", "It takes 2.0 s.", "Motion", neighbours=("e",)),
    Item(
        "g", "figure", "book", "g", "Figure 2.1. A lens", "Rays meet behind a lens. They cross.",
        section=("Book", "Light", "Light.1"), source="Light.md",
    ),
]  # fmt: skip


def test_each_kind_is_asked_with_its_reference_and_place() -> None:
    asked = {q.kind: q for q in answerable_questions(BOOK, 100, seed=0) if q.locator != "b"}
    assert set(asked) == {"definition", "objective", "exercise", "figure", "statement"}
    assert "refraction" in asked["definition"].text
    assert asked["definition"].reference == "bending of light at a boundary of media"
    assert asked["objective"].text == "Explain how a lens forms an image."
    assert asked["objective"].reference == "A lens forms an image where its rays meet."
    assert asked["exercise"].text == "How long does a fall of 20 m take?"
    assert asked["exercise"].reference == "It takes 2.0 s."
    assert asked["figure"].text == "What does the figure show? Rays meet behind a lens."
    assert "ong wrenches give torque of 45 N m to rusty bolts" in asked["statement"].text
    assert asked["statement"].reference == ""  # its own words would be no answer
    assert all(q.answerable for q in asked.values())
    assert asked["figure"].section == section_keys(BOOK)(BOOK[0]) == ("Light.1",)


def test_a_share_of_each_kind_and_the_same_for_a_seed() -> None:
    assert len(answerable_questions(BOOK, 5, seed=0)) == 5
    assert answerable_questions(BOOK, 3, seed=1) == answerable_questions(
        list(reversed(BOOK)), 3, seed=1
    )


def test_questions_without_an_answer() -> None:
    other = [
        item("x", "term", "mitosis", "mitosis: division of one nucleus into two", "Cells"),
        item("y", "term", "light reaction", "light reaction: first step of plants", "Cells"),
    ]
    asked = unanswerable_questions(BOOK, other, 30, seed=0)
    kinds = {q.kind for q in asked}
    assert kinds == {"other subject", "made up", "false premise"}
    assert not any(q.answerable for q in asked)
    # `light` is a word of the book: the book may well say something about the other term
    assert ["mitosis" in q.text for q in asked if q.kind == "other subject"] == [True]
    claimed = [q.text for q in asked if q.kind == "false premise"]
    for claim in (
        "efraction is turning effect of a force about an axis",
        "orque is bending of light at a boundary of media",
        "ong wrenches give refraction of 45 N m to rusty bolts",
        "ong wrenches give torque of 135 N m to rusty bolts",
    ):
        assert sum(claim in text for text in claimed) == 1
    assert len(claimed) == 4


def test_two_editions_of_a_section_are_one_place() -> None:
    def of(source: str, *section: str) -> Item:
        return Item(source, "passage", "b", source, "", "x", source=source, section=section)

    first = of("m1", "Chemistry", "12 Kinetics", "12.7 Catalysis", "Enzymes")
    again = of("m2", "Atoms First", "17 Kinetics", "17.7 Catalysis")
    other = of("m3", "Chemistry", "12 Kinetics", "12.6 Mechanisms")
    book = [of("b.pdf", "1 Acids", "1.1 Strength"), of("b.pdf", "2 Bases", "2.1 Salts")]
    more = of("m1", "Chemistry", "12 Kinetics", "12.7 Catalysis", "Surfaces")
    place = section_keys([first, more, again, again, other, *book])
    assert place(first) == place(more) == ("Catalysis",) == place(again)
    assert place(other) != place(first)
    assert place(book[0]) != place(book[1])
