"""The PDF reader on PDFs that the tests draw."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.pictures import open_picture
from data.readers import pdf as pdf_module
from data.readers.pdf import PdfReader

pytest.importorskip("reportlab", reason="reportlab draws the PDFs of these tests")

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = 600.0, 800.0
PROSE = (
    "A body at rest stays at rest while no force acts on it, and a body in motion keeps its speed "
    "and its direction. The sum of all forces on the body decides how fast that changes. "
)


@pytest.fixture
def canvas(tmp_path: Path) -> Canvas:
    return Canvas(str(tmp_path / "a.pdf"), pagesize=(WIDTH, HEIGHT), pageCompression=0)


def write(
    canvas: Canvas,
    text: str,
    left: float,
    top: float,
    width: float = 500,
    size: float = 10,
    font: str = "Times-Roman",
) -> float:
    """Draw `text` in lines from `top` (points below the page's upper edge); return the new top."""
    canvas.setFont(font, size)
    for words in simpleSplit(text, font, size, width):
        top += 1.2 * size
        canvas.drawString(left, HEIGHT - top, words)
    return top + 0.6 * size


def prose(number: int) -> str:
    """Prose that differs from page to page: repeated lines would count as running headers."""
    words = PROSE.split()
    return " ".join(["So", *words[number * 7 :], *words[: number * 7]])


def document(path: Path) -> Document:
    (only,) = PdfReader().documents(path, path.parent)
    return only


def read(canvas: Canvas) -> list[Block | Figure | Problem]:
    canvas.save()
    return list(document(Path(canvas._filename)).read())


def blocks(contents: list[Block | Figure | Problem]) -> list[Block]:
    return [content for content in contents if isinstance(content, Block)]


def figures(contents: list[Block | Figure | Problem]) -> list[Figure]:
    return [content for content in contents if isinstance(content, Figure)]


def photo(width: int = 320, height: int = 200) -> bytes:
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    ImageDraw.Draw(picture).ellipse((80, 40, 240, 160), fill="orange")
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    return buffer.getvalue()


def draw(canvas: Canvas, left: float, top: float, width: float, height: float) -> None:
    """Draw two discs and a line between them, which fill exactly this box."""
    bottom, r = HEIGHT - top - height, height / 2
    canvas.circle(left + r, bottom + r, r)
    canvas.circle(left + width - r, bottom + r, r)
    canvas.line(left + 2 * r, bottom + r, left + width - 2 * r, bottom + r)


def test_claims_by_suffix_and_by_content(tmp_path: Path, canvas: Canvas) -> None:
    write(canvas, PROSE, 50, 50)
    canvas.save()
    named, unnamed, other = (tmp_path / n for n in ("x.PDF", "thesis", "note.txt"))
    named.write_bytes(b"anything")
    unnamed.write_bytes((tmp_path / "a.pdf").read_bytes())
    other.write_text("text")
    assert [PdfReader().claims(p) for p in (named, unnamed, other)] == [True, True, False]
    assert not PdfReader().claims(tmp_path)


def test_document_names_its_source_fingerprint_and_title(tmp_path: Path) -> None:
    path = tmp_path / "book" / "ch_1.pdf"
    path.parent.mkdir()

    def save(title: str, heading: str) -> Document:
        canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT))
        canvas.setTitle(title)
        top = write(canvas, heading, 50, 40, size=20) if heading else 40
        write(canvas, PROSE, 50, top)
        canvas.save()
        (only,) = PdfReader().documents(path, tmp_path)
        return only

    first = save("Mechanics", "On forces")
    assert first.source == "book/ch_1.pdf"
    assert first.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert first.title == "Mechanics"
    assert save("untitled", "On forces and moving bodies").title == "On forces and moving bodies"
    assert save("Microsoft Word - x.docx", "").title == "Ch 1"


