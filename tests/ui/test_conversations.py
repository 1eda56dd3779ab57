"""Conversations on the page: their addresses, names, deletion, search, tabs, and who sees them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.ui.walk import ask, question_box, stop_button

pytestmark = [pytest.mark.browser, pytest.mark.models]


def test_the_address_names_the_conversation(site: Any) -> None:
    page = site.page()
    ask(page, "What is the simple pendulum?")
    expect(page).to_have_url(re.compile(r"\?conversation=[\w-]+$"))
    pendulum = page.url
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".welcome")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/$"))
    ask(page, "How does a galvanic cell work?")
    page.go_back()
    expect(page.locator(".welcome")).to_be_visible()
    page.go_back()
    expect(page.locator(".turn h2")).to_have_text("What is the simple pendulum?")
    assert page.url == pendulum
    page.go_forward()
    expect(page.locator(".welcome")).to_be_visible()
    page.goto(pendulum)
    site.wait_until_loaded(page)
    expect(page.locator(".turn h2")).to_have_text("What is the simple pendulum?")
    page.goto(f"{site.url}/?conversation=no-such-conversation")
    site.wait_until_loaded(page)
    expect(page.get_by_role("alert")).to_contain_text("This conversation is not here")


def test_a_reload_shows_the_newest_turn_and_the_next_questions(site: Any) -> None:
    page = site.page(viewport={"width": 390, "height": 844})
    ask(page, "What is the simple pendulum?")
    ask(page, "And what sets its period?", 2)
    chips = page.locator(".suggestion").all_inner_texts()
    assert chips
    page.reload()
    site.wait_until_loaded(page)
    expect(page.locator(".turn")).to_have_count(2)
    page.wait_for_timeout(500)
    box = page.locator(".turn").nth(1).bounding_box()
    assert box
    assert -1 <= box["y"] < 844 / 2
    assert page.locator(".suggestion").all_inner_texts() == chips


def test_a_conversation_is_renamed_found_exported_deleted_and_brought_back(site: Any) -> None:
    page = site.page()
    ask(page, "How does a galvanic cell work?")
    page.get_by_role("button", name="New conversation").click()
    ask(page, "What is the simple pendulum?")
    current = page.locator(".history li[aria-current]")
    current.get_by_role("button", name="Rename").click()
    field = page.get_by_label("New name")
    field.fill("Pendulum <b>homework</b>")
    field.press("Enter")
    expect(current).to_contain_text("Pendulum <b>homework</b>")
    with page.expect_download() as download:
        current.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "Pendulum b homework b.md"
    saved = Path(download.value.path()).read_text()
    assert saved.startswith("# Pendulum &lt;b>homework&lt;/b>\n")
    assert "CC BY 4.0" in saved

    rows = page.locator(".history li")
    expect(rows).to_have_count(2)
    search = page.get_by_label("Search your conversations")
    search.fill("zinc")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("galvanic")
    search.fill("homework")
    expect(rows).to_contain_text("Pendulum")
    search.fill("dinosaur")
    expect(page.locator("#history")).to_contain_text("No conversation has these words.")
    search.fill("")
    expect(rows).to_have_count(2)

    current.get_by_role("button", name="Delete").click()
    expect(page.locator(".welcome")).to_be_visible()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(2)
    expect(page.locator(".turn h2")).to_have_text("What is the simple pendulum?")
    current.get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(1)
    page.reload()
    site.wait_until_loaded(page)
    expect(rows).to_have_count(1)


def test_two_tabs_see_each_others_turns(site: Any) -> None:
    page = site.page()
    ask(page, "What is the simple pendulum?")
    other = page.context.new_page()
    other.goto(page.url)
    site.wait_until_loaded(other)
    expect(other.locator(".turn")).to_have_count(1)
    ask(other, "And what sets its period?", 2)
    expect(page.locator(".turn")).to_have_count(2)
    assert page.locator(".turn h2").all_inner_texts() == other.locator(".turn h2").all_inner_texts()


def test_going_offline_keeps_the_typed_text(site: Any) -> None:
    page = site.page()
    question_box(page).fill("What is the simple pendulum?")
    page.context.set_offline(True)
    page.wait_for_timeout(500)
    banner = "e => getComputedStyle(e, '::before').content"
    assert "offline" in page.locator("#composer").evaluate(banner)
    question_box(page).press("Enter")
    page.wait_for_timeout(1500)
    expect(question_box(page)).to_have_value("What is the simple pendulum?")
    expect(stop_button(page)).to_have_count(0)
    page.context.set_offline(False)
    page.wait_for_timeout(500)
    ask(page, "What is the simple pendulum?")


def test_on_a_phone_the_sidebar_closes_when_a_conversation_is_chosen(site: Any) -> None:
    page = site.page(viewport={"width": 390, "height": 844})
    ask(page, "What is the simple pendulum?")
    sidebar = page.locator(".sidebar")
    page.get_by_role("button", name="Toggle Sidebar").click()
    expect(sidebar).to_have_class(re.compile(r"\bopen\b"))
    page.locator(".history .open").first.click()
    expect(sidebar).not_to_have_class(re.compile(r"\bopen\b"))


def test_a_browser_sees_its_own_conversations_only(site: Any) -> None:
    mine, other = site.page(), site.page()
    ask(mine, "What is the simple pendulum?")
    other.goto(mine.url)
    site.wait_until_loaded(other)
    expect(other.get_by_role("alert")).to_contain_text("This conversation is not here")
    expect(other.locator(".history li")).to_have_count(0)
    conversation = mine.url.rpartition("=")[2]
    address = f"{site.url}/v1/conversations/{conversation}"
    assert mine.request.get(address).status == 200
    assert other.request.get(address).status == 404
    (cookie,) = [c for c in mine.context.cookies() if c["name"] == "unirag-browser"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    name, _, _ = cookie["value"].partition(".")
    forged = other.request.get(address, headers={"Cookie": f"unirag-browser={name}.{'0' * 64}"})
    assert forged.status == 404
    expect(mine.locator(".privacy")).to_contain_text("listed in this browser only")


def test_the_page_works_in_a_frame_of_an_allowed_site_only(
    serve: Any, tmp_path: Path, copy_home: Any, other_site: str
) -> None:
    keys = "student-key-0123456789,teacher:teacher-key-0123456789"
    settings = {"UNIRAG_API_KEYS": keys, "UNIRAG_SERVICE__FRAME_ANCESTORS": f'["{other_site}"]'}
    with serve(copy_home(tmp_path), **settings) as site:
        page = site.browser.new_context().new_page()
        page.goto(f"{other_site}/?{site.url}")
        frame = page.frame_locator("iframe")
        frame.get_by_label("Key").fill("student-key-0123456789")
        frame.get_by_role("button", name="Sign in").click()
        expect(frame.locator(".welcome")).to_be_visible()
        policy = page.request.get(f"{site.url}/sign-in").headers["content-security-policy"]
        assert policy.endswith(f"frame-ancestors {other_site}")


def test_no_other_site_may_frame_the_page(site: Any, other_site: str) -> None:
    page = site.browser.new_context().new_page()
    page.goto(f"{other_site}/?{site.url}")
    page.wait_for_timeout(2000)
    assert not page.frames[1].url.startswith(site.url), "the browser shows its own error page"
    assert page.frame_locator("iframe").locator(".unirag-header").count() == 0
