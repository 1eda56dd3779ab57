"""Draw real photos of drawings beside drawings that the query styles make of the same figures.

python -m benchmarks.contact_sheet ../shared/benchmarks/hand-drawn --out sheet.png
python -m benchmarks.contact_sheet ../shared/benchmarks/hand-drawn --blind --out sheet.png
python -m benchmarks.contact_sheet --book ../shared/corpora/openstax-physics --out sheet.png

A row shows a real photo, its figure, and the figure in each drawn style; with `--book`, figures of
a book, of which there is no photo. `--blind` shuffles real and made photos of figures that are not
shown, with numbers, and writes the key to a file beside the sheet, so that one can guess first.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from data.drawing_pairs import DrawingPair, read_drawing_pairs
from data.figure_gallery import GalleryFigure, read_gallery, sample_figures
from data.styles import DRAWING, REDRAWN_STYLES, restyle

CELL, LABEL_HEIGHT = 260, 22  # pixels
BLIND_COLUMNS = 6
Cell = tuple[str, Image.Image]


def main() -> None:
    """Draw the sheet that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="photos/ and figures/ of drawings")
    parser.add_argument("--book", type=Path, help="draw figures of this corpus instead")
    parser.add_argument("--blind", action="store_true", help="shuffle real and made photos")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    arguments = parser.parse_args()
    if (arguments.folder is None) == (arguments.book is None):
        parser.error("give either a folder of drawings or --book")
    if arguments.book is not None:
        figures = sample_figures(read_gallery(arguments.book), arguments.rows, arguments.seed)
        cells = [cell for figure in figures for cell in _row(figure, arguments.seed)]
        _draw(cells, 1 + len(REDRAWN_STYLES)).save(arguments.out)
        return
    pairs = read_drawing_pairs(arguments.folder)
    count = arguments.rows * (BLIND_COLUMNS if arguments.blind else 1)
    chosen = random.Random(arguments.seed).sample(pairs, min(count, len(pairs)))
    if arguments.blind:
        cells, key = _blind_cells(chosen, arguments.seed)
        _draw(cells, BLIND_COLUMNS).save(arguments.out)
        arguments.out.with_suffix(".json").write_text(json.dumps(key, indent=1))
        return
    rows = [[("real", p.open_photo()), *_row(p.figure, arguments.seed)] for p in chosen]
    _draw([cell for row in rows for cell in row], 2 + len(REDRAWN_STYLES)).save(arguments.out)


def _row(figure: GalleryFigure, seed: int) -> list[Cell]:
    """Return a figure and its drawing in each style."""
    picture = figure.open()
    drawings = [(style, restyle(picture, style, figure.name, seed)) for style in REDRAWN_STYLES]
    return [("figure", picture), *drawings]


def _blind_cells(pairs: Sequence[DrawingPair], seed: int) -> tuple[list[Cell], dict[str, str]]:
    """Return numbered photos, half of them real, and what each number is."""
    is_real = [i % 2 == 0 for i in range(len(pairs))]
    random.Random(seed + 1).shuffle(is_real)
    cells, key = [], {}
    for i, (pair, real) in enumerate(zip(pairs, is_real, strict=True)):
        drawing = restyle(pair.figure.open(), DRAWING, pair.writer, i)
        picture = pair.open_photo() if real else drawing
        cells.append((str(i + 1), picture))
        key[str(i + 1)] = "real" if real else "made"
    return cells, key


def _draw(cells: Sequence[Cell], columns: int) -> Image.Image:
    """Place the pictures on a grid, each below its label."""
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * CELL, rows * (CELL + LABEL_HEIGHT)), (150, 150, 150))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for i, (label, picture) in enumerate(cells):
        x, y = i % columns * CELL, i // columns * (CELL + LABEL_HEIGHT)
        draw.text((x + 4, y + 3), label, fill="black", font=font)
        # Real photos are reduced to the size of the made ones, so that sharpness tells nothing.
        small = picture.convert("RGB")
        small.thumbnail((CELL - 4, CELL - 4))
        sheet.paste(small, (x + 2, y + LABEL_HEIGHT))
    return sheet


if __name__ == "__main__":
    main()
