"""Draw the figures of the sample corpus again: `python -m data.sample.draw [NAME ...]`."""

from __future__ import annotations

import sys

from data.sample.draw import chemistry, engineering, life, mathematics, physics, style, technology

AREAS = (physics, chemistry, life, technology, engineering, mathematics)

if __name__ == "__main__":
    for name in sys.argv[1:] or style.FIGURES:
        print(style.save(name))
