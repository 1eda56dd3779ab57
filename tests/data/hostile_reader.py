"""The worker of `data/reading_worker.py`, with a reader that misbehaves as hostile files cause it.

The name of a file says when and how: `read-hang.txt` hangs while it is read, `find-crash.txt`
crashes the process before there is a document.
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

from data import reading_worker
from data.documents import Document, Problem
from data.readers.plain import PlainReader
from data.readers.structure import Content


def _misbehave(stem: str) -> None:
    if stem.endswith("hang"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        while True:
            time.sleep(60)
    if stem.endswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if stem.endswith("eat"):
        eaten = [bytes(50_000_000) for _ in range(100)]
        raise AssertionError(len(eaten))
    if stem.endswith("drip"):
        time.sleep(0.4)
    if stem.endswith("fault"):
        raise KeyError(stem)
    if stem.endswith("print"):
        os.write(1, b"words of a library\n")


def _read(document: Document) -> Iterator[Content]:
    for part in document.read():
        yield part
        _misbehave(Path(document.source).stem)
    if document.source == "problem.txt":
        yield Problem("p7", "a chart without its data", "chart", 7)


def _documents(self: PlainReader, path: Path, root: Path) -> Iterable[Document]:
    if path.stem.startswith("find-"):
        _misbehave(path.stem)
    for document in _original_documents(self, path, root):
        yield replace(document, read=partial(_read, document))


_original_documents = PlainReader.documents
PlainReader.documents = _documents  # type: ignore[method-assign]
reading_worker.main()
