"""Every benchmark that needs neither GPU nor training, one after the other."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = (
    ("benchmarks.ocr",),
    ("benchmarks.search_physics", "--check"),
    ("benchmarks.judge",),
    ("benchmarks.answers", "run", "openstax-anatomy-physiology"),
    ("benchmarks.answers", "run", "openstax-chemistry-bundle"),
    ("benchmarks.answers", "table"),
    ("benchmarks.answers", "examples"),
    ("benchmarks.encoder", "test"),
    ("benchmarks.adaptation",),
    ("benchmarks.encode_speed",),
    ("benchmarks.text_to_figure",),
    ("benchmarks.service_load",),
)

if __name__ == "__main__":
    failed = 0
    for command in COMMANDS:
        print("==", *command, flush=True)
        failed += subprocess.run([sys.executable, "-m", *command], check=False).returncode != 0
    sys.exit(bool(failed))
