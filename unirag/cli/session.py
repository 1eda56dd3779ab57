"""The options that every command accepts, before or after its name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from unirag.app import App
from unirag.settings import Settings, load_settings

__all__ = ["Session", "command_group", "with_session"]

HomeOption = Annotated[Path | None, typer.Option("--home", help="Workspace folder.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="mini, base or paper.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (YAML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class Session:
    """The common options of one run of the command line. `open_app` opens the application."""

    open_app: Callable[[Settings], App] = App.open
    home: Path | None = None
    profile: str | None = None
    config: Path | None = None
    json: bool = False

    def settings(self, **overrides: Any) -> Settings:
        """Load the settings with the common options. An override of None changes nothing."""
        options = {"home": self.home, "profile": self.profile, **overrides}
        return load_settings(self.config, **options)

    def open(self, **overrides: Any) -> App:
        """Open the application with these settings."""
        return self.open_app(self.settings(**overrides))


def _common_options(
    home: HomeOption = None,
    profile: ProfileOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> dict[str, Any]:
    """Declare the common options; return the ones that were given."""
    options = {"home": home, "profile": profile, "config": config, "json": json}
    return {name: value for name, value in options.items() if value}


def with_session(function: Callable[..., None], *, json: bool = True) -> Callable[..., None]:
    """Add the common options to a command and pass their values as a `Session`.

    An option after the command overrides the same option before it. If `json` is false, the
    command has no option `--json`.
    """
    common = dict(inspect.signature(_common_options, eval_str=True).parameters)
    if not json:
        del common["json"]
    _, *own = inspect.signature(function, eval_str=True).parameters.values()

    @functools.wraps(function)
    def command(ctx: typer.Context, **values: Any) -> None:
        options = _common_options(**{name: values.pop(name) for name in common})
        function(replace(_current(ctx), **options), **values)

    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = [context, *own, *common.values()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def command_group(help_text: str, **settings: Any) -> typer.Typer:
    """Create a group of commands that takes the common options before its commands."""
    group = typer.Typer(help=help_text, no_args_is_help=True, **settings)

    @group.callback()
    def store_options(
        ctx: typer.Context,
        home: HomeOption = None,
        profile: ProfileOption = None,
        config: ConfigOption = None,
        json: JsonOption = False,
    ) -> None:
        ctx.obj = replace(_current(ctx), **_common_options(home, profile, config, json))

    return group


def _current(ctx: typer.Context) -> Session:
    """Return the session with the options before the command."""
    session: Session = ctx.obj or Session()
    return session
