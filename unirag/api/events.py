"""Server-sent events that wait their turn before the first byte: an error keeps its status."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from data.errors import UniragError
from unirag.api.errors import ClientGone, answer_ours, error_body, public
from unirag.api.limits import within

__all__ = ["EventStream", "event"]


def event(data: Mapping[str, Any], name: str = "") -> bytes:
    """One event on the wire: JSON has no line break of its own."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class EventStream(Response):
    """Sends `chunks` as they come, for at most `seconds`; closes them when the client goes."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes], seconds: float) -> None:
        self.status_code, self.background, self.body = 200, None, b""
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks, self._seconds = chunks, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        started = False

        async def body(chunk: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

        async def work() -> None:
            nonlocal started
            try:
                async for chunk in self._chunks:
                    if not started:
                        started = True
                        start = {"type": "http.response.start", "status": self.status_code}
                        await send({**start, "headers": self.raw_headers})
                    await body(chunk)
            finally:
                await self._chunks.aclose()

        try:
            await within(request, self._seconds, work())
        except ClientGone:
            return
        except UniragError as error:
            if not started:
                await answer_ours(request, error)(scope, receive, send)
                return
            await body(event(error_body(type(error).__name__, public(request.app, error)), "error"))
        await body(b"", more=False)
