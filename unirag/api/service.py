"""Search and ask over HTTP, for this machine only: keys and limits are not here yet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from data.errors import BadInput, Busy, Mismatch, Missing, UniragError
from unirag.app import App
from unirag.views import answer_json, found_json

__all__ = ["create"]

_PAGE = Path(__file__).with_name("page.html")
_STATUS = ((BadInput, 400), (Missing, 503), (Busy, 409), (Mismatch, 409))
_UPLOAD_BYTES = 20_000_000


def create(unirag: App) -> FastAPI:
    """The service over an open application; the caller closes it."""
    service = FastAPI(title="unirag", docs_url="/docs", redoc_url=None)

    @service.exception_handler(UniragError)
    def refused(request: Request, error: UniragError) -> JSONResponse:  # noqa: ARG001
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        body = {"error": {"kind": type(error).__name__, "message": str(error)}}
        return JSONResponse(body, status)

    @service.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(_PAGE.read_text(encoding="utf-8"))

    @service.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @service.post("/v1/search")
    def search(
        text: Annotated[str, Form()] = "",
        limit: Annotated[int, Form(ge=1, le=50)] = 5,
        image: UploadFile | None = None,
    ) -> dict[str, Any]:
        with _stored(image) as images:
            return found_json(unirag.search(text, images=images, limit=limit), _address(unirag))

    @service.post("/v1/ask")
    def ask(
        text: Annotated[str, Form()] = "",
        limit: Annotated[int, Form(ge=1, le=50)] = 5,
        image: UploadFile | None = None,
    ) -> dict[str, Any]:
        with _stored(image) as images:
            events = list(unirag.stream(text, images=images, limit=limit))
        return answer_json(events[-1], events[0], _address(unirag))  # type: ignore[arg-type]

    @service.get("/v1/assets/{digest}")
    def asset(digest: str) -> FileResponse:
        path = unirag.assets.path(digest)
        if path is None:
            raise HTTPException(404, "no picture of this digest is kept here")
        return FileResponse(path, headers={"X-Content-Type-Options": "nosniff"})

    return service


def _address(unirag: App) -> Any:
    """Pictures by their address under this service; no path of the server goes out."""
    return lambda digest: f"/v1/assets/{digest}" if unirag.assets.path(digest) else None


@contextmanager
def _stored(upload: UploadFile | None) -> Iterator[list[Path]]:
    """The upload under a name of ours: the client's name is never used as a path."""
    if upload is None or not upload.size:
        yield []
        return
    if upload.size > _UPLOAD_BYTES:
        raise BadInput(f"the picture has {upload.size} bytes; expected at most {_UPLOAD_BYTES}")
    with tempfile.TemporaryDirectory(prefix="unirag-") as folder:
        path = Path(folder) / "query"
        path.write_bytes(upload.file.read())
        yield [path]
