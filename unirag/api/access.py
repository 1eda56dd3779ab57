"""Keys: who calls, and which corpora are theirs.

A program sends its key with every request. A browser gives it once, on the sign-in page, and gets a
cookie that is signed with the key: it holds no secret, outlives a restart, and dies with the key.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import HTTPConnection

from unirag.api.errors import Forbidden, Unauthorized
from unirag.settings.service import ApiKey

__all__ = ["COOKIE", "SESSION", "Access", "Caller", "caller", "teacher"]

COOKIE = "unirag-session"
SESSION = 12 * 3600  # seconds: a day at school


@dataclass(frozen=True, slots=True)
class Caller:
    """`corpora` empty: all of them."""

    name: str
    teacher: bool
    corpora: tuple[str, ...]

    def within(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The corpora to search, of those `wanted`; raises `Forbidden` for one that is not."""
        if not self.corpora:
            return tuple(wanted)
        if closed := sorted(set(wanted) - set(self.corpora)):
            raise Forbidden(
                f"corpus {closed[0]!r} is not open to this key; it opens " + ", ".join(self.corpora)
            )
        return tuple(wanted) or self.corpora

    def may_see(self, corpus: str) -> bool:
        return not self.corpora or corpus in self.corpora


class Access:
    """Without keys everybody who reaches the service may do everything: it binds to loopback."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = [(k.key.get_secret_value().encode(), k) for k in keys]

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return not self._keys

    def caller(self, request: HTTPConnection) -> Caller:
        if self.open:
            return Caller("", True, ())
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            found = self._find(given.strip().encode(), lambda secret: secret)
        else:
            expiry, _, sign = request.cookies.get(COOKIE, "").partition(".")
            found = None
            if expiry.isascii() and expiry.isdigit() and int(expiry[:12]) > time.time():
                found = self._find(sign.encode(), lambda secret: _sign(secret, expiry))
        if found is None:
            raise Unauthorized("no such key; send a key as `Authorization: Bearer KEY`")
        return Caller(found.name, found.teacher, found.corpora)

    def session(self, secret: str) -> str:
        """The cookie of a browser whose user has this key; raises `Unauthorized`."""
        if self._find(secret.encode(), lambda known: known) is None:
            raise Unauthorized("no such key")
        expiry = str(int(time.time()) + SESSION)
        return f"{expiry}.{_sign(secret.encode(), expiry).decode()}"

    def _find(self, given: bytes, expected: Callable[[bytes], bytes]) -> ApiKey | None:
        found = None
        for secret, key in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(expected(secret), given):
                found = key
        return found


def _sign(secret: bytes, expiry: str) -> bytes:
    said = f"unirag session until {expiry}"
    return hmac.new(secret, said.encode(), "sha256").hexdigest().encode()


def caller(request: Request) -> Caller:
    """Dependency: whoever sent the request; raises `Unauthorized`."""
    access: Access = request.app.state.service.access
    return access.caller(request)


def teacher(request: Request) -> Caller:
    """Dependency: a caller who may index and enrol; raises `Forbidden`."""
    found = caller(request)
    if not found.teacher:
        raise Forbidden("this key may search and ask only; use a teacher's key")
    return found
