"""`unirag doctor`: what is in place, what is not, and the command that mends it.

Every check returns data; the CLI renders it. A check never raises for what it is there to find.
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
from unirag.models.store import Model, ModelStore
from unirag.settings import Dtype

__all__ = ["Check", "examine", "worst"]

State = Literal["ok", "warn", "fail"]
_HOME_ROOM = 1_000_000_000  # an index of a shelf of textbooks with its pictures
_EXTRAS = {
    "reading words in pictures": (("rapidocr", "onnxruntime"), "pip install 'unirag'"),
    "spoken questions": (("faster_whisper", "ctranslate2"), "pip install 'unirag[speech]'"),
    "web app": (("gradio",), "pip install 'unirag[ui]'"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy` is what to run or do, empty where nothing has to be done."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(
    profile: Profile,
    store: ModelStore,
    home: Path,
    *,
    device: str = "auto",
    dtype: Dtype = "auto",
    qdrant_url: str | None = None,
    holder: Callable[[Path], str | None] = lambda _: None,
) -> Iterator[Check]:
    """All checks in order, each as it is made: reading every model file takes a few seconds.

    `holder` names the process that holds the home folder, if any.
    """
    yield _python()
    yield from _packages()
    yield from (_model(model, profile, store) for model in profile.models)
    yield _room(store.root, sum(m.room_bytes for m in profile.models if not store.is_ready(m)))
    yield _room(home, _HOME_ROOM)
    yield _home(home, holder)
    yield from (_extra(name, *extra) for name, extra in _EXTRAS.items())
    if qdrant_url:
        yield _qdrant(qdrant_url)
    yield _device(device, dtype)


def worst(checks: Iterable[Check]) -> State:
    """`fail` if any check failed, else `warn` if any warned, else `ok`."""
    states = {check.state for check in checks}
    return "fail" if "fail" in states else "warn" if "warn" in states else "ok"


def _python() -> Check:
    found = f"{platform.python_version()} in {sys.prefix}, {platform.platform(terse=True)}"
    return Check("Python", "ok", found)


def _packages() -> Iterator[Check]:
    """What the installed metadata of unirag asks for against what is installed."""
    try:
        wanted = metadata.requires("unirag") or []
        version = metadata.version("unirag")
    except metadata.PackageNotFoundError:
        yield Check("packages", "warn", "unirag is run from a folder", "pip install -e .")
        return
    wrong = []
    for line in wanted:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # a form that this version of packaging does not know is pip's business
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            have = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(have, prereleases=True):
            wrong.append(f"{requirement.name} {have} is not {requirement.specifier}")
    if wrong:
        yield Check("packages", "fail", "; ".join(wrong), "pip install --upgrade unirag")
    else:
        key = ("torch", "transformers", "sentence-transformers", "qdrant-edge-py")
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in key)
        yield Check("packages", "ok", f"unirag {version}; {versions}")


def _model(model: Model, profile: Profile, store: ModelStore) -> Check:
    name = f"{model.task} model"
    pull = f"unirag models pull --profile {profile.name}"
    if isinstance(model.sources[0], PathSource):
        if store.is_ready(model):
            return Check(name, "ok", str(model.sources[0].path))
        return Check(name, "fail", f"{model.sources[0].path} does not exist", "put the model there")
    if not store.is_ready(model):
        megabytes = f", {model.download_bytes / 1e6:.0f} MB" if model.download_bytes else ""
        return Check(name, "fail", f"{model.name} is not there{megabytes}", pull)
    if damaged := store.damaged(model):
        folder = store.root / model.name
        return Check(
            name,
            "fail",
            f"{model.name}: {', '.join(damaged)} differs from what was pulled",
            f"remove {folder} and run `{pull}`",
        )
    return Check(name, "ok", f"{model.name}, every file as it was pulled")


def _room(folder: Path, needed: int) -> Check:
    place = _existing(folder)
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if free < needed:
        return Check("disk", "fail", f"{found}, {needed / 1e9:.1f} GB needed", "free some room")
    return Check("disk", "ok", found)


def _home(home: Path, holder: Callable[[Path], str | None]) -> Check:
    place = _existing(home)
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check(
            "home folder",
            "fail",
            f"{place} cannot be written ({error.strerror})",
            "choose another with --home or UNIRAG_HOME",
        )
    if held := holder(home):
        return Check(
            "home folder", "warn", f"{home} is held by {held}", "stop that process to write to it"
        )
    return Check("home folder", "ok", str(home) if home.exists() else f"{home} (not made yet)")


def _extra(name: str, modules: tuple[str, ...], remedy: str) -> Check:
    missing = [module for module in modules if util.find_spec(module) is None]
    if missing:
        return Check(name, "warn", f"{', '.join(missing)} is not installed", remedy)
    return Check(name, "ok", ", ".join(modules))


def _qdrant(url: str) -> Check:
    remedy = "start the server or correct UNIRAG_QDRANT_URL"
    try:
        answer = httpx.get(f"{url.rstrip('/')}/readyz", timeout=3.0)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Check("Qdrant server", "fail", f"{url} does not answer ({error})", remedy)
    if answer.status_code != httpx.codes.OK:
        return Check("Qdrant server", "fail", f"{url} answers {answer.status_code}", remedy)
    return Check("Qdrant server", "ok", f"{url} is ready")


def _device(wish: str, wished: Dtype) -> Check:
    from unirag.models.devices import choose_device, choose_dtype, describe_device

    try:
        device = choose_device(wish)
    except BadSetting as error:
        return Check("device", "fail", str(error), "set UNIRAG_DEVICE=auto")
    dtype = str(choose_dtype(device, wished)).removeprefix("torch.")
    cores = os.cpu_count() or 1
    return Check(
        "device",
        "ok",
        f"{device} ({describe_device(device)}; {cores} cores): "
        f"image, text and chat models in {dtype}",
    )


def _existing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that exists."""
    full = folder.absolute()
    return next(place for place in (full, *full.parents) if place.exists())
