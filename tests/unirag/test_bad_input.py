"""Bad questions and command lines: one clear line, the designed exit code, nothing stored is lost.

What is wrong around them is in test_bad_setup.py, documents that cannot be read in
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

Lay = Callable[[Any], object]
ASK = "search 'why does light bend'"


def put(name: str, make: bytes | Callable[[], bytes] = b"") -> Lay:
    """Lay a file in the working folder; `make` is not called before the test runs."""

    def lay(place: Any) -> None:
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        (place.root / name).write_bytes(make if isinstance(make, bytes) else make())

    return lay


def nothing(place: Any) -> None:
    """All is as it should be but for the command line."""


def png(width: int = 64, height: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 80).save(buffer, "PNG")
    return buffer.getvalue()


def sound(seconds: float) -> bytes:
    """Silence: 8 kHz, 8 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(b"\x80" * int(8_000 * seconds))
    return buffer.getvalue()


CASES = {
    # -- what is asked
    "query-empty": (nothing, "search ''", 2, r"the query is empty; expected words, a picture"),
    "query-blank": (nothing, "search ' \t '", 2, r"the query is empty; expected words, a picture"),
    "question-empty": (nothing, "ask ''", 2, r"the query is empty; expected words, a picture"),
    "limit-zero": (nothing, f"{ASK} --limit 0", 2, r"limit: got 0; expected 1 to 1000"),
    "limit-large": (nothing, f"{ASK} --limit 100000", 2, r"limit: got 100000; expected 1 to 1000"),
    "limit-word": (
        nothing,
        f"{ASK} --limit ten",
        2,
        r"--limit.*: Input should be a valid integer.*; `unirag search --help`",
    ),
    "kind": (
        nothing,
        f"{ASK} --kind nonsense",
        2,
        r"--kind: got 'nonsense'; expected one of figure, passage",
    ),
    "role": (
        nothing,
        f"{ASK} --role nonsense",
        2,
        r"--role: got 'nonsense'; expected one of text, term",
    ),
    # -- query pictures
    "image-missing": (nothing, "search -i none.png", 2, r"none\.png: no such file; check the path"),
    "image-is-folder": (nothing, "search -i home", 2, r"home: no such file; check the path"),
    "image-is-text": (
        put("q.png", b"words"),
        "search -i q.png",
        2,
        r"q\.png: not a picture.*expected one of png",
    ),
    "image-empty": (
        put("q.png"),
        "search -i q.png",
        2,
        r"q\.png: not a picture.*expected one of png",
    ),
    "image-svg": (
        put("q.svg", b"<svg/>"),
        "search -i q.svg",
        2,
        r"q\.svg: not a picture.*expected one of png",
    ),
    "image-heic": (
        put("q.heic", b"\0\0\0\x18ftypheic"),
        "search -i q.heic",
        2,
        r"q\.heic: not a picture.*expected one of",
    ),
    "image-truncated": (
        put("q.png", lambda: png()[:900]),
        "search -i q.png",
        2,
        r"q\.png: the picture is broken.*save it again",
    ),
    "image-huge": (
        lambda p: p.claim_png(p.root / "q.png", 20_000, 20_000),
        "search -i q.png",
        2,
        r"q\.png: .*400000000 pixels.*scale",
    ),
    "weight-zero": (
        put("q.png", png),
        "search -i q.png:0",
        2,
        r"--image: got weight '0'; expected above 0.*q\.png:0\.5",
    ),
    "weight-negative": (
        put("q.png", png),
        "search -i q.png:-1",
        2,
        r"--image: got weight '-1'; expected above 0",
    ),
    "weight-nan": (
        put("q.png", png),
        "search -i q.png:nan",
        2,
        r"--image: got weight 'nan'; expected above 0",
    ),
    "weight-large": (
        put("q.png", png),
        "search -i q.png:1e9",
        2,
        r"--image: got weight '1e9'; expected above 0 up to 1000",
    ),
    "weight-word": (
        put("q.png", png),
        "search -i q.png:much",
        2,
        r"--image: got weight 'much'; expected above 0",
    ),
    # -- spoken questions
    "audio-missing": (nothing, "search -a none.wav", 2, r"none\.wav: no such file; check the path"),
    "audio-is-text": (
        put("q.wav", b"words"),
        "search -a q.wav",
        2,
        r"q\.wav: not a recording.*expected wav, mp3",
    ),
    "audio-empty": (put("q.wav"), "search -a q.wav", 2, r"q\.wav: the file is empty; record"),
    "audio-no-samples": (
        put("q.wav", lambda: sound(0)),
        "search -a q.wav",
        2,
        r"q\.wav: the recording is empty; record",
    ),
    "audio-long": (
        put("q.wav", lambda: sound(121)),
        "search -a q.wav",
        2,
        r"q\.wav: .*longer than the 120 s allowed; ask a shorter",
    ),
    "audio-silent": (
        put("q.wav", lambda: sound(2)),
        "search -a q.wav",
        2,
        r"q\.wav: no speech found; expected a spoken question",
    ),
    "audio-weight": (
        put("q.wav", lambda: sound(1)),
        "search -a q.wav:0",
        2,
        r"--audio: got weight '0'; expected above 0",
    ),
    # -- the command line
    "option": (
        nothing,
        f"{ASK} --nonsense",
        2,
        r"No such option.*--nonsense.*`unirag search --help`",
    ),
    "command": (nothing, "nonsense", 2, r"No such command 'nonsense'.*`unirag --help`"),
    "command-below": (
        nothing,
        "corpora nonsense",
        2,
        r"No such command 'nonsense'.*`unirag corpora --help`",
    ),
    "argument-missing": (nothing, "index", 2, r"Missing argument 'paths'; `unirag index --help`"),
    # -- what is to be indexed
    "path-missing": (nothing, "index none", 2, r"none: no such file or folder; check the path"),
    "folder-empty": (
        lambda place: (place.root / "empty").mkdir(),
        "index empty",
        2,
        r"empty: .*nothing to index; expected",
    ),
    "corpus-of-two": (
        nothing,
        "index {cards} home --corpus x",
        2,
        r"--corpus names one folder, got 2 paths; index them one",
    ),
    "paths-of-one-name": (
        nothing,
        "index {cards} {cards}",
        2,
        r"two of the paths would be corpus 'cards'; index them",
    ),
    "corpus-name": (
        nothing,
        "index {cards} --corpus 'My Books'",
        2,
        r"corpus name 'My Books': expected lower-case.*'my-books'",
    ),
    "corpus-moved": (
        put("cards/a.md", b"# A\n\nWords."),
        "index cards",
        2,
        r"corpus 'cards' belongs to .*; pass --corpus OTHER",
    ),
    "path-not-utf8": (
        put(os.fsdecode(b"b\xe9/a.md"), b"# A\n\nWords."),
        os.fsdecode(b"index b\xe9"),
        2,
        r"b\\udce9: .*not UTF-8.*rename",
    ),
    "remove-unknown": (
        nothing,
        "corpora remove nonsense",
        2,
        r"corpus 'nonsense' is not here; known corpora: cards",
    ),
    "add-name": (
        nothing,
        "corpora add 'My Books' home",
        2,
        r"corpus name 'My Books': expected lower-case.*'my-books'",
    ),
    "add-missing": (
        nothing,
        "corpora add books none",
        2,
        r"none: no such file or folder; check the path",
    ),
}


@pytest.mark.parametrize(("lay", "command", "code", "says"), CASES.values(), ids=CASES.keys())
def test_bad_input_is_one_clear_line_and_costs_nothing(
    lay: Lay, command: str, code: int, says: str, refused: Any
) -> None:
    refused(lay, command, code, says)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("search '' --json", "BadInput"),
        ("search x --nonsense --json", "BadInput"),
        ("search x --profile nonsense --json", "BadSetting"),
        ("index none --json", "BadInput"),
    ],
)
def test_errors_are_json_too_where_it_is_asked_for(
    command: str, kind: str, place: Any, unirag: Any
) -> None:
    said = unirag(command)
    assert said.code == 2
    assert said.json["error"]["kind"] == kind
    assert said.err == f"error: {said.json['error']['message']}\n"
