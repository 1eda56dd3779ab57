"""A student's and a teacher's way through the page, in a real browser, with the real models."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageEnhance, ImageFilter
from playwright.sync_api import Locator, Page, expect

import data.sample
from data.styles import restyle

pytestmark = [pytest.mark.browser, pytest.mark.models]

FIGURES = Path(data.sample.__file__).parent / "figures"


def asked(page: Page, turns: int = 1) -> Locator:
    """Waits until answer number `turns` is whole; that turn."""
    turn = page.locator(".turn")
    expect(turn).to_have_count(turns, timeout=90_000)
    expect(page.locator("#ask")).to_be_visible(timeout=90_000)
    expect(page.locator(".status")).to_have_count(0)
    return turn.nth(turns - 1)


def ask(page: Page, text: str, turns: int = 1) -> Locator:
    page.wait_for_timeout(500)  # a second click within 0.4 s is taken for a double click
    page.get_by_label("Your question").fill(text)
    page.get_by_role("button", name="Ask", exact=True).click()
    return asked(page, turns)


def test_first_screen_offers_questions_and_sketches_of_what_is_indexed(site: Any) -> None:
    page = site.page()
    questions = page.locator(".example[data-ask]")
    expect(questions).to_have_count(4)
    sketches = page.locator(".example.sketch img")
    expect(sketches).to_have_count(4)
    assert all(s.evaluate("i => i.complete && i.naturalWidth > 50") for s in sketches.all())
    text = questions.first.get_attribute("data-ask")
    questions.first.click()
    turn = asked(page)
    assert turn.locator("h2").inner_text() == text
    assert turn.locator(".card").count() > 0


def test_typed_question_is_answered_with_citations_that_open_their_source(site: Any) -> None:
    page = site.page()
    turn = ask(page, "What does the period of a simple pendulum depend on?")
    chip = turn.locator(".cite").first
    sentence = turn.locator(".sentence:has(.cite)").first
    item = chip.get_attribute("data-open")
    chip.click()
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    assert viewer.get_attribute("data-item") == item
    shown = page.request.get(f"{site.url}/v1/items/{item}").json()
    assert shown["title"] in viewer.locator("h2").inner_text()
    assert shown["licence"] in viewer.inner_text()
    assert "pendulum" in sentence.inner_text().lower() or "period" in sentence.inner_text().lower()
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert chip.evaluate("c => c === document.activeElement"), "the focus goes back"
    card = turn.locator(f'.card[data-item="{item}"]')
    expect(card).to_have_class(re.compile("open"))


def test_a_cited_figure_is_opened_by_its_citation(site: Any) -> None:
    page = site.page()
    page.get_by_role("button", name="Show a picture").click()
    page.locator("#picture input[type=file]").set_input_files(FIGURES / "galvanic-cell.png")
    expect(page.locator("#picture img")).to_be_visible()
    turn = ask(page, "Explain what this cell does")
    figure = turn.locator('.card:has(img[src*="/v1/assets/"])').first
    figure.locator("button").click()
    viewer = page.locator("#viewer")
    picture = viewer.locator("img")
    expect(picture).to_be_visible()
    assert "galvanic" in viewer.inner_text().lower() or "zinc" in viewer.inner_text().lower()
    assert (
        picture.evaluate("i => i.complete && i.naturalWidth")
        == Image.open(FIGURES / "galvanic-cell.png").width
    )


def test_follow_up_and_reload(site: Any) -> None:
    page = site.page()
    ask(page, "What is the simple pendulum?")
    second = ask(page, "And what sets its period?", turns=2)
    assert "pendulum" in second.inner_text().lower(), "searched with what it is about"
    before = page.locator(".turn").all_inner_texts()
    page.reload()
    expect(page.locator(".turn")).to_have_count(2)
    assert page.locator(".turn").all_inner_texts() == before
    expect(page.locator(".history li[aria-current]")).to_contain_text("simple pendulum")
    with page.expect_download() as download:
        page.locator(".history li[aria-current] a").click()
    saved = Path(download.value.path()).read_text()
    assert saved.startswith("# What is the simple pendulum?")
    assert "CC BY 4.0" in saved
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".welcome")).to_be_visible()
    page.locator(".history .open").first.click()
    expect(page.locator(".turn")).to_have_count(2)
    page.locator(".history li[aria-current] .delete").click()
    expect(page.locator(".welcome")).to_be_visible()


def test_drawn_sketch_is_searched_with(site: Any) -> None:
    page = site.page()
    page.get_by_role("button", name="Draw").click()
    canvas = page.locator("#sketch canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    # a truss: bars between joints
    low, high = box["height"] * 0.75, box["height"] * 0.3
    joints = [(0.1, low), (0.3, high), (0.5, low), (0.7, high), (0.9, low)]
    points = [(box["x"] + x * box["width"], box["y"] + y) for x, y in joints]
    for a, b in [
        *pairwise(points),
        (points[0], points[-1]),
        (points[1], points[3]),
    ]:
        page.mouse.move(*a)
        page.mouse.down()
        page.mouse.move(*b, steps=8)
        page.mouse.up()
    page.get_by_role("button", name="Ask", exact=True).click()
    turn = asked(page)
    assert turn.locator(".question img").evaluate("i => i.complete && i.naturalWidth") == 800
    expect(turn.locator(".style summary")).to_contain_text("Your picture")
    turn.locator(".style summary").click()
    assert turn.locator(".bar").count() == 8, "four styles and four experts"
    assert any("truss" in c.lower() for c in turn.locator(".card").all_inner_texts())
    blank = canvas.evaluate(
        "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    )
    assert blank == 1, "the sheet is empty again"


def test_uploaded_photo_finds_its_figure(site: Any, tmp_path: Path) -> None:
    with Image.open(FIGURES / "human-heart.png") as figure:
        photo = restyle(figure.convert("RGB"), "photo", "heart", 3)
    photo = ImageEnhance.Contrast(photo.filter(ImageFilter.GaussianBlur(1))).enhance(0.8)
    photo.save(tmp_path / "photo.jpg", quality=60)
    page = site.page()
    page.get_by_role("button", name="Show a picture").click()
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "photo.jpg")
    expect(page.locator("#picture img")).to_be_visible()
    page.get_by_role("button", name="Ask", exact=True).click()
    turn = asked(page)
    assert any("loops" in c for c in turn.locator(".card").all_inner_texts()), (
        "the figure's caption"
    )


def test_spoken_question(site: Any, tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng here; run: apt install espeak-ng")
    said = "What sets the period of a pendulum?"
    spoken = ["espeak-ng", "-v", "en-us", "-s", "150", "-w", tmp_path / "said.wav", said]
    subprocess.run(spoken, check=True)
    page = site.page()
    page.get_by_role("button", name="Say it").click()
    page.locator("#sound").get_by_label("Upload file").click()
    page.locator("#sound input[type=file]").set_input_files(tmp_path / "said.wav")
    expect(page.locator("#sound .waveform-container, #sound audio").first).to_be_attached()
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Ask", exact=True).click()
    turn = asked(page)
    assert "pendulum" in turn.locator("h2").inner_text().lower()


def test_no_evidence_is_said_and_a_question_can_be_stopped(site: Any) -> None:
    page = site.page()
    turn = ask(page, "Who won the football world cup in 1998?")
    expect(turn.locator(".refused")).to_be_visible()
    assert turn.locator(".card").count() > 0, "with the nearest material"
    page.wait_for_timeout(500)
    page.get_by_label("Your question").fill("What is the simple pendulum?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#stop")).to_be_hidden()
    page.wait_for_timeout(500)
    page.get_by_label("Your question").fill("How does a galvanic cell work?")
    page.get_by_role("button", name="Ask", exact=True).click()
    again = page.locator(".turn", has_text="How does a galvanic cell work?")
    expect(again.locator(".sentence, .refused").first).to_be_visible(timeout=90_000)


def test_tasks_and_feedback(site: Any) -> None:
    page = site.page()
    page.get_by_label("What I want").click()
    page.get_by_role("option", name="Check my answer").click()
    page.get_by_label("My own answer").fill(
        "The period of a pendulum depends on its length. It is made of cheese."
    )
    turn = ask(page, "What sets the period of a simple pendulum?")
    assert turn.locator(".task").inner_text() == "Check my answer"
    assert "cheese" in turn.inner_text()
    page.locator('.suggestion[data-task="quiz"]').click()
    quiz = asked(page, 2)
    assert "Key:" in quiz.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_and_fits_a_phone(site: Any, scheme: str) -> None:
    page = site.page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    turn = ask(page, "What is the simple pendulum?")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert turn.locator(".card").count() > 0
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    ours = [
        (v["id"], node["html"][:160]) for v in found.response["violations"] for node in v["nodes"]
    ]
    assert not ours
    tabbed = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        tabbed.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert "cite" in " ".join(tabbed)


def test_teacher_uploads_indexes_and_teaches(shelf: Path, serve: Any, tmp_path: Path) -> None:
    shutil.copytree(shelf, tmp_path / "home")
    (tmp_path / "tides.md").write_text(
        "# Tides\n\nThe Moon's gravity pulls the oceans into two bulges, which make the tides.\n"
    )
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing that can be read")
    keys = "student-key-0123456789,teacher:teacher-key-0123456789"
    with serve(tmp_path / "home", UNIRAG_API_KEYS=keys) as site:
        page = site.page()
        expect(page).to_have_url(re.compile("sign-in"))
        page.get_by_label("Key").fill("not-a-key-of-this-service")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Key").fill("student-key-0123456789")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".welcome")).to_be_visible()
        expect(page.get_by_role("tab", name="Library")).to_have_count(0)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Key")).to_be_visible()

        page.get_by_label("Key").fill("teacher-key-0123456789")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".welcome")).to_be_visible()
        page.get_by_role("tab", name="Library").click()
        for name in ("tides.md", "broken.pdf"):
            page.get_by_label("Corpus").fill("tides")
            page.get_by_label("File").set_input_files(tmp_path / name)
            page.get_by_role("button", name="Upload and index").click()
            expect(page.locator("output.good")).to_be_visible()
        jobs = page.locator(".library", has_text="Index jobs").locator("tbody tr")
        expect(jobs.first).to_contain_text("but for some documents", timeout=60_000)
        jobs.first.locator("summary").click()
        expect(jobs.first).to_contain_text("broken.pdf")
        corpora = page.locator(".library", has_text="Corpora").locator("tbody")
        expect(corpora).to_contain_text("tides")

        page.get_by_label("Name of the style").fill("mosaic")
        examples = _mosaics(tmp_path)
        page.get_by_label("Examples").set_input_files(examples)
        page.get_by_role("button", name="Teach").click()
        styles = page.locator(".library", has_text="Query styles").locator("tbody")
        expect(styles).to_contain_text("taught, version 1", timeout=60_000)

        page.get_by_role("tab", name="Ask").click()
        turn = ask(page, "What makes the tides?")
        assert "Moon" in turn.inner_text()

        page.get_by_role("tab", name="Library").click()
        corpora.get_by_role("link", name="tides").click()
        expect(page.get_by_role("row", name="broken.pdf")).to_contain_text("Not read")


def _mosaics(folder: Path) -> list[Path]:
    made = []
    for figure in sorted(FIGURES.glob("*.png"))[:8]:
        with Image.open(figure) as picture:
            restyle(picture.convert("RGB"), "mosaic", figure.stem, 0).save(folder / figure.name)
        made.append(folder / figure.name)
    return made
