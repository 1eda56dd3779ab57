"""`unirag models`, `unirag doctor` and `unirag settings`."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.table import Table

from data.errors import Missing
from unirag.cli.output import err, out, plain, print_json
from unirag.cli.progress import show_progress
from unirag.cli.session import Session, command_group, with_session
from unirag.doctor import run_checks, worst_state
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore, PullProgress
from unirag.settings.describe import describe_settings
from unirag.workspace.paths import Workspace

__all__ = ["doctor", "models_group", "settings"]

models_group = command_group("See and fetch the models of a profile.")
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@models_group.command("list")
@with_session
def list_models(session: Session) -> None:
    """List the models of a profile and whether they are installed."""
    settings = session.settings()
    store = ModelStore(settings.models, settings.profile)
    rows = [
        {
            "name": model.name,
            "task": model.task,
            "ready": store.is_ready(model),
            "megabytes": round(model.download_bytes / 1e6),
            "licence": model.licence,
            "sources": [str(source) for source in model.sources],
        }
        for model in profile_of(settings).models
    ]
    if session.json:
        print_json({"profile": settings.profile, "folder": str(settings.models), "models": rows})
        return
    table = Table("model", "task", "installed", "MB", "licence")
    for row in rows:
        table.add_row(
            str(row["name"]),
            str(row["task"]),
            "yes" if row["ready"] else "no",
            str(row["megabytes"]),
            str(row["licence"]),
        )
    out.print(table)
    if not all(row["ready"] for row in rows):
        out.print(f"Fetch the missing ones with: unirag models pull --profile {settings.profile}")


@models_group.command("pull")
@with_session
def pull_models(session: Session) -> None:
    """Fetch, verify and convert the missing models. A second pull does nothing."""
    settings = session.settings()
    store = ModelStore(settings.models, settings.profile)
    states: dict[str, str] = {}
    for model in profile_of(settings).models:
        if store.is_ready(model):
            states[model.name] = "here"
            continue
        with show_progress(model.name) as display:

            def show(pull: PullProgress) -> None:
                percent = int(100 * pull.done_bytes / pull.total_bytes) if pull.total_bytes else 0
                display.update(percent, 100, pull.step)

            store.pull(model, show)
        states[model.name] = "pulled"
    if session.json:
        print_json({"profile": settings.profile, "models": states})
    elif all(state == "here" for state in states.values()):
        err.print(f"Every model of profile {settings.profile} is already installed.")


def doctor(session: Session) -> None:
    """Check the installation, and print the command that mends each problem."""
    settings = session.settings()
    checks = []
    for check in run_checks(
        profile_of(settings),
        ModelStore(settings.models, settings.profile),
        settings.home,
        device=settings.device,
        dtype=settings.dtype,
        qdrant_url=settings.qdrant_url,
        holder=lambda root: Workspace(root).holder(),
    ):
        checks.append(check)
        if not session.json:
            out.print(
                f"[{_COLOURS[check.state]}]{check.state:4}[/] {check.name}: {plain(check.detail)}",
                soft_wrap=True,
            )
            if check.remedy:
                out.print(f"     mend it: [bold]{plain(check.remedy)}[/]", soft_wrap=True)
    failed = worst_state(checks) == "fail"
    if session.json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    if failed:
        raise typer.Exit(Missing.exit_code)


def settings(session: Session) -> None:
    """Print every setting with its default, its bounds and what it does."""
    descriptions = describe_settings()
    if session.json:
        print_json({"settings": [asdict(description) for description in descriptions]})
        return
    for description in descriptions:
        bounds = f", {description.bounds}" if description.bounds else ""
        out.print(
            f"[bold]{plain(description.key)}[/] = {plain(description.default)} "
            f"[dim]({plain(description.type)}{bounds}; {description.variable})[/]",
            soft_wrap=True,
        )
        out.print(f"    {plain(description.text)}", soft_wrap=True)
