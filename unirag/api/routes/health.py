"""Health, readiness and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from data.errors import Missing
from unirag.api.service import CurrentCaller, CurrentService
from unirag.schemas import HealthOut

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def health() -> HealthOut:
    """Report that the process is alive."""
    return HealthOut(status="ok")


@router.get("/readyz")
def ready(service: CurrentService) -> HealthOut:
    """Report that the models are loaded and the store answers; 503 until then."""
    if not service.ready:
        raise Missing("the models are still loading; try again in a moment")
    service.app.components.store.count()
    return HealthOut(status="ok")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(caller: CurrentCaller, service: CurrentService) -> Response:
    """Metrics for Prometheus."""
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
