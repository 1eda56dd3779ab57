"""The composer: the line at the bottom of the page in which a student writes a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from gradio.processing_utils import save_bytes_to_cache

from ui.draft import Draft
from ui.render import LEVEL_LABELS, TASK_LABELS

__all__ = ["Composer", "build_composer"]

_STATIC = Path(__file__).with_name("static")
_SKETCH_SHEET = """<div class="sketch-sheet"><canvas width="800" height="520" tabindex="0"
aria-label="A sheet to draw on. If you cannot draw, attach a picture instead."></canvas>
<div><button type="button" data-tool="pen" aria-pressed="true">Pen</button>
<button type="button" data-tool="eraser" aria-pressed="false">Eraser</button>
<button type="button" data-command="undo">Undo</button>
<button type="button" data-command="clear">Clear</button></div></div>"""
# static/composer.js opens and closes the panels
_TOOL = """<button type="button" class="tool" data-panel="{panel}" aria-expanded="false"
aria-controls="{panel}" aria-label="{label}" title="{label}"><svg viewBox="0 0 24 24"
aria-hidden="true">{path}</svg></button>"""
_TOOLS = "".join(
    _TOOL.format(panel=panel, label=label, path=path)
    for panel, label, path in (
        ("sketch-panel", "Draw", '<path d="M4 20l1-5L16 4l4 4L9 19z"/><path d="M13 7l4 4"/>'),
        (
            "voice-panel",
            "Say it",
            '<rect x="9" y="3" width="6" height="11" rx="3"/>'
            '<path d="M5 11a7 7 0 0014 0M12 18v3"/>',
        ),
    )
)
_MORE = """<button type="button" class="chip" data-panel="more-panel" aria-expanded="false"
aria-controls="more-panel">More</button>"""
_UNLIMITED = 10**9  # characters that Gradio pastes as text, not as a file; draft.py has the limit


@dataclass(frozen=True, slots=True)
class Composer:
    """The components of the composer. Inputs have the names of the fields of `Draft`.

    `note` is the line above the question: what is wrong with it, or what to do next.
    """

    note: gr.HTML
    question: gr.MultimodalTextbox
    sketch: gr.HTML
    picture_weight: gr.Slider
    style: gr.Dropdown
    recording: gr.Audio
    task: gr.Dropdown
    level: gr.Dropdown
    student_answer: gr.Textbox
    corpora: gr.Dropdown

    @property
    def inputs(self) -> list[Component]:
        """The components whose values make a `Draft`, in the order of its fields."""
        return [getattr(self, field.name) for field in fields(Draft)]

    @property
    def changing(self) -> list[Block]:
        """The components that an answer changes."""
        return [self.note, self.question, self.sketch, self.student_answer]

    def sent(self) -> dict[Block, Any]:
        """Return the updates that empty the inputs and show the stop button."""
        return {
            self.note: "",
            self.question: gr.MultimodalTextbox(
                {"text": "", "files": []}, submit_btn=False, stop_btn=True
            ),
            self.sketch: "",
            self.student_answer: "",
        }

    def idle(self) -> dict[Block, Any]:
        """Return the updates that show the send button again. What was typed since then stays."""
        return {self.question: gr.MultimodalTextbox(submit_btn=True, stop_btn=False)}

    def returned(self, draft: Draft, note: str) -> dict[Block, Any]:
        """Return the updates that give a question back that was not answered."""
        return {
            self.note: note,
            self.question: gr.MultimodalTextbox(
                {"text": draft.text, "files": list(draft.files)}, submit_btn=True, stop_btn=False
            ),
            self.sketch: draft.sketch,
            self.student_answer: draft.student_answer,
        }

    def filled(self, text: str, pictures: Sequence[bytes], task: str) -> dict[Block, Any]:
        """Return the updates that put a question into the composer."""
        files = [
            save_bytes_to_cache(picture, f"picture-{number}.png", self.question.GRADIO_CACHE)
            for number, picture in enumerate(pictures, 1)
        ]
        return {self.question: {"text": text, "files": files}, self.task: task, self.note: ""}


def build_composer() -> Composer:
    """Add the composer to the page."""
    with gr.Column(elem_id="composer"):
        note = gr.HTML("", apply_default_css=False, elem_id="note")
        sketch, recording = _sketch_input(), _audio_input()
        more = _more_panel()
        student_answer = gr.Textbox(
            label="My own answer",
            placeholder="Write your own answer here. It is checked against your books.",
            lines=2,
            max_lines=6,
            visible=False,
            elem_id="student-answer",
        )
        with gr.Row(elem_id="line", equal_height=False):
            gr.HTML(_TOOLS, apply_default_css=False, elem_id="tools")
            question = _question_input()
        with gr.Row(elem_id="chips"):
            chips = _chips()
            gr.HTML(_MORE, apply_default_css=False, elem_id="more")
    composer = Composer(
        note=note,
        question=question,
        sketch=sketch,
        recording=recording,
        student_answer=student_answer,
        **chips,
        **more,
    )
    composer.task.change(
        lambda task: gr.Textbox(visible=task == "feedback"),
        composer.task,
        student_answer,
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )
    return composer


def _question_input() -> gr.MultimodalTextbox:
    question = gr.MultimodalTextbox(
        label="Your question",
        placeholder="Ask a question",
        show_label=False,
        container=False,
        sources=["upload"],
        file_types=["image"],
        file_count="multiple",
        lines=1,
        max_lines=8,
        max_plain_text_length=_UNLIMITED,
        html_attributes=gr.InputHTMLAttributes(enterkeyhint="send"),
        elem_id="question",
    )
    _refuse_addresses(question)
    return question


def _sketch_input() -> gr.HTML:
    with gr.Column(elem_id="sketch-panel"):
        return gr.HTML(
            "",
            html_template=_SKETCH_SHEET,
            apply_default_css=False,
            js_on_load=(_STATIC / "sketch.js").read_text(encoding="utf-8"),
            elem_id="sketch",
        )


def _audio_input() -> gr.Audio:
    with gr.Column(elem_id="voice-panel"):
        recording = gr.Audio(
            label="Say your question, in up to two minutes. You can correct the words before you "
            "send them.",
            type="filepath",
            sources=["microphone", "upload"],
            buttons=[],
            editable=False,
            elem_id="recording",
        )
    _refuse_addresses(recording)
    return recording


def _chips() -> dict[str, Any]:
    chip: dict[str, Any] = {
        "filterable": False,
        "container": False,
        "elem_classes": "chip-input",
        "scale": 0,
        "min_width": 0,
    }
    return {
        "task": gr.Dropdown(
            [(label, task) for task, label in TASK_LABELS.items()],
            value="explain",
            label="What I want",
            **chip,
        ),
        "level": gr.Dropdown(
            [(label, level) for level, label in LEVEL_LABELS.items()],
            value="school",
            label="Level",
            **chip,
        ),
    }


def _more_panel() -> dict[str, Any]:
    with gr.Column(elem_id="more-panel"):
        return {
            "corpora": gr.Dropdown(
                label="Books", choices=[], multiselect=True, visible=False, info="None: all books"
            ),
            "picture_weight": gr.Slider(
                0.1, 3.0, value=1.0, step=0.1, label="How much a picture counts beside the words"
            ),
            "style": gr.Dropdown(
                label="My picture is a …", choices=[("not sure", "auto")], value="auto"
            ),
        }


def _refuse_addresses(component: Component) -> None:
    """Accept uploaded files only: Gradio would fetch any address that a client sends."""
    move_to_cache = component.async_move_resource_to_block_cache

    async def move_upload_to_cache(path: Any) -> str | None:
        if "://" in str(path):
            raise gr.Error("Addresses are not fetched here; send the file itself.")
        return await move_to_cache(path)

    component.async_move_resource_to_block_cache = move_upload_to_cache  # type: ignore[method-assign, assignment]
