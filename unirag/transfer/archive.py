"""The file of an exported corpus: `unirag corpora export` writes it, `corpora import` reads it.

A zip archive without compression, so that it cannot unpack to more than its own size:

    header.json      the corpus, the encoders of its vectors, and the number of each kind of content
    documents.jsonl  the catalog of the corpus, one document per line
    items.parquet    items with their vectors (unirag/transfer/parquet.py)
    pictures/DIGEST  the original bytes of each picture, named by their SHA-256
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
from unirag.workspace.catalog import CatalogDocument, Corpus

__all__ = ["ArchiveHeader", "CorpusArchive", "ExportResult", "write_archive"]

_HEADER, _DOCUMENTS, _ITEMS = "header.json", "documents.jsonl", "items.parquet"
_REQUIRED = frozenset({_HEADER, _DOCUMENTS, _ITEMS})
_PICTURE = re.compile(r"pictures/([0-9a-f]{64})")
_VERSION = 2
_MAX_PICTURES = 1_000_000
_MAX_DIRECTORY_BYTES = _MAX_PICTURES * 200  # size limit of the list of members
_MAX_MEMBER_BYTES = 256 * 1024**2  # size limit of a member that is read into memory
_DOCUMENT = TypeAdapter(CatalogDocument)


class ArchiveHeader(BaseModel):
    """The content of `header.json`. `documents`, `items` and `pictures` are counts."""

    model_config = ConfigDict(frozen=True)

    format: Literal["unirag corpus"] = "unirag corpus"
    version: int = _VERSION
    corpus: Corpus
    stamp: Stamp
    documents: NonNegativeInt
    items: NonNegativeInt
    pictures: NonNegativeInt


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The header of a written archive, and the items whose picture was not in the assets."""

    header: ArchiveHeader
    missing_pictures: tuple[Item, ...]


def write_archive(
    path: Path,
    corpus: Corpus,
    stamp: Stamp,
    documents: Sequence[CatalogDocument],
    points: Iterable[Point],
    assets: Assets,
) -> ExportResult:
    """Write a corpus to `path`. A write that fails leaves an existing file unchanged.

    Memory holds one row group of items, and the path of each picture.
    """
    require_pyarrow()
    pictures: dict[str, Path] = {}
    missing_pictures: list[Item] = []

    def points_with_pictures() -> Iterator[Point]:
        for point in points:
            digest = point.item.image
            if digest and digest not in pictures:
                if picture := assets.path(digest):
                    pictures[digest] = picture
                else:
                    missing_pictures.append(point.item)
            yield point

    with _replacing(path) as archive:
        with archive.open(_ITEMS, "w", force_zip64=True) as handle:
            items = write_items(handle, points_with_pictures())
        with archive.open(_DOCUMENTS, "w", force_zip64=True) as handle:
            for document in documents:
                handle.write(json.dumps(asdict(document)).encode() + b"\n")
        for digest, picture in pictures.items():
            archive.write(picture, f"pictures/{digest}")
        header = ArchiveHeader(
            corpus=corpus,
            stamp=stamp,
            documents=len(documents),
            items=items,
            pictures=len(pictures),
        )
        archive.writestr(_HEADER, header.model_dump_json(indent=2))
    return ExportResult(header, tuple(missing_pictures))


@contextmanager
def _replacing(path: Path) -> Iterator[zipfile.ZipFile]:
    """Write a temporary file that replaces `path` if the body succeeds."""
    part = path.with_name(f"{path.name}.part")
    try:
        # Zip has no dates before 1980. Such a date of a picture file must not stop the export.
        with zipfile.ZipFile(part, "w", strict_timestamps=False) as archive:
            yield archive
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


