"""A killed service loses no write that it has acknowledged."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

WRITES = 100


@contextmanager
def serving(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "unirag", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=dict(os.environ))
    try:
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                assert process.poll() is None
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def test_no_acknowledged_question_or_upload_is_lost(workspace: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    questions: dict[str, str] = {}
    uploaded: dict[str, int] = {}
    wrote_enough = threading.Event()

    def ask(client: httpx.Client, i: int) -> None:
        # a question without evidence is refused at once
        question = f"Who won football cup number {i}?"
        reply = client.post("/v1/ask", json={"text": question})
        questions[reply.json()["conversation"]] = question

    def upload(client: httpx.Client, i: int) -> None:
        card = f"# Card {i}\n\nThe quantity called zorb{i} is a flow.\n".encode()
        form = {"corpus": f"cards-{i}"}
        reply = client.post("/v1/index-jobs", data=form, files={"file": ("card.md", card)})
        uploaded[reply.json()["id"]] = i

    def repeat(write: Callable[[httpx.Client, int], None]) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            for i in range(WRITES):
                try:
                    write(client, i)
                except httpx.TransportError:  # the service was killed
                    return
                if len(questions) >= WRITES // 4 and len(uploaded) >= WRITES // 4:
                    wrote_enough.set()

    with serving(port) as process:
        threads = [threading.Thread(target=repeat, args=(write,)) for write in (ask, upload)]
        for thread in threads:
            thread.start()
        assert wrote_enough.wait(120)
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
    with serving(port), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for name, question in questions.items():
            (turn,) = client.get(f"/v1/conversations/{name}").json()["turns"]
            assert turn["question"] == question
            assert turn["answer"]["refused"]
        for name, i in uploaded.items():
            while (job := client.get(f"/v1/index-jobs/{name}").json())["state"] in (
                "queued",
                "running",
            ):
                time.sleep(0.1)
            assert job["state"] == "done", job
            query = {"text": f"What is zorb{i}?", "corpora": [f"cards-{i}"]}
            (hit,) = client.post("/v1/search", json=query).json()["hits"]
            assert f"zorb{i} " in hit["text"]
