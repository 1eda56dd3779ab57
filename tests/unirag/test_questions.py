"""Evaluation questions: their text, reference and section, and those without an answer."""

from __future__ import annotations

from data.records import Item
from unirag.evaluation.question_generation import (
    answerable_questions,
    section_keys,
    unanswerable_questions,
)


def item(locator: str, role: str, title: str, text: str, chapter: str, **further: object) -> Item:
    source = f"{chapter}.md"
    section = ("Book", chapter, f"{chapter}.1")
    return Item(
        locator, "passage", "book", locator, title, text,
        role=role, section=section, source=source, **further,  # type: ignore[arg-type]
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


def test_each_kind_of_question_has_its_reference_and_section() -> None:
    questions = {q.kind: q for q in answerable_questions(BOOK, 100, seed=0) if q.locator != "b"}
    assert set(questions) == {"definition", "objective", "exercise", "figure", "statement"}
    assert "refraction" in questions["definition"].text
    assert questions["definition"].reference == "bending of light at a boundary of media"
    assert questions["objective"].text == "Explain how a lens forms an image."
    assert questions["objective"].reference == "A lens forms an image where its rays meet."
    assert questions["exercise"].text == "How long does a fall of 20 m take?"
    assert questions["exercise"].reference == "It takes 2.0 s."
    assert questions["figure"].text == "What does the figure show? Rays meet behind a lens."
    assert "ong wrenches give torque of 45 N m to rusty bolts" in questions["statement"].text
    assert questions["statement"].reference == ""  # its own words would be no answer
    assert all(q.answerable for q in questions.values())
    assert questions["figure"].section == section_keys(BOOK)(BOOK[0]) == ("Light.1",)


def test_questions_are_drawn_evenly_and_depend_on_the_seed() -> None:
    assert len(answerable_questions(BOOK, 5, seed=0)) == 5
    assert answerable_questions(BOOK, 3, seed=1) == answerable_questions(
        list(reversed(BOOK)), 3, seed=1
    )


def test_unanswerable_questions_name_other_subjects_or_have_false_premises() -> None:
    other = [
        item("x", "term", "mitosis", "mitosis: division of one nucleus into two", "Cells"),
        item("y", "term", "light reaction", "light reaction: first step of plants", "Cells"),
    ]
    questions = unanswerable_questions(BOOK, other, 30, seed=0)
    kinds = {q.kind for q in questions}
    assert kinds == {"other subject", "made up", "false premise"}
    assert not any(q.answerable for q in questions)
    # `light` is a word of the book: the book may well say something about the other term
    assert ["mitosis" in q.text for q in questions if q.kind == "other subject"] == [True]
    false_premises = [q.text for q in questions if q.kind == "false premise"]
    for claim in (
        "efraction is turning effect of a force about an axis",
        "orque is bending of light at a boundary of media",
        "ong wrenches give refraction of 45 N m to rusty bolts",
        "ong wrenches give torque of 135 N m to rusty bolts",
    ):
        assert sum(claim in text for text in false_premises) == 1
    assert len(false_premises) == 4


def test_two_editions_of_a_section_share_a_key() -> None:
    def of(source: str, *section: str) -> Item:
        return Item(source, "passage", "b", source, "", "x", source=source, section=section)

    first = of("m1", "Chemistry", "12 Kinetics", "12.7 Catalysis", "Enzymes")
    again = of("m2", "Atoms First", "17 Kinetics", "17.7 Catalysis")
    other = of("m3", "Chemistry", "12 Kinetics", "12.6 Mechanisms")
    book = [of("b.pdf", "1 Acids", "1.1 Strength"), of("b.pdf", "2 Bases", "2.1 Salts")]
    further = of("m1", "Chemistry", "12 Kinetics", "12.7 Catalysis", "Surfaces")
    key_of = section_keys([first, further, again, again, other, *book])
    assert key_of(first) == key_of(further) == ("Catalysis",) == key_of(again)
    assert key_of(other) != key_of(first)
    assert key_of(book[0]) != key_of(book[1])
