"""API keys: who calls, and which corpora they may use.

A program sends its key with every request. A browser sends it once, on the sign-in page, and gets a
cookie signed with the key. The cookie holds no secret, survives a restart of the service, and
expires when the key is removed.
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

__all__ = ["COOKIE", "SESSION_SECONDS", "Access", "Caller", "caller", "teacher"]

COOKIE = "unirag-session"
SESSION_SECONDS = 12 * 3600  # one school day


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. Without `corpora` they may use every corpus."""

    name: str
    teacher: bool
    corpora: tuple[str, ...]

    def within(self, corpora: Sequence[str]) -> tuple[str, ...]:
        """Return the corpora to search: the requested ones, or all that the caller may use.

        Raise `Forbidden` if the caller may not use a requested corpus.
        """
        if not self.corpora:
            return tuple(corpora)
        if forbidden := sorted(set(corpora) - set(self.corpora)):
            raise Forbidden(
                f"this key does not open corpus {forbidden[0]!r}; it opens "
                + ", ".join(self.corpora)
            )
        return tuple(corpora) or self.corpora

    def may_see(self, corpus: str) -> bool:
        """Return whether the caller may use this corpus."""
        return not self.corpora or corpus in self.corpora


class Access:
    """Checks keys. Without keys everybody may do everything, so `serve` binds to loopback only."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = [(key.key.get_secret_value().encode(), key) for key in keys]

    @property
    def open(self) -> bool:
        """Whether the service needs no key."""
        return not self._keys

    def caller(self, request: HTTPConnection) -> Caller:
        """Return who sent a request. Raise `Unauthorized` without a valid key or cookie."""
        if self.open:
            return Caller("", True, ())
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            key = self._find(token.strip().encode(), lambda secret: secret)
        else:
            key = self._find_session(request.cookies.get(COOKIE, ""))
        if key is None:
            raise Unauthorized("no such key; send a key as `Authorization: Bearer KEY`")
        return Caller(key.name, key.teacher, key.corpora)

    def session(self, secret: str) -> str:
        """Return the cookie for a browser that has this key. Raise `Unauthorized` if unknown."""
        if self._find(secret.encode(), lambda known: known) is None:
            raise Unauthorized("no such key")
        expiry = str(int(time.time()) + SESSION_SECONDS)
        return f"{expiry}.{_sign(secret.encode(), expiry).decode()}"

    def _find_session(self, cookie: str) -> ApiKey | None:
        expiry, _, signature = cookie.partition(".")
        if not (expiry.isascii() and expiry.isdigit()) or int(expiry[:12]) <= time.time():
            return None
        return self._find(signature.encode(), lambda secret: _sign(secret, expiry))

    def _find(self, token: bytes, expected: Callable[[bytes], bytes]) -> ApiKey | None:
        """Return the key of a token. Compare with every key, so that the time tells nothing."""
        match = None
        for secret, key in self._keys:
            if hmac.compare_digest(expected(secret), token):
                match = key
        return match


def _sign(secret: bytes, expiry: str) -> bytes:
    message = f"unirag session until {expiry}"
    return hmac.new(secret, message.encode(), "sha256").hexdigest().encode()


def caller(request: Request) -> Caller:
    """FastAPI dependency: return the caller. Raise `Unauthorized` without a valid key."""
    access: Access = request.app.state.service.access
    return access.caller(request)


def teacher(request: Request) -> Caller:
    """Dependency: a caller who may index and enrol styles. Raises `Forbidden`."""
    current = caller(request)
    if not current.teacher:
        raise Forbidden("this key may search and ask only; use a teacher's key")
    return current
