"""Steps that browser tests of the page have in common."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

import data.sample

FIGURES = Path(data.sample.__file__).parent / "figures"
ANSWER_MS = 90_000  # longest time of an answer on a busy machine


def question_box(page: Page) -> Locator:
    """Return the box that a question is typed into."""
    return page.get_by_label("Your question")


def send_button(page: Page) -> Locator:
    """Return the button that sends the question."""
    return page.locator("#question .submit-button")


def stop_button(page: Page) -> Locator:
    """Return the button that stops the answer; it is there while an answer is written."""
    return page.locator("#question .stop-button")


def wait_for_answer(page: Page, number: int = 1) -> Locator:
    """Return the turn of this number, from 1, once its answer is complete."""
    expect(page.locator(".turn .actions")).to_have_count(number, timeout=ANSWER_MS)
    expect(send_button(page)).to_be_visible()
    expect(page.locator(".status")).to_have_count(0)
    return page.locator(".turn").nth(number - 1)


def ask(page: Page, question: str, number: int = 1) -> Locator:
    """Type a question and press Enter; return its turn, the conversation's turn `number`."""
    page.wait_for_timeout(500)  # the page ignores a second question within 0.4 s
    question_box(page).fill(question)
    question_box(page).press("Enter")
    return wait_for_answer(page, number)


def attach(page: Page, *paths: Path) -> None:
    """Attach pictures to the question."""
    page.locator("#question input[type=file]").set_input_files(paths)
    expect(page.locator("#question .thumbnail-item img")).to_have_count(len(paths))


def choose(page: Page, chip: str, option: str) -> None:
    """Choose an option of a chip below the question."""
    page.get_by_label(chip, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
