"""What is indexed, how it gets there, and the query styles that it is searched in."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.datastructures import UploadFile as Uploaded

from data.errors import BadInput
from retrieval.store import Where
from unirag.api.access import Caller
from unirag.api.bodies import fit, private_folder, read_json
from unirag.api.errors import NotFound, TooBusy
from unirag.api.schemas import (
    CorporaOut,
    CorpusName,
    CoverageOut,
    ItemOut,
    JobIn,
    JobOut,
    JobsOut,
    StyleOut,
    StylesOut,
)
from unirag.api.service import Here, Service, Teacher, Who
from unirag.indexing.jobs import Job
from unirag.serialization import item_json

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["library"])
_PICTURE = {200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}}
_IMMUTABLE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=31536000, immutable",  # a digest's bytes never change
}


@router.get("/items/{name}", response_model=ItemOut)
def item(name: str, who: Who, here: Here) -> dict[str, Any]:
    """One figure or passage, with the ids of those that belong to it."""
    found = here.unirag.item(name)
    if found is None or not who.may_see(found.corpus):
        raise NotFound("no item of this id is here")
    return item_json(found, here.address)


@router.get("/assets/{digest}", response_class=FileResponse, responses=_PICTURE)  # type: ignore[arg-type]
def asset(digest: str, who: Who, here: Here) -> FileResponse:
    """A figure's picture as it was indexed. Ranges are served."""
    return FileResponse(_shown(here, who, digest), headers=_IMMUTABLE)


@router.get("/assets/{digest}/thumbnail", response_class=FileResponse, responses=_PICTURE)  # type: ignore[arg-type]
def thumbnail(digest: str, who: Who, here: Here) -> FileResponse:
    """The same within 320 x 320 pixels, as WebP."""
    _shown(here, who, digest)
    path = here.unirag.assets.thumbnail(digest)
    if not path.exists():
        raise NotFound("no picture of this digest is here")
    return FileResponse(path, headers=_IMMUTABLE)


@router.get("/corpora", response_model=CorporaOut)
def corpora(who: Who, here: Here) -> dict[str, Any]:
    return {"corpora": [c for c in here.unirag.corpora() if who.may_see(c["name"])]}


@router.get("/corpora/{name}/coverage", response_model=CoverageOut)
def coverage(
    name: str,
    who: Teacher,
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> dict[str, Any]:
    """What was taken from each document, what was not and why; those that need a look first."""
    if not who.may_see(name) or here.unirag.catalog.corpus(name) is None:
        raise NotFound("no corpus of this name is here")
    return here.unirag.coverage(name, limit, offset)


@router.post(
    "/index-jobs",
    status_code=202,
    response_model=JobOut,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/JobIn"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["corpus", "file"],
                        "properties": {
                            "corpus": {"type": "string"},
                            "file": {"type": "string", "format": "binary"},
                        },
                    }
                },
            },
        }
    },
)
async def submit(request: Request, who: Teacher, here: Here) -> dict[str, Any]:
    """Index an uploaded file or zip archive, or a path below the service's `index_root`.

    Uploads to the same corpus add up; the same name again replaces what was there. A job that was
    cancelled goes on where it was when the same is asked again. A file that could not be read is
    read again when it has changed, or with `retry_failed`.
    """
    if here.jobs.waiting() >= here.settings.jobs:
        raise TooBusy("too many index jobs are waiting; come again when some are done", 60)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=1) as form:
            given, file = form.get("corpus"), form.get("file")
            if not isinstance(given, str) or not isinstance(file, Uploaded):
                raise BadInput("expected a form with `corpus` and `file`")
            corpus = _corpus(who, given)
            return _job_json(await here.work(lambda: _upload(here, who, corpus, file)))
    asked = await read_json(request, JobIn)
    corpus = _corpus(who, asked.corpus)
    return _job_json(await here.work(lambda: _on_server(here, who, corpus, asked)))


@router.get("/index-jobs", response_model=JobsOut)
def jobs(who: Teacher, here: Here) -> dict[str, Any]:
    """The newest first."""
    return {"jobs": [_job_json(j) for j in here.jobs.latest() if who.may_see(j.corpus)]}


@router.get("/index-jobs/{name}", response_model=JobOut)
def job(name: str, who: Teacher, here: Here) -> dict[str, Any]:
    """How far it is; when it is over, what was indexed and what was left out."""
    return _job_json(_job(here, who, name))


