"""A corpus in one file: what `unirag corpora export` writes and `unirag corpora import` reads.

A zip in which nothing is packed, so that it cannot unpack to more than it is:

    head.json        what this is: the corpus, what encoded it, how much of everything there is
    documents.jsonl  its journal, a document on each line
    items.parquet    items with their vectors (unirag/transfer/parquet.py)
    pictures/DIGEST  the bytes of each picture as they came, named by their SHA-256
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter, ValidationError

from data.errors import BadInput
from data.pictures import Assets, digest_of
from data.readers.archive import ARCHIVE_ERRORS, directory_size
from data.records import Item
from retrieval.store import Point, Stamp
from unirag.transfer.parquet import ItemTable, require_pyarrow, write_items
from unirag.workspace.catalog import Corpus, Document

__all__ = ["CorpusFile", "Head", "Written", "write"]

_HEAD, _DOCUMENTS, _ITEMS = "head.json", "documents.jsonl", "items.parquet"
_PICTURE = re.compile(r"pictures/([0-9a-f]{64})")
_VERSION = 1
_MAX_PICTURES = 1_000_000
_MAX_DIRECTORY = _MAX_PICTURES * 200  # bytes, read before members are counted
_MAX_MEMBER = 256 * 1024**2  # bytes of what is held in memory at once
_DOCUMENT = TypeAdapter(Document)


class Head(BaseModel):
    """What a file says of itself."""

    model_config = ConfigDict(frozen=True)

    format: Literal["unirag corpus"] = "unirag corpus"
    version: int = _VERSION
    corpus: Corpus
    stamp: Stamp
    documents: NonNegativeInt
    items: NonNegativeInt
    pictures: NonNegativeInt


@dataclass(frozen=True, slots=True)
class Written:
    """What was written; `lacking` are items whose picture was not in the asset folder."""

    head: Head
    lacking: tuple[Item, ...]


def write(
    path: Path,
    corpus: Corpus,
    stamp: Stamp,
    documents: Sequence[Document],
    points: Iterable[Point],
    assets: Assets,
) -> Written:
    """Write `path` through a temporary file: it is there whole, or as it was before.

    Memory holds a row group, and where each picture is kept.
    """
    require_pyarrow()
    pictures: dict[str, Path] = {}
    lacking: list[Item] = []

    def seen() -> Iterator[Point]:
        for point in points:
            digest = point.item.image
            if digest and digest not in pictures:
                if kept := assets.path(digest):
                    pictures[digest] = kept
                else:
                    lacking.append(point.item)
            yield point

    with _whole(path) as archive:
        with archive.open(_ITEMS, "w", force_zip64=True) as handle:
            items = write_items(handle, seen())
        with archive.open(_DOCUMENTS, "w", force_zip64=True) as handle:
            for document in documents:
                handle.write(json.dumps(asdict(document)).encode() + b"\n")
        for digest, kept in pictures.items():
            archive.write(kept, f"pictures/{digest}")
        head = Head(
            corpus=corpus,
            stamp=stamp,
            documents=len(documents),
            items=items,
            pictures=len(pictures),
        )
        archive.writestr(_HEAD, head.model_dump_json(indent=2))
    return Written(head, tuple(lacking))


@contextmanager
def _whole(path: Path) -> Iterator[zipfile.ZipFile]:
    part = path.with_name(f"{path.name}.part")
    try:
        # a time before 1980, which a zip cannot hold, is no reason to refuse a picture
        with zipfile.ZipFile(part, "w", strict_timestamps=False) as archive:
            yield archive
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


class CorpusFile:
    """A file from outside. A context manager.

    Everything raises `BadInput` naming the file where it is no such file, a damaged one, or one
    that claims more than it may. Nothing is unpacked, and no member's name is used as a path.
    """

    def __init__(self, path: Path) -> None:
        require_pyarrow()
        if not path.is_file():
            raise BadInput(f"{path}: no such file; check the path")
        self.path = path
        with self._errors():
            if directory_size(path) > _MAX_DIRECTORY:
                raise ValueError(f"it claims more than {_MAX_PICTURES:,} pictures")
            self._zip = zipfile.ZipFile(path)
        try:
            with self._errors():
                self._check_members()
                self.head = self._head()
                self._items = self._table()
                _same("pictures", self.head.pictures, len(self._members) - 3)
                _same("items", self.head.items, self._items.rows)
        except BaseException:
            self.close()
            raise

    def documents(self) -> list[Document]:
        """The journal of the corpus."""
        with self._errors(), self._zip.open(_DOCUMENTS) as lines:
            found = [_DOCUMENT.validate_json(line) for line in lines]
            _same("documents", self.head.documents, len(found))
            if len({d.source for d in found}) < len(found):
                raise ValueError("a document is there twice")
            return found

    def points(self) -> Iterator[Point]:
        """Every item with its vectors, checked, a batch in memory at a time."""
        points = self._items.points(self.head.corpus.name, self.head.stamp)
        while True:
            with self._errors():
                point = next(points, None)
            if point is None:
                return
            yield point

    def pictures(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """The digest of each picture, and what reads it and checks that it is the one."""
        for member in self._members:
            if found := _PICTURE.fullmatch(member.filename):
                yield found[1], partial(self._picture, member, found[1])

    def close(self) -> None:
        self._zip.close()

    def __enter__(self) -> CorpusFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise self._broken(f"{where}: {first['msg']}") from None
        except (*ARCHIVE_ERRORS, IndexError, OverflowError) as error:
            raise self._broken(str(error)) from None

    def _broken(self, reason: str) -> BadInput:
        return BadInput(
            f"{self.path}: not an exported corpus, or a damaged one ({reason}); export it or copy "
            "it again"
        )

    def _check_members(self) -> None:
        self._members = self._zip.infolist()
        names = {member.filename for member in self._members}
        if len(names) < len(self._members):
            raise ValueError("a member is there twice")
        for member in self._members:
            name = member.filename
            if name not in (_HEAD, _DOCUMENTS, _ITEMS) and not _PICTURE.fullmatch(name):
                raise ValueError(f"member {name!r} is no part of one")
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"member {name!r} is packed")
            if name != _ITEMS and member.file_size > _MAX_MEMBER:
                raise ValueError(f"member {name!r} claims {member.file_size:,} bytes")
        if missing := {_HEAD, _DOCUMENTS, _ITEMS} - names:
            raise ValueError(f"{min(missing)} is missing")
        # members that overlap would claim more than there is
        if sum(member.file_size for member in self._members) > self.path.stat().st_size:
            raise ValueError("its members claim more bytes than it has")

    def _head(self) -> Head:
        head = Head.model_validate_json(self._zip.read(_HEAD))
        if head.version != _VERSION:
            raise BadInput(
                f"{self.path}: its format has version {head.version}, expected {_VERSION}; update "
                "unirag here or where it was exported, and export it again"
            )
        return head

    def _table(self) -> ItemTable:
        member = self._zip.getinfo(_ITEMS)
        with self._zip.open(member) as handle:
            while handle.read(1024**2):  # to its end, where its checksum is compared
                pass
        with self.path.open("rb") as handle:
            handle.seek(member.header_offset + 26)  # the lengths of the name and the extra field
            lengths = handle.read(4)
        name, extra = (int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
        return ItemTable(self.path, member.header_offset + 30 + name + extra, member.file_size)

    def _picture(self, member: zipfile.ZipInfo, digest: str) -> bytes:
        with self._errors():
            data = self._zip.read(member)
            if digest_of(data) != digest:
                raise ValueError(f"picture {digest} is another one")
            return data


def _same(what: str, said: int, found: int) -> None:
    if said != found:
        raise ValueError(f"it says {said:,} {what} and holds {found:,}")
