"""The HTML reader on small pages."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.html import HtmlReader

PAGE = r"""<!DOCTYPE html>
<html lang="en-GB"><head><title>Site - Waves</title>
<meta name="author" content="A. Teacher"><style>p { color: red }</style></head>
<body><nav><a href="/">Home</a></nav><script>alert("no")</script>
<main><h1>Waves</h1>
<p id="p1">A wave, see <a href="#fig-a">the figure</a> and Figure 2, moves with
 <math><mi>v</mi><mo>=</mo><mi>f</mi><mi>λ</mi></math>.<sup><a href="#n1">1</a></sup></p>
<figure id="fig-a"><img src="a.png" alt="A wave"><figcaption>Figure 1: A wave.</figcaption></figure>
<h2>Media</h2>
<ul><li>Water<ul><li>deep</li></ul></li><li>Air</li></ul>
<figure><img src="a.png" alt=""><figcaption>Fig. 2. Air.</figcaption></figure>
<table><caption>Speeds</caption><tr><th>Medium</th><th>m/s</th></tr>
<tr><td>Air</td><td>343</td></tr></table>
<p>The area is <math display="block"><mfrac><mi>a</mi><mi>b</mi></mfrac></math></p>
<aside>By the way.</aside>
<dl><dt>Crest</dt><dd>The top.</dd></dl>
<h2>Exercises</h2><ol><li>Find v.</li><li>Find f.</li></ol>
<h2>Solutions</h2><ol><li>3 m/s</li><li>2 Hz</li></ol>
<img src="spacer.gif" alt="" width="1">
</main></body></html>"""


def write(root: Path, text: str | bytes = PAGE, name: str = "page.html") -> Document:
    path = root / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    (document,) = HtmlReader().documents(path, root)
    return document


def red(path: Path | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    if path:
        path.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def blocks(document: Document) -> list[Block]:
    return [content for content in document.read() if isinstance(content, Block)]


def test_the_contents_of_a_page_come_in_order(tmp_path: Path) -> None:
    red(tmp_path / "a.png")
    document = write(tmp_path)
    assert (document.title, document.attribution, document.language) == (
        "Waves",
        "A. Teacher",
        "en",
    )
    contents = list(document.read())
    assert not any(isinstance(c, Problem) for c in contents)
    first = contents[0]
    assert isinstance(first, Block)
    assert (first.anchor, first.refs) == ("p1", ("fig-a", "figure-2"))
    assert first.text.startswith("A wave, see the figure and Figure 2, moves with \\(v")
    assert first.text.endswith("\\).")
    figures = [c for c in contents if isinstance(c, Figure)]
    assert [(f.anchor, f.number, f.caption) for f in figures] == [
        ("fig-a", "1", "A wave."),
        ("figure-2", "2", "Air."),
    ]
    texts = [(b.role, b.text) for b in contents if isinstance(b, Block)][1:]
    assert texts == [
        ("text", "- Water\n  - deep\n- Air"),
        ("table", "Speeds\n| Medium | m/s |\n| --- | --- |\n| Air | 343 |"),
        ("text", r"The area is \[\frac{a}{b}\]"),
        ("note", "By the way."),
        ("term", "Crest: The top."),
        ("exercise", "Find v."),
        ("exercise", "Find f."),
        ("solution", "3 m/s"),
        ("solution", "2 Hz"),
    ]


def test_solutions_are_paired_with_exercises(tmp_path: Path) -> None:
    red(tmp_path / "a.png")
    page_blocks = blocks(write(tmp_path))
    exercises = [b.anchor for b in page_blocks if b.role == "exercise"]
    assert exercises == ["exercise-1", "exercise-2"]
    assert [b.partner for b in page_blocks if b.role == "solution"] == exercises


def test_an_inline_picture_follows_its_paragraph(tmp_path: Path) -> None:
    code = base64.b64encode(red()).decode()
    page = f'<p>Look <a href="x"><img src="data:image/png;base64,{code}" alt="red"></a> here.</p>'
    text, figure = write(tmp_path, page).read()
    assert isinstance(text, Block)
    assert text.text == "Look here."
    assert isinstance(figure, Figure)
    assert figure.picture == red()


@pytest.mark.parametrize(
    "source",
    ["data:text/html;base64,PGI+", "data:image/png;base64,!!", "data:image/svg+xml,<svg", ""],
)
def test_unusable_pictures_are_problems(tmp_path: Path, source: str) -> None:
    figure, problem = write(tmp_path, f"<img alt='words' src='{source}'>").read()
    assert isinstance(figure, Figure)
    assert (figure.picture, figure.alt) == (None, "words")
    assert isinstance(problem, Problem)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<p>So <script type="math/tex">x^2</script> it is.</p>', r"So \(x^2\) it is."),
        (
            '<p><span class="katex"><span class="katex-mathml"><math><semantics><mi>x</mi>'
            '<annotation encoding="application/x-tex">x_{1}</annotation></semantics></math></span>'
            '<span class="katex-html">x1</span></span></p>',
            r"\(x_{1}\)",
        ),
        ("<script src='MathJax.js'></script><p>So $x^2$ is.</p>", r"So \(x^2\) is."),
        ("<p>It costs $5 and $x^2$.</p>", "It costs $5 and $x^2$."),
        ("<p>one<br>two</p>", "one\ntwo"),
        ("<form><div>All in a form</div></form>", "All in a form"),
        ("<table><tr><td>Only for looks</td></tr></table>", "Only for looks"),
        ("<p>x</p hidden><p hidden>unseen</p>", "x"),
    ],
)
def test_the_text_of_a_page(tmp_path: Path, page: str, text: str) -> None:
    assert [b.text for b in blocks(write(tmp_path, page))] == [text]


@pytest.mark.parametrize(
    "data",
    [
        '<meta charset="iso-8859-1"><p>Größe</p>'.encode("latin-1"),
        "<p>Größe</p>".encode("utf-16"),
        "<p>Größe</p>".encode("utf-8-sig"),
        '<meta charset="nonsense"><p>Größe</p>'.encode(),
        '<?xml version="1.0" encoding="utf-8"?><html><p>Größe</p></html>'.encode(),
        '<meta charset="utf-8"><p>Größe</p>'.encode("cp1252"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes) -> None:
    assert [b.text for b in blocks(write(tmp_path, data))] == ["Größe"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<html></html>", "nothing to index"),
        (b"<!-- only a comment -->", "nothing to index"),
        (b"<p>a\0b</p>", "binary data"),
        (b"<div>" * 100_000, "nested more than 255 deep"),
    ],
)
def test_reading_a_bad_page_raises_bad_input(tmp_path: Path, data: bytes, reason: str) -> None:
    document = write(tmp_path, data)
    with pytest.raises(BadInput, match=reason):
        list(document.read())


def test_entities_are_not_resolved(tmp_path: Path) -> None:
    page = '<!DOCTYPE html [<!ENTITY a SYSTEM "file:///etc/passwd">]><p>So &a; it is.</p>'
    assert "root:" not in " ".join(b.text for b in blocks(write(tmp_path, page)))
