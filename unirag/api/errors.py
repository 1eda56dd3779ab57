"""Errors that only a service has, and the HTTP response of every error.

Besides the tree of `data/errors.py`:

    UniragError
    ├── Unauthorized   no valid key                     HTTP 401
    ├── Forbidden      the key does not open this       HTTP 403
    ├── NotFound       no such id for this key          HTTP 404
    ├── TooLarge       the body is beyond its limit     HTTP 413
    ├── TooBusy        the queue is full                HTTP 429
    ├── ClientGone     the client has left              HTTP 499
    └── TooSlow        the request ran out of time      HTTP 504
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from data.errors import BadInput, Busy, Mismatch, Missing, UniragError
from unirag.schemas import ErrorDetail, ErrorOut

__all__ = [
    "ClientGone",
    "Forbidden",
    "NotFound",
    "TooBusy",
    "TooLarge",
    "TooSlow",
    "Unauthorized",
    "error_out",
    "error_response",
    "http_error_response",
    "public_message",
    "status_code",
    "validation_error_response",
]


class Unauthorized(UniragError):
    """The request has no key, or an unknown one."""


class Forbidden(UniragError):
    """The key is valid, but does not allow this request."""


class NotFound(UniragError):
    """Nothing has this id, or this key may not see it."""


class TooLarge(UniragError):
    """The body is larger than its limit."""


class TooBusy(UniragError):
    """The queue is full. `retry_seconds` says when to try again."""

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class TooSlow(UniragError):
    """The request exceeded its time limit."""


class ClientGone(UniragError):
    """The client left before its answer was ready."""


_STATUS_CODES = (
    (BadInput, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Busy, 409),
    (Mismatch, 409),
    (TooLarge, 413),
    (TooBusy, 429),
    (ClientGone, 499),
    (Missing, 503),
    (TooSlow, 504),
)


def status_code(error: UniragError) -> int:
    """Return the HTTP status of an error; 500 for one without a status of its own."""
    return next((code for kind, code in _STATUS_CODES if isinstance(error, kind)), 500)


def error_out(kind: str, message: str) -> dict[str, dict[str, str]]:
    """Return the body of an error. OpenAI's clients read it too."""
    return ErrorOut(error=ErrorDetail(type=kind, message=message)).model_dump()


def public_message(api: Starlette, error: UniragError) -> str:
    """Return the message of an error without the paths of the server."""
    hidden_paths: Mapping[str, str] = api.state.hidden_paths
    message = str(error)
    for path, name in hidden_paths.items():
        message = message.replace(path, name)
    return message


def error_response(request: Request, error: Exception) -> JSONResponse:
    """Return the response of an error that unirag raises on purpose."""
    assert isinstance(error, UniragError)
    body = error_out(type(error).__name__, public_message(request.app, error))
    return JSONResponse(body, status_code(error), _headers(error))


def validation_error_response(request: Request, error: Exception) -> JSONResponse:
    """Return the first finding of pydantic as one line, without the value that was sent."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return JSONResponse(error_out("BadInput", f"{field}: {first['msg']}"), 422)


def http_error_response(request: Request, error: Exception) -> JSONResponse:
    """Return the response of an error that the framework raises."""
    assert isinstance(error, HTTPException)
    kind = "NotFound" if error.status_code == 404 else "BadInput"
    return JSONResponse(error_out(kind, str(error.detail)), error.status_code, error.headers)


def _headers(error: UniragError) -> Mapping[str, str]:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(error.retry_seconds)} if isinstance(error, TooBusy) else {}
