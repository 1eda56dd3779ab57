"""Read transcripts with times: WebVTT, SubRip (.srt) and YouTube's .sbv.

Neighbouring captions join into passages of a few sentences. The section and the anchor of a passage
are its start, so that a citation says 00:03:12.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from data.documents import Block, Document
from data.errors import BadInput
from data.readers.files import decode, fingerprint, format_of, read_text_bytes, source_of
from data.readers.structure import Content, humanise
from data.readers.white_space import collapse, join_wrapped

__all__ = ["TranscriptReader"]

_PASSAGE_CHARACTERS = 700  # a passage ends with the first sentence beyond
_MAX_PASSAGE_CHARACTERS = 1_000  # or here, if the captions have no full stops
_PAUSE_SECONDS = 8.0
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", ".”", '."', ".)")
_FORMATS = {".srt": "srt", ".sbv": "sbv"}


class TranscriptReader:
    """Read `.vtt`, `.srt` and `.sbv` files."""

    name = "transcript"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "transcript"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source, title = source_of(path, root), humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read)


@dataclass
class _Passage:
    """Captions that follow each other. Times are in seconds."""

    start: float
    end: float = 0.0
    turns: list[list[str]] = field(default_factory=lambda: [[]])  # the lines of each speaker

    @property
    def text(self) -> str:
        return "\n".join(filter(None, map(join_wrapped, self.turns)))

    def is_complete(self, next_start: float) -> bool:
        size = sum(len(line) + 1 for turn in self.turns for line in turn)
        ends_sentence = self.turns[-1][-1:] != [] and self.turns[-1][-1].endswith(_SENTENCE_ENDS)
        is_pause = next_start - self.end > _PAUSE_SECONDS
        return (
            (size > _PASSAGE_CHARACTERS and ends_sentence)
            or size > _MAX_PASSAGE_CHARACTERS
            or (is_pause and ends_sentence)
        )


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    text = decode(read_text_bytes(path, source), source)
    try:
        text_format = _FORMATS.get(path.suffix.lower(), "vtt")
        captions = webvtt.from_buffer(StringIO(text), format=text_format).captions
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise BadInput(
            f"{source}: not a transcript with times ({error}); export it again"
        ) from None
    passages = list(_passages(captions))
    if not passages:
        raise BadInput(f"{source}: no words in this transcript; nothing to index")
    for passage in passages:
        start = _clock(passage.start)
        yield Block(passage.text, (title, start), title=f"{title}, {start}", anchor=start)


def _passages(captions: Iterable[webvtt.Caption]) -> Iterator[_Passage]:
    passage: _Passage | None = None
    speaker = last_line = ""
    for caption in captions:
        lines = [collapse(html.unescape(line)) for line in caption.text.split("\n")]
        if lines and lines[0] == last_line:
            lines = lines[1:]  # live captions repeat the line before
        lines = [line for line in lines if line]
        if not lines:
            continue
        last_line = lines[-1]
        start = caption.start_in_seconds + caption.start_time.milliseconds / 1000
        if passage and passage.is_complete(start):
            yield passage
            passage = None
        passage = passage or _Passage(start)
        if caption.voice and caption.voice != speaker:
            lines[0] = f"{caption.voice}: {lines[0]}"
            passage.turns.append([])
        speaker = caption.voice or speaker
        passage.turns[-1] += lines
        passage.end = caption.end_in_seconds
    if passage:
        yield passage


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
