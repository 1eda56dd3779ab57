"""Bad questions, options, settings, homes, models and servers: one clear line, the exit code that is
designed, and nothing stored is lost. Documents that cannot be read are in test_bad_documents.py.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import socket
import struct
import subprocess
import sys
import wave
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unirag.profiles import PROFILES

Lay = Callable[[Any], object]
ROOT = Path(__file__).resolve().parents[2]
ASK = "search 'why does light bend'"


def put(name: str, make: bytes | Callable[[], bytes] = b"") -> Lay:
    """Lay a file in the working folder; `make` is not called before the test runs."""

    def lay(place: Any) -> None:
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        (place.root / name).write_bytes(make if isinstance(make, bytes) else make())

    return lay


def setenv(name: str, value: str) -> Lay:
    return lambda place: place.setenv(name, value)


def settings(text: str | bytes) -> Lay:
    return put("unirag.yaml", text.encode() if isinstance(text, str) else text)


def nothing(place: Any) -> None:
    """All is as it should be but for the command line."""


def png(width: int = 64, height: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 80).save(buffer, "PNG")
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def sound(seconds: float) -> bytes:
    """Silence: 8 kHz, 8 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(b"\x80" * int(8_000 * seconds))
    return buffer.getvalue()


# -- homes: each gives back a way to undo it, after which everything has to be there again ---------


def changed(name: str, change: Callable[[bytes], bytes]) -> Lay:
    """Change a file of the home; undoing puts the file back."""

    def lay(place: Any) -> Callable[[], object]:
        path = place.home / name
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(change(before or b""))
        return lambda: path.write_bytes(before) if before is not None else path.unlink()

    return lay


def restamped(stamp: bytes) -> bytes:
    return json.dumps({**json.loads(stamp), "encoder": "siglip2", "profile": "base"}).encode()


def garbled_segments(place: Any) -> Callable[[], object]:
    before = {}
    for path in (place.home / "collection" / "shard" / "segments").rglob("*"):
        if path.is_file():
            before[path] = path.read_bytes()
            path.write_bytes(b"\xff" * min(64, len(before[path])))
    assert before
    return lambda: [path.write_bytes(data) for path, data in before.items()]


def assets_are_a_file(place: Any) -> Callable[[], object]:
    assets, aside = place.home / "assets", place.home / "aside"
    assets.rename(aside)
    assets.write_bytes(b"")
    (place.cards / "new.md").write_text("# New\n\n![A new picture](new.png)")
    (place.cards / "new.png").write_bytes(png())
    return lambda: (assets.unlink(), aside.rename(assets))


