"""Bad questions and command lines get one line of error and an exit code; no stored item is lost.

Bad settings, workspaces and servers are in test_bad_setup.py, unreadable documents in
test_bad_documents.py.
"""

from __future__ import annotations

import io
import os
import wave
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.models

SetUp = Callable[[Any], object]
ASK = "search 'why does light bend'"


def working_file(name: str, content: bytes | Callable[[], bytes] = b"") -> SetUp:
    """Write a file in the working folder; a callable `content` is called when the test runs."""

    def set_up(workspace: Any) -> None:
        (workspace.root / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.root / name).write_bytes(content if isinstance(content, bytes) else content())

    return set_up


def unchanged(workspace: Any) -> None:
    """Leave everything in order: only the command line is wrong."""


def png(width: int = 64, height: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 80).save(buffer, "PNG")
    return buffer.getvalue()


def sound(seconds: float) -> bytes:
    """Return a WAV file of silence, at 8 kHz and 8 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(b"\x80" * int(8_000 * seconds))
    return buffer.getvalue()


CASES = {
    # -- questions
    "query-empty": (unchanged, "search ''", 2, r"the query is empty; expected words, a picture"),
    "query-blank": (
        unchanged,
        "search ' \t '",
        2,
        r"the query is empty; expected words, a picture",
    ),
    "question-empty": (unchanged, "ask ''", 2, r"the query is empty; expected words, a picture"),
    "limit-zero": (unchanged, f"{ASK} --limit 0", 2, r"limit: got 0; expected 1 to 1000"),
    "limit-large": (
        unchanged,
        f"{ASK} --limit 100000",
        2,
        r"limit: got 100000; expected 1 to 1000",
    ),
    "limit-word": (
        unchanged,
        f"{ASK} --limit ten",
        2,
        r"--limit.*: Input should be a valid integer.*; `unirag search --help`",
    ),
    "kind": (
        unchanged,
        f"{ASK} --kind nonsense",
        2,
        r"--kind: got 'nonsense'; expected one of figure, passage",
    ),
    "role": (
        unchanged,
        f"{ASK} --role nonsense",
        2,
        r"--role: got 'nonsense'; expected one of text, term",
    ),
    # -- query pictures
    "image-missing": (
        unchanged,
        "search -i none.png",
        2,
        r"none\.png: no such file; check the path",
    ),
    "image-is-folder": (
        unchanged,
        "search -i home",
        2,
        r"home: the file cannot be read \(Is a directory\)",
    ),
    "image-is-text": (
        working_file("q.png", b"words"),
        "search -i q.png",
        2,
        r"q\.png: not a picture.*expected one of png",
    ),
    "image-empty": (
        working_file("q.png"),
        "search -i q.png",
        2,
        r"q\.png: not a picture.*expected one of png",
    ),
    "image-svg": (
        working_file("q.svg", b"<svg/>"),
        "search -i q.svg",
        2,
        r"q\.svg: not a picture.*expected one of png",
    ),
    "image-heic": (
        working_file("q.heic", b"\0\0\0\x18ftypheic"),
        "search -i q.heic",
        2,
        r"q\.heic: not a picture.*expected one of",
    ),
    "image-truncated": (
        working_file("q.png", lambda: png()[:900]),
        "search -i q.png",
        2,
        r"q\.png: the picture is broken.*save it again",
    ),
    "image-huge": (
        lambda p: p.write_png_header(p.root / "q.png", 20_000, 20_000),
        "search -i q.png",
        2,
        r"q\.png: .*400000000 pixels.*scale",
    ),
    "weight-zero": (
        working_file("q.png", png),
        "search -i q.png:0",
        2,
        r"--image: got weight '0'; expected above 0.*q\.png:0\.5",
    ),
    "weight-negative": (
        working_file("q.png", png),
        "search -i q.png:-1",
        2,
        r"--image: got weight '-1'; expected above 0",
    ),
    "weight-nan": (
        working_file("q.png", png),
        "search -i q.png:nan",
        2,
        r"--image: got weight 'nan'; expected above 0",
    ),
    "weight-large": (
        working_file("q.png", png),
        "search -i q.png:1e9",
        2,
        r"--image: got weight '1e9'; expected above 0 up to 1000",
    ),
    "weight-word": (
        working_file("q.png", png),
        "search -i q.png:much",
        2,
        r"--image: got weight 'much'; expected above 0",
    ),
    # -- spoken questions
    "audio-missing": (
        unchanged,
        "search -a none.wav",
        2,
        r"none\.wav: no such file; check the path",
    ),
    "audio-is-text": (
        working_file("q.wav", b"words"),
        "search -a q.wav",
        2,
        r"q\.wav: not a recording.*expected wav, mp3",
    ),
    "audio-empty": (
        working_file("q.wav"),
        "search -a q.wav",
        2,
        r"q\.wav: the file is empty; record",
    ),
    "audio-no-samples": (
        working_file("q.wav", lambda: sound(0)),
        "search -a q.wav",
        2,
        r"q\.wav: the recording is empty; record",
    ),
    "audio-long": (
        working_file("q.wav", lambda: sound(121)),
        "search -a q.wav",
        2,
        r"q\.wav: .*longer than the 120 s allowed; ask a shorter",
    ),
    "audio-silent": (
        working_file("q.wav", lambda: sound(2)),
        "search -a q.wav",
        2,
        r"q\.wav: no speech found; expected a spoken question",
    ),
    "audio-weight": (
        working_file("q.wav", lambda: sound(1)),
        "search -a q.wav:0",
        2,
        r"--audio: got weight '0'; expected above 0",
    ),
    # -- the command line
    "option": (
        unchanged,
        f"{ASK} --nonsense",
        2,
        r"No such option.*--nonsense.*`unirag search --help`",
    ),
    "command": (unchanged, "nonsense", 2, r"No such command 'nonsense'.*`unirag --help`"),
    "command-below": (
        unchanged,
        "corpora nonsense",
        2,
        r"No such command 'nonsense'.*`unirag corpora --help`",
    ),
    "argument-missing": (unchanged, "index", 2, r"Missing argument 'paths'; `unirag index --help`"),
    # -- corpora and their folders
    "path-missing": (unchanged, "index none", 2, r"none: no such file or folder; check the path"),
    "folder-empty": (
        lambda workspace: (workspace.root / "empty").mkdir(),
        "index empty",
        2,
        r"empty: .*nothing to index; expected",
    ),
    "corpus-of-two": (
        unchanged,
        "index {cards} home --corpus x",
        2,
        r"--corpus names one folder, got 2 paths; index them one",
    ),
    "paths-of-one-name": (
        unchanged,
        "index {cards} {cards}",
        2,
        r"two of the paths would be corpus 'cards'; index them",
    ),
    "corpus-name": (
        unchanged,
        "index {cards} --corpus 'My Books'",
        2,
        r"corpus name 'My Books': expected lower-case.*'my-books'",
    ),
    "corpus-moved": (
        working_file("cards/a.md", b"# A\n\nWords."),
        "index cards",
        2,
        r"corpus 'cards' belongs to .*; pass --corpus OTHER",
    ),
    "path-not-utf8": (
        working_file(os.fsdecode(b"b\xe9/a.md"), b"# A\n\nWords."),
        os.fsdecode(b"index b\xe9"),
        2,
        r"b\\udce9: .*not UTF-8.*rename",
    ),
    "remove-unknown": (
        unchanged,
        "corpora remove nonsense",
        2,
        r"no corpus 'nonsense' in this workspace; its corpora: cards",
    ),
    "add-name": (
        unchanged,
        "corpora add 'My Books' home",
        2,
        r"corpus name 'My Books': expected lower-case.*'my-books'",
    ),
    "add-missing": (
        unchanged,
        "corpora add books none",
        2,
        r"none: no such file or folder; check the path",
    ),
}


@pytest.mark.parametrize(("set_up", "command", "code", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input_gets_one_line_of_error_and_no_stored_item_is_lost(
    set_up: SetUp, command: str, code: int, message: str, check_refusal: Any
) -> None:
    check_refusal(set_up, command, code, message)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("search '' --json", "BadInput"),
        ("search x --nonsense --json", "BadInput"),
        ("search x --profile nonsense --json", "BadSetting"),
        ("index none --json", "BadInput"),
    ],
)
def test_with_json_the_error_is_json_too(
    command: str, kind: str, workspace: Any, unirag: Any
) -> None:
    run = unirag(command)
    assert run.code == 2
    assert run.json["error"]["kind"] == kind
    assert run.err == f"error: {run.json['error']['message']}\n"
