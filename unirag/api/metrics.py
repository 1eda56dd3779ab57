"""Counts and times for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["STEPS", "Metrics", "TimedRequests"]

STEPS = (
    "decode",
    "transcribe",
    "ocr",
    "encode",
    "search",
    "answerability",
    "first_sentence",
    "generate",
)
_BUCKETS_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0,
)  # fmt: skip


class Metrics:
    """The metrics of one service. Each has its own registry, so two in a process do not mix."""

    def __init__(self, queue_lengths: Mapping[str, Callable[[], float]]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "unirag_requests_total", "Requests.", ("route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "unirag_request_seconds",
            "Time of a request.",
            ("route",),
            buckets=_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "unirag_step_seconds",
            "Time of a step of a query.",
            ("step",),
            buckets=_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.answers = Counter(
            "unirag_answers_total", "Answers.", ("outcome",), registry=self.registry
        )
        waiting = Gauge(
            "unirag_waiting", "Requests that wait their turn.", ("queue",), registry=self.registry
        )
        for queue, length in queue_lengths.items():
            waiting.labels(queue).set_function(length)

    def observe_steps(self, timings_ms: Mapping[str, float]) -> None:
        """Record the times of a query's steps."""
        for step in STEPS:
            if step in timings_ms:
                self.step_seconds.labels(step).observe(timings_ms[step] / 1000)


class TimedRequests:
    """Middleware: record the time of every request.

    The label is the route (`/v1/items/{id}`): with the address each id would be a new series.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), "500"

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, status).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started)
