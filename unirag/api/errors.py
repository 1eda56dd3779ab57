"""Errors that only a service has, and the answer that each error of ours gets."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from data.errors import BadInput, Busy, Mismatch, Missing, UniragError

__all__ = [
    "ClientGone",
    "Forbidden",
    "NotFound",
    "TooBusy",
    "TooLarge",
    "TooSlow",
    "Unauthorized",
    "answer_http",
    "answer_invalid",
    "answer_ours",
    "error_body",
    "public",
    "status_of",
]


class Unauthorized(UniragError):
    """No key, or none of ours."""


class Forbidden(UniragError):
    """A key that does not open this."""


class NotFound(UniragError):
    """Nothing of this id, or nothing that this key may see."""


class TooLarge(UniragError):
    """A body beyond its limit."""


class TooBusy(UniragError):
    """The queue is full; `seconds` is when to come again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class TooSlow(UniragError):
    """The request ran out of its time."""


class ClientGone(UniragError):
    """Nobody is there to hear the answer."""


_STATUS = (
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


def status_of(error: UniragError) -> int:
    return next((code for kind, code in _STATUS if isinstance(error, kind)), 500)


def error_body(kind: str, message: str) -> dict[str, dict[str, str]]:
    """The shape of every error; OpenAI's clients read it too."""
    return {"error": {"type": kind, "message": message}}


def public(api: Starlette, error: UniragError) -> str:
    """What it says, without the paths of this machine."""
    hidden: Mapping[str, str] = api.state.hidden
    said = str(error)
    for path, name in hidden.items():
        said = said.replace(path, name)
    return said


def _headers(error: UniragError) -> Mapping[str, str]:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(error.seconds)} if isinstance(error, TooBusy) else {}


def answer_ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UniragError)
    body = error_body(type(error).__name__, public(request.app, error))
    return JSONResponse(body, status_of(error), _headers(error))


def answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """Pydantic's findings as one line: the field, what is wrong, without what was sent."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return JSONResponse(error_body("BadInput", f"{field}: {first['msg']}"), 422)


def answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    body = error_body("NotFound" if error.status_code == 404 else "BadInput", str(error.detail))
    return JSONResponse(body, error.status_code, error.headers)
