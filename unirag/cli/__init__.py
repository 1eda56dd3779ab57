"""The command line: results on stdout, progress and errors on stderr, `--json` everywhere.

Exit codes: 0 done, 2 bad input, 3 something missing (with the command that mends it), 4 partly done.
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
    from data.errors import UniragError
    from unirag.cli import serving  # noqa: F401 - registers its commands
    from unirag.cli.commands import app
    from unirag.cli.output import fail

    try:
        app(standalone_mode=True)
    except UniragError as error:
        sys.exit(fail(error))
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; Python would complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
