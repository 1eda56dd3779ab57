"""How much at once, how large, how long, from where; stopping when nobody hears the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unirag.api.errors import ClientGone, Forbidden, TooBusy, TooLarge, TooSlow, answer_ours

__all__ = ["BodyLimit", "Gate", "SameOrigin", "within"]

T = TypeVar("T")
_LATELY = 0.2  # weight of the last turn in the running mean


class Gate:
    """At most `running` at once and `waiting` behind them; who comes after those is sent away.

    So is who would wait longer than `patience` seconds, by what turns have lately taken; `seconds`
    is the guess before the first. The wait that is expected becomes `Retry-After`.
    """

    def __init__(self, running: int, waiting: int, seconds: float, patience: float) -> None:
        self._slots = asyncio.Semaphore(running)
        self._running, self._most, self._patience = running, waiting, patience
        self._seconds = seconds
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        ahead = (self.waiting + 1) / self._running * self._seconds
        if self._slots.locked() and (self.waiting >= self._most or ahead > self._patience):
            raise TooBusy(
                f"{self.waiting} requests are waiting already; come again later",
                max(1, round(ahead)),
            )
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        began = time.monotonic()
        try:
            yield
        finally:
            self._slots.release()
            self._seconds += _LATELY * (time.monotonic() - began - self._seconds)


async def within(request: Request, seconds: float, work: Awaitable[T]) -> T:
    """The result of `work`, which is cancelled when its time is over or its client has gone."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ClientGone("the client has gone")
        raise TooSlow(f"not done within {seconds:g} seconds; ask for less, or come again later")
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class BodyLimit:
    """Refuses a body that is, or turns out to be, larger than `limit(path)` bytes."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limit(scope["path"])
        error = TooLarge(f"the body is larger than {most // 1_000_000} MB; send less at once")
        claimed = dict(scope["headers"]).get(b"content-length", b"0")
        if claimed.isdigit() and int(claimed) > most:
            await answer_ours(Request(scope), error)(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > most:
                raise error
            return message

        await self._app(scope, counted, send)


class SameOrigin:
    """Refuses what a page of another site would have a browser change here.

    A service without keys trusts whoever reaches it, and every page in the user's browser does.
    `origins` are trusted, as they are for CORS.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            headers = Headers(scope=scope)
            origin = headers.get("origin", "")
            ours = not origin or urlsplit(origin).netloc == headers.get("host")
            if not ours and origin not in self._origins:
                error = Forbidden("another site's page may not do this; open the service's own")
                await answer_ours(Request(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)
