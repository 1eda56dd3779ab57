"""A home that was indexed once, given to each test as a copy of its own, and the command line."""

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

from retrieval.edge import EdgeStore
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
# What a user would never see: Python hides these unless it is told otherwise.
_HIDDEN_WARNINGS = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@dataclass(frozen=True)
class Indexed:
    """The home that every place is copied from, and the models that indexed it."""

    home: Path
    encoder: Any
    text: Any
    stamp: Stamp
    items: dict[str, Any]
    documents: dict[str, str]


@dataclass(frozen=True)
class Said:
    """What one run of the command line left behind."""

    code: int
    out: str
    err: str
    unasked: list[str]  # warnings and logs, which a user would see among the errors

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Place:
    """A folder with indexed `cards`, their `home`, and room for what is to go wrong."""

    def __init__(
        self,
        root: Path,
        cards: Path,
        indexed: Indexed,
        monkeypatch: pytest.MonkeyPatch,
        injected: dict[str, Any],
    ) -> None:
        self.root, self.cards, self.home = root, cards, root / "home"
        self.setenv, self._injected = monkeypatch.setenv, injected
        self._stamp = indexed.stamp
        self.before = (indexed.items, indexed.documents)

    def stored(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Every item by its id, and the fingerprint of every card, as `before` has them."""
        store = EdgeStore(self.home / "collection", self._stamp)
        catalog = Catalog(self.home / "catalog.db")
        try:
            return {i.id: i for i in store.scan()}, catalog.fingerprints("cards")
        finally:
            store.close()
            catalog.close()

    @staticmethod
    def claim_png(path: Path, width: int, height: int) -> None:
        """Write a PNG that claims a size, and holds one row of it."""
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
        """Have the application load these models itself, as it does outside the tests."""
        for name in names:
            del self._injected[name]


@pytest.fixture(scope="session")
def indexed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
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
            parts = app.components
            items = {item.id: item for item in parts.store.scan()}
            documents = parts.catalog.fingerprints("cards")
            return Indexed(
                root / "home", parts.encoder, parts.text, parts.loaded_stamp, items, documents
            )


@pytest.fixture
def injected() -> dict[str, Any]:
    """The components that the application gets instead of building them."""
    return {}


@pytest.fixture
def open_app(injected: dict[str, Any]) -> Any:
    """Opens the application of some settings with the injected components."""

    def open_with_fakes(settings: Settings) -> App:
        return App(Components(settings, **injected))

    return open_with_fakes


@pytest.fixture
def place(
    indexed: Indexed,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    injected: dict[str, Any],
) -> Iterator[Place]:
    """The cards lie where they were indexed, whole again after every test."""
    shutil.copytree(indexed.home, tmp_path / "home")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("UNIRAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UNIRAG_MODELS", str(models))
    monkeypatch.setenv("UNIRAG_OCR", "false")
    injected.update(encoder=indexed.encoder, text=indexed.text)
    cards = indexed.home.parent / "cards"
    yield Place(tmp_path, cards, indexed, monkeypatch, injected)
    shutil.rmtree(cards)
    write_cards(cards)


@pytest.fixture
def chat(injected: dict[str, Any]) -> ScriptedChat:
    injected["chat"] = ScriptedChat()
    return injected["chat"]


@pytest.fixture
def unirag(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    open_app: Any,
) -> Any:
    """Runs a command line in this process, with the injected components, and returns its output."""

    def run(command: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["unirag", *shlex.split(command)])
        caplog.clear()
        capfd.readouterr()
        code: Any = 0
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                cli.main(open_app)
            except SystemExit as end:
                code = end.code or 0
        out, err = capfd.readouterr()
        unasked = [str(w) for w in seen if not issubclass(w.category, _HIDDEN_WARNINGS)]
        unasked += [r.getMessage() for r in caplog.records if r.levelname in ("WARNING", "ERROR")]
        return Said(code, out, err, unasked)

    return run


@pytest.fixture
def refused(place: Place, unirag: Any) -> Any:
    """Checks that a command says what is wrong, once, as designed, and loses nothing."""

    def check(lay: Any, command: str, code: int, says: str) -> None:
        undo = lay(place)
        said = unirag(command.format(cards=shlex.quote(str(place.cards))))
        assert said.code == code, said
        assert re.fullmatch(f"error: .*{says}.*\n", said.err), said.err
        assert (said.out, said.unasked) == ("", [])
        if callable(undo):
            undo()
        assert place.stored() == place.before

    return check


def write_cards(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, text in CARDS.items():
        (folder / name).write_text(text, encoding="utf-8")
    picture = Image.new("RGB", (96, 64), "white")
    ImageDraw.Draw(picture).line([(8, 8), (48, 32), (64, 60)], fill="black", width=3)
    picture.save(folder / "ray.png")
