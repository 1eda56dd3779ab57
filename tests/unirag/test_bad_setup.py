"""Bad settings, workspaces, models and servers get one line of error and an exit code.

No stored item is lost: all are there again once the workspace is repaired.
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

SetUp = Callable[[Any], object]
ROOT = Path(__file__).resolve().parents[2]
ASK = "search 'why does light bend'"
EXPLAIN = "ask 'why does light bend'"


def working_file(name: str, data: bytes = b"") -> SetUp:
    """Write a file in the working folder."""
    return lambda workspace: (workspace.root / name).write_bytes(data)


def setenv(name: str, value: str) -> SetUp:
    return lambda workspace: workspace.setenv(name, value)


def settings(text: str | bytes) -> SetUp:
    return working_file("unirag.yaml", text.encode() if isinstance(text, str) else text)


def unchanged(workspace: Any) -> None:
    """Leave everything in order: only the command line is wrong."""


# -- workspaces: each function returns one that undoes its change ----------------------------------


def changed_file(name: str, change: Callable[[bytes], bytes]) -> SetUp:
    """Change a file of the workspace; undoing puts the original back."""

    def set_up(workspace: Any) -> Callable[[], object]:
        path = workspace.home / name
        original = path.read_bytes() if path.exists() else None
        path.write_bytes(change(original or b""))
        return lambda: path.write_bytes(original) if original is not None else path.unlink()

    return set_up


def restamped(stamp: bytes) -> bytes:
    return json.dumps({**json.loads(stamp), "encoder": "siglip2", "profile": "base"}).encode()


def garbled_segments(workspace: Any) -> Callable[[], object]:
    originals = {}
    for path in (workspace.home / "collection" / "shard" / "segments").rglob("*"):
        if path.is_file():
            originals[path] = path.read_bytes()
            path.write_bytes(b"\xff" * min(64, len(originals[path])))
    assert originals
    return lambda: [path.write_bytes(data) for path, data in originals.items()]


def labels_are_words(workspace: Any) -> Callable[[], object]:
    workspace.setenv("UNIRAG_OCR", "true")
    (workspace.home / "labels.db").write_bytes(b"words" * 99)
    return lambda: (workspace.home / "labels.db").unlink()


def assets_are_a_file(workspace: Any) -> Callable[[], object]:
    assets, aside = workspace.home / "assets", workspace.home / "aside"
    assets.rename(aside)
    assets.write_bytes(b"")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(buffer, "PNG")
    (workspace.cards / "new.md").write_text("# New\n\n![A new picture](new.png)")
    (workspace.cards / "new.png").write_bytes(buffer.getvalue())
    return lambda: (assets.unlink(), aside.rename(assets))


def workspace_in_use(workspace: Any) -> Callable[[], object]:
    script = (
        "import sys, pathlib, unirag.workspace.paths as h\n"
        "home = h.Workspace(pathlib.Path(sys.argv[1])); home.open()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(workspace.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"

    def release() -> None:
        process.communicate(timeout=60)

    return release


# -- models and servers ----------------------------------------------------------------------------


def damaged_model(task: str, change: Callable[[Path], object]) -> SetUp:
    """Replace the weights of one model by zeros and `change` them; the other models are links."""

    def set_up(workspace: Any) -> None:
        (model,) = (m for m in PROFILES["mini"].models if m.task == task)
        for source in Path(os.environ["UNIRAG_MODELS"]).rglob("*"):
            target = workspace.root / "models" / source.relative_to(os.environ["UNIRAG_MODELS"])
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
        weights = next((workspace.root / "models" / model.name).rglob("*.safetensors"))
        size = weights.stat().st_size
        weights.unlink()
        weights.touch()
        os.truncate(weights, size)  # zeros that take no disk space
        change(weights)
        workspace.setenv("UNIRAG_MODELS", str(workspace.root / "models"))
        workspace.load_models("encoder" if task == "image" else "text")

    return set_up


def models_missing(workspace: Any) -> None:
    (workspace.root / "none").mkdir()
    workspace.setenv("UNIRAG_MODELS", str(workspace.root / "none"))
    workspace.load_models("encoder", "text")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address_without_server(variable: str, path: str = "") -> SetUp:
    return lambda workspace: workspace.setenv(variable, f"http://127.0.0.1:{closed_port()}{path}")


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
        unchanged,
        f"{ASK} --config none.yaml",
        2,
        r"none\.yaml: no such file; expected a settings file",
    ),
    "profile": (
        unchanged,
        f"{ASK} --profile nonsense",
        2,
        r"setting profile: .*'mini', 'base' or 'paper'; got 'nonsense'",
    ),
    # -- the home folder
    "home-is-file": (
        working_file("file"),
        f"{ASK} --home file",
        2,
        r"--home file: cannot be used.*expected a folder",
    ),
    "home-below-file": (
        working_file("file"),
        f"{ASK} --home file/below",
        2,
        r"--home file/below: cannot be used.*expected a folder",
    ),
    "home-locked": (
        workspace_in_use,
        ASK,
        2,
        r"is in use by process \d+ .*; wait for it or stop it, use another --home",
    ),
    "home-other-encoder": (
        changed_file("collection/stamp.json", restamped),
        ASK,
        2,
        r"'siglip2'.*; run `unirag reembed` .*, or run with --profile base",
    ),
    "home-stamp": (
        changed_file("collection/stamp.json", lambda b: b[:9]),
        ASK,
        1,
        r"stamp\.json is damaged; restore it",
    ),
    "home-catalog": (
        changed_file("catalog.db", lambda b: b"words" * 99),
        ASK,
        1,
        r"catalog\.db: .*cannot be used.*move it away",
    ),
    "home-catalog-pages": (
        changed_file("catalog.db", lambda b: b[:4096] + b"\xff" * 9_000),
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
        models_missing,
        ASK,
        3,
        r"image model .* is not in .*; run `unirag models pull --profile mini`",
    ),
    "models-missing-to-serve": (
        models_missing,
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
        "search --image {cards}/ray.png",
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
        address_without_server("UNIRAG_QDRANT_URL"),
        ASK,
        3,
        r"no Qdrant server answers.*docker compose up.*unset",
    ),
    "qdrant-key": (
        lambda workspace: (
            address_without_server("UNIRAG_QDRANT_URL")(workspace),
            workspace.setenv("UNIRAG_QDRANT_API_KEY", "secret"),
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
        unchanged,
        "serve --host 0.0.0.0",
        2,
        r"--host 0\.0\.0\.0: .*set UNIRAG_API_KEYS, or serve on a loopback address",
    ),
    "serve-host": (
        unchanged,
        "serve --host nonsense",
        2,
        r"--host nonsense: .*set UNIRAG_API_KEYS, or serve on a loopback address",
    ),
    "serve-port": (
        unchanged,
        "serve --port 70000",
        2,
        r"--port.*less than or equal to 65535; `unirag serve --help`",
    ),
}


@pytest.mark.parametrize(("set_up", "command", "code", "message"), CASES.values(), ids=CASES.keys())
def test_a_bad_setup_gets_one_line_of_error_and_no_stored_item_is_lost(
    set_up: SetUp, command: str, code: int, message: str, check_refusal: Any
) -> None:
    check_refusal(set_up, command, code, message)


def test_an_unreachable_chat_server_is_reported_after_the_quotation(
    workspace: Any, unirag: Any
) -> None:
    address_without_server("UNIRAG_CHAT__URL", "/v1")(workspace)
    run = unirag(EXPLAIN)
    assert run.code == 3
    assert re.fullmatch("error: .*does not answer.*start its server, or unset.*\n", run.err)
    assert run.out.startswith("“Light bends")  # needs no chat model
    assert workspace.contents() == workspace.initial_contents


def test_a_port_in_use_is_reported_before_models_are_loaded(workspace: Any, unirag: Any) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        run = unirag(f"serve --port {port}")
    assert (run.code, run.out) == (2, "")
    assert re.fullmatch(f"error: 127.0.0.1:{port} .*choose another --port\n", run.err)


def test_with_json_a_missing_model_is_reported_as_json(workspace: Any, unirag: Any) -> None:
    models_missing(workspace)
    run = unirag(f"{ASK} --json")
    assert (run.code, run.json["error"]["kind"]) == (3, "Missing")
