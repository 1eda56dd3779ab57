"""Connects the events of the page to their handlers."""

from __future__ import annotations

from typing import Any

import gradio as gr

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
# After a stop, Gradio's default "once" ignores clicks for seconds. app.js drops double clicks.
_ASK_OPTIONS = {**_OPTIONS, "trigger_mode": "multiple"}
_STREAM_OPTIONS = {**_ASK_OPTIONS, "queue": True}
_LOAD_JS = "(id) => { window.uniragTheme(); return [id, window.innerWidth]; }"


def connect_events(blocks: gr.Blocks, layout: AppLayout, handlers: PageHandlers) -> None:
    """Connect every event. Call it inside the context of `blocks`."""
    _connect_load(blocks, layout, handlers)
    _connect_ask_and_stop(layout, handlers)
    _connect_sidebar(layout, handlers)
    _connect_library(layout, handlers)


def _connect_load(blocks: gr.Blocks, layout: AppLayout, handlers: PageHandlers) -> None:
    outputs = [
        *layout.conversation_components,
        layout.header,
        layout.sidebar,
        layout.library_tab,
        layout.composer.corpora,
        layout.composer.style,
    ]
    inputs = [layout.conversation_id, layout.browser_width]
    blocks.load(handlers.load, inputs, outputs, js=_LOAD_JS, **_OPTIONS)


def _connect_ask_and_stop(layout: AppLayout, handlers: PageHandlers) -> None:
    composer = layout.composer
    inputs = [layout.conversation_id, *composer.inputs]
    outputs = [*layout.conversation_components, *composer.cleared(), composer.ask, composer.stop]
    answering: list[dict[str, Any]] = [
        event(handlers.answer, inputs, outputs, **_STREAM_OPTIONS)
        for event in (composer.ask.click, composer.text.submit)
    ]
    filled = [composer.text, composer.task, composer.picture, composer.picture_panel]
    for cards in (layout.welcome, layout.suggestions):
        filling = cards.select(handlers.fill_composer, None, filled, **_ASK_OPTIONS)
        answering.append(filling.then(handlers.answer, inputs, outputs, **_STREAM_OPTIONS))
    composer.stop.click(
        handlers.stop,
        layout.conversation_id,
        [layout.past_turns, layout.current_turn, composer.ask, composer.stop],
        cancels=answering,
        **_OPTIONS,
    )


def _connect_sidebar(layout: AppLayout, handlers: PageHandlers) -> None:
    outputs = layout.conversation_components
    layout.history.select(handlers.open_or_delete, layout.conversation_id, outputs, **_OPTIONS)
    layout.new_conversation.click(handlers.new_conversation, None, outputs, **_OPTIONS)


def _connect_library(layout: AppLayout, handlers: PageHandlers) -> None:
    """Refresh the library when its tab opens, then with every tick of its timer."""
    timer, outputs = layout.library_timer, layout.library_tables
    timer.tick(handlers.refresh_library, None, outputs, **_OPTIONS)
    layout.library_tab.select(handlers.refresh_library, None, outputs, **_OPTIONS)
    layout.library_tab.select(lambda: gr.Timer(active=True), None, timer, **_OPTIONS)
    layout.ask_tab.select(lambda: gr.Timer(active=False), None, timer, **_OPTIONS)
