"""What students and teachers do on the page, in a real browser, with the real models."""

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


def wait_for_answer(page: Page, number: int = 1) -> Locator:
    """Return the turn of this number, from 1, once its answer is complete."""
    turns = page.locator(".turn")
    expect(turns).to_have_count(number, timeout=90_000)
    expect(page.locator("#ask")).to_be_visible(timeout=90_000)
    expect(page.locator(".status")).to_have_count(0)
    return turns.nth(number - 1)


def ask(page: Page, question: str, number: int = 1) -> Locator:
    """Ask a question in words; return its turn, which is the conversation's turn `number`."""
    page.wait_for_timeout(500)  # the page ignores a second click within 0.4 s
    page.get_by_label("Your question").fill(question)
    click_ask(page)
    return wait_for_answer(page, number)


def click_ask(page: Page) -> None:
    page.get_by_role("button", name="Ask", exact=True).click()


def show_picture(page: Page, path: Path) -> None:
    """Put a picture into the composer."""
    page.get_by_role("button", name="Show a picture").click()
    page.locator("#picture input[type=file]").set_input_files(path)
    expect(page.locator("#picture img")).to_be_visible()


def test_the_first_screen_offers_questions_and_sketches_from_the_index(site: Any) -> None:
    page = site.page()
    questions = page.locator(".example[data-ask]")
    expect(questions).to_have_count(4)
    sketches = page.locator(".example.sketch img")
    expect(sketches).to_have_count(4)
    assert all(s.evaluate("i => i.complete && i.naturalWidth > 50") for s in sketches.all())
    question = questions.first.get_attribute("data-ask")
    questions.first.click()
    turn = wait_for_answer(page)
    assert turn.locator("h2").inner_text() == question
    assert turn.locator(".card").count() > 0


def test_citations_of_an_answer_open_their_source(site: Any) -> None:
    page = site.page()
    turn = ask(page, "What is the period of a simple pendulum?")
    citation = turn.locator(".cite").first
    sentence = turn.locator(".sentence:has(.cite)").first
    item_id = citation.get_attribute("data-open")
    citation.click()
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    assert viewer.get_attribute("data-item") == item_id
    item = page.request.get(f"{site.url}/v1/items/{item_id}").json()
    assert item["title"] in viewer.locator("h2").inner_text()
    assert item["licence"] in viewer.inner_text()
    text = sentence.inner_text().lower()
    assert "pendulum" in text or "period" in text
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert citation.evaluate("c => c === document.activeElement"), "the focus returns"
    card = turn.locator(f'.card[data-item="{item_id}"]')
    expect(card).to_have_class(re.compile("open"))


def test_a_figure_opens_in_the_viewer(site: Any) -> None:
    page = site.page()
    show_picture(page, FIGURES / "galvanic-cell.png")
    turn = ask(page, "Explain what this cell does")
    figure = turn.locator('.card:has(img[src*="/v1/assets/"])').first
    figure.locator("button").click()
    viewer = page.locator("#viewer")
    picture = viewer.locator("img")
    expect(picture).to_be_visible()
    text = viewer.inner_text().lower()
    assert "galvanic" in text or "zinc" in text
    with Image.open(FIGURES / "galvanic-cell.png") as original:
        assert picture.evaluate("i => i.complete && i.naturalWidth") == original.width


def test_a_conversation_continues_survives_a_reload_and_is_deleted(site: Any) -> None:
    page = site.page()
    ask(page, "What is the simple pendulum?")
    second = ask(page, "And what sets its period?", number=2)
    assert "pendulum" in second.inner_text().lower(), "the search knows the topic"
    turns = page.locator(".turn").all_inner_texts()
    page.reload()
    expect(page.locator(".turn")).to_have_count(2)
    assert page.locator(".turn").all_inner_texts() == turns
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


