"""Take the pictures of docs/web-app.md from a served sample corpus: `take.py [URL]`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).parent
FIGURES = HERE.parents[1] / "data" / "sample" / "figures"
QUESTION = "What sets the period of a pendulum?"


def opened(browser: Browser, url: str, width: int = 1280, scheme: str = "light") -> Page:
    height = 844 if width < 500 else 900
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(url)
    expect(page.locator(".example").first).to_be_visible(timeout=120_000)
    return page


def ask(page: Page) -> None:
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".turn .card").first).to_be_visible(timeout=120_000)
    expect(page.locator("#ask")).to_be_visible(timeout=120_000)
    page.wait_for_timeout(1500)
    page.evaluate("scrollTo(0, 0)")


def main(url: str = "http://127.0.0.1:8008") -> None:
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = opened(browser, url)
        page.wait_for_timeout(1500)
        page.screenshot(path=HERE / "first.png")
        page.get_by_label("Your question").fill(QUESTION)
        ask(page)
        page.screenshot(path=HERE / "answer.png")

        page.get_by_role("button", name="New conversation").click()
        page.get_by_role("button", name="Show a picture").click()
        page.locator("#picture input[type=file]").set_input_files(FIGURES / "galvanic-cell.png")
        expect(page.locator("#picture img")).to_be_visible()
        page.get_by_label("Your question").fill("What happens in this cell?")
        ask(page)
        page.locator(".card:has(img) button[data-open]").first.click()
        page.wait_for_timeout(1000)
        page.screenshot(path=HERE / "viewer.png")
        page.keyboard.press("Escape")

        page.get_by_role("button", name="New conversation").click()
        page.locator(".example.sketch").first.click()
        expect(page.locator(".turn .card").first).to_be_visible(timeout=120_000)
        expect(page.locator("#ask")).to_be_visible(timeout=120_000)
        page.locator(".style summary").click()
        page.wait_for_timeout(1500)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=HERE / "sketch.png")

        page.get_by_role("tab", name="Library").click()
        expect(page.locator(".library", has_text="Corpora")).to_be_visible()
        page.wait_for_timeout(2500)
        page.screenshot(path=HERE / "library.png")

        for name, scheme in (("phone", "light"), ("phone-dark", "dark")):
            phone = opened(browser, url, 390, scheme)
            phone.get_by_label("Your question").fill(QUESTION)
            ask(phone)
            phone.screenshot(path=HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
