"""Keys: who calls, and which corpora are theirs."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import Headers

from unirag.api.errors import Forbidden, Unauthorized
from unirag.api.settings import ApiKey

__all__ = ["Access", "Caller", "caller", "teacher"]


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

    def caller(self, headers: Headers) -> Caller:
        if not self._keys:
            return Caller("", True, ())
        kind, _, given = headers.get("authorization", "").partition(" ")
        found = None
        for secret, key in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(secret, given.strip().encode()):
                found = key
        if kind.lower() != "bearer" or found is None:
            raise Unauthorized("no such key; send a key as `Authorization: Bearer KEY`")
        return Caller(found.name, found.teacher, found.corpora)


def caller(request: Request) -> Caller:
    """Dependency: whoever sent the request; raises `Unauthorized`."""
    access: Access = request.app.state.service.access
    return access.caller(request.headers)


def teacher(request: Request) -> Caller:
    """Dependency: a caller who may index and enrol; raises `Forbidden`."""
    found = caller(request)
    if not found.teacher:
        raise Forbidden("this key may search and ask only; use a teacher's key")
    return found
