"""Counts and times for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["STEPS", "Metrics", "Timed"]

STEPS = ("decode", "transcribe", "ocr", "encode", "search", "judge", "first_sentence", "generate")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)


class Metrics:
    """One registry per service, so that two in one process do not share their counts."""

    def __init__(self, waiting: Mapping[str, Callable[[], float]]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "unirag_requests_total", "Requests.", ("route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "unirag_request_seconds",
            "Time of a request.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "unirag_step_seconds",
            "Time of a step of a query.",
            ("step",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.answers = Counter(
            "unirag_answers_total", "Answers.", ("outcome",), registry=self.registry
        )
        queue = Gauge(
            "unirag_waiting", "Requests that wait their turn.", ("queue",), registry=self.registry
        )
        for name, count in waiting.items():
            queue.labels(name).set_function(count)

    def steps(self, timings_ms: Mapping[str, float]) -> None:
        for step in STEPS:
            if step in timings_ms:
                self.step_seconds.labels(step).observe(timings_ms[step] / 1000)


class Timed:
    """Middleware: every request under the route's own path, so that ids make no new series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), "500"

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, status).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)