def held_elsewhere(place: Any) -> Callable[[], object]:
    script = (
        "import sys, pathlib, unirag.home as h\n"
        "h.Home(pathlib.Path(sys.argv[1])).open(); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(place.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"

    def let_go() -> None:
        process.communicate(timeout=60)

    return let_go


# -- models and servers ----------------------------------------------------------------------------


def damaged_model(task: str, change: Callable[[Path], object]) -> Lay:
    """Links to the real models, but for one file of weights."""

    def lay(place: Any) -> None:
        (model,) = (m for m in PROFILES["mini"].models if m.task == task)
        for source in Path(os.environ["UNIRAG_MODELS"]).rglob("*"):
            target = place.root / "models" / source.relative_to(os.environ["UNIRAG_MODELS"])
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
        weights = next((place.root / "models" / model.name).rglob("*.safetensors"))
        size = weights.stat().st_size
        weights.unlink()
        weights.touch()
        os.truncate(weights, size)  # zeros, and none of them on the disk
        change(weights)
        place.setenv("UNIRAG_MODELS", str(place.root / "models"))
        place.load_models("encoder" if task == "image" else "text")

    return lay


def no_models(place: Any) -> None:
    (place.root / "none").mkdir()
    place.setenv("UNIRAG_MODELS", str(place.root / "none"))
    place.load_models("encoder", "text")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nobody_at(variable: str, path: str = "") -> Lay:
    return lambda place: place.setenv(variable, f"http://127.0.0.1:{closed_port()}{path}")


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


CASES = [
    # -- what is asked
    pytest.param(nothing, "search ''", 2, r"the query is empty; expected words, a picture", id="query-empty"),
    pytest.param(nothing, "search ' \t '", 2, r"the query is empty; expected words, a picture", id="query-blank"),
    pytest.param(nothing, "ask ''", 2, r"the query is empty; expected words, a picture", id="question-empty"),
    pytest.param(nothing, f"{ASK} --limit 0", 2, r"limit: got 0; expected 1 to 1000", id="limit-zero"),
    pytest.param(nothing, f"{ASK} --limit 100000", 2, r"limit: got 100000; expected 1 to 1000", id="limit-large"),
    pytest.param(nothing, f"{ASK} --limit ten", 2, r"--limit.*'ten' is not a valid int.*`unirag search --help`", id="limit-word"),
    pytest.param(nothing, f"{ASK} --kind nonsense", 2, r"--kind: got 'nonsense'; expected one of figure, passage", id="kind"),
    pytest.param(nothing, f"{ASK} --role nonsense", 2, r"--role: got 'nonsense'; expected one of text, term", id="role"),
    # -- query pictures
    pytest.param(nothing, "search -i none.png", 2, r"none\.png: no such file; check the path", id="image-missing"),
    pytest.param(nothing, "search -i home", 2, r"home: no such file; check the path", id="image-is-folder"),
    pytest.param(put("q.png", b"words"), "search -i q.png", 2, r"q\.png: not a picture.*expected one of png", id="image-is-text"),
    pytest.param(put("q.png"), "search -i q.png", 2, r"q\.png: not a picture.*expected one of png", id="image-empty"),
    pytest.param(put("q.svg", b"<svg/>"), "search -i q.svg", 2, r"q\.svg: not a picture.*expected one of png", id="image-svg"),
    pytest.param(put("q.heic", b"\0\0\0\x18ftypheic"), "search -i q.heic", 2, r"q\.heic: not a picture.*expected one of", id="image-heic"),
    pytest.param(put("q.png", lambda: png()[:900]), "search -i q.png", 2, r"q\.png: the picture is broken.*save it again", id="image-truncated"),
    pytest.param(put("q.png", lambda: png_header(20_000, 20_000)), "search -i q.png", 2, r"q\.png: .*400000000 pixels.*scale", id="image-huge"),
    pytest.param(put("q.png", png), "search -i q.png:0", 2, r"--image: got weight '0'; expected above 0.*q\.png:0\.5", id="weight-zero"),
    pytest.param(put("q.png", png), "search -i q.png:-1", 2, r"--image: got weight '-1'; expected above 0", id="weight-negative"),
    pytest.param(put("q.png", png), "search -i q.png:nan", 2, r"--image: got weight 'nan'; expected above 0", id="weight-nan"),
    pytest.param(put("q.png", png), "search -i q.png:1e9", 2, r"--image: got weight '1e9'; expected above 0 up to 1000", id="weight-large"),
    pytest.param(put("q.png", png), "search -i q.png:much", 2, r"--image: got weight 'much'; expected above 0", id="weight-word"),
    # -- spoken questions
    pytest.param(nothing, "search -a none.wav", 2, r"none\.wav: no such file; check the path", id="audio-missing"),
    pytest.param(put("q.wav", b"words"), "search -a q.wav", 2, r"q\.wav: not a recording.*expected wav, mp3", id="audio-is-text"),
    pytest.param(put("q.wav"), "search -a q.wav", 2, r"q\.wav: the file is empty; record", id="audio-empty"),
    pytest.param(put("q.wav", lambda: sound(0)), "search -a q.wav", 2, r"q\.wav: the recording is empty; record", id="audio-no-samples"),
    pytest.param(put("q.wav", lambda: sound(121)), "search -a q.wav", 2, r"q\.wav: .*longer than the 120 s allowed; ask a shorter", id="audio-long"),
    pytest.param(put("q.wav", lambda: sound(2)), "search -a q.wav", 2, r"q\.wav: no speech found; expected a spoken question", id="audio-silent"),
    pytest.param(put("q.wav", lambda: sound(1)), "search -a q.wav:0", 2, r"--audio: got weight '0'; expected above 0", id="audio-weight"),
    # -- the command line
    pytest.param(nothing, f"{ASK} --nonsense", 2, r"No such option.*--nonsense.*`unirag search --help`", id="option"),
    pytest.param(nothing, "nonsense", 2, r"No such command 'nonsense'.*`unirag --help`", id="command"),
    pytest.param(nothing, "corpora nonsense", 2, r"No such command 'nonsense'.*`unirag corpora --help`", id="command-below"),
    pytest.param(nothing, "index", 2, r"Missing argument 'PATHS.*`unirag index --help`", id="argument-missing"),
    # -- what is to be indexed
    pytest.param(nothing, "index none", 2, r"none: no such file or folder; check the path", id="path-missing"),
    pytest.param(nothing, "index {cards} home --corpus x", 2, r"--corpus names one folder, got 2 paths; index them one", id="corpus-of-two"),
    pytest.param(nothing, "index {cards} {cards}", 2, r"two of the paths would be corpus 'cards'; index them", id="paths-of-one-name"),
    pytest.param(nothing, "index {cards} --corpus 'My Books'", 2, r"corpus name 'My Books': expected lower-case.*'my-books'", id="corpus-name"),
    pytest.param(put("cards/a.md", b"# A\n\nWords."), "index cards", 2, r"corpus 'cards' belongs to .*; pass --corpus OTHER", id="corpus-moved"),
    pytest.param(put(os.fsdecode(b"b\xe9/a.md"), b"# A\n\nWords."), os.fsdecode(b"index b\xe9"), 2, r"b\\udce9: .*not UTF-8.*rename", id="path-not-utf8"),
    pytest.param(nothing, "corpora remove nonsense", 2, r"corpus 'nonsense' is not here; known corpora: cards", id="remove-unknown"),
    pytest.param(nothing, "corpora add 'My Books' home", 2, r"corpus name 'My Books': expected lower-case.*'my-books'", id="add-name"),
    pytest.param(nothing, "corpora add books none", 2, r"none: no such file or folder; check the path", id="add-missing"),
    # -- settings
    pytest.param(settings("hoem: x"), ASK, 2, r"unknown setting 'hoem' in unirag\.yaml; did you mean 'home'", id="setting-unknown"),
    pytest.param(settings(": : :\n- ["), ASK, 2, r"unirag\.yaml: not valid YAML.*expected `key: value`", id="settings-no-yaml"),
    pytest.param(settings(b"\xff\xfe\xfd"), ASK, 2, r"unirag\.yaml: not valid YAML.*expected `key: value`", id="settings-binary"),
    pytest.param(settings("search: {bm25: 7}"), ASK, 2, r"setting search\.bm25: .*less than or equal to 1; got 7", id="setting-bounds"),
    pytest.param(setenv("UNIRAG_PROFIL", "mini"), ASK, 2, r"UNIRAG_PROFIL\); did you mean 'profile'", id="variable-unknown"),
    pytest.param(setenv("UNIRAG_SEARCH__BM26", "1"), ASK, 2, r"'search\.bm26' \(environment variable UNIRAG_SEARCH__BM26\)", id="variable-unknown-below"),
    pytest.param(setenv("UNIRAG_SEARCH", "fast"), ASK, 2, r'"search".*such as UNIRAG_SEARCH__BM25=0\.5', id="variable-of-section"),
    pytest.param(nothing, f"{ASK} --config none.yaml", 2, r"none\.yaml: no such file; expected a settings file", id="config-missing"),
    pytest.param(nothing, f"{ASK} --profile nonsense", 2, r"setting profile: .*'mini', 'base' or 'paper'; got 'nonsense'", id="profile"),
    # -- the home folder
    pytest.param(put("file"), f"{ASK} --home file", 2, r"--home file: cannot be used.*expected a folder", id="home-is-file"),
    pytest.param(put("file"), f"{ASK} --home file/below", 2, r"--home file/below: cannot be used.*expected a folder", id="home-below-file"),
    pytest.param(held_elsewhere, ASK, 2, r"is in use by process \d+ .*; wait for it or stop it, use another --home", id="home-locked"),
    pytest.param(changed("collection/stamp.json", restamped), ASK, 2, r"'siglip2'.*; run with --profile base", id="home-other-encoder"),
    pytest.param(changed("collection/stamp.json", lambda b: b[:9]), ASK, 1, r"stamp\.json is damaged; restore it", id="home-stamp"),
    pytest.param(changed("manifest.db", lambda b: b"words" * 99), ASK, 1, r"manifest\.db: .*cannot be used.*move it away", id="home-manifest"),
    pytest.param(changed("manifest.db", lambda b: b[:4096] + b"\xff" * 9_000), "corpora list", 1, r"manifest\.db: .*cannot be used.*move it", id="home-manifest-pages"),
    pytest.param(garbled_segments, ASK, 1, r"embedded store in .* failed.*index into another --home", id="home-store"),
    pytest.param(assets_are_a_file, "index {cards}", 1, r"assets.*: (Not a directory|File exists); check the disk", id="home-assets"),
    # -- models
    pytest.param(no_models, ASK, 3, r"image model .* is not in .*; run `unirag models pull --profile mini`", id="models-missing"),
    pytest.param(damaged_model("image", lambda w: os.truncate(w, 99)), ASK, 3, r"image model .*; run `unirag models pull", id="model-cut-off"),
    pytest.param(damaged_model("image", lambda w: w), ASK, 2, r"not the weights of EfficientNet-Lite0.*models pull", id="model-damaged"),
    pytest.param(damaged_model("text", lambda w: w), ASK, 2, r"not a sentence-transformers model.*models pull", id="text-model-damaged"),
    pytest.param(setenv("UNIRAG_IMAGE_MODEL", "nonsense"), ASK, 2, r"model source 'nonsense' cannot be read; expected pypi", id="model-source"),
    # -- servers
    pytest.param(nobody_at("UNIRAG_QDRANT_URL"), ASK, 3, r"no Qdrant server answers.*docker compose up.*unset", id="qdrant-nobody"),
    pytest.param(setenv("UNIRAG_QDRANT_URL", "ftp://x"), ASK, 2, r"setting qdrant_url: got 'ftp://x'.*expected such as http", id="qdrant-scheme"),
    pytest.param(setenv("UNIRAG_QDRANT_URL", "http://[x"), ASK, 2, r"setting qdrant_url: got 'http://\[x'.*expected such as", id="qdrant-no-url"),
    pytest.param(nobody_at("UNIRAG_CHAT__URL", "/v1"), "ask 'why does light bend'", 3, r"does not answer.*start its server, or unset", id="chat-nobody"),
    pytest.param(setenv("UNIRAG_CHAT__URL", "ftp://x"), "ask 'why does light bend'", 2, r"chat\.url: got 'ftp://x'; expected http", id="chat-scheme"),
    pytest.param(setenv("UNIRAG_CHAT__URL", "http://[x"), "ask 'why does light bend'", 2, r"chat\.url: got 'http://\[x'; expected", id="chat-no-url"),
    pytest.param(nothing, "serve --host 0.0.0.0", 2, r"--host 0\.0\.0\.0: .*expected a loopback address such as", id="serve-open"),
    pytest.param(nothing, "serve --host nonsense", 2, r"--host nonsense: .*expected a loopback address such as", id="serve-host"),
    pytest.param(nothing, "serve --port 0", 2, r"--port.*0 is not in the range.*`unirag serve --help`", id="serve-port"),
]  # fmt: skip


@pytest.mark.models
@pytest.mark.parametrize(("lay", "command", "code", "says"), CASES)
def test_bad_input_is_one_clear_line_and_costs_nothing(
    lay: Lay, command: str, code: int, says: str, place: Any, unirag: Any
) -> None:
    undo = lay(place)
    said = unirag(command.format(cards=shlex.quote(str(place.cards))))
    assert said.code == code, said
    assert re.fullmatch(f"error: .*{says}.*\n", said.err), said.err
    assert (said.out, said.unasked) == ("", [])
    if callable(undo):
        undo()
    assert place.stored() == place.before


@pytest.mark.models
def test_a_port_in_use_is_named_before_anything_is_loaded(place: Any, unirag: Any) -> None:
    with taken_port() as port:
        said = unirag(f"serve --port {port}")
    assert (said.code, said.out) == (2, "")
    assert re.fullmatch(f"error: 127.0.0.1:{port} .*choose another --port\n", said.err)


@pytest.mark.models
@pytest.mark.parametrize(
    ("command", "code", "kind"),
    [
        ("search '' --json", 2, "BadInput"),
        ("search x --nonsense --json", 2, "BadInput"),
        ("search x --profile nonsense --json", 2, "BadSetting"),
        ("index none --json", 2, "BadInput"),
    ],
)
def test_errors_are_json_too_where_it_is_asked_for(
    command: str, code: int, kind: str, place: Any, unirag: Any
) -> None:
    said = unirag(command)
    assert said.code == code
    assert said.json["error"]["kind"] == kind
    assert said.err == f"error: {said.json['error']['message']}\n"


@pytest.mark.models
def test_a_missing_model_is_json_too(place: Any, unirag: Any) -> None:
    no_models(place)
    said = unirag(f"{ASK} --json")
    assert (said.code, said.json["error"]["kind"]) == (3, "Missing")
