"""A question as it comes: JSON with base64, or a form with files. Both become the same model."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from data.errors import BadInput, UniragError
from data.records import Level, Task, WeightedAudio, WeightedImage
from generation.tasks import MAX_STUDENT_ANSWER_CHARACTERS
from unirag.api.schemas import PICTURES, SOUNDS, AskIn, SearchIn

__all__ = ["documented", "fit", "laid", "private_folder", "read", "read_json"]

M = TypeVar("M", bound=BaseModel)
_MANY = ("corpora", "kinds")  # fields that a form may give more than once


async def read(request: Request, model: type[M]) -> M:
    """The body as `model`; raises what FastAPI raises for a body that does not fit."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind == "application/json":
        return await read_json(request, model)
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        return fit(model, await _form(request))
    raise BadInput(f"content type {kind!r}; expected application/json or multipart/form-data")


async def read_json(request: Request, model: type[M]) -> M:
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise BadInput("the body is no JSON; expected an object such as {...}") from None
    return fit(model, given)


def fit(model: type[M], given: object) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


async def _form(request: Request) -> dict[str, Any]:
    """`image` and `audio` are files, each with its `_weight` and `_style` in the same order."""
    async with request.form(max_files=PICTURES + SOUNDS, max_fields=100) as form:
        given: dict[str, Any] = {}
        for name in dict.fromkeys(form.keys()):
            values = form.getlist(name)
            if name in ("image", "audio"):
                files = [v for v in values if isinstance(v, UploadFile) and v.size]
                extras = [e for e in ("weight", "style") if f"{name}_{e}" in form]
                given["images" if name == "image" else "audio"] = [
                    {
                        "data": base64.b64encode(await file.read()).decode(),
                        **{
                            e: form.getlist(f"{name}_{e}")[i]
                            for e in extras
                            if i < len(form.getlist(f"{name}_{e}"))
                        },
                    }
                    for i, file in enumerate(files)
                ]
            elif name not in ("image_weight", "image_style", "audio_weight"):
                given[name] = values if name in _MANY else values[-1]
        return given


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for the time of a request, which errors do not name."""
    with TemporaryDirectory(prefix="unirag-") as folder:
        try:
            yield Path(folder)
        except UniragError as error:
            raise type(error)(str(error).replace(f"{folder}/", "")) from None


@contextmanager
def laid(asked: SearchIn) -> Iterator[tuple[list[WeightedImage], list[WeightedAudio]]]:
    """Pictures and recordings as files under names of ours, gone afterwards."""
    with private_folder() as root:
        images = [
            WeightedImage(_laid(root / f"image-{i}", "images", i, p.data), p.weight, p.style)
            for i, p in enumerate(asked.images)
        ]
        audio = [
            WeightedAudio(_laid(root / f"audio-{i}", "audio", i, s.data), s.weight)
            for i, s in enumerate(asked.audio)
        ]
        yield images, audio


def _laid(path: Path, field: str, number: int, data: str) -> Path:
    try:
        path.write_bytes(base64.b64decode(data.encode(), validate=True))
    except (binascii.Error, UnicodeEncodeError):
        raise BadInput(f"{field}.{number}.data: not base64; expected the file's bytes") from None
    return path


def documented(model: type[SearchIn]) -> dict[str, Any]:
    """The request body for OpenAPI: the model, or a form of the same fields."""
    words = {
        "text": {"type": "string"},
        "text_weight": {"type": "number"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 50},
        "image": _files("pictures"),
        "image_weight": {"type": "array", "items": {"type": "number"}},
        "image_style": {"type": "array", "items": {"type": "string"}},
        "audio": _files("recordings"),
        "audio_weight": {"type": "array", "items": {"type": "number"}},
        "corpora": {"type": "array", "items": {"type": "string"}},
        "kinds": {"type": "array", "items": {"enum": ["figure", "passage"]}},
    }
    if model is AskIn:
        words |= {
            "conversation": {"type": "string"},
            "stream": {"type": "boolean"},
            "task": {"enum": list(get_args(Task))},
            "level": {"enum": list(get_args(Level))},
            "student_answer": {"type": "string", "maxLength": MAX_STUDENT_ANSWER_CHARACTERS},
        }
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    form = {"type": "object", "properties": words}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def _files(what: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "description": f"{what} as files",
    }
