"""`unirag serve`, `unirag mcp` and `unirag demo`."""

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
from unirag.cli.indexing import print_report, run_index
from unirag.cli.output import err, out
from unirag.cli.questions import print_answer
from unirag.cli.session import Session

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["demo", "mcp", "serve"]

HostOption = Annotated[
    str,
    typer.Option("--host", help="A loopback address; another one needs keys (UNIRAG_API_KEYS)."),
]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free port.")]
_DEMO_QUESTION = "Why does a ray of light bend when it enters glass?"
_DEMO_HITS = 5


def serve(session: Session, host: HostOption = "127.0.0.1", port: PortOption = 8008) -> None:
    """Serve the web app at / and REST under /v1 (documented at /docs)."""
    settings = session.settings()
    bound = _bind(host, port, has_keys=bool(settings.api_keys))
    with bound, session.open_app(settings) as app:
        _run_server(app, bound)


def mcp(session: Session) -> None:
    """Serve search, ask and items to an agent on stdin and stdout (Model Context Protocol)."""
    if importlib.util.find_spec("mcp") is None:
        raise Missing("the package mcp is not installed; run: pip install 'unirag[mcp]'")
    from unirag.integrations.mcp import create_server

    with session.open() as app:
        app.check()
        create_server(app).run()


def demo(
    session: Session,
    port: PortOption = 8008,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve at the end.")] = True,
) -> None:
    """Index the sample corpus, ask one question, serve."""
    bound = _bind("127.0.0.1", port, has_keys=False) if serve else None
    home = session.home or user_data_path("unirag") / "demo"
    sample = Path(data.sample.__file__).parent
    with session.open(home=home) as app:
        err.rule("Indexing the sample corpus")
        app.corpora.add("sample", sample)  # the corpus may point at the folder of another clone
        for report in run_index(app, [sample], corpus="sample", prune=True):
            print_report(report)
        err.rule("Asking one question")
        out.print(f"[bold]{_DEMO_QUESTION}[/]\n")
        print_answer(app, app.stream(_DEMO_QUESTION, limit=_DEMO_HITS))
        if bound is not None:
            err.rule("Serving")
            _run_server(app, bound)


def _run_server(app: App, bound: socket.socket) -> None:
    import uvicorn

    from unirag.api.app_factory import create_api

    app.check()
    api = create_api(app)
    page = _mount_page(api)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # before this line the port refuses connections
            host, port = bound.getsockname()[:2]
            address = f"[{host}]" if bound.family == socket.AF_INET6 else host
            err.print(f"Open [bold]http://{escape(address)}:{port}{page}[/] (Ctrl+C stops it)")

    with suppress(KeyboardInterrupt):
        Server(uvicorn.Config(api, log_level="warning")).run(sockets=[bound])


def _mount_page(api: FastAPI) -> str:
    """Mount the web app if it is installed. Return the path of the page to open.

    The web app imports this package, so this package must not import the web app. It is found
    through the entry point `unirag.page` instead.
    """
    if importlib.util.find_spec("gradio") is None:
        err.print("No web app: its packages are not installed; run: pip install 'unirag[ui]'")
        return "/docs"
    (plugin,) = entry_points(group="unirag.page")
    plugin.load()(api)
    return ""


def _bind(host: str, port: int, *, has_keys: bool) -> socket.socket:
    """Bind the port before the models are loaded. Without keys, loopback addresses only."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not has_keys:
        raise BadSetting(
            f"--host {host}: without keys the service is for this machine only; set "
            "UNIRAG_API_KEYS, or serve on a loopback address such as 127.0.0.1"
        )
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Busy(
            f"{host}:{port} cannot be bound ({error.strerror}); choose another --port"
        ) from None
    return bound
