"""The records that pass between the rooms: `Item`, `Query`, `Hit`, `Answer`.

All are frozen and hold plain Python values only, so that they cross processes, JSON and the
store's payload unchanged. A picture is never inside a record: `Item.image` is the SHA-256 digest
under which the asset folder keeps it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = [
    "CHANNELS",
    "Answer",
    "Audience",
    "Channel",
    "Hit",
    "Item",
    "Kind",
    "Level",
    "Query",
    "Role",
    "Sentence",
    "Task",
    "WeightedAudio",
    "WeightedImage",
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
    "objective",  # what a section wants the reader to learn
    "table",
    "note",  # a box beside the running text
]
Audience = Literal["student", "teacher"]
Channel = Literal["image", "text", "bm25"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
Task = Literal[
    "explain",
    "steps",  # one after the other
    "compare",
    "define",
    "quiz",  # questions with their key and source
    "feedback",  # on what a student answered
]
Level = Literal["school", "college"]

_NAMESPACE = uuid.UUID("6f0c9a51-8f53-5d3e-9f0a-0d2f6f1d7a10")


def item_id(corpus: str, locator: str) -> str:
    """The id of the item at `locator` in `corpus`: the same on every machine and every run."""
    return str(uuid.uuid5(_NAMESPACE, f"{corpus}\n{locator}"))


@dataclass(frozen=True, slots=True)
class Item:
    """A unit of evidence: one figure or one passage of a corpus.

    `locator` is `<source>#<anchor>`, unique in the corpus. `text` is caption and alt text for a
    figure, the passage otherwise, with formulas as LaTeX between `\\(` and `\\)`. `labels` is what
    OCR read inside the picture. `bbox` is (left, top, right, bottom) as fractions of the page,
    origin at the top left. `order` is the reading order inside the source. `neighbours` are ids
    of items that belong together: a figure and the passages that refer to it, an exercise and its
    solution.
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
    order: int = 0
    neighbours: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""
    attribution: str = ""

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values; `Item.from_json` gives the item back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Item:
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in value.items() if k in known}
        for name in ("section", "neighbours", "bbox"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class WeightedImage:
    """A query picture: a file, its weight in the fusion (> 0) and its style, or `auto`."""

    path: Path
    weight: float = 1.0
    style: str = "auto"


@dataclass(frozen=True, slots=True)
class WeightedAudio:
    """A spoken query: a file and the weight of its transcript in the fusion (> 0)."""

    path: Path
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Query:
    """A question in any mix of words, pictures and speech, each with a weight."""

    text: str = ""
    text_weight: float = 1.0
    images: tuple[WeightedImage, ...] = ()
    audio: tuple[WeightedAudio, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.images or self.audio)


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that answers a query.

    `score` is the fused score, comparable within one result list only. `channels` holds the item's
    own similarity in each channel that was asked (cosine for `image` and `text`, BM25 for `bm25`).
    """

    item: Item
    score: float
    channels: Mapping[Channel, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer with the ids of the items it cites and its support in [0, 1].

    `quoted` is true where it is the cited item's own sentence, word for word.
    """

    text: str
    citations: tuple[str, ...]
    support: float
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for, sentence by sentence, with the evidence that it was made from.

    `quoted` is true where all of them are quotations: the model gave nothing besides that the
    evidence supports. `refused` is true where there is no good evidence at all.
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
        return " ".join(s.text for s in self.sentences)
