"""Draw docs/styles.png: figures of the sample in every query style.

python -m benchmarks.style_sheet
"""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from benchmarks.environment import HERE
from data.pictures import open_picture
from data.styles import STYLES, restyle

FIGURES = ("human-heart", "simple-pendulum", "titration-curves")
CELL, HEAD, COLUMNS = 200, 26, 6


def main() -> None:
    folder = HERE.parent / "data" / "sample" / "figures"
    pictures = [open_picture(folder / f"{name}.png") for name in FIGURES]
    cells = [
        (f"{name} (unseen)" if style.unseen else name, restyle(picture, name, figure, 1))
        for name, style in STYLES.items()
        for figure, picture in zip(FIGURES, pictures, strict=True)
    ]
    rows = len(cells) // COLUMNS
    sheet = Image.new("RGB", (COLUMNS * CELL, rows * (CELL + HEAD)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for i, (name, picture) in enumerate(cells):
        x, y = i % COLUMNS * CELL, i // COLUMNS * (CELL + HEAD)
        if i % len(FIGURES) == 0:
            draw.text((x + 6, y + 4), name, fill="black", font=font)
        picture.thumbnail((CELL - 8, CELL - 4))
        offset = (CELL - picture.width) // 2, HEAD + (CELL - picture.height) // 2
        sheet.paste(picture, (x + offset[0], y + offset[1]))
    sheet.quantize(255).save(HERE.parent / "docs" / "styles.png", optimize=True)


if __name__ == "__main__":
    main()
