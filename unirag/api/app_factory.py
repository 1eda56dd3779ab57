"""The service over an open application: its routes, its limits, its errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

import unirag as package
from data.errors import UniragError
from data.pictures import Assets
from unirag.api.access import Access
from unirag.api.errors import answer_http, answer_invalid, answer_ours, error_body
from unirag.api.limits import BodyLimit, Gate, SameOrigin
from unirag.api.metrics import Metrics, Timed
from unirag.api.routes import health, library, openai, questions
from unirag.api.schemas import AskIn, ErrorOut, JobIn, SearchIn
from unirag.api.service import Service
from unirag.app import App
from unirag.indexing.jobs import Jobs
from unirag.workspace.conversations import Conversations

__all__ = ["create"]

_LOG = logging.getLogger(__name__)
_UPLOADS = ("/v1/index-jobs", "/v1/styles")  # where material comes in, not queries
_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorOut, "description": what}
    for code, what in {
        400: "Something in the request cannot be used; the message says what was expected.",
        401: "No key, or none of the service's.",
        403: "The key does not open this.",
        404: "Nothing of this id.",
        409: "Another process holds it, or it was made by another encoder.",
        413: "The body is too large.",
        422: "A field does not fit its type or bounds.",
        429: "Too many are waiting; `Retry-After` says when to come again.",
        499: "The client has gone.",
        503: "Something is missing; the message says how to put it there.",
        504: "Not done in time.",
    }.items()
}


def create(unirag: App) -> FastAPI:
    """The service; the caller closes `unirag` after it."""
    settings, keys = unirag.settings.service, unirag.settings.api_keys
    patience = 0.75 * settings.seconds  # what is left must do for the turn itself
    searches = Gate(settings.searches, settings.waiting, 0.3, patience)
    answers = Gate(settings.answers, settings.waiting, 5, patience)
    metrics = Metrics({"search": lambda: searches.waiting, "answer": lambda: answers.waiting})

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        service = Service(
            unirag=unirag,
            settings=settings,
            access=Access(keys),
            conversations=Conversations(unirag.home.conversations),
            uploads=Assets(unirag.home.uploads),
            jobs=Jobs(unirag.home.jobs, unirag.index, unirag.home.index_lock),
            searches=searches,
            answers=answers,
            metrics=metrics,
            threads=ThreadPoolExecutor(settings.searches + settings.answers + 4),
        )
        api.state.service = service
        loading = threading.Thread(target=_load, args=(service,), name="load", daemon=True)
        loading.start()
        service.jobs.start()
        try:
            yield
        finally:
            service.threads.shutdown(wait=True, cancel_futures=True)
            service.jobs.close()
            service.conversations.close()
            loading.join()  # what it loads must not outlive the interpreter

    api = FastAPI(
        title="unirag",
        version=package.__version__,
        description="Textbook figures and passages that answer a question, explained and cited.",
        redoc_url=None,
        lifespan=lifespan,
        responses=_ERRORS,
    )
    roots = {unirag.home.root: "the home folder", unirag.settings.models: "the models folder"}
    api.state.settings = settings
    api.state.hidden = {str(path.resolve()): name for path, name in roots.items()} | {
        str(path): name for path, name in roots.items()
    }
    api.add_middleware(BodyLimit, limit=lambda path: _most(unirag, path))
    api.add_middleware(SameOrigin, origins=settings.origins)
    if settings.origins:
        api.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    api.add_middleware(Timed, metrics=metrics)
    api.add_exception_handler(UniragError, answer_ours)
    api.add_exception_handler(RequestValidationError, answer_invalid)
    api.add_exception_handler(HTTPException, answer_http)
    api.add_exception_handler(Exception, _unforeseen)
    for module in (questions, library, openai, health):
        api.include_router(module.router)

    _document(api)
    return api


def _load(service: Service) -> None:
    """Models, in the background: the port answers at once, and `/readyz` when they are there."""
    try:
        service.unirag.load()
        service.ready = True
    except UniragError as error:
        _LOG.error("not ready: %s", error)


def _most(unirag: App, path: str) -> int:
    """Bytes that a body may have."""
    settings = unirag.settings.service
    upload = path.rstrip("/") in _UPLOADS
    return int(1e6 * (settings.upload_megabytes if upload else settings.query_megabytes))


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours: the log has it, the client learns nothing of the server."""
    _LOG.exception("%s %s", request.method, request.url.path, exc_info=error)
    return JSONResponse(
        error_body("InternalError", "a fault of the service; its log says more"), 500
    )


def _document(api: FastAPI) -> None:
    """Add to the OpenAPI document what is read by hand: two ways to send a question, the key."""
    generate = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            made = generate()
            _, extra = models_json_schema(
                [(model, "validation") for model in (SearchIn, AskIn, JobIn)],
                ref_template="#/components/schemas/{model}",
            )
            components = made.setdefault("components", {})
            components.setdefault("schemas", {}).update(extra["$defs"])
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            made["security"] = [{"key": []}, {}]
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