def test_a_drawn_sketch_finds_its_figure(site: Any) -> None:
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
    bars = [*pairwise(points), (points[0], points[-1]), (points[1], points[3])]
    for start, end in bars:
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(*end, steps=8)
        page.mouse.up()
    click_ask(page)
    turn = wait_for_answer(page)
    assert turn.locator(".question img").evaluate("i => i.complete && i.naturalWidth") == 800
    expect(turn.locator(".style summary")).to_contain_text("Your picture")
    turn.locator(".style summary").click()
    assert turn.locator(".bar").count() == 8, "four styles and four experts"
    assert any("truss" in card.lower() for card in turn.locator(".card").all_inner_texts())
    shades = canvas.evaluate(
        "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    )
    assert shades == 1, "the sheet is empty again"


def test_an_uploaded_photo_finds_its_figure(site: Any, tmp_path: Path) -> None:
    with Image.open(FIGURES / "human-heart.png") as figure:
        photo = restyle(figure.convert("RGB"), "photo", "heart", 3)
    photo = ImageEnhance.Contrast(photo.filter(ImageFilter.GaussianBlur(1))).enhance(0.8)
    photo.save(tmp_path / "photo.jpg", quality=60)
    page = site.page()
    show_picture(page, tmp_path / "photo.jpg")
    click_ask(page)
    cards = wait_for_answer(page).locator(".card").all_inner_texts()
    assert any("loops" in card for card in cards), "a word of the figure's caption"


def test_a_spoken_question_is_transcribed(site: Any, tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng here; run: apt install espeak-ng")
    recording, question = tmp_path / "question.wav", "What sets the period of a pendulum?"
    command = ["espeak-ng", "-v", "en-us", "-s", "150", "-w", recording, question]
    subprocess.run(command, check=True)
    page = site.page()
    page.get_by_role("button", name="Say it").click()
    page.locator("#recording").get_by_label("Upload file").click()
    page.locator("#recording input[type=file]").set_input_files(recording)
    player = page.locator("#recording .waveform-container, #recording audio")
    expect(player.first).to_be_attached()
    page.wait_for_timeout(500)
    click_ask(page)
    assert "pendulum" in wait_for_answer(page).locator("h2").inner_text().lower()


def test_a_refusal_shows_material_and_an_answer_can_be_stopped(site: Any) -> None:
    page = site.page()
    turn = ask(page, "Who won the football world cup in 1998?")
    expect(turn.locator(".refused")).to_be_visible()
    assert turn.locator(".card").count() > 0, "the nearest material"
    page.wait_for_timeout(500)
    page.get_by_label("Your question").fill("What is the simple pendulum?")
    click_ask(page)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#stop")).to_be_hidden()
    page.wait_for_timeout(500)
    page.get_by_label("Your question").fill("How does a galvanic cell work?")
    click_ask(page)
    next_turn = page.locator(".turn", has_text="How does a galvanic cell work?")
    expect(next_turn.locator(".sentence, .refused").first).to_be_visible(timeout=90_000)


def test_feedback_on_an_own_answer_then_a_quiz(site: Any) -> None:
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
    quiz = wait_for_answer(page, 2)
    assert "Key:" in quiz.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_fits_a_phone(site: Any, scheme: str) -> None:
    page = site.page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    turn = ask(page, "What is the simple pendulum?")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert turn.locator(".card").count() > 0
    report = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    violations = [
        (violation["id"], node["html"][:160])
        for violation in report.response["violations"]
        for node in violation["nodes"]
    ]
    assert not violations
    focused = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        focused.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert "cite" in " ".join(focused), "the keyboard reaches the citations"


def test_a_teacher_uploads_indexes_and_teaches(
    indexed_home: Path, serve: Any, tmp_path: Path
) -> None:
    shutil.copytree(indexed_home, tmp_path / "home")
    (tmp_path / "tides.md").write_text(
        "# Tides\n\nThe Moon's gravity pulls the oceans into two bulges, which make the tides.\n"
    )
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 without any content")
    keys = "student-key-0123456789,teacher:teacher-key-0123456789"
    with serve(tmp_path / "home", UNIRAG_API_KEYS=keys) as site:
        page = site.page()
        _sign_in_as_teacher(page)
        corpora = _upload_and_index(page, tmp_path / "tides.md", tmp_path / "broken.pdf")
        _teach_style(page, _make_mosaics(tmp_path))

        page.get_by_role("tab", name="Ask").click()
        turn = ask(page, "What makes the tides?")
        assert "Moon" in turn.inner_text()

        page.get_by_role("tab", name="Library").click()
        corpora.get_by_role("link", name="tides").click()
        expect(page.get_by_role("row", name="broken.pdf")).to_contain_text("Not read")


def _sign_in_as_teacher(page: Page) -> None:
    """Try an unknown key and a student's key before the teacher's."""
    expect(page).to_have_url(re.compile("sign-in"))
    _sign_in(page, "not-a-key-of-this-service")
    expect(page.get_by_role("alert")).to_be_visible()
    _sign_in(page, "student-key-0123456789")
    expect(page.locator(".welcome")).to_be_visible()
    expect(page.get_by_role("tab", name="Library")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_visible()
    _sign_in(page, "teacher-key-0123456789")
    expect(page.locator(".welcome")).to_be_visible()


def _sign_in(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def _upload_and_index(page: Page, good: Path, broken: Path) -> Locator:
    """Upload two documents to the corpus `tides`; return the table of corpora once it lists it."""
    page.get_by_role("tab", name="Library").click()
    for path in (good, broken):
        page.get_by_label("Corpus").fill("tides")
        page.get_by_label("File").set_input_files(path)
        page.get_by_role("button", name="Upload and index").click()
        expect(page.locator("output.good")).to_be_visible()
    job = page.locator(".library", has_text="Index jobs").locator("tbody tr").first
    expect(job).to_contain_text("some documents left out", timeout=60_000)
    job.locator("summary").click()
    expect(job).to_contain_text(broken.name)
    corpora = page.locator(".library", has_text="Corpora").locator("tbody")
    expect(corpora).to_contain_text("tides")
    return corpora


def _teach_style(page: Page, examples: list[Path]) -> None:
    page.get_by_label("Name of the style").fill("mosaic")
    page.get_by_label("Examples").set_input_files(examples)
    page.get_by_role("button", name="Teach").click()
    styles = page.locator(".library", has_text="Query styles").locator("tbody")
    expect(styles).to_contain_text("learnt, version 1", timeout=60_000)


def _make_mosaics(folder: Path) -> list[Path]:
    """Write eight figures in a new style; return their paths."""
    paths = []
    for figure in sorted(FIGURES.glob("*.png"))[:8]:
        with Image.open(figure) as picture:
            restyle(picture.convert("RGB"), "mosaic", figure.stem, 0).save(folder / figure.name)
        paths.append(folder / figure.name)
    return paths
