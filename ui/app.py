"""The web app: `mount` adds its page, its sign-in and its coverage pages to the service."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI, HTTPException, Request
from starlette.staticfiles import StaticFiles

from ui import coverage, sign_in
from ui.conversation_handlers import ConversationHandlers
from ui.events import connect_events
from ui.handlers import PageHandlers
from ui.layout import build_layout
from ui.page_headers import PageHeaders
from unirag.api.access import Access
from unirag.api.errors import Unauthorized

__all__ = ["mount"]

_STATIC = Path(__file__).with_name("static")
_STYLES = ("app.css", "composer.css", "library.css")
_SCRIPTS = ("viewer.js", "composer.js", "conversation.js", "library.js")
_FONT = ["system-ui", "sans-serif"]
_CACHE_CHECK_SECONDS, _CACHE_SECONDS = 600, 3600  # for uploaded pictures and recordings


def mount(api: FastAPI) -> None:
    """Add the page at `/`, the coverage pages, and the sign-in of a service with keys."""

    def signed_in_name(request: Request) -> str:
        """Return the caller's name. Send a browser without a valid key to the sign-in page."""
        access: Access = api.state.service.access
        try:
            return access.caller(request).name or "everybody"
        except Unauthorized:
            if request.method == "GET" and request.url.path.rstrip("/") == "":
                raise HTTPException(303, headers={"Location": "sign-in"}) from None
            raise HTTPException(401, "sign in first") from None

    api.include_router(sign_in.router)
    api.include_router(coverage.router)
    api.add_middleware(PageHeaders, api=api)
    api.mount("/fonts", StaticFiles(directory=_STATIC / "fonts"), name="fonts")
    gr.mount_gradio_app(
        api,
        _build_page(api, has_keys=api.state.has_keys),
        path="/",
        auth_dependency=signed_in_name,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=f"{int(api.state.settings.query_megabytes)}mb",
        ssr_mode=False,
        theme=_theme(),
        css_paths=[_STATIC / name for name in _STYLES],
        head="".join(f"<script>{_read(name)}</script>" for name in _SCRIPTS),
    )


def _build_page(api: FastAPI, *, has_keys: bool) -> gr.Blocks:
    with gr.Blocks(
        title="unirag",
        analytics_enabled=False,
        delete_cache=(_CACHE_CHECK_SECONDS, _CACHE_SECONDS),
        fill_width=True,
    ) as blocks:
        layout = build_layout(has_keys=has_keys)
        conversations = ConversationHandlers(api, layout)
        connect_events(blocks, layout, PageHandlers(conversations, layout), conversations)
    return blocks


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def _theme() -> gr.themes.Base:
    """Return a theme that gives Gradio's own components the colours of static/app.css."""
    theme = gr.themes.Base(neutral_hue="slate", font=_FONT, font_mono=_FONT)
    return theme.set(
        body_background_fill="#f6f4ee",
        body_background_fill_dark="#14181d",
        button_primary_background_fill="#1b5e8c",
        button_primary_background_fill_hover="#154a6e",
        button_primary_background_fill_dark="#8cc3ea",
        button_primary_background_fill_hover_dark="#b3d8f2",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#10202d",
        button_secondary_background_fill="#e6f0f7",
        button_secondary_background_fill_hover="#d5e6f2",
        button_secondary_background_fill_dark="#1f3142",
        button_secondary_background_fill_hover_dark="#2a4055",
        button_secondary_text_color="#1b5e8c",
        button_secondary_text_color_dark="#8cc3ea",
        background_fill_secondary="#fbfaf7",
        input_background_fill="#ffffff",
        block_label_text_color="#4b5563",
        block_title_text_color="#374151",
        block_title_text_color_dark="#d3d7dc",
        color_accent="#1b5e8c",
        background_fill_primary_dark="#1c2229",
        background_fill_secondary_dark="#171c22",
        block_background_fill_dark="#1c2229",
        input_background_fill_dark="#14181d",
        border_color_primary="#dcd8cc",
        border_color_primary_dark="#343c46",
        input_placeholder_color="#6b7280",
        input_placeholder_color_dark="#9aa3ad",
    )
