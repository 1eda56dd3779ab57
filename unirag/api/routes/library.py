"""Items, pictures, corpora, index jobs and query styles."""

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
from starlette.datastructures import UploadFile as StarletteUploadFile

from data.errors import BadInput
from retrieval.store import Where
from unirag.api.access import Caller
from unirag.api.errors import NotFound, TooBusy
from unirag.api.request_bodies import parse, private_folder, read_json
from unirag.api.requests import CorpusName, JobIn
from unirag.api.service import CurrentCaller, CurrentService, CurrentTeacher, Service
from unirag.indexing.jobs import Job
from unirag.schemas import (
    CorporaOut,
    CorpusOut,
    CoverageOut,
    ItemOut,
    JobOut,
    JobsOut,
    StyleOut,
    StylesOut,
)
from unirag.serialization import item_out

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["library"])
_PICTURE_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}
_IMMUTABLE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=31536000, immutable",  # a digest always names the same bytes
}
_JOB_BODY: dict[str, Any] = {
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
}
_RETRY_SECONDS = 60  # `Retry-After` when too many index jobs are waiting
_MAX_STEM_CHARACTERS = 80  # of a stored upload's name, without its suffix


@router.get("/items/{item_id}")
def get_item(item_id: str, caller: CurrentCaller, service: CurrentService) -> ItemOut:
    """Return one figure or passage, with the ids of the items that belong to it."""
    item = service.app.item(item_id)
    if item is None or not caller.may_see(item.corpus):
        raise NotFound("no item has this id")
    return item_out(item, service.address)


@router.get("/assets/{digest}", response_class=FileResponse, responses=_PICTURE_RESPONSE)
def get_picture(digest: str, caller: CurrentCaller, service: CurrentService) -> FileResponse:
    """Return a figure's picture as it was indexed. Ranges are served."""
    return FileResponse(_picture_path(service, caller, digest), headers=_IMMUTABLE)


@router.get("/assets/{digest}/thumbnail", response_class=FileResponse, responses=_PICTURE_RESPONSE)
def get_thumbnail(digest: str, caller: CurrentCaller, service: CurrentService) -> FileResponse:
    """Return a figure's picture within 320 x 320 pixels, as WebP."""
    _picture_path(service, caller, digest)
    path = service.app.components.assets.thumbnail(digest)
    if not path.exists():
        raise NotFound("no picture has this digest")
    return FileResponse(path, headers=_IMMUTABLE)


@router.get("/corpora")
def list_corpora(caller: CurrentCaller, service: CurrentService) -> CorporaOut:
    """List the corpora that the caller may search."""
    corpora = [c for c in service.app.corpora.list() if caller.may_see(c["name"])]
    return CorporaOut(corpora=[CorpusOut.model_validate(corpus) for corpus in corpora])


@router.get("/corpora/{name}/coverage")
def get_coverage(
    name: str,
    caller: CurrentTeacher,
    service: CurrentService,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> CoverageOut:
    """Say what was indexed from each document, what was not, and why. Problems come first."""
    _find_corpus(service, caller, name)
    return CoverageOut.model_validate(service.app.corpora.coverage(name, limit, offset))


@router.delete("/corpora/{name}", status_code=204)
async def delete_corpus(name: str, caller: CurrentTeacher, service: CurrentService) -> None:
    """Delete a corpus, and the files that were uploaded to it."""
    _find_corpus(service, caller, name)

    def delete() -> None:
        service.app.corpora.remove(name)
        folder = service.app.components.workspace.sources_folder / name
        if folder.is_dir():
            shutil.rmtree(folder)

    await service.run(delete)


@router.delete("/corpora/{name}/documents", status_code=204)
async def delete_document(
    name: str,
    source: Annotated[str, Query(max_length=1000, description="as in the coverage")],
    caller: CurrentTeacher,
    service: CurrentService,
) -> None:
    """Delete a document of a corpus, and its file if it was uploaded.

    A document inside an archive, or of a folder that was not uploaded, comes back when that is
    indexed again.
    """
    _find_corpus(service, caller, name)

    def delete() -> None:
        service.app.corpora.remove_document(name, source)
        folder = (service.app.components.workspace.sources_folder / name).resolve()
        path = (folder / source).resolve()
        if path.is_relative_to(folder) and path.is_file():
            path.unlink()

    await service.run(delete)


@router.post("/index-jobs", status_code=202, openapi_extra=_JOB_BODY)
async def create_job(request: Request, caller: CurrentTeacher, service: CurrentService) -> JobOut:
    """Index an uploaded file or zip archive, or a path below the service's `index_root`.

    Uploads to a corpus add up; a file of the same name replaces the earlier one. A form may name
    the corpus in words: `Year 9 Physics` becomes `year-9-physics`. The same request
    continues a cancelled job where it stopped. A dead letter is read again when its file has
    changed, or with `retry_failed`.
    """
    if service.jobs.open_jobs() >= service.settings.jobs:
        raise TooBusy(
            "too many index jobs are waiting; try again when some are done", _RETRY_SECONDS
        )
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=1) as form:
            name, file = form.get("corpus"), form.get("file")
            if not isinstance(name, str) or not isinstance(file, StarletteUploadFile):
                raise BadInput("expected a form with `corpus` and `file`")
            corpus = _corpus_name(caller, "-".join(name.lower().split()))
            job = await service.run(lambda: _index_upload(service, caller, corpus, file))
            return _job_out(job)
    body = await read_json(request, JobIn)
    corpus = _corpus_name(caller, body.corpus)
    job = await service.run(lambda: _index_server_path(service, caller, corpus, body))
    return _job_out(job)


