"""Fixtures that several rooms share."""

from __future__ import annotations

import os

# before torch: beside other processes its threads would spin (unirag/cli/__init__.py)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pathlib import Path

import pytest
import torch
from platformdirs import user_data_path

from unirag.models.profiles import PROFILES
from unirag.models.store import ModelStore

# before triton: only then does its library too run in the interpreter, where there is no GPU
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see no `UNIRAG_*` and no `unirag.yaml` of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("UNIRAG_") and not name.startswith("UNIRAG_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real textbooks; skips where it is absent."""
    path = Path(os.environ.get("UNIRAG_TEST_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not path.is_dir():
        pytest.skip("the textbooks are not here; set UNIRAG_TEST_CORPORA to their folder")
    return path


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of pulled models; skips where profile mini is not complete."""
    path = Path(os.environ.get("UNIRAG_TEST_MODELS", user_data_path("unirag") / "models"))
    store = ModelStore(path)
    missing = [m.name for m in PROFILES["mini"].models if not store.is_ready(m)]
    if missing:
        pytest.skip(f"models {', '.join(missing)} are not here; run: unirag models pull")
    return path
