"""Check an installation: `unirag doctor` shows what works, what does not, and how to fix it.

Each check returns data, which the command line prints. A check reports the problem that it looks
for, and does not raise it.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal

import httpx
from packaging.requirements import InvalidRequirement, Requirement

from data.errors import BadSetting
from unirag.models.profiles import Profile
from unirag.models.source import PathSource
from unirag.models.store import ModelSpec, ModelStore
from unirag.settings import Dtype

__all__ = ["Check", "CheckState", "run_checks", "worst_state"]

CheckState = Literal["ok", "warn", "fail"]
_WORKSPACE_BYTES = 1_000_000_000  # enough for a few dozen textbooks with their pictures
_QDRANT_SECONDS = 3.0
_EXTRAS = {
    "reading words in pictures": (("rapidocr", "onnxruntime"), "pip install 'unirag'"),
    "spoken questions": (("faster_whisper", "ctranslate2"), "pip install 'unirag[speech]'"),
    "web app": (("gradio",), "pip install 'unirag[ui]'"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check. `remedy` is a command or an instruction, empty if all is well."""

    name: str
    state: CheckState
    detail: str
    remedy: str = ""


def run_checks(
    profile: Profile,
    store: ModelStore,
    home: Path,
    *,
    device: str = "auto",
    dtype: Dtype = "auto",
    qdrant_url: str | None = None,
    holder: Callable[[Path], str | None] = lambda _: None,
) -> Iterator[Check]:
    """Yield each check as soon as it is done. Reading every model file takes a few seconds.

    `holder` describes the process that holds the home folder, if there is one.
    """
    yield _check_python()
    yield _check_packages()
    for model in profile.models:
        yield _check_model(model, profile, store)
    missing = [model for model in profile.models if not store.is_ready(model)]
    yield _check_disk(store.root, sum(model.required_disk_bytes for model in missing))
    yield _check_disk(home, _WORKSPACE_BYTES)
    yield _check_home(home, holder)
    for name, (modules, remedy) in _EXTRAS.items():
        yield _check_extra(name, modules, remedy)
    if qdrant_url:
        yield _check_qdrant(qdrant_url)
    yield _check_device(device, dtype)


def worst_state(checks: Iterable[Check]) -> CheckState:
    """Return `fail` if any check failed, else `warn` if any warned, else `ok`."""
    states = {check.state for check in checks}
    return "fail" if "fail" in states else "warn" if "warn" in states else "ok"


def _check_python() -> Check:
    """Report the Python version, its folder and the operating system."""
    system = platform.platform(terse=True)
    return Check("Python", "ok", f"{platform.python_version()} in {sys.prefix}, {system}")


def _check_packages() -> Check:
    """Compare the installed packages with the requirements of the installed unirag."""
    try:
        requirements = metadata.requires("unirag") or []
        version = metadata.version("unirag")
    except metadata.PackageNotFoundError:
        return Check("packages", "warn", "unirag is run from a folder", "pip install -e .")
    problems = [problem for line in requirements if (problem := _requirement_problem(line))]
    if problems:
        return Check("packages", "fail", "; ".join(problems), "pip install --upgrade unirag")
    packages = ("torch", "transformers", "qdrant-edge-py")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return Check("packages", "ok", f"unirag {version}; {versions}")


def _requirement_problem(line: str) -> str:
    """Return why a requirement is not met; "" if it is met, optional, or of an unknown form."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return ""  # pip may understand a newer form than this version of packaging
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return ""
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"{requirement.name} {installed} is not {requirement.specifier}"
    return ""


def _check_model(model: ModelSpec, profile: Profile, store: ModelStore) -> Check:
    """Check that a model is there and that its files are unchanged since the pull."""
    name = f"{model.task} model"
    source = model.sources[0]
    if isinstance(source, PathSource):
        if store.is_ready(model):
            return Check(name, "ok", str(source.path))
        return Check(name, "fail", f"{source.path} does not exist", "put the model there")
    pull = f"unirag models pull --profile {profile.name}"
    if not store.is_ready(model):
        size = f", {model.download_bytes / 1e6:.0f} MB" if model.download_bytes else ""
        return Check(name, "fail", f"{model.name} is not there{size}", pull)
    if damaged := store.damaged_files(model):
        return Check(
            name,
            "fail",
            f"{model.name}: {', '.join(damaged)} differs from the pulled file",
            f"remove {store.root / model.name} and run `{pull}`",
        )
    return Check(name, "ok", f"{model.name}, every file as pulled")


def _check_disk(folder: Path, needed_bytes: int) -> Check:
    """Check that the disk of a folder has room."""
    free_bytes = shutil.disk_usage(_nearest_existing(folder)).free
    free = f"{free_bytes / 1e9:.1f} GB free at {folder}"
    if free_bytes < needed_bytes:
        needed = f"{needed_bytes / 1e9:.1f} GB needed"
        return Check("disk", "fail", f"{free}, {needed}", "free some disk space")
    return Check("disk", "ok", free)


def _check_home(home: Path, holder: Callable[[Path], str | None]) -> Check:
    """Check that the home folder can be written and that no other process holds it."""
    name = "home folder"
    folder = _nearest_existing(home)
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(
            name,
            "fail",
            f"{folder} cannot be written ({error.strerror})",
            "choose another with --home or UNIRAG_HOME",
        )
    if process := holder(home):
        return Check(
            name, "warn", f"{home} is in use by {process}", "stop that process to write to it"
        )
    return Check(name, "ok", str(home) if home.exists() else f"{home} (not created yet)")


def _check_extra(name: str, modules: tuple[str, ...], remedy: str) -> Check:
    """Check that the packages of an optional feature are installed."""
    missing = [module for module in modules if util.find_spec(module) is None]
    if missing:
        return Check(name, "warn", f"{', '.join(missing)} is not installed", remedy)
    return Check(name, "ok", ", ".join(modules))


def _check_qdrant(url: str) -> Check:
    """Check that the Qdrant server is ready."""
    name, remedy = "Qdrant server", "start the server or correct UNIRAG_QDRANT_URL"
    try:
        response = httpx.get(f"{url.rstrip('/')}/readyz", timeout=_QDRANT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Check(name, "fail", f"{url} does not answer ({error})", remedy)
    if response.status_code != httpx.codes.OK:
        return Check(name, "fail", f"{url} answers {response.status_code}", remedy)
    return Check(name, "ok", f"{url} is ready")


def _check_device(device_setting: str, dtype_setting: Dtype) -> Check:
    """Report the device and the number format that the models will use."""
    from unirag.models.devices import choose_device, choose_dtype, describe_device

    try:
        device = choose_device(device_setting)
    except BadSetting as error:
        return Check("device", "fail", str(error), "set UNIRAG_DEVICE=auto")
    dtype = str(choose_dtype(device, dtype_setting)).removeprefix("torch.")
    cores = os.cpu_count() or 1
    return Check(
        "device",
        "ok",
        f"{device} ({describe_device(device)}; {cores} cores): "
        f"image, text and chat models in {dtype}",
    )


def _nearest_existing(folder: Path) -> Path:
    """Return `folder`, or the nearest folder above it that exists."""
    absolute = folder.absolute()
    return next(path for path in (absolute, *absolute.parents) if path.exists())
