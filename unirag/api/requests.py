"""The models of request bodies. They turn into a `Query`, a `TaskRequest` or an index job."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from data.errors import BadInput
from data.records import Kind, Level, Query, QueryAudio, QueryImage, Task
from generation.tasks import MAX_STUDENT_ANSWER_CHARACTERS, TaskRequest

__all__ = [
    "MAX_IMAGES",
    "MAX_RECORDINGS",
    "MAX_TEXT_CHARACTERS",
    "AskIn",
    "ConversationIn",
    "CorpusName",
    "ImageIn",
    "JobIn",
    "RecordingIn",
    "SearchIn",
    "VoteIn",
]

MAX_IMAGES, MAX_RECORDINGS = 4, 2
MAX_TEXT_CHARACTERS = 4000  # enough for a long exercise
CorpusName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
_ONE_PIXEL_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5E"
    "rkJggg=="
)


class RequestModel(BaseModel):
    """A request body; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class ImageIn(RequestModel):
    """A picture in base64. `style` is one of `GET /v1/styles`, or `auto`.

    `name` is what messages call the picture.
    """

    data: str = Field(examples=[_ONE_PIXEL_PNG])
    weight: float = Field(1.0, gt=0, le=1000)
    style: str = Field("auto", max_length=100)
    name: str = Field("", max_length=200)


class RecordingIn(RequestModel):
    """A recording in base64, of up to two minutes."""

    data: str
    weight: float = Field(1.0, gt=0, le=1000)


class SearchIn(RequestModel):
    """A question in any mix of words, pictures and speech.

    Without `corpora` the search covers every corpus that the key opens.
    """

    text: str = Field(
        "", max_length=MAX_TEXT_CHARACTERS, examples=["What sets the period of a pendulum?"]
    )
    text_weight: float = Field(1.0, gt=0, le=1000)
    images: list[ImageIn] = Field(default=[], max_length=MAX_IMAGES, examples=[[]])
    audio: list[RecordingIn] = Field(default=[], max_length=MAX_RECORDINGS, examples=[[]])
    limit: int = Field(10, ge=1, le=50)
    corpora: list[CorpusName] = Field(default=[], max_length=100, examples=[[]])
    kinds: list[Kind] = Field(default=[], max_length=2, examples=[["figure", "passage"]])

    def to_query(self) -> Query:
        """Return the query. Raise `BadInput` for data that is not base64."""
        return Query(
            self.text,
            self.text_weight,
            images=[
                QueryImage(_decoded(name, image.data), image.weight, image.style, name)
                for number, image in enumerate(self.images)
                for name in [image.name or f"images.{number}"]
            ],
            audio=[
                QueryAudio(_decoded(name, recording.data), recording.weight, name)
                for number, recording in enumerate(self.audio)
                for name in [f"audio.{number}"]
            ],
        )


class AskIn(SearchIn):
    """A question to be answered.

    `conversation` is the id of the conversation to continue. `stream` asks for server-sent events.
    `student_answer` is allowed with the task `feedback` only.
    """

    conversation: str | None = Field(None, max_length=100, examples=[None])
    stream: bool = False
    task: Task = "explain"
    level: Level = "school"
    student_answer: str = Field("", max_length=MAX_STUDENT_ANSWER_CHARACTERS, examples=[""])

    def to_task(self) -> TaskRequest:
        """Return the task. Raise `BadInput` if `student_answer` does not go with it."""
        return TaskRequest(self.task, self.level, self.student_answer)


class ConversationIn(RequestModel):
    """A new title of a conversation."""

    title: str = Field(max_length=200)


class VoteIn(RequestModel):
    """A thumb: 1 is up, -1 is down, 0 is none."""

    vote: Literal[-1, 0, 1]


class JobIn(RequestModel):
    """A folder or file to index, by its path below the service's `index_root`."""

    corpus: CorpusName
    path: str = Field(max_length=1000, examples=["physics"])
    retry_failed: bool = False


def _decoded(field: str, data: str) -> bytes:
    try:
        return base64.b64decode(data.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadInput(f"{field}.data: not base64; expected the file's bytes in base64") from None
