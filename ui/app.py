"""The page: its layout, and what each event asks of the service.

It is a client of the same `Service` as the REST routes, in the same process, and so under the same
keys, queues and limits. HTML is made in `render.py` and `library.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.pictures import open_picture
from ui import coverage, library, render, sign_in
from ui.asking import Page, ask
from ui.composer import CLEARED, FIELDS, composer, decoded, html
from unirag.api.errors import Unauthorized

__all__ = ["mount"]

_STATIC = Path(__file__).with_name("static")
_FONT = ["system-ui", "sans-serif"]
# Nothing but this service is asked, whatever a document or a library would have the browser fetch.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
_WELCOME = (
    '<div class="welcome"><h2>What would you like to understand?</h2><p>Ask in words, draw it, '
    "show a picture or say it. Answers come from your textbooks only, with the source behind every "
    "sentence; when the books do not say it, you are told so.</p></div>"
)
_SELECT = """element.addEventListener('click', (e) => {
  const b = e.target.closest('[data-ask], [data-sketch], [data-conversation], [data-delete]');
  if (b) trigger('select', {...b.dataset});
});"""


def mount(api: FastAPI) -> None:
    """Add the page at `/`, and the sign-in where the service has keys."""
    page = Page(api)
    blocks = _blocks(page)

    def user(request: Request) -> str:
        try:
            return page.here.access.caller(request).name or "everybody"
        except Unauthorized:
            if request.method == "GET" and request.url.path.rstrip("/") == "":
                raise HTTPException(303, headers={"Location": "sign-in"}) from None
            raise HTTPException(401, "sign in first") from None

    api.include_router(sign_in.router)
    api.include_router(coverage.router)
    api.add_middleware(_Policed)
    api.mount("/fonts", StaticFiles(directory=_STATIC / "fonts"), name="fonts")
    gr.mount_gradio_app(
        api,
        blocks,
        path="/",
        auth_dependency=user,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=f"{int(api.state.settings.query_megabytes)}mb",
        ssr_mode=False,
        theme=_theme(),
        css_paths=[_STATIC / "app.css"],
        head=f"<script>{(_STATIC / 'app.js').read_text(encoding='utf-8')}</script>",
    )


def _theme() -> gr.themes.Base:
    """Gradio's own components in the colours of static/app.css."""
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


