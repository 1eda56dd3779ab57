"""A question before it is sent: the values of the composer, and their conversion to a request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from data.errors import BadInput
from data.records import Level, Task
from unirag.api.requests import AskIn, ImageIn, RecordingIn

__all__ = ["Draft", "decode_data_url"]


@dataclass(frozen=True, slots=True)
class Draft:
    """The values of the composer's inputs.

    `sketch` is a PNG as a data URL. `picture` and `recording` are paths of uploaded files. All
    three are empty if they are not used.
    """

    text: str
    text_weight: float
    sketch: str
    picture: str | None
    picture_weight: float
    style: str
    recording: str | None
    recording_weight: float
    task: Task
    level: Level
    student_answer: str
    corpora: Sequence[str] | None

    def to_request(self, conversation_id: str) -> AskIn:
        """Return the question as a REST request. Raise `BadInput` if a value is unusable."""
        try:
            return AskIn(
                text=self.text.strip(),
                text_weight=self.text_weight,
                images=self._images(),
                audio=self._recordings(),
                corpora=list(self.corpora or ()),
                conversation=conversation_id or None,
                task=self.task,
                level=self.level,
                # for other tasks the box is hidden, but keeps its text
                student_answer=self.student_answer.strip() if self.task == "feedback" else "",
            )
        except ValidationError as error:
            raise BadInput(error.errors()[0]["msg"]) from None

    def _images(self) -> list[ImageIn]:
        pictures = [decode_data_url(self.sketch)] if self.sketch else []
        pictures += [Path(self.picture).read_bytes()] if self.picture else []
        return [
            ImageIn(data=_base64(picture), weight=self.picture_weight, style=self.style)
            for picture in pictures
        ]

    def _recordings(self) -> list[RecordingIn]:
        if not self.recording:
            return []
        recording = _base64(Path(self.recording).read_bytes())
        return [RecordingIn(data=recording, weight=self.recording_weight)]


def decode_data_url(url: str) -> bytes:
    """Return the bytes of a data URL. Raise `BadInput` if it is not in base64."""
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except binascii.Error:
        raise BadInput("the sketch is not in base64; draw it again") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
