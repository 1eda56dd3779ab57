"""Reads a question's body: JSON with base64, or a form with files. Both become the same model."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from data.errors import BadInput, UniragError
from data.records import Level, Task
from generation.tasks import MAX_STUDENT_ANSWER_CHARACTERS
from unirag.api.requests import MAX_IMAGES, MAX_RECORDINGS, AskIn, SearchIn

__all__ = ["openapi_body", "parse", "private_folder", "read_body", "read_json"]

M = TypeVar("M", bound=BaseModel)
_FILE_FIELDS = {"image": "images", "audio": "audio"}  # form field: model field
_FILE_OPTIONS = ("weight", "style")  # form fields `image_weight`, `image_style`, `audio_weight`
_REPEATABLE = ("corpora", "kinds")  # form fields that may occur more than once


async def read_body(request: Request, model: type[M]) -> M:
    """Return the body as `model`. Raise what FastAPI raises if a field does not fit."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind == "application/json":
        return await read_json(request, model)
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        async with request.form(max_files=MAX_IMAGES + MAX_RECORDINGS, max_fields=100) as form:
            return parse(model, await _form_fields(form))
    raise BadInput(f"content type {kind!r}; expected application/json or multipart/form-data")


async def read_json(request: Request, model: type[M]) -> M:
    """Return the JSON body as `model`."""
    try:
        fields = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise BadInput("the body is not JSON; expected an object such as {...}") from None
    return parse(model, fields)


def parse(model: type[M], fields: object) -> M:
    """Validate `fields`. Raise what FastAPI raises if a field does not fit."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


async def _form_fields(form: FormData) -> dict[str, Any]:
    """Return the fields of a form under the names of the JSON body.

    The fields `image` and `audio` are files. The weight and style of the n-th file are the n-th
    `image_weight`, `image_style` and `audio_weight`.
    """
    options = {f"{name}_{option}" for name in _FILE_FIELDS for option in _FILE_OPTIONS}
    fields: dict[str, Any] = {}
    for name in dict.fromkeys(form.keys()):
        if name in _FILE_FIELDS:
            fields[_FILE_FIELDS[name]] = await _files(form, name)
        elif name not in options:
            values = form.getlist(name)
            fields[name] = values if name in _REPEATABLE else values[-1]
    return fields


async def _files(form: FormData, name: str) -> list[dict[str, Any]]:
    """Return the files of a field in base64, each with its options."""
    uploads = [v for v in form.getlist(name) if isinstance(v, UploadFile) and v.size]
    files: list[dict[str, Any]] = []
    for number, upload in enumerate(uploads):
        file: dict[str, Any] = {"data": base64.b64encode(await upload.read()).decode()}
        for option in _FILE_OPTIONS:
            values = form.getlist(f"{name}_{option}")
            if number < len(values):
                file[option] = values[number]
        files.append(file)
    return files


@contextmanager
def private_folder() -> Iterator[Path]:
    """Provide a temporary folder for one request. Error messages do not contain its path."""
    with TemporaryDirectory(prefix="unirag-") as folder:
        try:
            yield Path(folder)
        except UniragError as error:
            raise type(error)(str(error).replace(f"{folder}/", "")) from None


def openapi_body(model: type[SearchIn]) -> dict[str, Any]:
    """Describe the request body for OpenAPI: the model, or a form of the same fields."""
    fields: dict[str, Any] = {
        "text": {"type": "string"},
        "text_weight": {"type": "number"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 50},
        "image": _file_array("pictures"),
        "image_weight": {"type": "array", "items": {"type": "number"}},
        "image_style": {"type": "array", "items": {"type": "string"}},
        "audio": _file_array("recordings"),
        "audio_weight": {"type": "array", "items": {"type": "number"}},
        "corpora": {"type": "array", "items": {"type": "string"}},
        "kinds": {"type": "array", "items": {"enum": ["figure", "passage"]}},
    }
    if model is AskIn:
        fields |= {
            "conversation": {"type": "string"},
            "stream": {"type": "boolean"},
            "task": {"enum": list(get_args(Task))},
            "level": {"enum": list(get_args(Level))},
            "student_answer": {"type": "string", "maxLength": MAX_STUDENT_ANSWER_CHARACTERS},
        }
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    form = {"type": "object", "properties": fields}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def _file_array(content: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "description": f"{content} as files",
    }
