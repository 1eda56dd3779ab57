"""A workspace that is indexed once and copied for each test, and the command line."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import struct
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from retrieval.qdrant_embedded import EdgeStore
from retrieval.store import Stamp
from tests.fakes import ScriptedChat
from unirag import cli
from unirag.app import App
from unirag.app.components import Components
from unirag.settings import Settings, load_settings
from unirag.workspace.catalog import Catalog

CARDS = {
    "optics.md": """# Refraction

Light bends when it enters glass because it slows down there. The ray turns towards the normal.

![A ray that enters a block of glass](ray.png "Figure 1. A ray bends towards the normal.")
""",
    "cells.md": """# Cells

Mitochondria release the energy of sugar. Ribosomes join amino acids to proteins.
""",
    "acids.md": """# Acids

An acid gives protons to water; the pH falls below seven.
""",
}
# Python hides these warnings from users by default.
_HIDDEN_WARNINGS = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@dataclass(frozen=True)
class IndexedCards:
    """The workspace that each test gets a copy of, and the models that indexed it."""

    home: Path
    encoder: Any
    text: Any
    stamp: Stamp
    items: dict[str, Any]
    documents: dict[str, str]


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command line. `warnings` include logged ones."""

    code: int
    out: str
    err: str
    warnings: list[str]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class IndexedWorkspace:
    """A copy of the indexed workspace in `home`, with the folder of `cards`.

    `root` holds both and is the working folder. `initial_contents` are the `contents` as indexed.
    """

    def __init__(
        self,
        root: Path,
        cards: Path,
        indexed: IndexedCards,
        monkeypatch: pytest.MonkeyPatch,
        injected: dict[str, Any],
    ) -> None:
        self.root, self.cards, self.home = root, cards, root / "home"
        self.setenv, self._injected = monkeypatch.setenv, injected
        self._stamp = indexed.stamp
        self.initial_contents = (indexed.items, indexed.documents)

    def contents(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the stored items by id, and the fingerprint of each card."""
        store = EdgeStore(self.home / "collection", self._stamp)
        catalog = Catalog(self.home / "catalog.db")
        try:
            return {i.id: i for i in store.scan()}, catalog.fingerprints("cards")
        finally:
            store.close()
            catalog.close()

    @staticmethod
    def write_png_header(path: Path, width: int, height: int) -> None:
        """Write a PNG whose header states this size, with a single row of pixels."""
        size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        row = zlib.compress(b"\0" * (width + 1))
        data = b"\x89PNG\r\n\x1a\n"
        for kind, body in ((b"IHDR", size), (b"IDAT", row), (b"IEND", b"")):
            checked = kind + body
            data += struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))
        path.write_bytes(data)

    def open(self, **settings: Any) -> App:
        """Open the application with the injected models and these settings."""
        return App(Components(load_settings(**settings), **self._injected))

    def load_models(self, *names: str) -> None:
        """Let the application load these models itself, as outside the tests."""
        for name in names:
            del self._injected[name]


@pytest.fixture(scope="session")
def indexed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> IndexedCards:
    root = tmp_path_factory.mktemp("indexed")
    write_cards(root / "cards")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("UNIRAG_")]:
            patch.delenv(name)
        patch.chdir(root)
        patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        settings = load_settings(home=root / "home", models=models, ocr=False)
        with App.open(settings) as app:
            app.index([root / "cards"])
            components = app.components
            return IndexedCards(
                home=root / "home",
                encoder=components.encoder,
                text=components.text,
                stamp=components.loaded_stamp,
                items={item.id: item for item in components.store.scan()},
                documents=components.catalog.fingerprints("cards"),
            )


@pytest.fixture
def injected() -> dict[str, Any]:
    """The components that the application uses instead of building its own."""
    return {}


@pytest.fixture
def open_app(injected: dict[str, Any]) -> Any:
    """Return a function that opens the application with the injected components."""

    def open_with_fakes(settings: Settings) -> App:
        return App(Components(settings, **injected))

    return open_with_fakes


@pytest.fixture
def workspace(
    indexed: IndexedCards,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    injected: dict[str, Any],
) -> Iterator[IndexedWorkspace]:
    """Copy the indexed workspace; restore the cards, in the folder they were indexed from."""
    shutil.copytree(indexed.home, tmp_path / "home")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("UNIRAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UNIRAG_MODELS", str(models))
    monkeypatch.setenv("UNIRAG_OCR", "false")
    injected.update(encoder=indexed.encoder, text=indexed.text)
    cards = indexed.home.parent / "cards"
    yield IndexedWorkspace(tmp_path, cards, indexed, monkeypatch, injected)
    shutil.rmtree(cards)
    write_cards(cards)


@pytest.fixture
def chat(injected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> ScriptedChat:
    """Inject a chat model with a script, and let it write."""
    monkeypatch.setenv("UNIRAG_ANSWER__SMALL__WRITES", "true")
    injected["chat"] = ScriptedChat()
    return injected["chat"]


@pytest.fixture
def unirag(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    open_app: Any,
) -> Any:
    """Return a function that runs a command line in this process with the injected components."""

    def run(command: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["unirag", *shlex.split(command)])
        caplog.clear()
        capfd.readouterr()
        code: Any = 0
        with warnings.catch_warnings(record=True) as python_warnings:
            warnings.simplefilter("always")
            try:
                cli.main(open_app)
            except SystemExit as end:
                code = end.code or 0
        out, err = capfd.readouterr()
        visible = [str(w) for w in python_warnings if not issubclass(w.category, _HIDDEN_WARNINGS)]
        logged = [r.getMessage() for r in caplog.records if r.levelname in ("WARNING", "ERROR")]
        return CommandResult(code, out, err, visible + logged)

    return run


@pytest.fixture
def check_refusal(workspace: IndexedWorkspace, unirag: Any) -> Any:
    """Return a function that checks the one line of error, the exit code and the stored items.

    `set_up` changes the workspace first; it may return a function that undoes the change.
    """

    def check(set_up: Any, command: str, code: int, message: str) -> None:
        undo = set_up(workspace)
        run = unirag(command.format(cards=shlex.quote(str(workspace.cards))))
        assert run.code == code, run
        assert re.fullmatch(f"error: .*{message}.*\n", run.err), run.err
        assert (run.out, run.warnings) == ("", [])
        if callable(undo):
            undo()
        assert workspace.contents() == workspace.initial_contents

    return check


def write_cards(folder: Path) -> None:
    """Write the cards and the picture that one of them shows."""
    folder.mkdir(parents=True)
    for name, text in CARDS.items():
        (folder / name).write_text(text, encoding="utf-8")
    picture = Image.new("RGB", (96, 64), "white")
    ImageDraw.Draw(picture).line([(8, 8), (48, 32), (64, 60)], fill="black", width=3)
    picture.save(folder / "ray.png")
