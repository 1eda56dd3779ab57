"""Test the decoding of untrusted pictures in a process that can be killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from data.errors import BadInput
from data.picture_decoder import Decoder
from data.pictures import open_picture


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


def png(colour: str = "red", size: tuple[int, int] = (60, 40), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def slow_jpeg() -> bytes:
    """Return a valid 200 kB JPEG that repeats its last scan (16 megapixels) 5,000 times."""
    buffer = io.BytesIO()
    Image.new("L", (4000, 4000), 200).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 5000 + data[-2:]


def workers() -> list[int]:
    """Return the pids of our child processes that decode."""
    pids = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = f"PPid:\t{os.getpid()}\n" in status.read_text()
            if parent and b"data.picture_decoder" in (status.parent / "cmdline").read_bytes():
                pids.append(int(status.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return pids


def test_the_pixels_equal_those_of_open_picture(decoder: Decoder, tmp_path: Path) -> None:
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.effect_noise((61, 43), 60).save(turned, "JPEG", exif=exif)
    for data in (turned.getvalue(), png("#ff000080", mode="RGBA"), png("#11aa77")):
        ours, theirs = decoder.decode(data), open_picture(data)
        assert (ours.mode, ours.size) == ("RGB", theirs.size)
        assert ours.tobytes() == theirs.tobytes()
    path = tmp_path / "größe.png"
    path.write_bytes(png("blue"))
    assert decoder.decode(path).getpixel((3, 3)) == (0, 0, 255)


def test_a_slow_picture_is_given_up_and_the_next_one_is_decoded() -> None:
    decoder = Decoder(seconds=3)
    slow = slow_jpeg()
    assert len(slow) < 300_000
    start = time.perf_counter()
    message = (
        r"^slow\.jpg: the picture took longer than 3 s to decode; save it again as PNG or JPEG$"
    )
    with pytest.raises(BadInput, match=message):
        decoder.decode(slow, "slow.jpg")
    assert time.perf_counter() - start < 60
    assert decoder.decode(png()).size == (60, 40)
    decoder.close()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.png: not a picture that can be read; expected one of png"),
        (b"<svg/>", "a.png: not a picture that can be read"),
        (png(size=(900, 700))[:-300], "a.png: the picture is broken"),
        (png("black", (9000, 8000), "1"), "a.png: the picture has 9000 x 8000 pixels, more than"),
        (png("black", (30_000, 20_000), "1"), "a.png: Image size .* scale the picture down"),
    ],
    ids=["nothing", "not-a-picture", "half", "large", "bomb"],
)
def test_bad_pictures_are_named_and_the_worker_stays(
    decoder: Decoder, data: bytes, message: str
) -> None:
    decoder.decode(png())
    before = workers()
    with pytest.raises(BadInput, match=message):
        decoder.decode(data, "a.png")
    assert decoder.decode(png()).size == (60, 40)
    assert workers() == before != []


def test_a_missing_file_is_named(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.png: cannot be read .*; check the path"):
        decoder.decode(tmp_path / "absent.png")
    assert workers() == []  # no picture, so no process


def test_a_worker_that_was_killed_is_started_again(decoder: Decoder) -> None:
    decoder.decode(png())
    (pid,) = workers()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert decoder.decode(png("blue")).getpixel((0, 0)) == (0, 0, 255)
    assert workers() not in ([pid], [])


def test_a_worker_killed_at_work_is_an_error_that_names_the_picture(decoder: Decoder) -> None:
    decoder.decode(png())
    (pid,) = workers()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(decoder.decode, slow_jpeg(), "b.jpg")
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(BadInput, match=r"^b\.jpg: decoding the picture ended suddenly"):
            waiting.result(10)
    assert decoder.decode(png()).size == (60, 40)


def test_threads_get_their_own_pictures_from_one_worker(decoder: Decoder) -> None:
    def decode(i: int) -> bool:
        if i % 5 == 0:
            with pytest.raises(BadInput, match=f"^picture-{i}: not a picture"):
                decoder.decode(b"nothing", f"picture-{i}")
            return True
        size = (100 + i, 50 + 7 * i)
        picture = decoder.decode(png(f"#{i:02x}{i:02x}00", size))
        return picture.size == size and picture.getpixel((9, 9)) == (i, i, 0)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(decode, range(60)))
    assert len(workers()) == 1
    decoder.close()
    assert workers() == []


def test_the_worker_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    code = (
        "import os, signal; from pathlib import Path; from data.picture_decoder import Decoder\n"
        "decoder = Decoder(); decoder.decode(Path('a.png'))\n"
        "print(decoder._worker.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL
    worker = Path(f"/proc/{int(ended.stdout)}/stat")
    for _ in range(600):
        if not worker.exists() or ") Z " in worker.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("the worker is still running")
