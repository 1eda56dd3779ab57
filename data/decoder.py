"""Decoding in a process of its own, which is killed when a picture takes too long.

A picture within the pixel limit can still burn minutes: a progressive JPEG of 70 kB may hold
hundreds of scans over all of its pixels. The C code that reads it cannot be stopped from another
thread; a process can.

The worker is a command of its own. A fork would copy locks that other threads hold, and
multiprocessing's spawn would run the caller's main script again. It imports Pillow and
`data.pictures`; a request is a line of JSON and the file's bytes, an answer a line of JSON and the
pixels, so that nothing that comes from it is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from PIL import Image

from data.errors import BadInput
from data.pictures import open_picture

__all__ = ["Decoder"]

# The slowest honest picture of MAX_PIXELS took 7 s on a busy machine.
_SECONDS = 20.0
_MEMORY = 2_000_000_000  # bytes; transparency of MAX_PIXELS pixels takes 1.5 GB
_ROOT = Path(__file__).resolve().parent.parent


class Decoder:
    """Pictures from strangers, one at a time, each in at most `seconds` of decoding.

    Safe to call from several threads. The worker starts with the first picture and stays until
    `close`; one that was killed, by us or by the system, is started anew for the next picture.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._turn = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None

    def decode(self, source: Path | bytes, name: str = "") -> Image.Image:
        """What `open_picture` gives and raises; `BadInput` too where it takes too long."""
        name = name or (str(source) if isinstance(source, Path) else "picture")
        try:
            data = source.read_bytes() if isinstance(source, Path) else source
        except OSError as error:
            raise BadInput(f"{name}: cannot be read ({error.strerror}); check the path") from None
        with self._turn:
            answer, pixels = self._ask(name, data)
        if "error" in answer:
            raise BadInput(answer["error"])
        return Image.frombytes("RGB", tuple(answer["size"]), pixels)

    def close(self) -> None:
        with self._turn:
            self._end()

    def _ask(self, name: str, data: bytes) -> tuple[dict[str, Any], bytes]:
        worker = self._running()
        late = threading.Event()

        def stop() -> None:
            late.set()
            worker.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.start()
        answered = None
        try:
            answered = _exchange(worker, name, data)
            return answered
        except (OSError, EOFError):  # it has gone
            if late.is_set():
                what = f"the picture took longer than {self._seconds:g} s to decode"
            else:
                what = "decoding the picture came to a sudden end, perhaps for want of memory"
            raise BadInput(f"{name}: {what}; save it again as PNG or JPEG") from None
        finally:
            timer.cancel()
            timer.join()
            if answered is None or late.is_set():
                self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._worker is None or self._worker.poll() is not None:
            self._end()
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "data.decoder"],
                cwd=_ROOT,  # where `data` is this package, whatever folder the user is in
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._worker

    def _end(self) -> None:
        if self._worker is None:
            return
        self._worker.kill()
        for pipe in (self._worker.stdin, self._worker.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # bytes were left that it no longer takes
                pipe.close()
        self._worker.wait()
        self._worker = None


def _exchange(
    worker: subprocess.Popen[bytes], name: str, data: bytes
) -> tuple[dict[str, Any], bytes]:
    """Raises `OSError` or `EOFError` where the worker has gone."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps({"name": name, "bytes": len(data)}).encode() + b"\n")
    worker.stdin.write(data)
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer = json.loads(line)
    pixels = worker.stdout.read(answer["bytes"])
    if len(pixels) < answer["bytes"]:
        raise EOFError
    return answer, pixels


def _work() -> None:
    """The worker's life: requests from stdin, answers to stdout, until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which ends us
    _bound_memory()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        asked = json.loads(line)
        data = requests.read(asked["bytes"])
        pixels = b""
        try:
            picture = open_picture(data, asked["name"])
            pixels = picture.tobytes()
            answer: dict[str, Any] = {"size": picture.size}
        except BadInput as error:
            answer = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - what a crafted file makes of Pillow
            said = f"{asked['name']}: the picture is broken ({error!r}); save it again"
            answer = {"error": said}
        answers.write(json.dumps({**answer, "bytes": len(pixels)}).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


def _bound_memory() -> None:
    if sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        if most == resource.RLIM_INFINITY or most > _MEMORY:
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, most))


if __name__ == "__main__":
    _work()