class _Policed:
    """Middleware: pages may load from here only. The OpenAPI viewer comes from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def policed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Security-Policy"] = _POLICY
                    headers["Referrer-Policy"] = "same-origin"
            await send(message)

        outside = scope["type"] != "http" or scope["path"] == "/docs"
        await self._app(scope, receive, send if outside else policed)


def _blocks(page: Page) -> gr.Blocks:
    with gr.Blocks(
        title="unirag", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True
    ) as blocks:
        # What a browser remembers; the secret only keeps it readable after a restart.
        conversation = gr.BrowserState("", storage_key="unirag-conversation", secret="unirag")  # noqa: S106
        header = html()
        width = gr.Number(visible=False)  # the browser's, in CSS pixels
        with gr.Sidebar(width=290, open=False) as side:
            new = gr.Button("New conversation", variant="secondary")
            history = html(js_on_load=_SELECT, elem_id="history")
        with gr.Tabs():
            with gr.Tab("Ask") as ask_tab:
                welcome = html(js_on_load=_SELECT, elem_id="welcome")
                past = html(elem_id="past")
                current = html(elem_id="current")
                following = html(js_on_load=_SELECT, elem_id="following")
                form = composer()
            with gr.Tab("Library", visible=False, elem_id="library-tab") as library_tab:
                corpora = html()
                html(library.FORMS)
                jobs = html()
                styles = html()
                usage = html()
                tick = gr.Timer(2.0, active=False)

        screen = [conversation, welcome, past, current, following, history]
        run: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress": "hidden",
            "concurrency_limit": None,  # the service has its own
        }

        async def load(request: gr.Request, name: str, pixels: float) -> list[Any]:
            """What was there before a reload, or the first screen."""
            who = page.who(request)
            here = page.here
            shown = await here.work(lambda: page.past(who, name))
            known = [c["name"] for c in here.unirag.corpora() if who.may_see(c["name"])]
            ready = "" if known else render.failure(_NOTHING)
            hello = "" if shown else _WELCOME + ready + await page.examples(who)
            taught = await here.work(here.unirag.styles)
            names = [s["name"] for s in taught if s["name"] != "text"]  # pictures have the others
            return [
                name if shown else "",
                hello,
                shown,
                "",
                "",
                page.history(who, name),
                _header(signed=not here.access.open),
                gr.Sidebar(open=pixels >= _WIDE),
                gr.Tab(visible=who.teacher),
                gr.Dropdown(choices=known, visible=len(known) > 1),
                gr.Dropdown(choices=["auto", *dict.fromkeys(names)]),
            ]

        async def answer(
            request: gr.Request, name: str, *given: Any
        ) -> AsyncGenerator[dict[Any, Any]]:
            asked = dict(zip(FIELDS, given, strict=True))
            async for update in ask(page, request, name, asked):
                yield {named[key]: value for key, value in update.items()}

        named = {
            "conversation": conversation,
            "welcome": welcome,
            "past": past,
            "current": current,
            "following": following,
            "history": history,
            "ask": form["ask"],
            "stop": form["stop"],
            **{key: form[key] for key in CLEARED},
        }
        asking = [form["ask"].click, form["text"].submit]
        inputs = [conversation, *(form[key] for key in FIELDS)]
        outputs = list(named.values())
        # "once" would swallow a click for seconds after a stop; app.js drops double clicks instead
        again = {**run, "trigger_mode": "multiple"}
        running = [on(answer, inputs, outputs, **again) for on in asking]

        def chosen(event: gr.EventData) -> list[Any]:
            """An example or a suggestion, put where the student would have put it."""
            data = event._data or {}
            picture = None
            if "sketch" in data:
                picture = open_picture(decoded(data["sketch"]), "the sketch")
            return [
                data.get("ask", ""),
                data.get("task", "explain"),
                picture,
                gr.Accordion(open=picture is not None),
            ]

        into = [form["text"], form["task"], form["picture"], form["picture_panel"]]
        for cards in (welcome, following):
            put = cards.select(chosen, None, into, **again)
            running.append(put.then(answer, inputs, outputs, **again))

        async def stopped(request: gr.Request, name: str) -> list[Any]:
            """The question stays; what was written of its answer was not checked to the end."""
            shown = await page.here.work(lambda: page.past(page.who(request), name))
            return [shown, "", gr.Button(visible=True), gr.Button(visible=False)]

        after = [past, current, form["ask"], form["stop"]]
        form["stop"].click(stopped, conversation, after, cancels=running, **run)

        async def leave(request: gr.Request, current: str, event: gr.EventData) -> list[Any]:
            """Another conversation, or one less."""
            who, data = page.who(request), event._data or {}
            if gone := data.get("delete"):
                await page.here.work(lambda: page.here.forget(who, gone))
            name = current if gone and gone != current else data.get("conversation", "")
            shown = await page.here.work(lambda: page.past(who, name))
            hello = "" if shown else _WELCOME + await page.examples(who)
            return [name, hello, shown, "", "", page.history(who, name)]

        async def begin(request: gr.Request) -> list[Any]:
            who = page.who(request)
            hello = _WELCOME + await page.examples(who)
            return ["", hello, "", "", "", page.history(who, "")]

        history.select(leave, conversation, screen, **run)
        new.click(begin, None, screen, **run)

        async def teach(request: gr.Request) -> list[str]:
            """The library as it is now."""
            who, here = page.who(request), page.here
            if not who.teacher:
                raise gr.Error("The library is for teachers' keys.")
            known = [c for c in here.unirag.corpora() if who.may_see(c["name"])]
            seen = [j for j in here.jobs.latest(20) if who.may_see(j.corpus)]
            taught = await here.work(here.unirag.styles)
            days = here.conversations.usage()
            return [
                library.corpora(known),
                library.jobs(seen),
                library.styles(taught),
                library.usage(days),
            ]

        shelves = [corpora, jobs, styles, usage]
        tick.tick(teach, None, shelves, **run)
        library_tab.select(teach, None, shelves, **run)
        library_tab.select(lambda: gr.Timer(active=True), None, tick, **run)
        ask_tab.select(lambda: gr.Timer(active=False), None, tick, **run)

        tools = [header, side, library_tab, form["corpora"], form["style"]]
        blocks.load(load, [conversation, width], [*screen, *tools], js=_ON_LOAD, **run)
    return blocks


_NOTHING = "Nothing is indexed yet. A teacher can add material under Library."
_ON_LOAD = "(name) => { window.uniragTheme(); return [name, window.innerWidth]; }"
_WIDE = 1000  # from here on the list of conversations has room beside the page


def _header(*, signed: bool) -> str:
    out = ""
    if signed:
        out = '<form method="post" action="sign-out"><button>Sign out</button></form>'
    return (
        '<div class="unirag-header"><h1>unirag</h1><p>Ask your textbooks</p>'
        '<button type="button" data-theme-toggle aria-label="Switch between light and dark">'
        f"Light / dark</button>{out}</div>"
    )
