"""Take the screenshots of docs/web-app.md from a served sample corpus: `take.py [URL]`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

SCREENS = Path(__file__).parent
FIGURES = SCREENS.parents[1] / "data" / "sample" / "figures"
QUESTION = "What sets the period of a pendulum?"
TIMEOUT_MS = 120_000  # long enough for the first answer on a slow machine
SETTLE_MS = 1500  # for fonts, pictures and transitions


def main(url: str = "http://127.0.0.1:8008") -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = open_page(browser, url)
        take_answer(page)
        take_viewer(page)
        take_sketch(page)
        take_library(page)
        take_phone(browser, url, "phone", "light")
        take_phone(browser, url, "phone-dark", "dark")
        browser.close()


def take_answer(page: Page) -> None:
    """Take the first screen, then an answer to a question in words."""
    save(page, "first")
    page.get_by_label("Your question").fill(QUESTION)
    ask(page)
    save(page, "answer")


def take_viewer(page: Page) -> None:
    """Ask with a picture and open a figure of the answer."""
    page.get_by_role("button", name="New conversation").click()
    page.locator("#question input[type=file]").set_input_files(FIGURES / "galvanic-cell.png")
    expect(page.locator("#question .thumbnail-item img")).to_be_visible()
    page.get_by_label("Your question").fill("What happens in this cell?")
    ask(page)
    page.locator(".card:has(img) button[data-open]").first.click()
    save(page, "viewer")
    page.keyboard.press("Escape")


def take_sketch(page: Page) -> None:
    """Ask with the sketch of an example card and show how the answer was found."""
    page.get_by_role("button", name="New conversation").click()
    page.locator(".example.sketch").first.click()
    wait_for_answer(page)
    page.locator(".how summary").click()
    save(page, "sketch")


def take_library(page: Page) -> None:
    """Take the teacher's library."""
    page.get_by_role("tab", name="Library").click()
    expect(page.locator(".library", has_text="Corpora")).to_be_visible()
    save(page, "library")


def take_phone(browser: Browser, url: str, name: str, scheme: Literal["light", "dark"]) -> None:
    """Take an answer on the screen of a phone."""
    page = open_page(browser, url, 390, 844, scheme)
    page.get_by_label("Your question").fill(QUESTION)
    ask(page)
    save(page, name)


def open_page(
    browser: Browser,
    url: str,
    width: int = 1280,
    height: int = 900,
    scheme: Literal["light", "dark"] = "light",
) -> Page:
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(url)
    expect(page.locator(".example").first).to_be_visible(timeout=TIMEOUT_MS)
    return page


def ask(page: Page) -> None:
    page.get_by_label("Your question").press("Enter")
    wait_for_answer(page)
    page.evaluate("scrollTo(0, 0)")


def wait_for_answer(page: Page) -> None:
    expect(page.locator(".turn .card").first).to_be_visible(timeout=TIMEOUT_MS)
    expect(page.locator("#question .submit-button")).to_be_visible(timeout=TIMEOUT_MS)
    page.wait_for_timeout(SETTLE_MS)


def save(page: Page, name: str) -> None:
    page.mouse.move(0, 0)  # off the buttons, which change under the mouse
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=SCREENS / f"{name}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
