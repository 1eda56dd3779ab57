"""`serve` and `demo`: the service on this machine."""

from __future__ import annotations

import importlib.util
import ipaddress
import socket
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_data_path
from rich.markup import escape

import data.sample
from data.errors import BadSetting, Busy, Missing
from unirag.app import App
from unirag.cli.arguments import ConfigOption, HomeOption, ProfileOption
from unirag.cli.commands import app, index_command, show_answer
from unirag.cli.output import err, out
from unirag.settings import load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__: list[str] = []

HostOption = Annotated[
    str, typer.Option("--host", help="A loopback address; any other needs keys (UNIRAG_API_KEYS).")
]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")]
_QUESTION = "Why does a ray of light bend when it enters glass?"


@app.command()
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8008,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
) -> None:
    """Serve the web app at / and REST under /v1 (documented at /docs)."""
    settings = load_settings(config_file, home=home, profile=profile)
    with _bound(host, port, bool(settings.api_keys)) as door, App(settings) as unirag:
        _run(unirag, door)


@app.command()
def mcp(
    home: HomeOption = None, profile: ProfileOption = None, config_file: ConfigOption = None
) -> None:
    """Serve search, ask and items to an agent on stdin and stdout (Model Context Protocol)."""
    if importlib.util.find_spec("mcp") is None:
        raise Missing("the package mcp is not here; run: pip install 'unirag[mcp]'")
    from unirag.integrations.mcp import create

    with App(load_settings(config_file, home=home, profile=profile)) as unirag:
        unirag.check()
        create(unirag).run()


@app.command()
def demo(
    port: PortOption = 8008,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve at the end.")] = True,
    home: HomeOption = None,
) -> None:
    """Index the sample corpus, ask one question, serve."""
    door = _bound("127.0.0.1", port, has_keys=False) if serve else None
    home = home or user_data_path("unirag") / "demo"
    cards = Path(data.sample.__file__).parent
    err.rule("Indexing the sample corpus")
    with App(load_settings(home=home)) as unirag:
        unirag.add_corpus("sample", cards)  # may have been indexed from another clone
    index_command(load_settings(home=home), [cards], corpus="sample", prune=True)
    err.rule("Asking one question")
    out.print(f"[bold]{_QUESTION}[/]\n")
    with App(load_settings(home=home)) as unirag:
        show_answer(unirag, unirag.stream(_QUESTION, limit=5))
        if door is not None:
            err.rule("Serving")
            _run(unirag, door)


def _run(unirag: App, door: socket.socket) -> None:
    import uvicorn

    from unirag.api.app_factory import create

    unirag.check()
    api = create(unirag)
    page = _add_page(api)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # only now: who opens a page that is announced too early is refused
            host, port = door.getsockname()[:2]
            at = f"[{host}]" if door.family == socket.AF_INET6 else host
            err.print(f"Open [bold]http://{escape(at)}:{port}{page}[/] (Ctrl+C stops it)")

    with suppress(KeyboardInterrupt):  # that is how it is stopped
        Server(uvicorn.Config(api, log_level="warning")).run(sockets=[door])


def _add_page(api: FastAPI) -> str:
    """Mount the web app, where it is installed; the path of the page to open.

    It stands above this package, which finds it as a plug-in and so does not depend on it.
    """
    if importlib.util.find_spec("gradio") is None:
        err.print("No web app: its packages are not here; run: pip install 'unirag[ui]'")
        return "/docs"
    (plugin,) = entry_points(group="unirag.page")
    plugin.load()(api)
    return ""


def _bound(host: str, port: int, has_keys: bool) -> socket.socket:
    """A socket that holds the port from before the models are loaded; loopback only without keys.

    Nobody is accepted on it until the service listens.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not has_keys:
        raise BadSetting(
            f"--host {host}: without keys the service is for this machine only; set "
            "UNIRAG_API_KEYS, or serve on a loopback address such as 127.0.0.1"
        )
    door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        raise Busy(
            f"{host}:{port} cannot be served on ({error.strerror}); choose another --port"
        ) from None
    return door