class CorpusArchive:
    """Reads the file of an exported corpus, which may come from anywhere. A context manager.

    Every method raises `BadInput` with the name of the file if it is another kind of file, damaged,
    or larger than the limits. Nothing is unpacked to disk, and no member name is used as a path.
    """

    def __init__(self, path: Path) -> None:
        require_pyarrow()
        if not path.is_file():
            raise BadInput(f"{path}: no such file; check the path")
        self.path = path
        with self._errors():
            if directory_size(path) > _MAX_DIRECTORY_BYTES:
                raise ValueError(f"it claims more than {_MAX_PICTURES:,} pictures")
            self._zip = zipfile.ZipFile(path)
        try:
            with self._errors():
                self._check_members()
                self.header = self._read_header()
                self._items = self._open_items()
                _check_count("pictures", self.header.pictures, len(self._members) - len(_REQUIRED))
                _check_count("items", self.header.items, self._items.rows)
        except BaseException:
            self.close()
            raise

    def documents(self) -> list[CatalogDocument]:
        """Return the catalog of the corpus."""
        with self._errors(), self._zip.open(_DOCUMENTS) as lines:
            documents = [_DOCUMENT.validate_json(line) for line in lines]
            _check_count("documents", self.header.documents, len(documents))
            if len({document.source for document in documents}) < len(documents):
                raise ValueError("a document is there twice")
            return documents

    def points(self) -> Iterator[Point]:
        """Yield every item with its vectors, checked. Memory holds one batch."""
        points = self._items.points(self.header.corpus.name, self.header.stamp)
        while True:
            with self._errors():
                point = next(points, None)
            if point is None:
                return
            yield point

    def pictures(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Yield the digest of each picture with a function that reads and checks its bytes."""
        for member in self._members:
            if match := _PICTURE.fullmatch(member.filename):
                yield match[1], partial(self._read_picture, member, match[1])

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> CorpusArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise self._damaged(f"{field}: {first['msg']}") from None
        except (*ARCHIVE_ERRORS, IndexError, OverflowError) as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, reason: str) -> BadInput:
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
            if name not in _REQUIRED and not _PICTURE.fullmatch(name):
                raise ValueError(f"member {name!r} does not belong in one")
            if member.header_offset < 0:
                raise ValueError(f"member {name!r} begins before the file")
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"member {name!r} is compressed")
            if name != _ITEMS and member.file_size > _MAX_MEMBER_BYTES:
                raise ValueError(f"member {name!r} claims {member.file_size:,} bytes")
        if missing := _REQUIRED - names:
            raise ValueError(f"{min(missing)} is missing")
        # overlapping members could claim more bytes than the file has
        if sum(member.file_size for member in self._members) > self.path.stat().st_size:
            raise ValueError("its members claim more bytes than it has")

    def _read_header(self) -> ArchiveHeader:
        header = ArchiveHeader.model_validate_json(self._zip.read(_HEADER))
        if header.version != _VERSION:
            raise BadInput(
                f"{self.path}: its format has version {header.version}, expected {_VERSION}; "
                "update unirag here or where it was exported, and export it again"
            )
        return header

    def _open_items(self) -> ItemTable:
        """Check the Parquet member and open it in place, without a copy."""
        member = self._zip.getinfo(_ITEMS)
        with self._zip.open(member) as handle:
            while handle.read(1024**2):  # at the end zipfile checks the checksum
                pass
        with self.path.open("rb") as handle:
            handle.seek(member.header_offset + 26)  # the lengths of the name and the extra field
            lengths = handle.read(4)
        name, extra = (int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
        return ItemTable(self.path, member.header_offset + 30 + name + extra, member.file_size)

    def _read_picture(self, member: zipfile.ZipInfo, digest: str) -> bytes:
        with self._errors():
            picture = self._zip.read(member)
            if digest_of(picture) != digest:
                raise ValueError(f"picture {digest} has other bytes than its name says")
            return picture


def _check_count(kind: str, claimed: int, actual: int) -> None:
    if claimed != actual:
        raise ValueError(f"it claims {claimed:,} {kind} and holds {actual:,}")