@router.delete("/index-jobs/{name}", response_model=JobOut)
def cancel(name: str, who: Teacher, here: Here) -> dict[str, Any]:
    """Stop it within seconds; what it has stored stays."""
    here.jobs.cancel(_job(here, who, name).id)
    return _job_json(_job(here, who, name))


@router.get("/styles", response_model=StylesOut)
def styles(who: Who, here: Here) -> dict[str, Any]:
    """Styles that queries are told apart by: trained ones, and every enrolled version."""
    return {"styles": here.unirag.styles()}


@router.post("/styles", status_code=201, response_model=StyleOut)
async def enrol(
    who: Teacher,
    here: Here,
    name: Annotated[str, Form(max_length=100)],
    examples: Annotated[list[UploadFile], File(description="8 to 32 pictures of the style")],
    originals: Annotated[
        list[UploadFile] | None, File(description="the figures that they show, in the same order")
    ] = None,
) -> dict[str, Any]:
    """Teach a query style. What is indexed stays as it is."""
    if originals and len(originals) != len(examples):
        raise BadInput(
            f"originals: {len(originals)} pictures for {len(examples)} examples; expected as many, "
            "in the same order, or none"
        )

    def learn() -> dict[str, Any]:
        with private_folder() as folder:
            shown = _laid(folder / "examples", examples)
            known = _laid(folder / "originals", originals) if originals else None
            entry = here.unirag.adapt(name, shown, known)
        return {
            "name": entry.name,
            "version": entry.version,
            "examples": entry.examples,
            "in_use": True,
        }

    async with here.searches.turn():
        return await here.work(learn)


def _shown(here: Service, who: Caller, digest: str) -> Path:
    """A figure's file; raises `NotFound` where none of the caller's corpora shows the picture."""
    path = here.unirag.assets.path(digest)
    if path and who.corpora:  # who knows a digest may have it from elsewhere
        where = Where(corpora=who.corpora, images=(digest,))
        path = path if here.unirag.store.count(where) else None
    if path is None:
        raise NotFound("no picture of this digest is here")
    return path


class _Named(BaseModel):
    corpus: CorpusName


def _corpus(who: Caller, given: str) -> str:
    corpus = fit(_Named, {"corpus": given}).corpus
    who.within([corpus])
    return corpus


def _upload(here: Service, who: Caller, corpus: str, file: Uploaded) -> Job:
    """The client's name gives ours its letters and its suffix, and is no path."""
    folder = here.unirag.home.sources / corpus
    _check_root(here, corpus, folder)
    given = Path(file.filename or "")
    stem = re.sub(r"[^a-z0-9]+", "-", given.stem.lower()).strip("-")[:80] or "upload"
    suffix = given.suffix.lower() if re.fullmatch(r"\.\w{1,8}", given.suffix, re.ASCII) else ""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}{suffix}"
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as handle:
            shutil.copyfileobj(file.file, handle)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return here.jobs.submit(who.name, corpus, folder)


def _on_server(here: Service, who: Caller, corpus: str, asked: JobIn) -> Job:
    root = here.settings.index_root
    if root is None:
        raise BadInput("path: this service indexes uploads only; send the file as a form")
    try:
        path = (root / asked.path).resolve(strict=True)
        inside = path.is_relative_to(root.resolve())
    except (OSError, ValueError):  # nothing there, or a name that no file can have
        inside = False
    if not inside:
        raise BadInput("path: nothing is there; expected a file or folder below the index root")
    _check_root(here, corpus, path)
    return here.jobs.submit(who.name, corpus, path, asked.retry_failed)


def _check_root(here: Service, corpus: str, path: Path) -> None:
    known = here.unirag.catalog.corpus(corpus)
    if known and Path(known.root) != path.resolve():
        raise BadInput(f"corpus: {corpus!r} was made from another place; choose another name")


def _job(here: Service, who: Caller, name: str) -> Job:
    found = here.jobs.get(name)
    if found is None or not who.may_see(found.corpus):
        raise NotFound("no index job of this id is here")
    return found


def _laid(folder: Path, files: Sequence[Uploaded]) -> Path:
    """The uploads under numbers, so that an example and its original have the same name."""
    folder.mkdir()
    for i, file in enumerate(files):
        (folder / f"{i:04}.png").write_bytes(file.file.read())
    return folder


def _job_json(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in JobOut.model_fields}