def test_columns_are_read_in_order_and_hyphenated_words_are_joined(canvas: Canvas) -> None:
    for row in range(4):  # row by row, as some programs write
        for column, left in (("left", 50), ("right", 310)):
            canvas.setFont("Times-Roman", 10)
            begin = "synthesis of" if row else "Leaves of"
            end = "long- and the photo-" if row < 3 else "done."
            canvas.drawString(left, HEIGHT - 100 - 12 * row, f"{begin} {column} {row}, {end}")
    text = " ".join(block.text for block in blocks(read(canvas)))
    assert text.index("left 3") < text.index("right 0")
    assert text.startswith("Leaves of left 0, long- and the photosynthesis of left 1")
    assert text.endswith("photosynthesis of right 3, done.")


def test_headings_make_the_section_path(canvas: Canvas) -> None:
    canvas.setTitle("Mechanics")
    top = write(canvas, "Mechanics", 50, 40, size=22)
    for heading, size, font in (
        ("1 Motion", 16, "Times-Roman"),
        ("1.1 Speed", 13, "Times-Roman"),
        ("In short", 10, "Times-Bold"),
        ("1.2 Time", 13, "Times-Roman"),
        ("2 Force", 16, "Times-Roman"),
    ):
        top = write(canvas, heading, 50, top + 8, size=size, font=font)
        top = write(canvas, PROSE, 50, top)
    assert [block.section for block in blocks(read(canvas))] == [
        ("Mechanics", "1 Motion"),
        ("Mechanics", "1 Motion", "1.1 Speed"),
        ("Mechanics", "1 Motion", "1.1 Speed", "In short"),
        ("Mechanics", "1 Motion", "1.2 Time"),
        ("Mechanics", "2 Force"),
    ]


def test_the_outline_ranks_headings_that_look_alike(canvas: Canvas) -> None:
    canvas.setTitle("Mechanics")
    for number, (heading, level) in enumerate((("Motion", 0), ("Speed", 1), ("Force", 0))):
        canvas.bookmarkPage(str(number))
        canvas.addOutlineEntry(heading, str(number), level)
        write(canvas, prose(number), 50, write(canvas, heading, 50, 40, font="Times-Bold"))
        canvas.showPage()
    assert [block.section for block in blocks(read(canvas))] == [
        ("Mechanics", "Motion"),
        ("Mechanics", "Motion", "Speed"),
        ("Mechanics", "Force"),
    ]


@pytest.mark.parametrize("below", [True, False])
def test_a_drawing_is_cropped_and_captioned(canvas: Canvas, below: bool) -> None:
    top = write(canvas, PROSE + "Figure 3.2 shows it.", 50, 50)
    draw(canvas, 150, 200, 300, 100)
    write(canvas, "Figure 3.2. Two discs on a rod.", 150, 304 if below else 180, size=8)
    write(canvas, PROSE, 50, 360)
    contents = read(canvas)
    (figure,) = figures(contents)
    assert top < 200
    assert (figure.anchor, figure.number, figure.page) == ("figure-3.2", "3.2", 1)
    assert figure.caption == "Two discs on a rod."
    expected_box = (150 / WIDTH, 200 / HEIGHT, 450 / WIDTH, 300 / HEIGHT)
    assert figure.bbox == pytest.approx(expected_box, abs=0.05 * 300 / WIDTH)
    assert isinstance(figure.picture, bytes)
    width, height = open_picture(figure.picture).size
    assert (width, height) == pytest.approx((300 * 150 / 72, 100 * 150 / 72), rel=0.05)
    assert [block.refs for block in blocks(contents)] == [("figure-3.2",), ()]
    assert not any("Two discs" in block.text for block in blocks(contents))


def test_the_box_of_a_drawing_in_a_scaled_form_is_its_place_on_the_page(canvas: Canvas) -> None:
    canvas.beginForm("drawing")
    draw(canvas, 0, HEIGHT - 50, 150, 50)  # the lower left corner of the form's own space
    canvas.endForm()
    write(canvas, PROSE, 50, 50)
    canvas.saveState()
    canvas.translate(150, HEIGHT - 300)
    canvas.scale(2, 2)
    canvas.doForm("drawing")
    canvas.restoreState()
    (figure,) = figures(read(canvas))
    expected_box = (150 / WIDTH, 200 / HEIGHT, 450 / WIDTH, 300 / HEIGHT)
    assert figure.bbox == pytest.approx(expected_box, abs=0.01)
    assert figure.anchor == "p1-f1"


