"""The service of an indexed workspace."""

from __future__ import annotations

import base64
import gc
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from unirag.api.app_factory import create_api


@pytest.fixture
def serve(workspace: Any, chat: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a context manager that starts the service with some settings."""

    @contextmanager
    def start(**settings: Any) -> Iterator[TestClient]:
        with (
            workspace.open(**settings) as app,
            TestClient(create_api(app), raise_server_exceptions=False) as client,
        ):
            yield client
        gc.collect()  # a service is a cycle of objects, and each holds its models

    return start


@pytest.fixture
def client(serve: Callable[..., Any]) -> Iterator[TestClient]:
    with serve() as client:
        yield client


@pytest.fixture
def live_server(workspace: Any, chat: Any) -> Any:
    """Return a context manager that serves on a free port; it yields the address."""

    @contextmanager
    def start(**settings: Any) -> Iterator[str]:
        with workspace.open(**settings) as app:
            server = uvicorn.Server(uvicorn.Config(create_api(app), port=0, log_level="error"))
            thread = threading.Thread(target=server.run)
            thread.start()
            try:
                while not server.started:
                    time.sleep(0.05)
                port = server.servers[0].sockets[0].getsockname()[1]
                yield f"http://127.0.0.1:{port}"
            finally:
                server.should_exit = True
                thread.join()

    return start


@pytest.fixture
def ray_picture() -> str:
    """Return the figure of the optics card as a PNG in base64."""
    from PIL import ImageDraw

    picture = Image.new("RGB", (96, 64), "white")
    ImageDraw.Draw(picture).line([(8, 8), (48, 32), (64, 60)], fill="black", width=3)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
