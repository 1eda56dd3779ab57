"""Limits of the service: requests at once, body size, time, origin, and clients that leave."""

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

from unirag.api.errors import ClientGone, Forbidden, TooBusy, TooLarge, TooSlow, error_response

__all__ = ["BodyLimit", "Gate", "OnWait", "SameOrigin", "run_within"]

T = TypeVar("T")
OnWait = Callable[[int], None]  # takes the number of turns that come first
_MEAN_WEIGHT = 0.2  # weight of the latest turn in the running mean of turn times


class _Ticket:
    """A request in the queue. Each is equal to itself only."""

    def __init__(self, on_wait: OnWait) -> None:
        self.on_wait = on_wait


class Gate:
    """Lets `concurrent` turns run at once and `waiting` more queue up; refuses the rest.

    A request is refused too if it would wait longer than `max_wait_seconds`. The expected wait
    comes from a running mean of turn times, which starts at `turn_seconds`, and is sent as
    `Retry-After`.
    """

    def __init__(
        self, concurrent: int, waiting: int, turn_seconds: float, max_wait_seconds: float
    ) -> None:
        self._slots = asyncio.Semaphore(concurrent)
        self._concurrent, self._max_waiting = concurrent, waiting
        self._turn_seconds, self._max_wait_seconds = turn_seconds, max_wait_seconds
        self._queue: list[_Ticket] = []

    @property
    def waiting(self) -> int:
        """The number of requests in the queue."""
        return len(self._queue)

    @asynccontextmanager
    async def turn(self, on_wait: OnWait = lambda _: None) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raise `TooBusy` if the queue is full or too slow.

        `on_wait` is called with the number of turns that come first, whenever it changes.
        """
        wait_seconds = (self.waiting + 1) / self._concurrent * self._turn_seconds
        full = self.waiting >= self._max_waiting
        if self._slots.locked() and (full or wait_seconds > self._max_wait_seconds):
            raise TooBusy(
                f"{self.waiting} requests are waiting already; try again later",
                max(1, round(wait_seconds)),
            )
        self._queue.append(ticket := _Ticket(on_wait))
        if must_wait := self._slots.locked():
            ticket.on_wait(self._concurrent + self.waiting - 1)
        try:
            await self._slots.acquire()
            if must_wait:
                ticket.on_wait(0)
        finally:
            place = self._queue.index(ticket)
            self._queue.remove(ticket)
            for number, later in enumerate(self._queue[place:], place):
                later.on_wait(self._concurrent + number)
        started = time.monotonic()
        try:
            yield
        finally:
            self._slots.release()
            self._turn_seconds += _MEAN_WEIGHT * (time.monotonic() - started - self._turn_seconds)


async def run_within(request: Request, seconds: float, work: Awaitable[T]) -> T:
    """Return the result of `work`, which is cancelled if this function raises.

    Raise `TooSlow` after `seconds`, and `ClientGone` when the client disconnects.
    """
    task = asyncio.ensure_future(work)
    disconnected = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait(
            {task, disconnected}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        if disconnected.done():
            raise ClientGone("the client has gone")
        raise TooSlow(f"not done within {seconds:g} seconds; ask for less, or try again later")
    finally:
        task.cancel()
        disconnected.cancel()
        await asyncio.gather(task, disconnected, return_exceptions=True)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class BodyLimit:
    """Middleware: refuse a body of more than `limit(path)` bytes, whatever its header claims."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        error = TooLarge(f"the body is larger than {limit // 1_000_000} MB; send less at once")
        content_length = dict(scope["headers"]).get(b"content-length", b"0")
        if content_length.isdigit() and int(content_length) > limit:
            await error_response(Request(scope), error)(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise error
            return message

        await self._app(scope, receive_counted, send)


class SameOrigin:
    """Middleware: refuse requests that change something and come from a page of another site.

    A service without keys trusts every request that reaches it. Any page that a user opens could
    send one. Pages of `origins` are trusted, as for CORS.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            headers = Headers(scope=scope)
            origin = headers.get("origin", "")
            same_origin = not origin or urlsplit(origin).netloc == headers.get("host")
            if not same_origin and origin not in self._origins:
                error = Forbidden("a page of another site may not do this; open the service's own")
                await error_response(Request(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)
