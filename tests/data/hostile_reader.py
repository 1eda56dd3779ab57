"""The worker of `data/reading.py`, with readers that do what a hostile file may make a library do.

A file's name says when and what: `read-hang.txt` hangs while it is read, `find-crash.txt` crashes
the process before there is a document.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from data import reading
from data.documents import Document
from data.readers.plain import PlainReader
from data.readers.structure import Part


def _do(what: str) -> None:
    if what.endswith("hang"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        while True:
            time.sleep(60)
    if what.endswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if what.endswith("eat"):
        eaten = [bytes(50_000_000) for _ in range(100)]
        raise AssertionError(len(eaten))
    if what.endswith("drip"):
        time.sleep(0.4)
    if what.endswith("fault"):
        raise KeyError(what)
    if what.endswith("print"):
        os.write(1, b"words of a library\n")


def _read(document: Document) -> Iterator[Part]:
    for part in document.read():
        yield part
        _do(Path(document.source).stem)


def _documents(self: PlainReader, path: Path, root: Path) -> Iterable[Document]:
    if path.stem.startswith("find-"):
        _do(path.stem)
    for document in _honest(self, path, root):
        yield replace(document, read=partial(_read, document))


_honest = PlainReader.documents
PlainReader.documents = _documents  # type: ignore[method-assign]
reading.main()
