"""Reads documents in a process of its own, which `data/reader_process.py` starts, asks and ends.

What a stranger's file makes of a PDF or picture library may hang, crash or eat memory; none of that
can be stopped from another thread, but a process can be killed. The worker is a command of its own
for the reasons that `data/decoder.py` gives. A request is a line of JSON that names a unit; answers
are lines of JSON, a picture followed by its pixels, and nothing is unpickled:

    {"count": documents}                        of a folder or archive
    {"rejected": source, "reason": ...}
    {"document": {...}, "number": n}            waits for a line: 1 to read it, 0 to pass it over
    {"digest": sha256}                          waits for a line: 1 to decode a picture known before
    {"item": {...}, "size": [w, h] or null, "bytes": n}
    {"problem": message, "anchor": ...}
    {"page": n or null}                         a sign of life: a page was read, or a second went by
    {"end": reason or null}                     of the document
    {"home": [errno, message, path]}            what was read cannot be kept; the worker ends
    {"over": true}                              of the unit
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from data.chunking import Draft, chunk
from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.pictures import Assets, digest_of, open_picture
from data.readers.files import sha256_of
from data.readers.page import PicturedDocument
from data.readers.scan import Rejected, Unit, documents

__all__ = ["SIDE", "main"]

# Longest side of a picture on its way to be encoded: more than any tower or OCR looks at.
SIDE = 1600
_SIGN = 1.0  # seconds


class _Gone(BaseException):
    """The parent is no longer there; not to be mistaken for a fault of the file."""


class _Line:
    """The line to the parent."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests, self._answers = requests, answers

    def receive(self) -> Any:
        line = self._requests.readline()
        if not line.endswith(b"\n"):
            raise _Gone
        return json.loads(line)

    def send(self, message: dict[str, Any], pixels: bytes = b"") -> None:
        try:
            self._answers.write(json.dumps(message).encode() + b"\n")
            self._answers.write(pixels)
            self._answers.flush()
        except OSError:
            raise _Gone from None

    def ask(self, message: dict[str, Any]) -> bool:
        self.send(message)
        return bool(self.receive())


