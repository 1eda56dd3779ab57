"""Decode pictures in a worker process that is killed if a picture takes too long.

A picture within the pixel limit can still take minutes: a progressive JPEG of 70 kB may hold
hundreds of scans over all of its pixels. A request is the picture's name and the bytes of its
file; the answer is the size and the pixels, or an error message.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from PIL import Image

from data.errors import BadInput
from data.pictures import open_picture
from data.worker_process import (
    ParentConnection,
    ParentGone,
    WorkerGone,
    WorkerProcess,
    WorkerTimeout,
    limit_memory,
)

__all__ = ["Decoder"]

_COMMAND = (sys.executable, "-m", "data.picture_decoder")
_SECONDS = 20.0  # the slowest normal picture of MAX_PIXELS took 7 s on a busy machine
_MEMORY_BYTES = 2_000_000_000  # a transparent picture of MAX_PIXELS takes 1.5 GB


class Decoder:
    """Decode untrusted pictures, one at a time, within `seconds` each.

    Safe to call from several threads. The worker starts with the first picture and stays until
    `close`. A worker that was killed is replaced for the next picture.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None

    def decode(self, source: bytes | Path, name: str = "") -> Image.Image:
        """Decode a picture file, given as its bytes or its path, as `open_picture` does.

        `name` stands for the picture in error messages. Raises `BadInput` as `open_picture`
        does, and also if decoding takes too long or ends the worker.
        """
        name = name or (str(source) if isinstance(source, Path) else "picture")
        try:
            data = source.read_bytes() if isinstance(source, Path) else source
        except OSError as error:
            raise BadInput(f"{name}: cannot be read ({error.strerror}); check the path") from None
        with self._lock:
            answer, pixels = self._request(name, data)
        if "error" in answer:
            raise BadInput(answer["error"])
        return Image.frombytes("RGB", tuple(answer["size"]), pixels)

    def close(self) -> None:
        """End the worker. The next picture starts another one."""
        with self._lock:
            self._close_worker()

    def _request(self, name: str, data: bytes) -> tuple[dict[str, Any], bytes]:
        worker = self._running_worker()
        try:
            worker.send(name, data)
            return worker.receive()
        except WorkerGone as gone:
            self._close_worker()
            if isinstance(gone, WorkerTimeout):
                reason = f"the picture took longer than {self._seconds:g} s to decode"
            else:
                reason = "decoding the picture ended suddenly, perhaps for lack of memory"
            raise BadInput(f"{name}: {reason}; save it again as PNG or JPEG") from None

    def _running_worker(self) -> WorkerProcess:
        if self._worker is None or not self._worker.is_alive():
            self._close_worker()
            self._worker = WorkerProcess(
                _COMMAND, task="decode pictures", message_seconds=self._seconds
            )
            self._worker.wait_until_ready()
        return self._worker

    def _close_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _main() -> None:
    """Answer requests until the parent is gone."""
    parent = ParentConnection()
    limit_memory(_MEMORY_BYTES)
    try:
        parent.ready()
        while True:
            parent.send(*_answer(*parent.receive()))
    except ParentGone:
        return


def _answer(name: str, data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        picture = open_picture(data, name)
        return {"size": picture.size}, picture.tobytes()
    except BadInput as error:
        return {"error": str(error)}, b""
    except Exception as error:  # noqa: BLE001 - a crafted file can make Pillow raise anything
        return {"error": f"{name}: the picture is broken ({error!r}); save it again"}, b""


if __name__ == "__main__":
    _main()
