"""The command line: results on stdout, progress and errors on stderr, `--json` everywhere.

Exit codes: 0 done, 1 failed (damaged storage, a full disk), 2 bad input, 3 something missing (the
message has the command that mends it), 4 partly done.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run a command; every error of ours becomes one line and its exit code."""
    # Loading from disk takes half a second; bars of other libraries would only clutter stderr.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Threads that wait for work would otherwise spin: beside any other process on the machine that
    # makes a forward take tens of times as long (benchmarks/README.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import typer

    from data.errors import BadInput, UniragError
    from unirag.cli import serving  # noqa: F401 - registers its commands
    from unirag.cli.commands import app
    from unirag.cli.output import fail

    try:
        sys.exit(app(prog_name="unirag", standalone_mode=False))
    except UniragError as error:
        sys.exit(fail(error))
    except typer.TyperException as error:  # an unknown option, a value of the wrong type
        said = error.format_message().rstrip(".")
        if not said:  # a command alone: its help has been printed
            sys.exit(error.exit_code)
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "unirag"
        sys.exit(fail(BadInput(f"{said}; `{command} --help` shows what is expected")))
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; Python would complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(
            fail(
                UniragError(f"{where}{error.strerror or error}; check the disk and its permissions")
            )
        )
