"""Creates the service of an open application: its routes, limits and error responses."""

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
from fastapi_offline import FastAPIOffline
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from data.errors import UniragError
from data.pictures import Assets
from unirag import __version__
from unirag.api.access import Access
from unirag.api.errors import (
    error_out,
    error_response,
    http_error_response,
    validation_error_response,
)
from unirag.api.limits import BodyLimit, Gate, SameOrigin
from unirag.api.metrics import Metrics, TimedRequests
from unirag.api.requests import AskIn, JobIn, SearchIn
from unirag.api.routes import health, library, openai, questions
from unirag.api.service import Service
from unirag.app import App
from unirag.indexing.jobs import JobQueue
from unirag.schemas import ErrorOut
from unirag.settings.service import ServiceSettings
from unirag.workspace.conversations import Conversations
from unirag.workspace.secret import read_secret

__all__ = ["create_api"]

_LOG = logging.getLogger(__name__)
_UPLOAD_PATHS = ("/v1/index-jobs", "/v1/styles")  # bodies with documents
_WAIT_SHARE = 0.75  # longest wait in the queue, as a share of the request's time limit
_SEARCH_SECONDS, _ANSWER_SECONDS = 0.3, 5.0  # assumed turn times until some are measured
_SPARE_THREADS = 4  # for work outside the gates
_ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorOut, "description": description}
    for code, description in {
        400: "Something in the request is unusable; the message says what was expected.",
        401: "The request has no key, or an unknown one.",
        403: "The key does not open this.",
        404: "Nothing has this id.",
        409: "Another process holds it, or another encoder made it.",
        413: "The body is too large.",
        422: "A field does not fit its type or bounds.",
        429: "Too many requests are waiting; `Retry-After` says when to try again.",
        499: "The client has gone.",
        503: "Something is missing; the message says how to install it.",
        504: "The request ran out of time.",
    }.items()
}


def create_api(app: App) -> FastAPI:
    """Create the service of `app`. The caller closes `app` after the service."""
    settings = app.settings.service
    max_wait_seconds = _WAIT_SHARE * settings.seconds
    searches = Gate(settings.searches, settings.waiting, _SEARCH_SECONDS, max_wait_seconds)
    answers = Gate(settings.answers, settings.waiting, _ANSWER_SECONDS, max_wait_seconds)
    metrics = Metrics({"search": lambda: searches.waiting, "answer": lambda: answers.waiting})

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        service = _create_service(app, searches, answers, metrics)
        api.state.service = service
        loading = threading.Thread(target=_load, args=(service,), name="load", daemon=True)
        loading.start()
        service.jobs.start()
        service.empty_bin()
        try:
            yield
        finally:
            service.threads.shutdown(wait=True, cancel_futures=True)
            service.jobs.close()
            service.conversations.close()
            loading.join()  # its models must be freed before the interpreter exits

    api = FastAPIOffline(  # /docs and /redoc load their scripts from this service
        title="unirag",
        version=__version__,
        description="Textbook figures and passages that answer a question, explained and cited.",
        lifespan=lifespan,
        responses=_ERROR_RESPONSES,
    )
    api.state.settings = settings
    api.state.has_keys = bool(app.settings.api_keys)
    api.state.hidden_paths = _hidden_paths(app)
    _add_middleware(api, settings, metrics)
    _add_error_handlers(api)
    for module in (questions, library, openai, health):
        api.include_router(module.router)
    _complete_openapi(api)
    return api


def _create_service(app: App, searches: Gate, answers: Gate, metrics: Metrics) -> Service:
    settings, workspace = app.settings.service, app.components.workspace
    return Service(
        app=app,
        settings=settings,
        access=Access(app.settings.api_keys, read_secret(workspace.secret_file)),
        conversations=Conversations(workspace.conversations_file),
        uploads=Assets(workspace.uploads_folder),
        jobs=JobQueue(workspace.jobs_file, app.index, workspace.index_lock),
        searches=searches,
        answers=answers,
        metrics=metrics,
        threads=ThreadPoolExecutor(settings.searches + settings.answers + _SPARE_THREADS),
    )


def _load(service: Service) -> None:
    """Load the models in the background; `/readyz` answers 503 until they are loaded."""
    try:
        service.app.load()
        service.ready = True
    except UniragError as error:
        _LOG.error("not ready: %s", error)


def _hidden_paths(app: App) -> dict[str, str]:
    """Return the server's folders, each with the words that replace it in error messages."""
    folders = {
        app.components.workspace.root: "the home folder",
        app.settings.models: "the models folder",
    }
    resolved = {str(path.resolve()): name for path, name in folders.items()}
    return resolved | {str(path): name for path, name in folders.items()}


def _add_middleware(api: FastAPI, settings: ServiceSettings, metrics: Metrics) -> None:
    api.add_middleware(BodyLimit, limit=lambda path: _body_limit(settings, path))
    api.add_middleware(SameOrigin, origins=settings.origins)
    if settings.origins:
        api.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    api.add_middleware(TimedRequests, metrics=metrics)


def _body_limit(settings: ServiceSettings, path: str) -> int:
    """Return the largest body in bytes."""
    is_upload = path.rstrip("/") in _UPLOAD_PATHS
    return int(1e6 * (settings.upload_megabytes if is_upload else settings.query_megabytes))


def _add_error_handlers(api: FastAPI) -> None:
    api.add_exception_handler(UniragError, error_response)
    api.add_exception_handler(RequestValidationError, validation_error_response)
    api.add_exception_handler(HTTPException, http_error_response)
    api.add_exception_handler(Exception, _internal_error_response)


def _internal_error_response(request: Request, error: Exception) -> JSONResponse:
    """Log a bug of the service. The client learns nothing about the server."""
    _LOG.exception("%s %s", request.method, request.url.path, exc_info=error)
    body = error_out("InternalError", "the service has a bug; its log says more")
    return JSONResponse(body, 500)


def _complete_openapi(api: FastAPI) -> None:
    """Add the request bodies and the key to the OpenAPI document: FastAPI does not see them."""
    generate = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = generate()
            _, bodies = models_json_schema(
                [(model, "validation") for model in (SearchIn, AskIn, JobIn)],
                ref_template="#/components/schemas/{model}",
            )
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(bodies["$defs"])
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"key": []}, {}]
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
