"""Draw the figures of the sample corpus again: `python -m data.sample.draw [NAME ...]`."""

from __future__ import annotations

import sys

from data.sample.draw import (
    chemistry,
    earth,
    engineering,
    geometry,
    life,
    mathematics,
    physics,
    style,
    technology,
)

# Each area registers its figures when it is imported.
AREAS = (physics, chemistry, life, earth, technology, engineering, mathematics, geometry)

if __name__ == "__main__":
    for name in sys.argv[1:] or style.FIGURES:
        print(style.save(name))
