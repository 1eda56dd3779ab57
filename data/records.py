"""The records that pass between the rooms: `Item`, `Query`, `Hit`, `Answer`.

All are frozen and hold plain Python values only, so that they cross processes, JSON and the store's
payload unchanged. An item does not hold its picture: `Item.image` is the SHA-256 digest of the
picture's file in the asset folder.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from data.errors import BadInput
from data.refusal import REFUSAL

__all__ = [
    "CHANNELS",
    "Answer",
    "Audience",
    "Box",
    "Channel",
    "Hit",
    "Item",
    "Kind",
    "Level",
    "Query",
    "QueryAudio",
    "QueryImage",
    "Role",
    "Sentence",
    "Task",
    "item_id",
]

Kind = Literal["figure", "passage"]
Role = Literal[
    "text",  # running text
    "term",  # a key term or glossary entry with its definition
    "example",  # a worked example
    "exercise",  # a problem, without its solution
    "solution",  # the solution of an exercise; its neighbour is the exercise
    "summary",
    "objective",  # a learning objective of a section
    "table",
    "note",  # a box beside the running text
]
Audience = Literal["student", "teacher"]
Box = tuple[int, float, float, float, float]  # page, left, top, right, bottom
Channel = Literal["image", "text", "bm25"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
Task = Literal[
    "explain",
    "steps",  # a solution step by step
    "compare",
    "define",
    "quiz",  # questions with their answers and sources
    "feedback",  # feedback on a student's answer
]
Level = Literal["school", "college"]

_LISTED: tuple[Task, ...] = ("steps", "quiz", "feedback")  # shown with one sentence per line
_NEAREST = 3  # hits shown with a refusal

_NAMESPACE = uuid.UUID("6f0c9a51-8f53-5d3e-9f0a-0d2f6f1d7a10")


def item_id(corpus: str, locator: str) -> str:
    """Return the id of the item at `locator` in `corpus`: the same on every machine."""
    return str(uuid.uuid5(_NAMESPACE, f"{corpus}\n{locator}"))


@dataclass(frozen=True, slots=True)
class Item:
    """A unit of evidence: one figure or one passage of a corpus.

    `locator` is `<source>#<anchor>`, unique in the corpus. `text` is the passage, or the caption
    and alt text of a figure; formulas are LaTeX between `\\(` and `\\)`. `labels` are the words
    that OCR read in the picture. `bbox` is (left, top, right, bottom) as fractions of the page,
    from the top left; `boxes` are the places of a passage in the same fractions, behind the number
    of their page. `order` is the position in the reading order of the source. `neighbours` are
    the ids of items that belong to this one: a figure and the passages that refer to it, an
    exercise and its solution.
    """

    id: str
    kind: Kind
    corpus: str
    locator: str
    title: str
    text: str
    role: Role = "text"
    audience: Audience = "student"
    image: str = ""
    labels: str = ""
    section: tuple[str, ...] = ()
    page: int | None = None
    bbox: tuple[float, float, float, float] | None = None
    boxes: tuple[Box, ...] = ()
    order: int = 0
    neighbours: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""
    attribution: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the item as a dict of JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Item:
        """Return the item that `to_json` wrote. Unknown keys are ignored."""
        names = {f.name for f in fields(cls)}
        values = {k: v for k, v in value.items() if k in names}
        for name in ("section", "neighbours", "bbox"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        values["boxes"] = tuple(tuple(box) for box in values.get("boxes") or ())
        return cls(**values)


@dataclass(frozen=True, slots=True)
class QueryImage:
    """A query picture: the bytes of an image file, undecoded.

    `weight` (> 0) is its weight in the fusion. `style` names the query style; `auto` detects it.
    `name` stands for the picture in error messages.
    """

    data: bytes = field(repr=False)
    weight: float = 1.0
    style: str = "auto"
    name: str = "picture"

    @classmethod
    def from_file(cls, path: Path | str, weight: float = 1.0, style: str = "auto") -> QueryImage:
        """Read a picture from a file. Raise `BadInput` if the file cannot be read."""
        return cls(_read(Path(path)), weight, style, str(path))


@dataclass(frozen=True, slots=True)
class QueryAudio:
    """A spoken query: the bytes of a recording, undecoded.

    `weight` (> 0) is the weight of the transcript in the fusion. `name` stands for the
    recording in error messages.
    """

    data: bytes = field(repr=False)
    weight: float = 1.0
    name: str = "recording"

    @classmethod
    def from_file(cls, path: Path | str, weight: float = 1.0) -> QueryAudio:
        """Read a recording from a file. Raise `BadInput` if the file cannot be read."""
        return cls(_read(Path(path)), weight, str(path))


@dataclass(frozen=True, slots=True)
class Query:
    """A question in any mix of words, pictures and speech, each with a weight (> 0).

    Query("forces on a crate", images=[QueryImage.from_file("sketch.png")])
    """

    text: str = ""
    text_weight: float = 1.0
    images: Sequence[QueryImage] = ()
    audio: Sequence[QueryAudio] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "audio", tuple(self.audio))

    def __bool__(self) -> bool:
        """Whether the query holds anything to search for."""
        return bool(self.text.strip() or self.images or self.audio)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise BadInput(f"{path}: the file cannot be read ({error.strerror})") from None


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that a search found for a query.

    `score` is the fused score, comparable within one result list only. `channels` holds the
    similarity of the item in each channel that was searched: a cosine for `image` and `text`, BM25
    for `bm25`. `styles` are the style weights of the query's picture. `relevance` in [0, 1] is the
    reranker's score of the item for the question, None if it did not read the item.
    """

    item: Item
    score: float
    channels: Mapping[Channel, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer with its citations.

    `citations` are item ids. `numbers` are the same citations as readers see them: [1] for the item
    that the answer cites first, [2] for the next. `support` in [0, 1] says how well the cited items
    support the sentence. `quoted` marks a sentence copied word for word from the cited item.
    """

    text: str
    citations: tuple[str, ...]
    support: float
    quoted: bool = False
    numbers: tuple[int, ...] = ()

    @property
    def cited_text(self) -> str:
        """The sentence with its citation numbers, in quotation marks if it is a quotation."""
        text = f"“{self.text}”" if self.quoted else self.text
        return " ".join([text, "".join(f"[{number}]" for number in self.numbers)]).strip()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer sentence by sentence, with the evidence that it was made from.

    `quoted` is true if every sentence is a quotation. `refused` is true if the corpus does not
    answer the question; `hits` are then the nearest material.
    """

    query: str
    sentences: tuple[Sentence, ...]
    hits: tuple[Hit, ...]
    refused: bool = False
    quoted: bool = False
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    task: Task = "explain"
    level: Level = "school"

    @property
    def text(self) -> str:
        """The sentences without their citation numbers, or the refusal."""
        return REFUSAL if self.refused else " ".join(s.text for s in self.sentences)

    @property
    def cited_text(self) -> str:
        """The sentences with their citation numbers, or the refusal."""
        between = "\n\n" if self.task in _LISTED else " "
        return REFUSAL if self.refused else between.join(s.cited_text for s in self.sentences)

    @property
    def references(self) -> tuple[Hit, ...]:
        """The cited hits in the order of their numbers. After a refusal, the nearest material."""
        if self.refused:
            return self.hits[:_NEAREST]
        hits = {hit.item.id: hit for hit in self.hits}
        ids = dict.fromkeys(i for sentence in self.sentences for i in sentence.citations)
        return tuple(hits[i] for i in ids if i in hits)
