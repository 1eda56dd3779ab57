"""The layout of the page: its components, and the fixed HTML in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from ui.composer import Composer, build_composer
from ui.library import FORMS

__all__ = ["NOTHING_INDEXED", "WELCOME", "AppLayout", "build_layout", "header_html"]

WELCOME = (
    '<div class="welcome"><h2>What would you like to understand?</h2><p>Type a question, draw it, '
    "show a picture or say it. Answers come only from your textbooks, with a source behind every "
    "sentence. If the books have no answer, the app says so.</p></div>"
)
NOTHING_INDEXED = "Nothing is indexed yet. A teacher can add material under Library."
# Triggers Gradio's event `select` with the data attributes of the clicked button.
_SELECT_ON_CLICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest(
    '[data-ask], [data-sketch], [data-conversation], [data-delete]');
  if (button) trigger('select', {...button.dataset});
});"""


@dataclass(frozen=True, slots=True)
class AppLayout:
    """The components of the page.

    `conversation_id` is kept by the browser. `browser_width` is in CSS pixels. `past_turns` and
    `current_turn` show the conversation, `suggestions` the next questions.
    """

    conversation_id: gr.BrowserState
    browser_width: gr.Number
    header: gr.HTML
    sidebar: gr.Sidebar
    new_conversation: gr.Button
    history: gr.HTML
    ask_tab: gr.Tab
    welcome: gr.HTML
    past_turns: gr.HTML
    current_turn: gr.HTML
    suggestions: gr.HTML
    composer: Composer
    library_tab: gr.Tab
    corpora: gr.HTML
    jobs: gr.HTML
    styles: gr.HTML
    usage: gr.HTML
    library_timer: gr.Timer

    @property
    def conversation_components(self) -> list[Block]:
        """The components that change with the conversation."""
        return [
            self.conversation_id,
            self.welcome,
            self.past_turns,
            self.current_turn,
            self.suggestions,
            self.history,
        ]

    @property
    def library_tables(self) -> list[Block]:
        """The tables of the teacher's library."""
        return [self.corpora, self.jobs, self.styles, self.usage]


def build_layout() -> AppLayout:
    """Add every component to the page."""
    # not confidential: with a fixed value, the id is readable after a restart of the service
    conversation_id = gr.BrowserState("", storage_key="unirag-conversation", secret="unirag")  # noqa: S106
    header = _html()
    browser_width = gr.Number(visible=False)
    sidebar_parts = _build_sidebar()
    with gr.Tabs():
        ask_parts = _build_ask_tab()
        library_parts = _build_library_tab()
    return AppLayout(
        conversation_id=conversation_id,
        browser_width=browser_width,
        header=header,
        **sidebar_parts,
        **ask_parts,
        **library_parts,
    )


def _build_sidebar() -> dict[str, Any]:
    with gr.Sidebar(width=290, open=False) as sidebar:
        new_conversation = gr.Button("New conversation", variant="secondary")
        history = _html(js_on_load=_SELECT_ON_CLICK, elem_id="history")
    return {"sidebar": sidebar, "new_conversation": new_conversation, "history": history}


def _build_ask_tab() -> dict[str, Any]:
    with gr.Tab("Ask") as tab:
        return {
            "ask_tab": tab,
            "welcome": _html(js_on_load=_SELECT_ON_CLICK, elem_id="welcome"),
            "past_turns": _html(elem_id="past-turns"),
            "current_turn": _html(elem_id="current-turn"),
            "suggestions": _html(js_on_load=_SELECT_ON_CLICK, elem_id="suggestions"),
            "composer": build_composer(),
        }


def _build_library_tab() -> dict[str, Any]:
    with gr.Tab("Library", visible=False, elem_id="library-tab") as tab:
        corpora = _html()
        _html(FORMS)
        return {
            "library_tab": tab,
            "corpora": corpora,
            "jobs": _html(),
            "styles": _html(),
            "usage": _html(),
            "library_timer": gr.Timer(2.0, active=False),
        }


def _html(value: str = "", **options: Any) -> gr.HTML:
    """Return an HTML component that only static/app.css styles."""
    return gr.HTML(value, apply_default_css=False, **options)


def header_html(*, can_sign_out: bool) -> str:
    """Return the header of the page."""
    sign_out = ""
    if can_sign_out:
        sign_out = '<form method="post" action="sign-out"><button>Sign out</button></form>'
    return (
        '<div class="unirag-header"><h1>unirag</h1><p>Ask your textbooks</p>'
        '<button type="button" data-theme-toggle aria-label="Switch between light and dark">'
        f"Light / dark</button>{sign_out}</div>"
    )