@router.get("/index-jobs")
def list_jobs(caller: CurrentTeacher, service: CurrentService) -> JobsOut:
    """List index jobs, newest first."""
    jobs = [_job_out(job) for job in service.jobs.latest() if caller.may_see(job.corpus)]
    return JobsOut(jobs=jobs)


@router.get("/index-jobs/{job_id}")
def get_job(job_id: str, caller: CurrentTeacher, service: CurrentService) -> JobOut:
    """Return the progress of an index job; at its end, what was indexed and what was left out."""
    return _job_out(_find_job(service, caller, job_id))


@router.delete("/index-jobs/{job_id}")
def cancel_job(job_id: str, caller: CurrentTeacher, service: CurrentService) -> JobOut:
    """Stop an index job within seconds. Documents that it has stored stay."""
    service.jobs.cancel(_find_job(service, caller, job_id).id)
    return _job_out(_find_job(service, caller, job_id))


@router.get("/styles")
def list_styles(caller: CurrentCaller, service: CurrentService) -> StylesOut:
    """List the trained query styles and every version of the enrolled ones."""
    return StylesOut(styles=[StyleOut.model_validate(s) for s in service.app.styles.list()])


@router.post("/styles", status_code=201)
async def enrol_style(
    caller: CurrentTeacher,
    service: CurrentService,
    name: Annotated[str, Form(max_length=100)],
    examples: Annotated[list[UploadFile], File(description="8 to 32 pictures of the style")],
    originals: Annotated[
        list[UploadFile] | None, File(description="the figures that they show, in the same order")
    ] = None,
) -> StyleOut:
    """Enrol a query style from examples. Stored vectors stay as they are."""
    if originals and len(originals) != len(examples):
        raise BadInput(
            f"originals: {len(originals)} pictures for {len(examples)} examples; expected as many, "
            "in the same order, or none"
        )

    def enrol() -> StyleOut:
        with private_folder() as folder:
            example_folder = _write_numbered(folder / "examples", examples)
            original_folder = (
                _write_numbered(folder / "originals", originals) if originals else None
            )
            entry = service.app.styles.adapt(name, example_folder, original_folder)
        return StyleOut(
            name=entry.name, version=entry.version, examples=entry.examples, in_use=True
        )

    async with service.searches.turn():
        return await service.run(enrol)


def _find_corpus(service: Service, caller: Caller, name: str) -> None:
    """Raise `NotFound` if there is no such corpus, or if the caller may not use it."""
    if not caller.may_see(name) or service.app.components.catalog.corpus(name) is None:
        raise NotFound("no corpus has this name")


def _picture_path(service: Service, caller: Caller, digest: str) -> Path:
    """Return the file of a picture. Raise `NotFound` if no corpus of the caller shows it."""
    path = service.app.components.assets.path(digest)
    if path and caller.corpora:  # a caller may know the digest of another corpus's picture
        where = Where(corpora=caller.corpora, images=(digest,))
        path = path if service.app.components.store.count(where) else None
    if path is None:
        raise NotFound("no picture has this digest")
    return path


class CorpusField(BaseModel):
    """The form field `corpus` of an upload."""

    corpus: CorpusName


def _corpus_name(caller: Caller, name: str) -> str:
    """Check the name of a corpus and that the caller may use it."""
    corpus = parse(CorpusField, {"corpus": name}).corpus
    caller.within([corpus])
    return corpus


def _index_upload(
    service: Service, caller: Caller, corpus: str, upload: StarletteUploadFile
) -> Job:
    """Store an upload in the corpus's folder and index that folder.

    The file's name keeps the letters and the suffix of the client's name, never its path.
    """
    folder = service.app.components.workspace.sources_folder / corpus
    _check_root(service, corpus, folder)
    client_name = Path(upload.filename or "")
    stem = re.sub(r"[^a-z0-9]+", "-", client_name.stem.lower()).strip("-")
    suffix = client_name.suffix
    suffix = suffix.lower() if re.fullmatch(r"\.\w{1,8}", suffix, re.ASCII) else ""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem[:_MAX_STEM_CHARACTERS] or 'upload'}{suffix}"
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("wb") as handle:
            shutil.copyfileobj(upload.file, handle)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return service.jobs.submit(caller.name, corpus, folder)


def _index_server_path(service: Service, caller: Caller, corpus: str, body: JobIn) -> Job:
    """Index a path below `index_root`."""
    root = service.settings.index_root
    if root is None:
        raise BadInput("path: this service indexes uploads only; send the file as a form")
    try:
        path = (root / body.path).resolve(strict=True)
        inside = path.is_relative_to(root.resolve())
    except (OSError, ValueError):  # the path does not exist or is not a valid name
        inside = False
    if not inside:
        raise BadInput("path: not found; expected a file or folder below the index root")
    _check_root(service, corpus, path)
    return service.jobs.submit(caller.name, corpus, path, body.retry_failed)


def _check_root(service: Service, corpus: str, path: Path) -> None:
    """Raise `BadInput` if the corpus was indexed from another folder."""
    existing = service.app.components.catalog.corpus(corpus)
    if existing and Path(existing.root) != path.resolve():
        raise BadInput(f"corpus: {corpus!r} was indexed from another folder; choose another name")


def _find_job(service: Service, caller: Caller, job_id: str) -> Job:
    job = service.jobs.get(job_id)
    if job is None or not caller.may_see(job.corpus):
        raise NotFound("no index job has this id")
    return job


def _write_numbered(folder: Path, uploads: Sequence[UploadFile]) -> Path:
    """Write uploads under numbers, so that an example and its original have the same name."""
    folder.mkdir()
    for number, upload in enumerate(uploads):
        (folder / f"{number:04}.png").write_bytes(upload.file.read())
    return folder


def _job_out(job: Job) -> JobOut:
    return JobOut.model_validate(job, from_attributes=True)
