"""Draw docs/styles.png, which shows figures of the sample corpus in every query style.

python -m benchmarks.style_sheet
"""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from benchmarks.environment import REPOSITORY
from data.pictures import open_picture
from data.styles import STYLES, restyle

FIGURES = ("human-heart", "simple-pendulum", "titration-curves")
CELL, LABEL_HEIGHT, COLUMNS = 200, 26, 6  # pixels, pixels, cells in a row


def main() -> None:
    """Draw the sheet, three figures of each style side by side."""
    folder = REPOSITORY / "data" / "sample" / "figures"
    pictures = [open_picture(folder / f"{name}.png") for name in FIGURES]
    cells = [
        (f"{name} (unseen)" if style.unseen else name, restyle(picture, name, figure, 1))
        for name, style in STYLES.items()
        for figure, picture in zip(FIGURES, pictures, strict=True)
    ]
    rows = len(cells) // COLUMNS
    sheet = Image.new("RGB", (COLUMNS * CELL, rows * (CELL + LABEL_HEIGHT)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for i, (name, picture) in enumerate(cells):
        x, y = i % COLUMNS * CELL, i // COLUMNS * (CELL + LABEL_HEIGHT)
        if i % len(FIGURES) == 0:
            draw.text((x + 6, y + 4), name, fill="black", font=font)
        picture.thumbnail((CELL - 8, CELL - 4))
        left, top = (CELL - picture.width) // 2, LABEL_HEIGHT + (CELL - picture.height) // 2
        sheet.paste(picture, (x + left, y + top))
    sheet.quantize(255).save(REPOSITORY / "docs" / "styles.png", optimize=True)


if __name__ == "__main__":
    main()
