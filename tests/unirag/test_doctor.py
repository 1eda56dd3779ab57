"""Each check of the doctor, when all is well and when something is wrong."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata

import pytest
import torch

from data.errors import BadSetting
from unirag import doctor
from unirag.models import devices
from unirag.models.devices import choose_device, choose_dtype
from unirag.models.download import sha256_of
from unirag.models.profiles import PROFILES
from unirag.models.source import PathSource
from unirag.models.store import ModelStore

MINI = PROFILES["mini"]


def run(tmp_path, profile=MINI, **options):
    checks = doctor.run_checks(
        profile, ModelStore(tmp_path / "models"), tmp_path / "home", **options
    )
    return {check.name: check for check in checks}


def write_model(root, model):
    """Write a model that looks pulled: one small file and its record."""
    folder = root / model.name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    entry = {"bytes": 2, "sha256": sha256_of(folder / "config.json")}
    record = {
        "sources": [str(source) for source in model.sources],
        "conversion": model.conversion,
        "files": {"config.json": entry},
    }
    (folder / "model.json").write_text(json.dumps(record))
    return folder


def test_missing_models_are_reported_with_the_pull_command(tmp_path):
    checks = run(tmp_path)
    for task in ("image", "text", "chat", "speech"):
        assert checks[f"{task} model"].state == "fail"
        assert checks[f"{task} model"].remedy == "unirag models pull --profile mini"
    assert doctor.worst_state(checks.values()) == "fail"
    assert checks["Python"].state == "ok"
    assert list(tmp_path.iterdir()) == []  # checks leave nothing behind


def test_pulled_models_pass_and_a_damaged_one_fails(tmp_path):
    folders = [write_model(tmp_path / "models", model) for model in MINI.models]
    assert all(run(tmp_path)[f"{m.task} model"].state == "ok" for m in MINI.models)
    (folders[2] / "config.json").write_text("[]")
    check = run(tmp_path)["chat model"]
    assert check.state == "fail"
    assert "config.json differs" in check.detail
    assert "models pull" in check.remedy


def test_a_model_at_a_path_must_exist(tmp_path):
    source = PathSource(str(tmp_path / "own"))
    profile = replace(MINI, chat=replace(MINI.chat, sources=(source,), conversion=""))
    assert "does not exist" in run(tmp_path, profile)["chat model"].detail
    (tmp_path / "own").mkdir()
    assert run(tmp_path, profile)["chat model"].state == "ok"


def test_a_workspace_in_use_is_a_warning_and_an_unwritable_one_a_failure(tmp_path):
    assert run(tmp_path)["home folder"].state == "ok"
    in_use = run(tmp_path, holder=lambda home: "process 4711")["home folder"]
    assert (in_use.state, "process 4711" in in_use.detail) == ("warn", True)
    (tmp_path / "home").write_text("a file where a folder should be")
    broken = run(tmp_path)["home folder"]
    assert broken.state == "fail"
    assert "--home" in broken.remedy


def test_too_little_disk_space_is_a_failure(tmp_path, monkeypatch):
    usage = doctor.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    assert run(tmp_path)["disk"].state == "fail"


def test_packages_are_compared_with_the_installed_metadata(tmp_path, monkeypatch):
    def check(*requirements):
        monkeypatch.setattr(metadata, "requires", lambda name: list(requirements))
        real = metadata.version
        monkeypatch.setattr(
            metadata, "version", lambda name: "0.1.0" if name == "unirag" else real(name)
        )
        result = run(tmp_path)["packages"]
        monkeypatch.undo()
        return result

    assert check("torch>=2", "nothing-like-it; extra == 'dev'").state == "ok"
    assert "nothing-like-it is missing" in check("nothing-like-it").detail
    assert "is not >=999" in check("torch>=999").detail


def test_an_extra_that_is_not_installed_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setitem(doctor._EXTRAS, "web app", (("no_such_module",), "pip install x"))
    assert run(tmp_path)["web app"] == doctor.Check(
        "web app", "warn", "no_such_module is not installed", "pip install x"
    )


@pytest.fixture
def server():
    """A server whose answer to /readyz can be set: `server.status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *args):
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    httpd.status = 200
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_qdrant_server_must_answer_and_be_ready(tmp_path, server):
    url = f"http://127.0.0.1:{server.server_port}/"
    assert run(tmp_path, qdrant_url=url)["Qdrant server"].state == "ok"
    server.status = 503
    assert "503" in run(tmp_path, qdrant_url=url)["Qdrant server"].detail
    with socket.socket() as unused_socket:
        unused_socket.bind(("127.0.0.1", 0))
        unused_address = f"http://127.0.0.1:{unused_socket.getsockname()[1]}"
        assert run(tmp_path, qdrant_url=unused_address)["Qdrant server"].state == "fail"
    assert run(tmp_path, qdrant_url="no url")["Qdrant server"].state == "fail"
    assert "Qdrant server" not in run(tmp_path)


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"architecture": "x86_64", "avx2": True}, torch.float32),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"architecture": "x86_64", "avx512_bf16": True}, torch.bfloat16),
        ({"architecture": "x86_64", "amx_bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "neon": True}, torch.float32),
    ],
)
def test_the_cpu_decides_the_number_format(tmp_path, monkeypatch, capabilities, dtype):
    monkeypatch.setattr(devices.torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_dtype("cpu") == dtype
    assert choose_dtype("cpu", "float32") == torch.float32
    assert choose_dtype("cpu", "bfloat16") == torch.bfloat16
    assert str(dtype).removeprefix("torch.") in run(tmp_path, device="cpu")["device"].detail


def test_a_missing_device_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(BadSetting, match="'cuda' is not there"):
        choose_device("cuda")
    assert run(tmp_path, device="toaster")["device"].state == "fail"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == "cuda"
    assert choose_device("cuda:1") == "cuda:1"
    with pytest.raises(BadSetting):
        choose_device("cuda:2")
