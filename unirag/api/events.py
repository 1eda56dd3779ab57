"""Server-sent events.

The response starts with the first event, so that an earlier error can still set the HTTP status.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from data.errors import UniragError
from unirag.api.errors import ClientGone, error_out, error_response, public_message
from unirag.api.limits import run_within

__all__ = ["EventStream", "encode_event"]


def encode_event(data: Mapping[str, Any], name: str = "") -> bytes:
    """Encode one event. JSON escapes line breaks, so the data fits in one line."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class EventStream(Response):
    """Sends encoded events for at most `seconds`; closes the generator when the client leaves."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], seconds: float) -> None:
        self.status_code, self.background, self.body = 200, None, b""
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events, self._seconds = events, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        request = Request(scope, receive)
        started = False

        async def send_body(chunk: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

        async def send_events() -> None:
            nonlocal started
            try:
                async for event in self._events:
                    if not started:
                        started = True
                        start = {"type": "http.response.start", "status": self.status_code}
                        await send({**start, "headers": self.raw_headers})
                    await send_body(event)
            finally:
                await self._events.aclose()

        try:
            await run_within(request, self._seconds, send_events())
        except ClientGone:
            return
        except UniragError as error:
            if not started:
                await error_response(request, error)(scope, receive, send)
                return
            body = error_out(type(error).__name__, public_message(request.app, error))
            await send_body(encode_event(body, "error"))
        await send_body(b"", more=False)
