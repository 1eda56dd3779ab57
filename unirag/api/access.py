"""API keys: who calls, and which corpora they may use.

A program sends its key with every request. A browser sends it once, on the sign-in page, and gets a
cookie signed with the key. The cookie holds no secret, survives a restart of the service, and
expires when the key is removed.

A service without keys gives each browser a cookie with a random name, so that a browser sees its
own conversations only. The cookie is signed with a secret of the workspace.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import HTTPConnection

from unirag.api.errors import Forbidden, Unauthorized
from unirag.settings.service import ApiKey

__all__ = [
    "BROWSER_COOKIE",
    "BROWSER_SECONDS",
    "COOKIE",
    "SESSION_SECONDS",
    "Access",
    "Caller",
    "caller",
    "teacher",
]

COOKIE = "unirag-session"
SESSION_SECONDS = 12 * 3600  # one school day
BROWSER_COOKIE = "unirag-browser"
BROWSER_SECONDS = 400 * 86400  # the longest that browsers keep a cookie


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
    """Checks keys. Without keys everybody may do everything, so `serve` binds to loopback only.

    `secret` signs the cookies of the browsers that use a service without keys.
    """

    def __init__(self, keys: Sequence[ApiKey], secret: bytes) -> None:
        self._keys = [(key.key.get_secret_value().encode(), key) for key in keys]
        self._secret = secret

    @property
    def open(self) -> bool:
        """Whether the service needs no key."""
        return not self._keys

    def caller(self, request: HTTPConnection) -> Caller:
        """Return who sent a request. Raise `Unauthorized` without a valid key or cookie."""
        if self.open:
            return Caller(self.browser(request), True, ())
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            key = self._find(token.strip().encode(), lambda secret: secret)
        else:
            key = self._find_session(request.cookies.get(COOKIE, ""))
        if key is None:
            raise Unauthorized("no such key; send a key as `Authorization: Bearer KEY`")
        return Caller(key.name, key.teacher, key.corpora)

    def browser(self, request: HTTPConnection) -> str:
        """Return the name of the browser that sent a request, "" without a valid cookie."""
        name, _, signature = request.cookies.get(BROWSER_COOKIE, "").partition(".")
        is_valid = hmac.compare_digest(_sign(self._secret, name), signature.encode())
        return name if is_valid else ""

    def new_browser(self) -> str:
        """Return the cookie for a browser that has none."""
        name = f"browser-{secrets.token_urlsafe(16)}"
        return f"{name}.{_sign(self._secret, name).decode()}"

    def session(self, secret: str) -> str:
        """Return the cookie for a browser that has this key. Raise `Unauthorized` if unknown."""
        if self._find(secret.encode(), lambda known: known) is None:
            raise Unauthorized("no such key")
        expiry = str(int(time.time()) + SESSION_SECONDS)
        return f"{expiry}.{_sign_session(secret.encode(), expiry).decode()}"

    def _find_session(self, cookie: str) -> ApiKey | None:
        expiry, _, signature = cookie.partition(".")
        if not (expiry.isascii() and expiry.isdigit()) or int(expiry[:12]) <= time.time():
            return None
        return self._find(signature.encode(), lambda secret: _sign_session(secret, expiry))

    def _find(self, token: bytes, expected: Callable[[bytes], bytes]) -> ApiKey | None:
        """Return the key of a token. Compare with every key, so that the time tells nothing."""
        match = None
        for secret, key in self._keys:
            if hmac.compare_digest(expected(secret), token):
                match = key
        return match


def _sign_session(secret: bytes, expiry: str) -> bytes:
    return _sign(secret, f"unirag session until {expiry}")


def _sign(secret: bytes, message: str) -> bytes:
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
