"""docker-compose.yml is read as Compose would, for no Docker engine runs where the tests do."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_qdrant_service_is_pinned_checked_and_kept() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    qdrant = compose["services"]["qdrant"]
    name, _, tag = qdrant["image"].partition(":")
    assert name == "qdrant/qdrant"
    version = re.fullmatch(r"v(\d+)\.(\d+)\.\d+", tag)
    assert version, "pinned to a release"
    assert (int(version[1]), int(version[2])) >= (1, 17), "the fusion's weights need 1.17"
    assert all(port.startswith("127.0.0.1:") for port in qdrant["ports"])
    assert "readyz" in " ".join(qdrant["healthcheck"]["test"])
    volumes = {v.split(":")[0] for v in qdrant["volumes"]}
    assert volumes <= set(compose["volumes"])
