"""Connects the events of the page to their handlers."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.conversation_handlers import ConversationHandlers
from ui.handlers import PageHandlers
from ui.layout import AppLayout

__all__ = ["connect_events"]

_OPTIONS: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,  # the service has its own limits
    # Gradio's queue serves all events of a page over one stream. Two events that start together,
    # as when the page loads, can lose an answer there. Only an answer needs a stream.
    "queue": False,
}
# After a stop, Gradio's default "once" ignores clicks for seconds. composer.js drops double clicks.
_ASK_OPTIONS = {**_OPTIONS, "trigger_mode": "multiple"}
_STREAM_OPTIONS = {**_ASK_OPTIONS, "queue": True}
_LOAD_JS = "() => window.unirag.start()"


def connect_events(
    blocks: gr.Blocks,
    layout: AppLayout,
    handlers: PageHandlers,
    conversations: ConversationHandlers,
) -> None:
    """Connect every event. Call it inside the context of `blocks`."""
    _connect_load(blocks, layout, conversations)
    _connect_ask_and_stop(layout, handlers, conversations)
    _connect_speech(layout, handlers)
    _connect_sidebar(layout, conversations)
    _connect_library(layout, handlers)


def _connect_load(
    blocks: gr.Blocks, layout: AppLayout, conversations: ConversationHandlers
) -> None:
    outputs = [
        *layout.conversation_components,
        layout.library_tab,
        layout.composer.corpora,
        layout.composer.style,
    ]
    loading = blocks.load(
        conversations.load, layout.conversation_id, outputs, js=_LOAD_JS, **_OPTIONS
    )
    _then_js(loading, "window.unirag.loaded()")
    layout.conversation_id.change(
        None,
        layout.conversation_id,
        None,
        js="(id) => window.unirag.showAddress(id)",
        **_OPTIONS,
    )


def _connect_ask_and_stop(
    layout: AppLayout, handlers: PageHandlers, conversations: ConversationHandlers
) -> None:
    composer = layout.composer
    inputs = [layout.conversation_id, layout.replaced_turn, *composer.inputs]
    outputs = [*layout.conversation_components, layout.replaced_turn, *composer.changing]
    outputs = list(dict.fromkeys(outputs))
    answering = [composer.question.submit(handlers.answer, inputs, outputs, **_STREAM_OPTIONS)]
    filled = [composer.question, composer.task, composer.note, layout.replaced_turn]
    for cards in (layout.welcome, layout.suggestions):
        filling = cards.select(handlers.fill_from_card, None, filled, **_ASK_OPTIONS)
        answering.append(filling.then(handlers.answer, inputs, outputs, **_STREAM_OPTIONS))
    for turns in (layout.past_turns, layout.current_turn):
        fill = conversations.fill_from_turn
        editing = turns.edit(fill, layout.conversation_id, filled, **_ASK_OPTIONS)
        _then_js(editing, "window.unirag.focusQuestion()")
        filling = turns.retry(fill, layout.conversation_id, filled, **_ASK_OPTIONS)
        answering.append(filling.then(handlers.answer, inputs, outputs, **_STREAM_OPTIONS))
    for answer in answering:
        _then_js(answer, "window.unirag.answered()")
    composer.question.stop(handlers.stop, None, None, **_ASK_OPTIONS)


def _connect_speech(layout: AppLayout, handlers: PageHandlers) -> None:
    composer = layout.composer
    inputs = [composer.recording, composer.question]
    outputs = [composer.recording, composer.question, composer.note]
    for event in (composer.recording.stop_recording, composer.recording.upload):
        hearing = event(handlers.transcribe, inputs, outputs, **_STREAM_OPTIONS)
        _then_js(hearing, "window.unirag.heard()")


def _connect_sidebar(layout: AppLayout, conversations: ConversationHandlers) -> None:
    outputs = layout.conversation_components
    inputs = [layout.conversation_id, layout.history_words]
    for event in (layout.history.select, layout.history.delete, layout.history.undo):
        changing = event(conversations.change, inputs, outputs, **_ASK_OPTIONS)
        _then_js(changing, "window.unirag.opened()")
    starting = layout.new_conversation.click(
        conversations.new_conversation, layout.history_words, outputs, **_OPTIONS
    )
    _then_js(starting, "window.unirag.focusQuestion()")
    layout.history_words.change(conversations.search, inputs, layout.history, **_ASK_OPTIONS)


def _connect_library(layout: AppLayout, handlers: PageHandlers) -> None:
    """Refresh the library when its tab opens, then with every tick of its timer."""
    timer, outputs = layout.library_timer, layout.library_tables
    timer.tick(handlers.refresh_library, None, outputs, **_OPTIONS)
    layout.library_tab.select(handlers.refresh_library, None, outputs, **_OPTIONS)
    layout.library_tab.select(lambda: gr.Timer(active=True), None, timer, **_OPTIONS)
    layout.ask_tab.select(lambda: gr.Timer(active=False), None, timer, **_OPTIONS)


def _then_js(event: Any, call: str) -> None:
    """Call a function of static/*.js after an event."""
    event.then(None, None, None, js=f"() => {{ {call}; }}", **_OPTIONS)
