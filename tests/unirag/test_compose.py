"""The deployment files, parsed as Docker and Compose parse them. No Docker engine is needed."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner

from data.errors import BadSetting
from unirag.api.routes import health
from unirag.cli import serving
from unirag.cli.commands import app
from unirag.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
GPU = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]
OURS = ("models", "service")  # from our image
PROFILES = sorted({name for s in SERVICES.values() for name in s.get("profiles", [])})
KEY = "a-key-of-24-characters.."


def texts() -> dict[str, str]:
    """Return the deployment files by name, without their comments."""
    names = [
        "Dockerfile",
        "docker-compose.yml",
        "docker-compose.gpu.yml",
        "deploy/prometheus.yml",
        "deploy/Caddyfile",
    ]
    return {name: re.sub(r"(?m)^\s*#.*\n", "", (ROOT / name).read_text()) for name in names}


@cache
def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the steps of each stage of the Dockerfile, after the steps of its base stage."""
    text = texts()["Dockerfile"].replace("\\\n", " ")
    by_stage: dict[str, list[tuple[str, str]]] = {}
    steps: list[tuple[str, str]] = []
    for line in filter(str.strip, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            source, _, name = rest.partition(" AS ")
            steps = by_stage[name] = list(by_stage.get(source, [("FROM", source)]))
        else:
            steps.append((word, " ".join(rest.split())))
    return by_stage


def steps(stage: str, word: str) -> list[str]:
    return [rest for w, rest in stages()[stage] if w == word]


def image_environment(stage: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in steps(stage, "ENV") for pair in rest.split())


def example() -> dict[str, str]:
    """Return the variables of .env.example with their values, commented ones too."""
    lines = re.findall(r"(?m)^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text())
    assert len(lines) == len(dict(lines)), "each once"
    return dict(lines)


def variables_read() -> set[str]:
    """Return the names that Compose reads from .env: `${NAME}`, names without value, secrets."""
    names = set(re.findall(r"\$\{(\w+)", "".join(texts().values()).replace("${PYTHON_IMAGE}", "")))
    for service in [*SERVICES.values(), *GPU.values()]:
        variables = service.get("environment", {})
        names |= {name for name, value in variables.items() if value is None}
    return names | {secret["environment"] for secret in COMPOSE["secrets"].values()}


def fill_in(value: Any, variables: dict[str, str]) -> str:
    """Return a value with its `${NAME:-default}` filled in."""
    return re.sub(
        r"\$\{(\w+)(?::-([^}]*))?\}", lambda m: variables.get(m[1]) or m[2] or "", str(value)
    )


def container_environment(
    name: str, variables: dict[str, str], gpu: bool = False
) -> dict[str, str]:
    """Return the environment of a container of our image; `variables` are those of .env."""
    declared = SERVICES[name].get("environment", {}) | (
        GPU[name].get("environment", {}) if gpu else {}
    )
    passed = {
        key: variables.get(key) if value is None else fill_in(value, variables)
        for key, value in declared.items()
    }
    stage = (GPU[name] if gpu else SERVICES[name])["build"]["target"]
    return image_environment(stage) | {k: v for k, v in passed.items() if v is not None}


def published(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the host address and the container port of each published port, with an empty .env."""
    for port in service.get("ports", ()):
        host, _, inside = fill_in(port, {}).rpartition(":")
        yield host, inside


def mounts(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the source and the target of each volume."""
    for volume in service.get("volumes", ()):
        source, *rest = fill_in(volume, {}).split(":")
        yield source, rest[0] if rest else source


def set_only(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    """Set these settings in the environment and remove all others."""
    for name in [n for n in os.environ if n.startswith("UNIRAG_")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        if name.startswith("UNIRAG_"):
            monkeypatch.setenv(name, value)


# The images


def test_images_are_pinned_to_a_release() -> None:
    for name, service in SERVICES.items():
        image, _, tag = service["image"].partition(":")
        if name in OURS:
            assert (image, tag) == ("unirag", service["build"]["target"])
        else:
            assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), f"{name}: {tag}"
    assert "\nARG PYTHON_IMAGE=python:3.12-slim-bookworm\n" in "\n" + texts()["Dockerfile"]
    version = re.fullmatch(r"qdrant/qdrant:v(\d+)\.(\d+)\.\d+", SERVICES["qdrant"]["image"])
    assert version
    assert (int(version[1]), int(version[2])) >= (1, 17), "the fusion's weights need 1.17"


def test_every_target_runs_unirag_as_a_user_and_only_the_venv_comes_from_the_builder() -> None:
    assert next(iter(stages())) == "builder"
    assert list(stages())[-1] == "cpu", "the target of `docker build .`"
    for target in ("cpu", "gpu"):
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", steps(target, "USER")[-1]), (
            "a numeric user, not root"
        )
        assert steps(target, "COPY") == ["--from=builder /opt/unirag /opt/unirag"]
        assert steps(target, "ENTRYPOINT") == ['["unirag"]']
        assert "apt-get" not in "".join(steps("cpu", "RUN"))
    assert any("gcc" in run for run in steps("gpu", "RUN")), "Triton compiles with it"


def test_the_builder_copies_every_package_and_the_context_holds_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    rooms = {pattern.removesuffix("*") for pattern in patterns}
    other_files = {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    copied = {source for rest in steps("builder", "COPY") for source in rest.split()[:-1]}
    assert copied == rooms | other_files
    ignored = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line]
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    assert allowed == copied, "neither .env nor .git nor .venv is sent"


def test_the_image_has_its_extras() -> None:
    extras = re.search(r"for e in \(([^)]*)\)", " ".join(steps("builder", "RUN")))
    assert extras
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (
        {e.strip(" '") for e in extras[1].split(",")}
        == {"ui", "speech", "mcp", "parquet"}
        <= set(project["optional-dependencies"])
    )


def test_no_file_names_a_host_outside() -> None:
    """Indexes and registries are the user's choice: the files name our own services only."""
    files = texts() | {".env.example": (ROOT / ".env.example").read_text()}
    for name, text in files.items():
        hosts = {urlsplit(url).hostname for url in re.findall(r"https?://[^\s'\"]+", text)}
        assert hosts <= {*SERVICES, "127.0.0.1"}, name


# The containers


def test_every_service_that_stays_up_has_a_health_check_that_can_fail() -> None:
    for name, service in SERVICES.items():
        if service["restart"] == "no":
            assert name == "models"
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name
    assert "readyz" in " ".join(SERVICES["qdrant"]["healthcheck"]["test"])
    routes = {route.path for route in health.router.routes}
    for name, path in (("service", "/readyz"), ("balancer", "/healthz")):
        (url,) = re.findall(r"http://[^']+", " ".join(SERVICES[name]["healthcheck"]["test"]))
        assert urlsplit(url).path == path
        assert path in routes
        assert str(urlsplit(url).port) == steps("cpu", "EXPOSE")[0]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_privileges_and_write_only_to_their_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert "user" not in service, "the user of the image"
    assert "no-new-privileges:true" in service["security_opt"]
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    variables = image_environment("gpu")
    for variable in ("TMPDIR", "XDG_CACHE_HOME", "HF_HOME", "GRADIO_TEMP_DIR", "TRITON_CACHE_DIR"):
        assert variables[variable].startswith("/var/tmp"), variable
    assert "/var/tmp" in service["volumes"], "on disk"


def test_ports_are_published_for_this_machine_and_lead_to_the_service() -> None:
    port = inspect.signature(serving.serve).parameters["port"].default
    assert steps("cpu", "EXPOSE") == [str(port)]
    for name, service in SERVICES.items():
        for host, inside in published(service):
            assert host.startswith("127.0.0.1:"), name
            assert inside == str(port) or name not in ("service", "balancer")
    assert not list(published(SERVICES["vllm"]))


def test_volumes_are_declared_and_the_image_creates_their_folders_for_its_user() -> None:
    install = re.search(r"install -d -o unirag -g unirag ([^&]*)", " ".join(steps("cpu", "RUN")))
    assert install
    folders = set(install[1].split())
    home, models = (image_environment("cpu")[f"UNIRAG_{name}"] for name in ("HOME", "MODELS"))
    assert {home, models} <= folders
    for name, service in SERVICES.items():
        for source, target in mounts(service):
            if name in OURS and source in COMPOSE["volumes"]:
                assert target in folders
            assert source in COMPOSE["volumes"] or source.startswith((".", "/")), source


def test_the_service_can_be_scaled() -> None:
    """All containers share the workspace and the collection; nothing in them must be unique."""
    service = SERVICES["service"]
    assert dict(mounts(service))["home"] == image_environment("cpu")["UNIRAG_HOME"]
    assert service["environment"]["UNIRAG_QDRANT_URL"], (
        "otherwise the first one locks the workspace"
    )
    assert not {"container_name", "hostname", "network_mode"} & set(service)
    (port,) = service["ports"]
    assert fill_in(port, {"SERVICE_PORT": "127.0.0.1:8010-8019"}) == "127.0.0.1:8010-8019:8008"
    assert "8010-8019" in (ROOT / ".env.example").read_text()


def test_the_balancer_reaches_every_container_and_keeps_a_browser_with_one() -> None:
    text = (ROOT / "deploy/Caddyfile").read_text()
    port = steps("cpu", "EXPOSE")[0]
    assert f"\n:{port} {{" in text
    assert re.search(rf"dynamic a {{\s+name service\s+port {port}\b", text)
    assert "lb_policy cookie" in text, "Gradio keeps the state of a page in one process"
    (target,) = [target for _, target in mounts(SERVICES["balancer"])]
    assert target == "/etc/caddy/Caddyfile"
    assert [inside for _, inside in published(SERVICES["balancer"])] == [port]


def test_the_service_starts_after_its_store_and_its_models() -> None:
    assert SERVICES["service"]["depends_on"] == {
        "qdrant": {"condition": "service_healthy"},
        "models": {"condition": "service_completed_successfully"},
    }
    assert SERVICES["balancer"]["depends_on"] == {"service": {"condition": "service_healthy"}}
    assert SERVICES["models"]["command"] == ["models", "pull"]
    models = {n: next(v for v in SERVICES[n]["volumes"] if "models:" in v) for n in OURS}
    assert [n for n in OURS if not models[n].endswith(":ro")] == ["models"]


# The variables


def test_every_variable_that_compose_reads_is_in_the_example_and_no_other() -> None:
    assert variables_read() - {"PYTHON_IMAGE"} == set(example())
    assert "${" not in (ROOT / ".env.example").read_text()


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_container_is_a_setting(
    name: str, gpu: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Settings refuse unknown keys, so loading them is the test."""
    monkeypatch.chdir(tmp_path)
    variables = example() | {"UNIRAG_API_KEYS": f"teacher:{KEY}"}
    set_only(monkeypatch, container_environment(name, variables, gpu))
    settings = load_settings()
    assert settings.profile == "mini"
    assert settings.models == Path("/var/lib/unirag/models")
    if name == "service":
        url = urlsplit(settings.qdrant_url or "")
        assert (url.hostname, url.port) == ("qdrant", 6333)
        assert [k.teacher for k in settings.api_keys] == [True]
        assert settings.device == ("cuda" if gpu else "auto")
        assert urlsplit(settings.chat.url or "").hostname in SERVICES
        assert settings.chat.model == variables["VLLM_MODEL"]
        passed = {n for n in variables if n.startswith("UNIRAG_")}
        assert passed <= set(container_environment(name, variables)), (
            "every variable of .env arrives"
        )


def test_the_variables_of_env_can_be_exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After `set -a; . ./.env` a command would refuse a UNIRAG_* variable that is no setting."""
    monkeypatch.chdir(tmp_path)
    set_only(monkeypatch, example() | {"UNIRAG_API_KEYS": KEY})
    load_settings()


@pytest.mark.parametrize("env", [{}, {"UNIRAG_API_KEYS": ""}])
def test_without_keys_the_container_ends_and_says_why(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The files use no `:?`, which would also stop `docker compose up -d qdrant`."""
    monkeypatch.chdir(tmp_path)
    variables = container_environment("service", env) | {"UNIRAG_HOME": str(tmp_path / "home")}
    set_only(monkeypatch, variables)
    monkeypatch.setattr(serving, "_run_server", lambda *_: pytest.fail("it serves without a key"))
    assert "command" not in SERVICES["service"]
    (command,) = steps("cpu", "CMD")
    result = CliRunner().invoke(app, yaml.safe_load(command))
    assert isinstance(result.exception, BadSetting)
    assert "set UNIRAG_API_KEYS" in str(result.exception)
    monkeypatch.setenv("UNIRAG_API_KEYS", KEY)
    (tmp_path / "home").write_text("")  # a file, so that the command fails at its workspace
    assert "--home" in str(CliRunner().invoke(app, yaml.safe_load(command)).exception)


# The rest of the stack


def test_the_gpu_override_fits_the_services_and_builds_for_cuda() -> None:
    assert set(GPU) <= set(SERVICES)
    assert set(OURS) <= set(GPU), "one image for all of our containers"
    for name in ("service", "vllm"):
        (device,) = GPU[name]["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"]), name
    for name in OURS:
        build = SERVICES[name]["build"] | GPU[name]["build"]
        assert build["target"] in stages()
        assert GPU[name]["image"] == f"unirag:{build['target']}" != SERVICES[name]["image"]
        arguments = {rest.partition("=")[0] for rest in steps("builder", "ARG")}
        assert set(SERVICES[name]["build"]["args"]) | set(build["args"]) <= arguments
        assert "TORCH_INDEX" in build["args"], "otherwise the CPU wheels of .env go into this image"
    assert "device" not in str(COMPOSE), "the CPU file asks for no device"


def test_vllm_serves_the_model_names_that_the_service_requests() -> None:
    variables = example()
    command = [fill_in(word, variables) for word in SERVICES["vllm"]["command"]]
    names = command[command.index("--served-model-name") + 1 :][:2]
    assert f"--model={names[0]}" in command
    assert names == [variables["UNIRAG_CHAT__MODEL"], "default"], "default: no name was set"
    assert urlsplit(variables["UNIRAG_CHAT__URL"]).path == "/v1"


def test_prometheus_scrapes_the_service_with_its_key() -> None:
    (scrape,) = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    port = int(steps("cpu", "EXPOSE")[0])
    assert scrape["dns_sd_configs"] == [{"names": ["service"], "type": "A", "port": port}]
    assert scrape["metrics_path"] in {route.path for route in health.router.routes}
    assert scrape["authorization"] == {
        "type": "Bearer",
        "credentials_file": f"/run/secrets/{SERVICES['prometheus']['secrets'][0]}",
    }
    assert set(SERVICES["prometheus"]["secrets"]) == set(COMPOSE["secrets"])
    # Compose refuses a secret from the environment in a container with a read-only root.
    assert not SERVICES["prometheus"].get("read_only")
    assert (
        "./deploy/prometheus.yml:/etc/prometheus/prometheus.yml:ro"
        in (SERVICES["prometheus"]["volumes"])
    )


def test_the_guide_names_existing_files_profiles_services_and_variables() -> None:
    text = (ROOT / "docs/deploy.md").read_text()
    files = set(re.findall(r"-f (\S+\.yml)", text))
    assert all((ROOT / name).is_file() for name in files)
    assert set(re.findall(r"--profile (\w+)", text)) == set(PROFILES)
    assert set(re.findall(r"--scale (\w+)=", text)) == {"service"}
    named_services = re.findall(r"docker compose (?:exec(?: -T)?|run --rm|logs|up -d) (\w+)", text)
    assert set(named_services) <= set(SERVICES)
    assert named_services
    for name in re.findall(r"\b[A-Z]+_[A-Z_]+\b", text):
        assert name in example(), f"{name} is no variable"


# Compose itself


@cache
def compose_command() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            version = subprocess.run([*command, "version"], capture_output=True, text=True)
            if version.returncode == 0 and re.search(r"\bv?[2-9]\.\d+", version.stdout):
                return command
    return None


def render_config(env: Path, *arguments: str) -> str:
    command = compose_command()
    if command is None:
        pytest.skip("no Docker Compose 2 on this machine")
    environment = {n: v for n, v in os.environ.items() if n not in example()}
    completed = subprocess.run(
        [*command, "--env-file", str(env), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert "level=warning" not in completed.stderr, completed.stderr
    return completed.stdout


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("profile", ["", *PROFILES, "*"])
def test_compose_accepts_the_files(profile: str, gpu: bool) -> None:
    files = ["-f", "docker-compose.yml", *(["-f", "docker-compose.gpu.yml"] if gpu else [])]
    profiles = ["--profile", profile] if profile else []
    config = yaml.safe_load(render_config(ROOT / ".env.example", *files, *profiles, "config"))
    expected = {
        name
        for name, service in SERVICES.items()
        if "profiles" not in service or profile == "*" or profile in service["profiles"]
    }
    assert set(config["services"]) == expected
    for service in config["services"].values():
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ()))
    assert config["services"]["service"]["image"] == ("unirag:gpu" if gpu else "unirag:cpu")
    assert config["services"]["service"]["environment"]["UNIRAG_QDRANT_URL"] == "http://qdrant:6333"


def test_compose_accepts_a_range_of_ports(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SERVICE_PORT=127.0.0.1:8010-8019\n")
    config = yaml.safe_load(render_config(tmp_path / "env", "--profile", "balancer", "config"))
    (port,) = config["services"]["service"]["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8010-8019", 8008)
    assert config["services"]["balancer"]["ports"][0]["published"] == "8080"


def test_the_store_alone_needs_no_variable(tmp_path: Path) -> None:
    (tmp_path / "env").touch()
    config = yaml.safe_load(render_config(tmp_path / "env", "config", "qdrant"))
    assert set(config["services"]) == {"qdrant"}
    assert config["services"]["qdrant"]["environment"]["QDRANT__SERVICE__API_KEY"] is None