def main() -> None:
    """The worker's life, until its stdin ends. Arguments: the parent's pid, megabytes, assets."""
    parent, megabytes, assets = int(sys.argv[1]), int(sys.argv[2]), Assets(Path(sys.argv[3]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which ends us
    _die_with(parent)
    # Encoding takes all cores in step: one of them taken away in the middle stops the others too.
    if hasattr(os, "nice"):  # not on Windows
        os.nice(15)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    line = _Line(sys.stdin.buffer, answers)
    _bound_memory(megabytes * 1_000_000)
    try:
        line.send({"ready": True})
        while True:
            _unit(line, line.receive(), assets, megabytes)
            line.send({"over": True})
    except _Gone:
        return


def _unit(line: _Line, asked: dict[str, Any], assets: Assets, megabytes: int) -> None:
    unit = Unit(Path(asked["path"]), Path(asked["root"]), asked["source"], asked["many"])
    share, of = asked["share"]
    found: list[Document | Rejected] = []
    try:
        found += documents(unit)
    except Exception as error:  # noqa: BLE001 - what a crafted file makes of a library
        found.append(Rejected(unit.source, _fault("", error, megabytes)))
    line.send({"count": len(found)})
    for number, part in enumerate(found):
        if number % of != share or number < asked["after"]:
            continue
        if isinstance(part, Rejected):
            line.send({"rejected": part.source, "reason": part.reason, "number": number})
        else:
            with _closing(line, part.source, megabytes):
                _document(line, part, number, asked["corpus"], assets)


@contextmanager
def _closing(line: _Line, source: str, megabytes: int) -> Iterator[None]:
    """Whatever befalls a document is told in its last line."""
    try:
        yield
    except _PassedOver:
        return
    except BadInput as error:
        line.send({"end": str(error)})
    except Exception as error:  # noqa: BLE001 - as above
        line.send({"end": _fault(f"{source}: ", error, megabytes)})
    else:
        line.send({"end": None})


class _PassedOver(Exception):
    pass


def _fault(source: str, error: Exception, megabytes: int) -> str:
    if isinstance(error, MemoryError):
        return (
            f"{source}reading it takes more than the {megabytes:,} MB that a file may take; split "
            "it, or raise reading.file_megabytes and index with --retry-failed"
        )
    if isinstance(error, OSError):
        return f"{source}cannot be read ({error.strerror or error}); check the file"
    return f"{source}reading it failed ({error!r}); save it again, or as another format"


def _document(line: _Line, document: Document, number: int, corpus: str, assets: Assets) -> None:
    shown = document.pictures if isinstance(document, PicturedDocument) else ()
    head = {
        "source": document.source,
        "fingerprint": document.fingerprint,
        "title": document.title,
        "pictures": sorted(str(path) for path in shown),
    }
    if not line.ask({"document": head, "number": number}):
        raise _PassedOver
    for event in chunk(replace(document, read=partial(_watched, line, document)), corpus):
        if isinstance(event, Draft):
            _item(line, event, assets, whole=event.picture == document.path)
        else:
            line.send(_problem(event))


def _watched(line: _Line, document: Document) -> Iterator[Block | Figure | Problem]:
    """What the document gives, with signs of life: its text may become items at its end only."""
    page, told = None, time.monotonic()
    for part in document.read():
        now = time.monotonic()
        reached = None if isinstance(part, Problem) else part.page
        if (reached is not None and reached != page) or now - told > _SIGN:
            line.send({"page": reached if reached != page else None})
            page, told = reached, now
        yield part


def _problem(problem: Problem) -> dict[str, str]:
    return {"problem": problem.message, "anchor": problem.anchor}


def _item(line: _Line, draft: Draft, assets: Assets, whole: bool) -> None:
    """A broken picture is reported and its text kept, unless it is the `whole` document."""
    item, picture = draft.item, None
    if (source := draft.picture) is not None:
        name = str(source) if isinstance(source, Path) else f"{item.source}, {item.title}"
        try:
            digest, picture = _picture(line, source, item.source if whole else name, assets)
            item = replace(item, image=digest)
        except BadInput as error:
            if whole:
                raise
            line.send(_problem(Problem(item.locator.rpartition("#")[2], str(error))))
    if not item.image and not item.text.strip():
        return  # neither picture nor words: nothing that could be found
    pixels = picture.tobytes() if picture else b""
    size = picture.size if picture else None
    line.send({"item": item.to_json(), "size": size, "bytes": len(pixels)}, pixels)


def _picture(
    line: _Line, source: Path | bytes, name: str, assets: Assets
) -> tuple[str, Image.Image | None]:
    """Its digest, and the picture unless it was decoded, kept and encoded before."""
    try:
        digest = sha256_of(source) if isinstance(source, Path) else digest_of(source)
        kept = assets.path(digest) is not None and assets.thumbnail(digest).exists()
        if kept and not line.ask({"digest": digest}):
            return digest, None
        picture = open_picture(source, name)
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise BadInput(f"{name}: cannot be read ({error.strerror}); check the file") from None
    picture.thumbnail((SIDE, SIDE))
    return _kept(line, data, picture, assets), picture


def _kept(line: _Line, data: bytes, picture: Image.Image, assets: Assets) -> str:
    """A disk that is full is no fault of the document: the run ends, and nothing is given up."""
    try:
        return assets.put(data, picture)
    except OSError as error:
        where = str(error.filename or assets.root)
        line.send({"home": [error.errno, error.strerror or str(error), where]})
        raise _Gone from None


def _die_with(parent: int) -> None:
    """The system kills us when the thread that started us ends, even where we hang in C code."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it was gone before
        sys.exit(0)


def _bound_memory(most: int) -> None:
    """`most` bytes of address space beside what the interpreter and its libraries take now."""
    if sys.platform != "linux":
        return
    import resource

    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > now + most:
        resource.setrlimit(resource.RLIMIT_AS, (now + most, hard))


if __name__ == "__main__":
    main()
