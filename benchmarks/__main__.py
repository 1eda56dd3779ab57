"""Run every benchmark that needs neither a GPU nor training, one after the other.

    python -m benchmarks

Exits with 1 if any of them fails.
"""

from __future__ import annotations

import subprocess
import sys

COMMANDS = (
    ("benchmarks.reader_conformance",),
    ("benchmarks.ocr",),
    ("benchmarks.search_physics", "--check"),
    ("benchmarks.answerability",),
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
    failures = 0
    for command in COMMANDS:
        print("==", *command, flush=True)
        failures += subprocess.run([sys.executable, "-m", *command], check=False).returncode != 0
    sys.exit(bool(failures))
