"""Is it up, is it ready, what has it done."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from data.errors import Missing
from unirag.api.schemas import HealthOut
from unirag.api.service import Here, Who

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=HealthOut)
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", response_model=HealthOut)
def ready(here: Here) -> dict[str, str]:
    """Models are loaded and the store answers; 503 until then."""
    if not here.ready:
        raise Missing("models are being loaded; try again in a moment")
    here.unirag.store.count()
    return {"status": "ok"}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(who: Who, here: Here) -> Response:
    """For Prometheus."""
    return Response(generate_latest(here.metrics.registry), media_type=CONTENT_TYPE_LATEST)
