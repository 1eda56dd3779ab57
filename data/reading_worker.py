"""Read documents in a worker process: the program that `data/reading_lane.py` starts.

A request names a unit. The answers are JSON messages; pixels follow the item that shows them:

    {"count": documents}                        the unit holds this many documents
    {"rejected": source, "reason": ..., "number": n}
    {"document": {...}, "number": n}            asks whether to read the document
    {"digest": sha256}                          asks whether to decode a picture that is stored
    {"item": {...}, "size": [w, h] or null}
    {"problem": {...}}
    {"page": n or null}                         a sign of life: page n, or null once a second
    {"end": reason or null}                     the document ends; why it could not be read
    {"storage_error": [errno, message, path]}   a picture cannot be stored; the worker ends
    {"done": true}                              the unit ends
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from data.chunking import ItemDraft, chunk
from data.documents import Block, Document, Figure, Problem, Reader
from data.errors import BadInput
from data.pictures import Assets, count_frames, digest_of, open_picture
from data.readers.files import sha256_of
from data.readers.page import IllustratedDocument
from data.readers.pdf import PdfReader
from data.readers.scan import READERS, Rejected, Unit, find_documents
from data.records import Item
from data.worker_process import ParentConnection, ParentGone, die_with_parent, limit_memory

__all__ = ["MAX_SIDE", "main"]

MAX_SIDE = 1600  # pixels: no encoder and no OCR uses larger pictures
_SIGN_OF_LIFE_SECONDS = 1.0
_NICENESS = 15


def main() -> None:
    """Answer requests until the parent is gone.

    Arguments: the parent's pid, megabytes, assets, and whether scanned pages are read ("scans").
    """
    parent_pid, megabytes, assets = int(sys.argv[1]), int(sys.argv[2]), Assets(Path(sys.argv[3]))
    parent = ParentConnection()
    die_with_parent(parent_pid)
    # The encoder uses all cores in step, so a reader that takes one core slows down all of them.
    if hasattr(os, "nice"):  # not on Windows
        os.nice(_NICENESS)
    limit_memory(megabytes * 1_000_000)
    reader = _UnitReader(parent, assets, megabytes, _readers(reads_scans=sys.argv[4] == "scans"))
    try:
        parent.ready()
        while True:
            request, _ = parent.receive()
            reader.read(request)
            parent.send({"done": True})
    except ParentGone:
        return


def _readers(reads_scans: bool) -> tuple[Reader, ...]:
    if reads_scans:
        return READERS
    return tuple(PdfReader(ocr=None) if isinstance(r, PdfReader) else r for r in READERS)


class _Skipped(Exception):
    """The parent does not want the document."""


class _UnitReader:
    """Read units one after the other and send their items to the parent."""

    def __init__(
        self, parent: ParentConnection, assets: Assets, megabytes: int, readers: Sequence[Reader]
    ) -> None:
        self._parent, self._assets, self._megabytes = parent, assets, megabytes
        self._readers = readers

    def read(self, request: dict[str, Any]) -> None:
        """Read this worker's share of the documents of a unit, starting at number `first`."""
        unit = Unit(
            Path(request["path"]), Path(request["root"]), request["source"], request["is_container"]
        )
        share, shares = request["share"]
        entries = self._documents(unit)
        self._parent.send({"count": len(entries)})
        for number, entry in enumerate(entries):
            if number % shares != share or number < request["first"]:
                continue
            if isinstance(entry, Rejected):
                rejected = {"rejected": entry.source, "reason": entry.reason}
                self._parent.send({**rejected, "number": number})
            else:
                with self._reported_end(entry.source):
                    self._read_document(entry, number, request["corpus"])

    def _documents(self, unit: Unit) -> list[Document | Rejected]:
        """Return the documents of a unit. An error ends the list with a `Rejected`."""
        entries: list[Document | Rejected] = []
        try:
            entries += find_documents(unit, readers=self._readers)
        except Exception as error:  # noqa: BLE001 - crafted files make libraries raise anything
            entries.append(Rejected(unit.source, _fault("", error, self._megabytes)))
        return entries

    @contextmanager
    def _reported_end(self, source: str) -> Iterator[None]:
        """Send the end of a document, with the reason if it could not be read."""
        try:
            yield
        except _Skipped:
            return
        except BadInput as error:
            self._parent.send({"end": str(error)})
        except Exception as error:  # noqa: BLE001 - crafted files make libraries raise anything
            self._parent.send({"end": _fault(f"{source}: ", error, self._megabytes)})
        else:
            self._parent.send({"end": None})

    def _read_document(self, document: Document, number: int, corpus: str) -> None:
        pictures = document.pictures if isinstance(document, IllustratedDocument) else ()
        head = {
            "source": document.source,
            "fingerprint": document.fingerprint,
            "title": document.title,
            "pictures": sorted(str(path) for path in pictures),
        }
        if not self._parent.confirm({"document": head, "number": number}):
            raise _Skipped
        watched = replace(document, read=partial(self._with_signs_of_life, document))
        for event in chunk(watched, corpus):
            if isinstance(event, ItemDraft):
                self._send_item(event, is_document=event.picture == document.path)
            else:
                self._send_problem(event)

    def _with_signs_of_life(self, document: Document) -> Iterator[Block | Figure | Problem]:
        """Read a document and report progress, because `chunk` may yield its first item late."""
        page, last_sign = None, time.monotonic()
        for event in document.read():
            now = time.monotonic()
            is_new_page = event.page is not None and event.page != page
            if is_new_page or now - last_sign > _SIGN_OF_LIFE_SECONDS:
                self._parent.send({"page": event.page if event.page != page else None})
                page, last_sign = event.page, now
            yield event

    def _send_problem(self, problem: Problem) -> None:
        self._parent.send({"problem": asdict(problem)})

    def _send_item(self, draft: ItemDraft, is_document: bool) -> None:
        """Send an item with its picture.

        If the picture is broken, report it and send the text alone. If the picture is the document
        itself, raise `BadInput`.
        """
        item, picture = draft.item, None
        if (source := draft.picture) is not None:
            name = str(source) if isinstance(source, Path) else f"{item.source}, {item.title}"
            try:
                name = item.source if is_document else name
                digest, picture = self._picture(source, name)
                item = replace(item, image=digest)
                self._report_other_frames(item, source, name)
            except BadInput as error:
                if is_document:
                    raise
                anchor = item.locator.rpartition("#")[2]
                self._send_problem(Problem(anchor, str(error), "picture", item.page))
        if not item.image and not item.text.strip():
            return  # without picture and words, no query can find it
        pixels = picture.tobytes() if picture else b""
        self._parent.send({"item": item.to_json(), "size": picture and picture.size}, pixels)

    def _report_other_frames(self, item: Item, source: Path | bytes, name: str) -> None:
        frames, are_pages = 1, False
        with suppress(BadInput):  # the frames behind the one that is read may be broken
            frames, are_pages = count_frames(source, name)
        if frames > 1:
            part = "first page" if are_pages else "first frame that shows something"
            message = f"{name}: of {frames} frames only the {part} is read; save the others apart"
            anchor = item.locator.rpartition("#")[2]
            self._send_problem(Problem(anchor, message, "picture", item.page))

    def _picture(self, source: Path | bytes, name: str) -> tuple[str, Image.Image | None]:
        """Store a picture. Return its digest, and the picture if the parent needs its pixels."""
        try:
            digest = sha256_of(source) if isinstance(source, Path) else digest_of(source)
            if self._assets.holds(digest) and not self._parent.confirm({"digest": digest}):
                return digest, None
            picture = open_picture(source, name)
            data = source.read_bytes() if isinstance(source, Path) else source
        except OSError as error:
            raise BadInput(f"{name}: cannot be read ({error.strerror}); check the file") from None
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        return self._store(data, picture), picture

    def _store(self, data: bytes, picture: Image.Image) -> str:
        """Store a picture. A full disk is not the document's fault, so it ends the whole run."""
        try:
            return self._assets.put(data, picture)
        except OSError as error:
            path = str(error.filename or self._assets.root)
            details = [error.errno, error.strerror or str(error), path]
            self._parent.send({"storage_error": details})
            raise ParentGone from None


def _fault(prefix: str, error: Exception, megabytes: int) -> str:
    if isinstance(error, MemoryError):
        return (
            f"{prefix}reading it takes more than the {megabytes:,} MB that a file may take; split "
            "it, or raise reading.file_megabytes and index with --retry-failed"
        )
    if isinstance(error, OSError):
        return f"{prefix}cannot be read ({error.strerror or error}); check the file"
    return f"{prefix}reading it failed ({error!r}); save it again, or as another format"


if __name__ == "__main__":
    main()
