"""A question before it is sent: the values of the composer, and their conversion to a request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.errors import BadInput
from data.records import Level, Task
from generation.tasks import MAX_STUDENT_ANSWER_CHARACTERS
from unirag.api.requests import MAX_IMAGES, MAX_TEXT_CHARACTERS, AskIn, ImageIn

__all__ = ["Draft", "decode_data_url"]


@dataclass(frozen=True, slots=True)
class Draft:
    """The values of the composer's inputs.

    `question` holds the typed `text` and the paths of uploaded pictures as `files`. `sketch` is a
    PNG as a data URL, empty if nothing is drawn.
    """

    question: Mapping[str, Any] | None
    sketch: str
    picture_weight: float
    style: str
    task: Task
    level: Level
    student_answer: str
    corpora: Sequence[str] | None

    @property
    def text(self) -> str:
        """The typed question."""
        return str((self.question or {}).get("text") or "")

    @property
    def files(self) -> Sequence[str]:
        """The paths of the uploaded pictures."""
        return (self.question or {}).get("files") or ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed, drawn or uploaded."""
        return not (self.text.strip() or self.files or self.sketch)

    def to_request(self, conversation_id: str) -> AskIn:
        """Return the question as a REST request. Raise `BadInput` if a value is unusable."""
        _check_length("Your question", self.text, MAX_TEXT_CHARACTERS)
        # for other tasks the box is hidden, but keeps its text
        student_answer = self.student_answer.strip() if self.task == "feedback" else ""
        _check_length("Your own answer", student_answer, MAX_STUDENT_ANSWER_CHARACTERS)
        if self.task == "feedback" and not student_answer:
            raise BadInput("Write your own answer too. Then it can be checked against your books.")
        if len(self.files) + bool(self.sketch) > MAX_IMAGES:
            raise BadInput(f"Show at most {MAX_IMAGES} pictures at once.")
        try:
            return AskIn(
                text=self.text.strip(),
                images=self._images(),
                corpora=list(self.corpora or ()),
                conversation=conversation_id or None,
                task=self.task,
                level=self.level,
                student_answer=student_answer,
            )
        except ValidationError as error:
            raise BadInput(error.errors()[0]["msg"]) from None

    def _images(self) -> list[ImageIn]:
        pictures = {"Your drawing": decode_data_url(self.sketch)} if self.sketch else {}
        for number, path in enumerate(map(Path, self.files), 1):
            name = f"Your picture {path.name}" if len(self.files) == 1 else f"Picture {number}"
            pictures[name[:_NAME_CHARACTERS]] = path.read_bytes()
        return [
            ImageIn(
                data=base64.b64encode(picture).decode(),
                weight=self.picture_weight,
                style=self.style,
                name=name,
            )
            for name, picture in pictures.items()
        ]


_NAME_CHARACTERS = 100


def decode_data_url(url: str) -> bytes:
    """Return the bytes of a data URL. Raise `BadInput` if it is not in base64."""
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except binascii.Error:
        raise BadInput("the sketch is not in base64; draw it again") from None


def _check_length(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise BadInput(
            f"{name} has {len(text):,} characters; {limit:,} are possible. "
            f"Shorten it by {len(text) - limit:,}."
        )
