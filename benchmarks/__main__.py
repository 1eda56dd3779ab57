"""Every benchmark that needs no GPU, one after the other: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = (
    ("benchmarks.ocr",),
    ("benchmarks.search_physics", "--check"),
    ("benchmarks.judge",),
    ("benchmarks.ask_physics",),
)

if __name__ == "__main__":
    failed = 0
    for command in COMMANDS:
        print("==", *command, flush=True)
        failed += subprocess.run([sys.executable, "-m", *command], check=False).returncode != 0
    sys.exit(bool(failed))
