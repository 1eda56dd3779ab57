"""Where a question is put together: the components, and what they say as one request."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import ValidationError

from data.errors import BadInput
from ui import render
from unirag.api.schemas import TEXT, AskIn, PictureIn, SoundIn

__all__ = ["CLEARED", "FIELDS", "composer", "decoded", "html", "question"]

_STATIC = Path(__file__).with_name("static")
_SHEET = """<div class="sheet"><canvas width="800" height="520"
aria-label="A sheet to draw on. Without a pointer, show a picture instead."></canvas>
<div><button type="button" data-tool="pen" aria-pressed="true">Pen</button>
<button type="button" data-tool="eraser" aria-pressed="false">Eraser</button>
<button type="button" data-do="undo">Undo</button>
<button type="button" data-do="clear">Clear</button></div></div>"""
FIELDS = (
    "text",
    "text_weight",
    "sketch",
    "picture",
    "picture_weight",
    "style",
    "sound",
    "sound_weight",
    "task",
    "level",
    "student_answer",
    "corpora",
)
CLEARED = ("text", "sketch", "picture", "sound", "student_answer")


def _uploads_only(component: gr.components.Component) -> Any:
    """The component without Gradio's way of fetching an address for whoever sends one."""
    keep = component.async_move_resource_to_block_cache

    async def checked(path: Any) -> str | None:
        if "://" in str(path):
            raise gr.Error("Nothing is fetched from an address here; send the file itself.")
        return await keep(path)

    component.async_move_resource_to_block_cache = checked  # type: ignore[method-assign, assignment]
    return component


def html(value: str = "", **more: Any) -> gr.HTML:
    """HTML that static/app.css alone styles."""
    return gr.HTML(value, apply_default_css=False, **more)


def composer() -> dict[str, Any]:
    """Where a question is put together; the components by the names of `FIELDS`."""
    made: dict[str, Any] = {}
    with gr.Column(elem_id="composer"):
        made["text"] = gr.Textbox(
            label="Your question",
            placeholder="Why does a ray of light bend when it enters glass?",
            lines=2,
            max_lines=8,
            max_length=TEXT,
            submit_btn=False,
        )
        with gr.Row(equal_height=False, elem_id="ways"):
            with gr.Accordion("Draw", open=False):
                made["sketch"] = gr.HTML(
                    "",
                    html_template=_SHEET,
                    apply_default_css=False,
                    js_on_load=(_STATIC / "sketch.js").read_text(encoding="utf-8"),
                    elem_id="sketch",
                )
            with gr.Accordion("Show a picture", open=False) as made["picture_panel"]:
                made["picture"] = _uploads_only(
                    gr.Image(
                        label="A photo, a screenshot, a painting",
                        type="filepath",
                        sources=["upload", "webcam", "clipboard"],
                        height=300,
                        buttons=[],
                        elem_id="picture",
                    )
                )
            with gr.Accordion("Say it", open=False):
                made["sound"] = _uploads_only(
                    gr.Audio(
                        label="A spoken question, of up to two minutes",
                        type="filepath",
                        sources=["microphone", "upload"],
                        buttons=[],
                        elem_id="sound",
                    )
                )
        with gr.Row():
            made["task"] = gr.Dropdown(
                label="What I want",
                choices=[(label, task) for task, label in render.TASKS.items()],
                value="explain",
            )
            made["level"] = gr.Radio(
                label="Level",
                choices=[("School", "school"), ("College", "college")],
                value="school",
            )
            made["corpora"] = gr.Dropdown(
                label="Books", choices=[], multiselect=True, visible=False, info="None: all of them"
            )
        made["student_answer"] = gr.Textbox(
            label="My own answer, to be checked",
            lines=3,
            max_length=TEXT,
            visible=False,
        )
        with gr.Accordion("Weights and style", open=False), gr.Row():
            for key, label in (
                ("text_weight", "Weight of the words"),
                ("picture_weight", "Weight of the pictures"),
                ("sound_weight", "Weight of the speech"),
            ):
                made[key] = gr.Slider(0.1, 3.0, value=1.0, step=0.1, label=label)
            made["style"] = gr.Dropdown(
                label="Style of the picture", choices=["auto"], value="auto"
            )
        with gr.Row():
            made["ask"] = gr.Button("Ask", variant="primary", elem_id="ask")
            made["stop"] = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
    made["task"].change(
        lambda task: gr.Textbox(visible=task == "feedback"),
        made["task"],
        made["student_answer"],
        api_visibility="private",
        show_progress="hidden",
    )
    return made


def question(name: str, asked: dict[str, Any]) -> AskIn:
    """What was typed, drawn, shown and said, as a program would send it."""
    given = [decoded(asked["sketch"])] if asked["sketch"] else []
    given += [Path(asked["picture"]).read_bytes()] if asked["picture"] else []
    weight, style = asked["picture_weight"], asked["style"]
    images = [PictureIn(data=_encoded(data), weight=weight, style=style) for data in given]
    audio = []
    if asked["sound"]:
        audio.append(
            SoundIn(data=_encoded(Path(asked["sound"]).read_bytes()), weight=asked["sound_weight"])
        )
    feedback = asked["task"] == "feedback"
    try:
        return AskIn(
            text=asked["text"].strip(),
            text_weight=asked["text_weight"],
            images=images,
            audio=audio,
            corpora=asked["corpora"] or [],
            conversation=name or None,
            task=asked["task"],
            level=asked["level"],
            student_answer=asked["student_answer"].strip() if feedback else "",
        )
    except ValidationError as error:
        raise BadInput(error.errors()[0]["msg"]) from None


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(address: str) -> bytes:
    """The bytes of a data address: a drawing, or the sketch of an example card."""
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except binascii.Error:
        raise BadInput("the sketch is no picture") from None
