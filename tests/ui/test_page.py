"""What students and teachers do on the page, in a real browser, with the real models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageEnhance, ImageFilter
from playwright.sync_api import Locator, Page, expect

from data.styles import restyle
from tests.ui.walk import FIGURES, ask, attach, choose, send_button, wait_for_answer

pytestmark = [pytest.mark.browser, pytest.mark.models]


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


def test_a_sketch_of_the_first_screen_is_asked_about(site: Any) -> None:
    page = site.page()
    page.locator(".example.sketch").first.click()
    turn = wait_for_answer(page)
    assert turn.locator(".question img").evaluate("i => i.complete && i.naturalWidth > 50")
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
    attach(page, FIGURES / "galvanic-cell.png")
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


def test_a_conversation_continues(site: Any) -> None:
    page = site.page()
    ask(page, "What is the simple pendulum?")
    second = ask(page, "And what sets its period?", number=2)
    assert "pendulum" in second.inner_text().lower(), "the search knows the topic"


def test_an_uploaded_photo_finds_its_figure(site: Any, tmp_path: Path) -> None:
    with Image.open(FIGURES / "human-heart.png") as figure:
        photo = restyle(figure.convert("RGB"), "photo", "heart", 3)
    photo = ImageEnhance.Contrast(photo.filter(ImageFilter.GaussianBlur(1))).enhance(0.8)
    photo.save(tmp_path / "photo.jpg", quality=60)
    page = site.page()
    attach(page, tmp_path / "photo.jpg")
    send_button(page).click()
    cards = wait_for_answer(page).locator(".card").all_inner_texts()
    assert any("loops" in card for card in cards), "a word of the figure's caption"


def test_a_refusal_shows_the_nearest_material(site: Any) -> None:
    turn = ask(site.page(), "Who won the football world cup in 1998?")
    expect(turn.locator(".refused")).to_be_visible()
    assert turn.locator(".card").count() > 0


def test_feedback_on_an_own_answer_then_a_quiz(site: Any) -> None:
    page = site.page()
    choose(page, "What I want", "Check my answer")
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
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.get_by_label("Your question").evaluate("b => b === document.activeElement"), (
        "the first stop skips to the question"
    )
    turn = ask(page, "What is the simple pendulum?")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert turn.locator(".card").count() > 0
    assert _serious_findings(page) == []
    page.get_by_role("button", name="Draw").click()
    assert _serious_findings(page) == []
    page.get_by_role("button", name="Say it").click()
    assert _serious_findings(page) == []
    page.get_by_role("tab", name="Library").click()
    expect(page.locator(".library", has_text="Corpora").first).to_be_visible()
    assert _serious_findings(page) == []
    page.get_by_role("tab", name="Ask").click()
    focused = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        focused.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert "cite" in " ".join(focused), "the keyboard reaches the citations"


def _serious_findings(page: Page) -> list[tuple[str, str]]:
    """Return what axe calls serious or critical: rule and element."""
    report = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "best-practice"]})
    return [
        (violation["id"], node["html"][:160])
        for violation in report.response["violations"]
        if violation["impact"] in ("serious", "critical") or violation["id"] == "heading-order"
        for node in violation["nodes"]
    ]


def test_the_api_pages_load_nothing_from_outside(site: Any) -> None:
    for path in ("docs", "redoc"):
        page = site.browser.new_context().new_page()
        loaded: list[str] = []
        page.on("requestfinished", lambda request, urls=loaded: urls.append(request.url))
        page.goto(f"{site.url}/{path}")
        expect(page.get_by_text("/v1/ask").first).to_be_visible()
        assert [url for url in loaded if not url.startswith((site.url, "data:", "blob:"))] == []


def test_a_teacher_uploads_indexes_replaces_deletes_and_teaches(
    serve: Any, tmp_path: Path, copy_home: Any
) -> None:
    (tmp_path / "tides.md").write_text(
        "# Tides\n\nThe Moon's gravity pulls the oceans into two bulges, which make the tides.\n"
    )
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 without any content")
    keys = "student-key-0123456789,teacher:teacher-key-0123456789"
    with serve(copy_home(tmp_path), UNIRAG_API_KEYS=keys) as site:
        page = site.page()
        _sign_in_as_teacher(page)
        corpora = _upload_and_index(page, tmp_path / "tides.md", tmp_path / "broken.pdf")
        _teach_style(page, _make_mosaics(tmp_path))

        page.get_by_role("tab", name="Ask").click()
        turn = ask(page, "What makes the tides?")
        assert "Moon" in turn.inner_text()

        page.get_by_role("tab", name="Library").click()
        corpora.get_by_role("link", name="oceans-and-tides").click()
        page.on("dialog", lambda dialog: dialog.accept())
        broken = page.get_by_role("row", name="broken.pdf")
        expect(broken).to_contain_text("Not read")
        broken.get_by_role("button", name="Delete").click()
        expect(broken).to_have_count(0)
        (tmp_path / "new.md").write_text("# Tides\n\nThe Sun makes spring tides stronger.\n")
        page.get_by_label("Replace tides.md").set_input_files(tmp_path / "new.md")
        expect(page.get_by_text("Received; it is indexed now.")).to_be_visible()
        page.goto(site.url)
        site.wait_until_loaded(page)
        page.get_by_role("tab", name="Library").click()
        jobs = page.locator(".library", has_text="Index jobs").locator("tbody tr")
        expect(jobs).to_have_count(3)
        expect(jobs.first).to_contain_text("Done", timeout=60_000)
        coverage = page.request.get(f"{site.url}/v1/corpora/oceans-and-tides/coverage").json()
        assert [document["source"] for document in coverage["covered"]] == ["tides.md"]
        row = corpora.get_by_role("row", name="oceans-and-tides")
        row.get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)
        uploads = tmp_path / "home" / "sources" / "oceans-and-tides"
        assert not uploads.exists()


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
    """Upload two documents at once; return the table of corpora once it lists their corpus."""
    page.get_by_role("tab", name="Library").click()
    page.get_by_label("Book or course").fill("Oceans and Tides")
    page.get_by_label("Files", exact=True).set_input_files([good, broken])
    page.get_by_role("button", name="Upload and index").click()
    expect(page.locator(".uploads li")).to_have_count(2)
    expect(page.locator(".uploads .good")).to_have_count(2)
    jobs = page.locator(".library", has_text="Index jobs").locator("tbody tr")
    expect(jobs).to_have_count(2)
    expect(jobs.first).to_contain_text("some documents left out", timeout=60_000)
    jobs.first.locator("summary").click()
    expect(jobs.first).to_contain_text(broken.name)
    expect(page.locator(".library summary")).to_have_count(1)
    corpora = page.locator(".library", has_text="Corpora").locator("tbody")
    expect(corpora).to_contain_text("oceans-and-tides")
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
