"""The composer: the components in which a student writes a question."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from generation.tasks import MAX_STUDENT_ANSWER_CHARACTERS
from ui.draft import Draft
from ui.render import TASK_LABELS
from unirag.api.requests import MAX_TEXT_CHARACTERS

__all__ = ["Composer", "build_composer"]

_STATIC = Path(__file__).with_name("static")
_SKETCH_SHEET = """<div class="sketch-sheet"><canvas width="800" height="520"
aria-label="A sheet to draw on. If you cannot draw, show a picture instead."></canvas>
<div><button type="button" data-tool="pen" aria-pressed="true">Pen</button>
<button type="button" data-tool="eraser" aria-pressed="false">Eraser</button>
<button type="button" data-command="undo">Undo</button>
<button type="button" data-command="clear">Clear</button></div></div>"""


@dataclass(frozen=True, slots=True)
class Composer:
    """The components of the composer. Inputs have the names of the fields of `Draft`."""

    text: gr.Textbox
    text_weight: gr.Slider
    sketch: gr.HTML
    picture: gr.Image
    picture_panel: gr.Accordion
    picture_weight: gr.Slider
    style: gr.Dropdown
    recording: gr.Audio
    recording_weight: gr.Slider
    task: gr.Dropdown
    level: gr.Radio
    student_answer: gr.Textbox
    corpora: gr.Dropdown
    ask: gr.Button
    stop: gr.Button

    @property
    def inputs(self) -> list[Component]:
        """The components whose values make a `Draft`, in the order of its fields."""
        return [getattr(self, field.name) for field in fields(Draft)]

    def cleared(self) -> dict[Block, Any]:
        """Return the updates that empty the inputs after a question was answered."""
        return {
            self.text: "",
            self.sketch: "",
            self.picture: None,
            self.recording: None,
            self.student_answer: "",
        }

    def buttons(self, *, answering: bool) -> dict[Block, Any]:
        """Return the updates that show the stop button while answering, else the ask button."""
        return {self.ask: gr.Button(visible=not answering), self.stop: gr.Button(visible=answering)}


def build_composer() -> Composer:
    """Add the composer to the page."""
    with gr.Column(elem_id="composer"):
        text = gr.Textbox(
            label="Your question",
            placeholder="Why does a ray of light bend when it enters glass?",
            lines=2,
            max_lines=8,
            max_length=MAX_TEXT_CHARACTERS,
            submit_btn=False,
        )
        with gr.Row(equal_height=False, elem_id="query-media"):
            media = {"sketch": _sketch_input(), **_picture_input(), "recording": _audio_input()}
        choices = _choices()
        student_answer = gr.Textbox(
            label="My own answer",
            lines=3,
            max_length=MAX_STUDENT_ANSWER_CHARACTERS,
            visible=False,
        )
        composer = Composer(
            text=text,
            student_answer=student_answer,
            **media,
            **choices,
            **_weights_and_style(),
            **_buttons(),
        )
    composer.task.change(
        lambda task: gr.Textbox(visible=task == "feedback"),
        composer.task,
        student_answer,
        api_visibility="private",
        show_progress="hidden",
    )
    return composer


def _sketch_input() -> gr.HTML:
    with gr.Accordion("Draw", open=False):
        return gr.HTML(
            "",
            html_template=_SKETCH_SHEET,
            apply_default_css=False,
            js_on_load=(_STATIC / "sketch.js").read_text(encoding="utf-8"),
            elem_id="sketch",
        )


def _picture_input() -> dict[str, Any]:
    with gr.Accordion("Show a picture", open=False) as panel:
        picture = gr.Image(
            label="A photo, a screenshot, a painting",
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            height=300,
            buttons=[],
            elem_id="picture",
        )
    _refuse_addresses(picture)
    return {"picture": picture, "picture_panel": panel}


def _audio_input() -> gr.Audio:
    with gr.Accordion("Say it", open=False):
        recording = gr.Audio(
            label="A spoken question, up to two minutes long",
            type="filepath",
            sources=["microphone", "upload"],
            buttons=[],
            elem_id="recording",
        )
    _refuse_addresses(recording)
    return recording


def _choices() -> dict[str, Any]:
    with gr.Row():
        task = gr.Dropdown(
            label="What I want",
            choices=[(label, task) for task, label in TASK_LABELS.items()],
            value="explain",
        )
        level = gr.Radio(
            label="Level", choices=[("School", "school"), ("College", "college")], value="school"
        )
        corpora = gr.Dropdown(
            label="Books",
            choices=[],
            multiselect=True,
            visible=False,
            info="Leave empty to search all books",
        )
    return {"task": task, "level": level, "corpora": corpora}


def _weights_and_style() -> dict[str, Any]:
    labels = {
        "text_weight": "Weight of the words",
        "picture_weight": "Weight of the pictures",
        "recording_weight": "Weight of the recording",
    }
    with gr.Accordion("Weights and style", open=False), gr.Row():
        sliders = {
            name: gr.Slider(0.1, 3.0, value=1.0, step=0.1, label=label)
            for name, label in labels.items()
        }
        style = gr.Dropdown(label="Style of the picture", choices=["auto"], value="auto")
    return {**sliders, "style": style}


def _buttons() -> dict[str, Any]:
    with gr.Row():
        ask = gr.Button("Ask", variant="primary", elem_id="ask")
        stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
    return {"ask": ask, "stop": stop}


def _refuse_addresses(component: Component) -> None:
    """Accept uploaded files only: Gradio would fetch any address that a client sends."""
    move_to_cache = component.async_move_resource_to_block_cache

    async def move_upload_to_cache(path: Any) -> str | None:
        if "://" in str(path):
            raise gr.Error("Addresses are not fetched here; send the file itself.")
        return await move_to_cache(path)

    component.async_move_resource_to_block_cache = move_upload_to_cache  # type: ignore[method-assign, assignment]
