"""The headers of HTML pages: what they may load, who may frame them, and the browser's cookie."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unirag.api.access import BROWSER_COOKIE, BROWSER_SECONDS, Access

__all__ = ["PageHeaders", "set_cookie"]

# The browser loads from this service only, whatever a document or a library asks it to fetch.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors {ancestors}"
)


class PageHeaders:
    """Middleware: forbid HTML pages to load from other sites, and other sites to frame them.

    In a service without keys, a browser that has no cookie yet gets one with the first page.
    """

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self._app, self._api = app, api
        ancestors = " ".join(api.state.settings.frame_ancestors) or "'none'"
        self._policy = _POLICY.format(ancestors=ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Security-Policy"] = self._policy
                    headers["Referrer-Policy"] = "same-origin"
                    self._name_browser(scope, headers)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)

    def _name_browser(self, scope: Scope, headers: MutableHeaders) -> None:
        access: Access = self._api.state.service.access
        request = HTTPConnection(scope)
        if not access.open or access.browser(request):
            return
        response = Response()
        is_framed = bool(self._api.state.settings.frame_ancestors)
        cookie = access.new_browser()
        set_cookie(response, request, BROWSER_COOKIE, cookie, BROWSER_SECONDS, is_framed=is_framed)
        headers.append("set-cookie", response.headers["set-cookie"])


def set_cookie(
    response: Response,
    request: HTTPConnection,
    name: str,
    value: str,
    seconds: int,
    *,
    is_framed: bool,
) -> None:
    """Set a cookie that scripts cannot read, and pages of other sites cannot send.

    If pages of other sites may frame this service, its cookie also works inside their frames: over
    https, and in each of those sites for itself (CHIPS).
    """
    response.set_cookie(
        name,
        value,
        seconds,
        httponly=True,
        secure=is_framed or request.url.scheme == "https",
        samesite="none" if is_framed else "strict",
    )
    if is_framed:  # Starlette sets this attribute from Python 3.14 on
        response.headers["set-cookie"] += "; Partitioned"
