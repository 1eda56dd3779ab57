"""The secret that signs the cookies of browsers: random bytes in a file of the workspace."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from data.errors import UniragError

__all__ = ["read_secret"]

_BYTES = 32


def read_secret(path: Path) -> bytes:
    """Return the bytes of the file. Create it first if there is none, for its owner only.

    Several processes may do so at once: all of them return the same bytes. Raise `UniragError` if
    the file cannot be used.
    """
    try:
        if not path.exists():
            _create(path)
        secret = path.read_bytes()
    except OSError as error:
        raise UniragError(
            f"{path}: the secret of this service cannot be used ({error.strerror}); make the "
            "folder writable, or delete the file"
        ) from None
    if len(secret) < _BYTES:
        raise UniragError(f"{path}: the secret of this service is damaged; delete the file")
    return secret


def _create(path: Path) -> None:
    """Write a new secret to a file of another name, then link it: no process reads half of it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(_BYTES))
    try:
        os.link(draft, path)
    except FileExistsError:  # another process was first
        pass
    finally:
        draft.unlink()