def test_boxes_on_a_rotated_page_refer_to_the_displayed_page(canvas: Canvas) -> None:
    canvas.setPageSize((HEIGHT, WIDTH))  # reportlab swaps the sizes of a rotated page
    canvas.setPageRotation(90)
    canvas.translate(WIDTH, 0)
    canvas.rotate(90)  # upright again on a page displayed 800 wide and 600 high
    canvas.setFont("Times-Roman", 10)
    for row in range(4):
        canvas.drawString(60, 540 - 12 * row, PROSE[:90])
    canvas.circle(500, 200, 80)
    canvas.line(420, 200, 580, 200)
    contents = read(canvas)
    (figure,) = figures(contents)
    assert figure.bbox == pytest.approx((420 / 800, 320 / 600, 580 / 800, 480 / 600), abs=0.02)
    assert isinstance(figure.picture, bytes)
    crop = open_picture(figure.picture).convert("L")
    assert crop.getpixel((crop.width // 4, crop.height // 2)) < 128  # on the level line
    assert crop.getpixel((crop.width // 2, crop.height // 4)) > 128
    assert blocks(contents)[0].text.startswith("A body at rest")


def test_a_photo_is_the_stored_jpeg(canvas: Canvas) -> None:
    data = photo()
    top = write(canvas, PROSE, 50, 50)
    write(canvas, "Fig. 2: An orange disc.", 200, 180, size=8)
    canvas.drawImage(ImageReader(io.BytesIO(data)), 200, HEIGHT - 330, 208, 130)
    write(canvas, PROSE, 50, 360)
    (figure,) = figures(read(canvas))
    assert top < 180
    assert (figure.number, figure.caption) == ("2", "An orange disc.")
    assert figure.picture == data


def test_scanned_pages_are_kept_as_figures(canvas: Canvas) -> None:
    canvas.setTitle("Notes")
    for _ in range(4):  # as often as a logo would repeat
        canvas.drawImage(ImageReader(io.BytesIO(photo())), 0, 0, WIDTH, HEIGHT)
        canvas.showPage()
    contents = read(canvas)
    assert [figure.alt for figure in figures(contents)] == [
        f"Scanned page {number} of Notes" for number in (1, 2, 3, 4)
    ]
    assert len(contents) == 4


def test_decorations_backgrounds_rules_and_repeated_logos_are_not_figures(canvas: Canvas) -> None:
    logo = ImageReader(Image.new("RGB", (300, 200), "teal"))
    for number in range(4):
        canvas.setFillColorRGB(1, 1, 0.9)
        canvas.rect(0, 0, WIDTH, HEIGHT, stroke=0, fill=1)
        canvas.setFillColorRGB(0, 0, 0)
        canvas.drawImage(logo, 400, HEIGHT - 420, 120, 80)
        canvas.line(50, HEIGHT - 45, 550, HEIGHT - 45)
        canvas.circle(60, 200, 4)
        write(canvas, prose(number), 50, 60)
        canvas.roundRect(45, HEIGHT - 560, 510, 60, 8)
        write(canvas, PROSE + PROSE, 50, 500)
        canvas.showPage()
    contents = read(canvas)
    assert figures(contents) == []
    assert len(blocks(contents)) == 8


def test_running_headers_and_page_numbers_are_dropped(canvas: Canvas) -> None:
    for number in range(1, 7):
        canvas.setFont("Times-Italic", 9)
        canvas.drawString(50, HEIGHT - 30, "Physics" if number % 2 else "Chapter 1")
        canvas.drawCentredString(300, 30, str(number))
        write(canvas, prose(number), 50, 60)
        canvas.showPage()
    text = [block.text for block in blocks(read(canvas))]
    assert text == [prose(number).strip() for number in range(1, 7)]


def test_a_paragraph_continues_on_the_next_page(canvas: Canvas) -> None:
    write(canvas, "The force on the moving body as Figure 1 has it is the", 50, 60)
    canvas.showPage()
    write(canvas, "sum of all forces, see Figure 2.", 50, 60)
    (block,) = blocks(read(canvas))
    assert block.text.endswith("has it is the sum of all forces, see Figure 2.")
    assert (block.page, block.refs) == (1, ("figure-1", "figure-2"))


def test_a_ruled_table_is_one_block_with_its_caption(canvas: Canvas) -> None:
    write(canvas, PROSE, 50, 50)
    write(canvas, "Table 1. Masses.", 100, 180, size=9)
    canvas.grid([100, 250, 400], [HEIGHT - 200 - 15 * row for row in range(4)])
    for row, cells in enumerate((("Body", "Mass"), ("Sun", "333,000"), ("Earth", "1"))):
        for cell, left in zip(cells, (105, 255), strict=True):
            canvas.drawString(left, HEIGHT - 211 - 15 * row, cell)
    contents = read(canvas)
    (table,) = [block for block in blocks(contents) if block.role == "table"]
    assert table.text.splitlines() == [
        "Table 1. Masses.",
        "| Body | Mass |",
        "| --- | --- |",
        "| Sun | 333,000 |",
        "| Earth | 1 |",
    ]
    assert (table.title, table.anchor) == ("Table 1. Masses.", "table-1")
    assert figures(contents) == []


def test_pages_are_read_one_at_a_time(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write(canvas, prose(number)[:200].strip() + ".", 50, 60)
        canvas.showPage()
    canvas.save()
    pages: list[int] = []
    read_page = pdf_module.read_page
    monkeypatch.setattr(pdf_module, "read_page", lambda page: pages.append(1) or read_page(page))
    stream = document(Path(canvas._filename)).read()
    assert pages == []
    next(stream)
    assert len(pages) == 1
    next(stream)
    assert len(pages) == 2
    stream.close()


def test_the_crop_of_a_huge_page_is_bounded(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(14_000, 14_000))
    canvas.circle(7000, 7000, 4000)
    canvas.line(3000, 7000, 11_000, 7000)
    canvas.setFont("Times-Roman", 200)
    canvas.drawString(500, 13_000, PROSE[:90])
    (figure,) = figures(read(canvas))
    assert isinstance(figure.picture, bytes)
    assert max(open_picture(figure.picture).size) <= 4000


def test_a_broken_page_is_a_problem_and_the_rest_is_read(canvas: Canvas) -> None:
    for word in ("First", "Second", "Third"):
        write(canvas, f"{word}. " + PROSE, 50, 60)
        canvas.showPage()
    canvas.save()
    path = Path(canvas._filename)
    data = path.read_bytes()
    start = data.index(b"/Kids [") + len(b"/Kids [")
    kids = data[start : data.index(b"]", start)].split(b" R")
    kids[1] = b" 999 0"
    path.write_bytes(data[:start] + b" R".join(kids) + data[data.index(b"]", start) :])
    first, problem, third = document(path).read()
    assert isinstance(first, Block)
    assert first.text.startswith("First.")
    assert isinstance(problem, Problem)
    assert problem.anchor == "p2"
    assert isinstance(third, Block)
    assert (third.page, third.text[:6]) == (3, "Third.")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:700])


def _scramble(path: Path) -> None:
    path.write_bytes(b"%PDF-1.4\n" + bytes(range(256)) * 40)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, "cut off"),
        (_scramble, "damaged"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"<html>hello</html>"), "not a PDF"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_the_error_of_a_bad_file_names_the_file_and_the_remedy(
    canvas: Canvas, spoil: Callable[[Path], object], message: str
) -> None:
    write(canvas, PROSE, 50, 60)
    canvas.save()
    path = Path(canvas._filename)
    spoil(path)
    with pytest.raises(BadInput, match=f"^a.pdf: .*{message}.*;"):
        list(document(path).read())


def test_an_encrypted_file_asks_for_a_copy_without_password(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    canvas = Canvas(str(path), encrypt=StandardEncryption("secret"))
    canvas.drawString(50, 500, PROSE[:80])
    canvas.save()
    with pytest.raises(BadInput, match=r"^a\.pdf: .*encrypted; save a copy without password"):
        list(document(path).read())
