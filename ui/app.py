"""The web app: `mount` adds its page, its sign-in and its coverage pages to the service."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI, HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import coverage, sign_in
from ui.events import connect_events
from ui.handlers import PageHandlers
from ui.layout import build_layout
from unirag.api.access import Access
from unirag.api.errors import Unauthorized

__all__ = ["mount"]

_STATIC = Path(__file__).with_name("static")
_FONT = ["system-ui", "sans-serif"]
# The browser loads from this service only, whatever a document or a library asks it to fetch.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
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
    api.add_middleware(_SecurityHeaders)
    api.mount("/fonts", StaticFiles(directory=_STATIC / "fonts"), name="fonts")
    gr.mount_gradio_app(
        api,
        _build_page(api),
        path="/",
        auth_dependency=signed_in_name,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=f"{int(api.state.settings.query_megabytes)}mb",
        ssr_mode=False,
        theme=_theme(),
        css_paths=[_STATIC / "app.css"],
        head=f"<script>{(_STATIC / 'app.js').read_text(encoding='utf-8')}</script>",
    )


def _build_page(api: FastAPI) -> gr.Blocks:
    with gr.Blocks(
        title="unirag",
        analytics_enabled=False,
        delete_cache=(_CACHE_CHECK_SECONDS, _CACHE_SECONDS),
        fill_width=True,
    ) as blocks:
        layout = build_layout()
        connect_events(blocks, layout, PageHandlers(api, layout))
    return blocks


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


class _SecurityHeaders:
    """Middleware: forbid HTML pages to load from other sites.

    `/docs` is excluded: it loads the OpenAPI viewer from another site.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
                    headers["Referrer-Policy"] = "same-origin"
            await send(message)

        is_excluded = scope["type"] != "http" or scope["path"] == "/docs"
        await self._app(scope, receive, send if is_excluded else send_with_policy)
