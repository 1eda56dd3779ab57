"""The wire models of hits, sentences, answers, conversations and corpora.

The command line's JSON, REST, the OpenAI-compatible endpoint, MCP, LangChain and the web app all
use them. `unirag/serialization.py` makes them from records.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from data.documents import ProblemKind
from data.records import Kind, Level, Task
from unirag.indexing.jobs import JobState
from unirag.workspace.catalog import DocumentState

__all__ = [
    "AnswerOut",
    "AnswerTurnOut",
    "ConversationOut",
    "ConversationSummary",
    "ConversationsOut",
    "CorporaOut",
    "CorpusOut",
    "CoverageOut",
    "CoveredOut",
    "ErrorDetail",
    "ErrorOut",
    "HealthOut",
    "HitOut",
    "ItemOut",
    "JobOut",
    "JobsOut",
    "PartOut",
    "SearchOut",
    "SearchTurnOut",
    "SentenceOut",
    "StyleOut",
    "StylesOut",
    "TurnOut",
]


class ErrorDetail(BaseModel):
    """The class of an error and its message, which says what to do."""

    type: str = Field(examples=["BadInput"])
    message: str = Field(examples=["limit: got 0; expected 1 to 50"])


class ErrorOut(BaseModel):
    """The body of every error."""

    error: ErrorDetail


class EvidenceOut(BaseModel):
    """A figure or passage as a reader sees it.

    `image` locates the picture: an address under the service, or a path on the command line.
    `section` is the path of titles. `source` names the document and page.
    """

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


class HitOut(EvidenceOut):
    """A search hit. `channels` holds the item's similarity in each channel of the search.

    `relevance` in [0, 1] says how much the item helps to answer the question, None if the reranker
    did not read it.
    """

    score: float
    channels: dict[str, float | None]
    relevance: float | None = None


class ItemOut(EvidenceOut):
    """An item in full. `labels` are the words in its picture, `neighbours` ids of related items."""

    labels: str
    page: int | None
    neighbours: list[str]


class SearchOut(BaseModel):
    """The result of a search. `query` is the question: typed, transcribed and read in pictures.

    `corrections` maps the slips in it to the words that were searched for instead.
    `styles` and `experts` are shares with sum 1: the query styles of the pictures, and the experts
    that adapted the encoder to them.
    """

    query: str
    hits: list[HitOut]
    no_good_match: bool
    corrections: dict[str, str] = {}
    styles: dict[str, float]
    experts: list[float]
    timings_ms: dict[str, float]


class SentenceOut(BaseModel):
    """A sentence of an answer. `citations` are ids of hits, `numbers` their printed numbers.

    `support` in [0, 1] says how well the cited hits support the sentence. `quoted` marks a sentence
    copied from the cited hit.
    """

    text: str
    citations: list[str]
    numbers: list[int]
    support: float
    quoted: bool


class AnswerOut(SearchOut):
    """A cited answer. `references` are the ids of the cited hits: number 1 first.

    `quoted` is true if every sentence is a quotation. `refused` is true if the corpus does not
    answer the question: `answer` says so, and `references` are the nearest material.
    """

    task: Task
    level: Level
    answer: str
    sentences: list[SentenceOut]
    references: list[str]
    quoted: bool
    refused: bool

    @property
    def cited_hits(self) -> list[HitOut]:
        """The hits of `references`, in their order."""
        hits = {hit.id: hit for hit in self.hits}
        return [hits[item_id] for item_id in self.references]


class ConversationPlace(BaseModel):
    """The conversation that an answer belongs to, and its turn, from 1."""

    conversation: str
    turn: int


class SearchTurnOut(SearchOut, ConversationPlace):
    """The search result of a conversation's turn."""


class AnswerTurnOut(AnswerOut, ConversationPlace):
    """The answer of a conversation's turn. `stopped` is true if it ended before its last sentence.

    The sentences of a stopped answer are checked like all others.
    """

    stopped: bool = False


class TurnOut(BaseModel):
    """A question with the addresses of its pictures and its answer. `asked_at`: Unix seconds.

    `vote` is 1 for a thumb up, -1 for a thumb down, 0 for none.
    """

    number: int
    question: str
    pictures: list[str]
    answer: AnswerTurnOut | None
    asked_at: float
    vote: int = 0


class ConversationSummary(BaseModel):
    """A conversation without its turns. `created`: Unix seconds."""

    id: str
    title: str
    created: float


class ConversationOut(ConversationSummary):
    """A conversation with its turns."""

    turns: list[TurnOut]


class ConversationsOut(BaseModel):
    """The caller's conversations, newest first."""

    conversations: list[ConversationSummary]


class JobOut(BaseModel):
    """An index job. `documents` of `total` are done, `failed` of them are dead letters.

    `items`, `figures` among them, and `pages` count what was read so far; `seconds_left`
    is null until it can be estimated.
    """

    id: str
    corpus: str
    state: JobState
    message: str
    documents: int
    total: int
    items: int
    figures: int
    pages: int
    failed: int
    items_per_second: float
    seconds_left: float | None
    report: dict[str, Any] | None
    created: float
    ended: float | None


class JobsOut(BaseModel):
    """Index jobs, newest first."""

    jobs: list[JobOut]


class CorpusOut(BaseModel):
    """A corpus with its counts."""

    name: str
    documents: int
    figures: int
    passages: int
    licence: str
    attribution: str


class CorporaOut(BaseModel):
    """The corpora that the caller may search."""

    corpora: list[CorpusOut]


class PartOut(BaseModel):
    """A part of a document that was left out: its place, the reason, and what it is.

    `page` is null where the document has no pages.
    """

    anchor: str
    message: str
    kind: ProblemKind
    page: int | None


class CoveredOut(BaseModel):
    """What was indexed from a document.

    `figures` and `passages` count stored items. They belong to an earlier version of the document
    unless `state` is `stored`.
    """

    source: str
    title: str
    state: DocumentState
    figures: int
    passages: int
    reason: str
    problems: list[PartOut]


class CoverageOut(BaseModel):
    """What was indexed from a corpus.

    Of `total` documents, `documents` were indexed, `failed` are dead letters and `unfinished` were
    not read to their end. `with_problems` counts documents without some of their parts. `covered`
    is one page of the documents.
    """

    name: str
    documents: int
    figures: int
    passages: int
    total: int
    failed: int
    unfinished: int
    with_problems: int
    covered: list[CoveredOut]


class StyleOut(BaseModel):
    """A query style. `version` and `examples` are null if the encoder was trained on it."""

    name: str
    version: int | None
    examples: int | None
    in_use: bool


class StylesOut(BaseModel):
    """Every query style."""

    styles: list[StyleOut]


class HealthOut(BaseModel):
    """The service is up."""

    status: Literal["ok"]
