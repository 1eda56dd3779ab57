"""What goes over the wire: one model per request and per answer, and so the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from data.records import Kind, Level, Task
from generation.tasks import MAX_STUDENT_ANSWER_CHARACTERS, TaskRequest
from unirag.indexing.jobs import State
from unirag.workspace.catalog import State as DocumentState

__all__ = [
    "AnswerOut",
    "AskIn",
    "ConversationOut",
    "ConversationsOut",
    "CorporaOut",
    "ErrorOut",
    "FoundOut",
    "HealthOut",
    "ItemOut",
    "JobIn",
    "JobOut",
    "JobsOut",
    "PictureIn",
    "SearchIn",
    "SoundIn",
    "StyleOut",
    "StylesOut",
]

PICTURES, SOUNDS = 4, 2
TEXT = 4000  # characters: a long exercise
CorpusName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5E"
    "rkJggg=="
)


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PictureIn(_In):
    """A picture in base64. `style` is one of `GET /v1/styles`, or `auto`."""

    data: str = Field(examples=[_PIXEL])
    weight: float = Field(1.0, gt=0, le=1000)
    style: str = Field("auto", max_length=100)


class SoundIn(_In):
    """A recording in base64, of up to two minutes."""

    data: str
    weight: float = Field(1.0, gt=0, le=1000)


class SearchIn(_In):
    """A question in any mix of words, pictures and speech. No `corpora`: all that the key opens."""

    text: str = Field("", max_length=TEXT, examples=["What sets the period of a pendulum?"])
    text_weight: float = Field(1.0, gt=0, le=1000)
    images: list[PictureIn] = Field(default=[], max_length=PICTURES, examples=[[]])
    audio: list[SoundIn] = Field(default=[], max_length=SOUNDS, examples=[[]])
    limit: int = Field(10, ge=1, le=50)
    corpora: list[CorpusName] = Field(default=[], max_length=100, examples=[[]])
    kinds: list[Kind] = Field(default=[], max_length=2, examples=[["figure", "passage"]])


class AskIn(SearchIn):
    """As for a search. `conversation` goes on with one; `stream` answers with events.

    `student_answer` goes with task `feedback`, and only with it.
    """

    conversation: str | None = Field(None, max_length=100, examples=[None])
    stream: bool = False
    task: Task = "explain"
    level: Level = "school"
    student_answer: str = Field("", max_length=MAX_STUDENT_ANSWER_CHARACTERS, examples=[""])

    @property
    def wanted(self) -> TaskRequest:
        return TaskRequest(self.task, self.level, self.student_answer)


class ErrorDetail(BaseModel):
    type: str = Field(examples=["BadInput"])
    message: str = Field(examples=["limit: got 0; expected 1 to 50"])


class ErrorOut(BaseModel):
    error: ErrorDetail


class HitOut(BaseModel):
    """`image` is an address under this service. `channels`: the item's own similarity in each."""

    id: str
    kind: Kind
    title: str
    text: str
    image: str | None
    corpus: str
    section: list[str]
    source: str
    licence: str
    attribution: str
    score: float
    channels: dict[str, float | None]


class FoundOut(BaseModel):
    """`styles` and `experts` are shares: what a picture was taken for, and who adapted it."""

    query: str
    hits: list[HitOut]
    no_good_match: bool
    styles: dict[str, float]
    experts: list[float]
    timings_ms: dict[str, float]


class SentenceOut(BaseModel):
    """`citations` are ids of hits; `support` in [0, 1] is how well they hold the sentence.

    `quoted`: it is a sentence of theirs.
    """

    text: str
    citations: list[str]
    support: float
    quoted: bool = False  # not said by the first conversations


class AnswerOut(FoundOut):
    """`quoted`: all sentences are the sources' own. `refused`: nothing answers the question."""

    task: Task = "explain"  # answers of the first conversations say neither
    level: Level = "school"
    answer: str
    sentences: list[SentenceOut]
    quoted: bool
    refused: bool
    conversation: str
    turn: int


class ItemOut(BaseModel):
    id: str
    kind: Kind
    title: str
    text: str
    labels: str
    image: str | None
    corpus: str
    section: list[str]
    page: int | None
    source: str
    licence: str
    attribution: str
    neighbours: list[str]


class TurnOut(BaseModel):
    number: int
    question: str
    pictures: list[str]
    answer: AnswerOut | None
    asked: float


class ConversationOut(BaseModel):
    id: str
    title: str
    created: float
    turns: list[TurnOut]


class ConversationSummary(BaseModel):
    id: str
    title: str
    created: float


class ConversationsOut(BaseModel):
    conversations: list[ConversationSummary]


class JobIn(_In):
    """A folder or file below the service's `index_root`, by its path from there."""

    corpus: CorpusName
    path: str = Field(max_length=1000, examples=["physics"])
    retry_failed: bool = False


class JobOut(BaseModel):
    """`documents` of `total` are done with, `failed` of them dead letters. `items`, of which
    `figures` are some, and `pages` have been read, `rate` items a second. `seconds_left` is null
    where nothing can be said yet.
    """

    id: str
    corpus: str
    state: State
    message: str
    documents: int
    total: int
    items: int
    figures: int
    pages: int
    failed: int
    rate: float
    seconds_left: float | None
    report: dict[str, Any] | None
    created: float
    ended: float | None


class JobsOut(BaseModel):
    jobs: list[JobOut]


class CorpusOut(BaseModel):
    name: str
    documents: int
    figures: int
    passages: int
    licence: str
    attribution: str


class CorporaOut(BaseModel):
    corpora: list[CorpusOut]


class PartOut(BaseModel):
    """A part of a document that was left out: where, and why."""

    anchor: str
    message: str


class CoveredOut(BaseModel):
    """`figures` and `passages` are stored, of an earlier version unless `state` is `stored`."""

    source: str
    title: str
    state: DocumentState
    figures: int
    passages: int
    reason: str
    left_out: list[PartOut]


class CoverageOut(BaseModel):
    """`documents` were read; of `total` that were seen, `failed` and `unfinished` were not.

    `cut` documents were stored without some of their parts. `covered` is one page of all.
    """

    name: str
    documents: int
    figures: int
    passages: int
    total: int
    failed: int
    unfinished: int
    cut: int
    covered: list[CoveredOut]


class StyleOut(BaseModel):
    """`version` and `examples` are null for a style that the encoder was trained on."""

    name: str
    version: int | None
    examples: int | None
    in_use: bool


class StylesOut(BaseModel):
    styles: list[StyleOut]


class HealthOut(BaseModel):
    status: Literal["ok"]
