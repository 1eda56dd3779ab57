"""The layout of the page: its components, and the fixed HTML in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from ui.composer import Composer, build_composer
from ui.library import FORMS

__all__ = ["NOTHING_INDEXED", "WELCOME", "AppLayout", "build_layout", "privacy_html"]

WELCOME = (
    '<div class="welcome"><h2>What would you like to understand?</h2><p>Answers come only from '
    "your textbooks, with a source behind every sentence.</p></div>"
)
NOTHING_INDEXED = "Nothing is indexed yet. A teacher can add material under Library."
_HEADER = (
    '<header class="unirag-header"><a class="skip" href="#question">Skip to the question</a>'
    '<h1>unirag</h1><p>Ask your textbooks</p><button type="button" data-theme-toggle '
    'aria-label="Switch between light and dark" title="Light or dark">◐</button>'
    '<form method="post" action="sign-out"{hidden}><button>Sign out</button></form></header>'
)
_PRIVACY_WITH_KEYS = (
    "Whoever has your key can read your conversations. Your teacher sees how many questions are "
    "asked, and the answers that you mark with a thumb, without your name."
)
_PRIVACY_WITHOUT_KEYS = (
    "Your conversations are listed in this browser only. They are stored on the computer that runs "
    "unirag, and whoever manages it can read them."
)
# Triggers Gradio's event of the clicked button, with the button's data attributes.
_EVENTS_ON_CLICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-event]');
  if (button) trigger(button.dataset.event, {...button.dataset});
});"""
# static/conversation.js sends its own requests through the list: to open, refresh, rename.
_HISTORY_EVENTS = f"""{_EVENTS_ON_CLICK}
window.unirag.changeConversation = (data) => trigger('select', data);"""


@dataclass(frozen=True, slots=True)
class AppLayout:
    """The components of the page.

    The browser's address names the conversation of `conversation_id`. `past_turns` and
    `current_turn` show the conversation, `suggestions` the next questions. The next answer takes
    the place of the turn `replaced_turn`, unless it is 0.
    """

    conversation_id: gr.Textbox
    replaced_turn: gr.Number
    header: gr.HTML
    sidebar: gr.Sidebar
    new_conversation: gr.Button
    history_words: gr.Textbox
    history: gr.HTML
    privacy: gr.HTML
    ask_tab: gr.Tab
    welcome: gr.HTML
    past_turns: gr.HTML
    current_turn: gr.HTML
    suggestions: gr.HTML
    composer: Composer
    library_tab: gr.Tab
    corpora: gr.HTML
    jobs: gr.HTML
    votes: gr.HTML
    styles: gr.HTML
    usage: gr.HTML
    library_timer: gr.Timer

    @property
    def conversation_components(self) -> list[Block]:
        """The components that change with the conversation."""
        return [
            self.conversation_id,
            self.sidebar,
            self.welcome,
            self.past_turns,
            self.current_turn,
            self.suggestions,
            self.history,
            self.composer.note,
        ]

    @property
    def library_tables(self) -> list[Block]:
        """The tables of the teacher's library."""
        return [self.corpora, self.jobs, self.votes, self.styles, self.usage]


def build_layout(*, has_keys: bool) -> AppLayout:
    """Add every component to the page of a service with or without keys."""
    header = _html(_HEADER.format(hidden="" if has_keys else " hidden"))
    conversation_id = gr.Textbox(visible="hidden", elem_id="conversation-id")
    # no gr.State: Gradio would keep a connection open for it, which delays the end of the service
    replaced_turn = gr.Number(0, visible="hidden", precision=0)
    sidebar_parts = _build_sidebar(has_keys=has_keys)
    with gr.Tabs():
        ask_parts = _build_ask_tab()
        library_parts = _build_library_tab()
    return AppLayout(
        conversation_id=conversation_id,
        replaced_turn=replaced_turn,
        header=header,
        **sidebar_parts,
        **ask_parts,
        **library_parts,
    )


def privacy_html(*, has_keys: bool) -> str:
    """Return the lines that say who can read the conversations."""
    text = _PRIVACY_WITH_KEYS if has_keys else _PRIVACY_WITHOUT_KEYS
    return f'<p class="privacy">{text}</p>'


def _build_sidebar(*, has_keys: bool) -> dict[str, Any]:
    # In a wide window static/app.css shows it always; in a narrow one the student opens it.
    with gr.Sidebar(width=290, open=False) as sidebar:
        return {
            "sidebar": sidebar,
            "new_conversation": gr.Button("New conversation", variant="secondary"),
            "history_words": gr.Textbox(
                label="Search your conversations",
                placeholder="Search your conversations",
                show_label=False,
                container=False,
                max_lines=1,
                elem_id="history-words",
            ),
            "history": _html(js_on_load=_HISTORY_EVENTS, elem_id="history"),
            "privacy": _html(privacy_html(has_keys=has_keys)),
        }


def _build_ask_tab() -> dict[str, Any]:
    with gr.Tab("Ask", elem_id="ask-tab") as tab:
        return {
            "ask_tab": tab,
            "welcome": _html(WELCOME, js_on_load=_EVENTS_ON_CLICK, elem_id="welcome"),
            "past_turns": _html(js_on_load=_EVENTS_ON_CLICK, elem_id="past-turns"),
            "current_turn": _html(js_on_load=_EVENTS_ON_CLICK, elem_id="current-turn"),
            "suggestions": _html(js_on_load=_EVENTS_ON_CLICK, elem_id="suggestions"),
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
            "votes": _html(),
            "styles": _html(),
            "usage": _html(),
            "library_timer": gr.Timer(2.0, active=False),
        }


def _html(value: str = "", **options: Any) -> gr.HTML:
    """Return an HTML component that only static/app.css styles."""
    return gr.HTML(value, apply_default_css=False, **options)
