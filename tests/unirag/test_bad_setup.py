"""Bad settings, homes, models and servers: one clear line, the designed exit code, nothing lost.

What lies behind a bad home is there again once the home is mended.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unirag.models.profiles import PROFILES

pytestmark = pytest.mark.models

Lay = Callable[[Any], object]
ROOT = Path(__file__).resolve().parents[2]
ASK = "search 'why does light bend'"
EXPLAIN = "ask 'why does light bend'"


def put(name: str, data: bytes = b"") -> Lay:
    """Lay a file in the working folder."""
    return lambda place: (place.root / name).write_bytes(data)


def setenv(name: str, value: str) -> Lay:
    return lambda place: place.setenv(name, value)


def settings(text: str | bytes) -> Lay:
    return put("unirag.yaml", text.encode() if isinstance(text, str) else text)


def nothing(place: Any) -> None:
    """All is as it should be but for the command line."""


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


def labels_are_words(place: Any) -> Callable[[], object]:
    place.setenv("UNIRAG_OCR", "true")
    (place.home / "labels.db").write_bytes(b"words" * 99)
    return lambda: (place.home / "labels.db").unlink()


def assets_are_a_file(place: Any) -> Callable[[], object]:
    assets, aside = place.home / "assets", place.home / "aside"
    assets.rename(aside)
    assets.write_bytes(b"")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(buffer, "PNG")
    (place.cards / "new.md").write_text("# New\n\n![A new picture](new.png)")
    (place.cards / "new.png").write_bytes(buffer.getvalue())
    return lambda: (assets.unlink(), aside.rename(assets))


def held_elsewhere(place: Any) -> Callable[[], object]:
    script = (
        "import sys, pathlib, unirag.workspace.paths as h\n"
        "home = h.Workspace(pathlib.Path(sys.argv[1])); home.open()\n"
        "print('held', flush=True); sys.stdin.read()"
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


CASES = {
    # -- settings
    "setting-unknown": (
        settings("hoem: x"),
        ASK,
        2,
        r"unknown setting 'hoem' in unirag\.yaml; did you mean 'home'",
    ),
    "settings-no-yaml": (
        settings(": : :\n- ["),
        ASK,
        2,
        r"unirag\.yaml: not valid YAML.*expected `key: value`",
    ),
    "settings-binary": (
        settings(b"\xff\xfe\xfd"),
        ASK,
        2,
        r"unirag\.yaml: not valid YAML.*expected `key: value`",
    ),
    "setting-bounds": (
        settings("search: {bm25: 7}"),
        ASK,
        2,
        r"setting search\.bm25: .*less than or equal to 1; got 7",
    ),
    "variable-unknown": (
        setenv("UNIRAG_PROFIL", "mini"),
        ASK,
        2,
        r"UNIRAG_PROFIL\); did you mean 'profile'",
    ),
    "variable-unknown-below": (
        setenv("UNIRAG_SEARCH__BM26", "1"),
        ASK,
        2,
        r"'search\.bm26' \(environment variable UNIRAG_SEARCH__BM26\)",
    ),
    "variable-of-section": (
        setenv("UNIRAG_SEARCH", "fast"),
        ASK,
        2,
        r'"search".*such as UNIRAG_SEARCH__BM25=0\.5',
    ),
    "config-missing": (
        nothing,
        f"{ASK} --config none.yaml",
        2,
        r"none\.yaml: no such file; expected a settings file",
    ),
    "profile": (
        nothing,
        f"{ASK} --profile nonsense",
        2,
        r"setting profile: .*'mini', 'base' or 'paper'; got 'nonsense'",
    ),
    # -- the home folder
    "home-is-file": (
        put("file"),
        f"{ASK} --home file",
        2,
        r"--home file: cannot be used.*expected a folder",
    ),
    "home-below-file": (
        put("file"),
        f"{ASK} --home file/below",
        2,
        r"--home file/below: cannot be used.*expected a folder",
    ),
    "home-locked": (
        held_elsewhere,
        ASK,
        2,
        r"is in use by process \d+ .*; wait for it or stop it, use another --home",
    ),
    "home-other-encoder": (
        changed("collection/stamp.json", restamped),
        ASK,
        2,
        r"'siglip2'.*; run `unirag reembed` .*, or run with --profile base",
    ),
    "home-stamp": (
        changed("collection/stamp.json", lambda b: b[:9]),
        ASK,
        1,
        r"stamp\.json is damaged; restore it",
    ),
    "home-catalog": (
        changed("catalog.db", lambda b: b"words" * 99),
        ASK,
        1,
        r"catalog\.db: .*cannot be used.*move it away",
    ),
    "home-catalog-pages": (
        changed("catalog.db", lambda b: b[:4096] + b"\xff" * 9_000),
        "corpora list",
        1,
        r"catalog\.db: .*cannot be used.*move it",
    ),
    "home-labels": (
        labels_are_words,
        ASK,
        1,
        r"labels\.db: the OCR cache cannot be used.*move it away",
    ),
    "home-store": (
        garbled_segments,
        ASK,
        1,
        r"embedded store in .* failed.*index into another --home",
    ),
    "home-assets": (
        assets_are_a_file,
        "index {cards}",
        1,
        r"assets.*: (Not a directory|File exists); check the disk",
    ),
    # -- models
    "models-missing": (
        no_models,
        ASK,
        3,
        r"image model .* is not in .*; run `unirag models pull --profile mini`",
    ),
    "models-missing-to-serve": (
        no_models,
        "serve --port 0",
        3,
        r"image model .* is not in .*; run `unirag models pull --profile mini`",
    ),
    "model-cut-off": (
        damaged_model("image", lambda w: os.truncate(w, 99)),
        ASK,
        3,
        r"image model .*; run `unirag models pull",
    ),
    "model-damaged": (
        damaged_model("image", lambda w: w),
        ASK,
        2,
        r"not the weights of EfficientNet-Lite0.*models pull",
    ),
    "text-model-damaged": (
        damaged_model("text", lambda w: w),
        ASK,
        2,
        r"not a sentence-transformers model.*models pull",
    ),
    "model-source": (
        setenv("UNIRAG_IMAGE_MODEL", "nonsense"),
        ASK,
        2,
        r"model source 'nonsense' cannot be read; expected pypi",
    ),
    # -- servers
    "qdrant-nobody": (
        nobody_at("UNIRAG_QDRANT_URL"),
        ASK,
        3,
        r"no Qdrant server answers.*docker compose up.*unset",
    ),
    "qdrant-key": (
        lambda place: (
            nobody_at("UNIRAG_QDRANT_URL")(place),
            place.setenv("UNIRAG_QDRANT_API_KEY", "secret"),
        ),
        ASK,
        3,
        r"no Qdrant server answers.*docker compose up.*unset",
    ),
    "qdrant-scheme": (
        setenv("UNIRAG_QDRANT_URL", "ftp://x"),
        ASK,
        2,
        r"setting qdrant_url: got 'ftp://x'.*expected an address such as http",
    ),
    "qdrant-no-url": (
        setenv("UNIRAG_QDRANT_URL", "http://x:y"),
        ASK,
        2,
        r"setting qdrant_url: got 'http://x:y'.*expected an address such as",
    ),
    "chat-scheme": (
        setenv("UNIRAG_CHAT__URL", "ftp://x"),
        EXPLAIN,
        2,
        r"chat\.url: got 'ftp://x'; expected http",
    ),
    "chat-no-url": (
        setenv("UNIRAG_CHAT__URL", "http://x:y/v1"),
        EXPLAIN,
        2,
        r"chat\.url: got 'http://x:y/v1'.*expected",
    ),
    "serve-open": (
        nothing,
        "serve --host 0.0.0.0",
        2,
        r"--host 0\.0\.0\.0: .*set UNIRAG_API_KEYS, or serve on a loopback address",
    ),
    "serve-host": (
        nothing,
        "serve --host nonsense",
        2,
        r"--host nonsense: .*set UNIRAG_API_KEYS, or serve on a loopback address",
    ),
    "serve-port": (
        nothing,
        "serve --port 70000",
        2,
        r"--port.*less than or equal to 65535; `unirag serve --help`",
    ),
}


@pytest.mark.parametrize(("lay", "command", "code", "says"), CASES.values(), ids=CASES.keys())
def test_a_bad_setup_is_one_clear_line_and_costs_nothing(
    lay: Lay, command: str, code: int, says: str, refused: Any
) -> None:
    refused(lay, command, code, says)


def test_a_model_that_does_not_answer_is_named_behind_the_quotation(
    place: Any, unirag: Any
) -> None:
    nobody_at("UNIRAG_CHAT__URL", "/v1")(place)
    said = unirag(EXPLAIN)
    assert said.code == 3
    assert re.fullmatch("error: .*does not answer.*start its server, or unset.*\n", said.err)
    assert said.out.startswith("“Light bends")  # needs no model, and came first
    assert place.stored() == place.before


def test_a_port_in_use_is_named_before_anything_is_loaded(place: Any, unirag: Any) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        said = unirag(f"serve --port {port}")
    assert (said.code, said.out) == (2, "")
    assert re.fullmatch(f"error: 127.0.0.1:{port} .*choose another --port\n", said.err)


def test_a_missing_model_is_json_too(place: Any, unirag: Any) -> None:
    no_models(place)
    said = unirag(f"{ASK} --json")
    assert (said.code, said.json["error"]["kind"]) == (3, "Missing")
