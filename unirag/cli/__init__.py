"""The command line: results on stdout, progress and errors on stderr, `--json` everywhere.

Exit codes: 0 done, 1 failed (damaged storage, a full disk), 2 bad input, 3 something is missing
(the message names the command that fixes it), 4 partly done.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unirag.app import App
    from unirag.settings import Settings

__all__ = ["main"]


def main(open_app: Callable[[Settings], App] | None = None) -> None:
    """Run the command in `sys.argv` and exit. Print a `UniragError` as one line.

    `open_app` opens the application in place of `App.open`.
    """
    # switch off the progress bars and the telemetry of other libraries
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # By default waiting OpenMP threads spin. If another process uses the same cores, a forward pass
    # becomes tens of times slower (benchmarks/README.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import typer

    from data.errors import BadInput, UniragError
    from unirag.cli.commands import app
    from unirag.cli.output import print_error
    from unirag.cli.session import Session

    session = Session(open_app) if open_app else Session()
    try:
        sys.exit(app(prog_name="unirag", standalone_mode=False, obj=session))
    except UniragError as error:
        sys.exit(print_error(error))
    except typer.TyperException as error:  # such as an unknown option
        message = error.format_message().rstrip(".")
        if not message:  # a group without a command: its help is printed already
            sys.exit(error.exit_code)
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "unirag"
        sys.exit(print_error(BadInput(f"{message}; `{command} --help` shows what is expected")))
    except BrokenPipeError:
        # The reader (`head`, a pager) has ended. Without this Python fails again closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        message = f"{file}{error.strerror or error}; check the disk and its permissions"
        sys.exit(print_error(UniragError(message)))
