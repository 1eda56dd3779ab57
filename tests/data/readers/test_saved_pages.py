"""Pages as browsers save them: formulas once, furniture left out, nothing else lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.documents import Block
from data.pictures import open_picture
from tests.data.readers.reading import blocks, figures, png, problems, read_text, texts

MATH = "<math><msup><mi>x</mi><mn>2</mn></msup></math>"


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        (  # MathJax 2, with its source in a script
            '<span class="MathJax_Preview"></span><span class="MathJax" id="M1-Frame">'
            f"<nobr>x2</nobr><span class='MJX_Assistive_MathML'>{MATH}</span></span>"
            '<script type="math/tex" id="M1">x^{2}\\cos y</script>',
            r"\(x^{2}\cos y\)",
        ),
        (  # MathJax 2, the script removed
            f"<span class='MathJax' data-mathml='{MATH}'><nobr>x2</nobr></span>",
            r"\(x^2\)",
        ),
        (  # MathJax 3
            '<mjx-container class="MathJax" jax="SVG"><svg viewBox="0 0 1 1"><path d="M0 0"/></svg>'
            f"<mjx-assistive-mml>{MATH}</mjx-assistive-mml></mjx-container>",
            r"\(x^2\)",
        ),
        (
            f'<mjx-container display="true"><mjx-math></mjx-math>{MATH}</mjx-container>',
            r"\[x^2\]",
        ),
        (  # KaTeX
            '<span class="katex-display"><span class="katex"><span class="katex-mathml"><math>'
            '<semantics><mi>x</mi><annotation encoding="application/x-tex">\\lim_{n} x_n'
            '</annotation></semantics></math></span><span class="katex-html">limn</span></span>'
            "</span>",
            r"\[\lim_{n} x_n\]",
        ),
        (  # Wikipedia
            '<span class="mwe-math-element"><span style="display:none"><math><semantics><mi>E</mi>'
            '<annotation encoding="application/x-tex">{\\displaystyle E=mc^{2}}</annotation>'
            '</semantics></math></span><img class="mwe-math-fallback-image-inline" src="f.svg" '
            'alt="{\\displaystyle E=mc^{2}}"></span>',
            r"\(E=mc^{2}\)",
        ),
        ('<img class="latex" src="l.png" alt="\\frac{a}{b}">', r"\(\frac{a}{b}\)"),  # WordPress
        (  # Moodle
            '<img class="Wirisformula" src="w.png" alt="x squared" '
            'data-mathml="«math»«msup»«mi»x«/mi»«mn»2«/mn»«/msup»«/math»">',
            r"\(x^2\)",
        ),
    ],
)
def test_a_typeset_formula_is_read_once_from_its_source(
    tmp_path: Path, formula: str, latex: str
) -> None:
    contents = read_text(tmp_path, "a.html", f"<h1>T</h1><p>So {formula} holds.</p>")
    assert texts(contents) == [f"So {latex} holds."]
    assert len(contents) == 1


def test_a_formula_without_its_source_is_a_problem(tmp_path: Path) -> None:
    page = "<p>So <mjx-container><mjx-math></mjx-math></mjx-container> holds.</p>"
    contents = read_text(tmp_path, "a.html", page)
    assert texts(contents) == ["So holds."]
    assert [p.kind for p in problems(contents)] == ["formula"]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("10<sup>8</sup> m/s", "10^8 m/s"),
        ("SO<sub>4</sub><sup>2−</sup> and H<sub>2</sub>O", "SO_4^{2-} and H2O"),
        ("Ca<sup>2+</sup> and x<sup>n+1</sup>", "Ca^{2+} and x^{n+1}"),
        ("photo&shy;syn&shy;thesis", "photosynthesis"),
        ("光は\n波で\nある light\nwave", "光は波である light wave"),
        ("السلام <b>عليكم</b>", "السلام عليكم"),
        ("<q>Yes</q>, he <ruby>漢<rt>kan</rt></ruby>", "“Yes”, he 漢(kan)"),
        ("<label><input type=radio> Mitochondria</label>", "Mitochondria"),
        ("<details><summary>Why?</summary>Because.</details>", "Why? Because."),
        ("Prices from $5 to $10 and from $$ to $$$.", "Prices from $5 to $10 and from $$ to $$$."),
        (r"\(\cos x\), \[\lim_{x\to 0} \log x \text{ if } x\]", None),
    ],
)
def test_the_words_of_a_page_stay_as_they_are(tmp_path: Path, page: str, text: str | None) -> None:
    contents = read_text(tmp_path, "a.html", f"<h1>T</h1><div>{page}</div>")
    assert " ".join(texts(contents)) == (page if text is None else text)


def test_only_what_the_page_marks_as_furniture_is_left_out(tmp_path: Path) -> None:
    page = """<h1>Cells</h1><nav>Home</nav><div role="dialog">We use cookies</div>
    <div aria-modal="true">Subscribe</div><article><p>A cell.</p><footer>By Robert Hooke</footer>
    </article><h2><button>Parts</button></h2><p>A nucleus.</p><footer>Imprint</footer>"""
    contents = blocks(read_text(tmp_path, "a.html", page))
    assert [(b.section[-1], b.text) for b in contents] == [
        ("Cells", "A cell."),
        ("Cells", "By Robert Hooke"),
        ("Parts", "A nucleus."),
    ]


def test_code_keeps_its_lines_and_dollar_signs(tmp_path: Path) -> None:
    page = (
        "<script src='MathJax.js'></script><p>So $x$.</p>"
        "<pre><code>for i in $a:\n    print($b)<br>end</code></pre>"
    )
    assert texts(read_text(tmp_path, "a.html", page)) == [
        r"So \(x\).",
        "for i in $a:\n    print($b)\nend",
    ]


def test_a_heading_with_nothing_below_it_is_text(tmp_path: Path) -> None:
    contents = read_text(
        tmp_path, "a.html", "<h1>T</h1><h2>One</h2><h2>Two</h2><h3>Deep</h3><p>x</p>"
    )
    assert [(b.section, b.text) for b in blocks(contents)] == [
        (("T",), "One"),
        (("T", "Two", "Deep"), "x"),
    ]


def test_a_term_with_two_meanings_is_one_entry(tmp_path: Path) -> None:
    page = (
        "<h1>T</h1><dl><div><dt>Wave</dt><dt>Ripple</dt><dd>A motion.</dd><dd>A hand's sign.</dd>"
        "</div><dt>Crest</dt>"
        "<dd><dl><dt>Top<dd>The peak.</dl></dd></dl>"
    )
    assert texts(read_text(tmp_path, "a.html", page)) == [
        "Wave, Ripple: A motion.\nA hand's sign.",
        "Crest:",
        "Top: The peak.",
    ]


def test_a_list_without_items_around_an_inner_list_is_read(tmp_path: Path) -> None:
    page = "<h1>T</h1><ul><li>Asia<ul><ul><li>Japan</ul></ul><ul><li>Goa</ul></ul>"
    (text,) = texts(read_text(tmp_path, "a.html", page))
    assert [line.strip() for line in text.split("\n")] == ["- Asia", "- Japan", "- Goa"]


@pytest.mark.parametrize(
    ("image", "is_figure"),
    [
        ('<img src="big.png" alt="">', True),
        ('<img src="big.png">', True),
        ('<img src="icon.png" alt="">', False),
        ('<img src="icon.png" alt="A cell">', True),
        ('<img src="big.png" alt="" width="20">', False),
        ('<img src="big.png" alt="" style="width:16px;height:16px">', False),
        ('<img src="big.png" alt="" role="presentation">', False),
        ('<img src="big.png" width="1" height="1" alt="statistics">', False),
        ('<svg viewBox="0 0 24 24"><path d="M0 0h9"/></svg>', False),
        ('<svg viewBox="0 0 24 24"><text>ATP</text></svg>', True),
        ('<svg viewBox="0 0 400 300"><path d="M0 0h9"/></svg>', True),
    ],
)
def test_an_ornament_is_small_or_marked(tmp_path: Path, image: str, is_figure: bool) -> None:
    (tmp_path / "big.png").write_bytes(png(200, 120))
    (tmp_path / "icon.png").write_bytes(png(16, 16))
    contents = read_text(tmp_path, "a.html", f"<h1>T</h1><p>Text.</p>{image}")
    here = [f for f in figures(contents) if f.anchor != "picture"]  # a bare picture of the folder
    assert len(here) == is_figure


def test_parts_of_one_figure_share_its_caption(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png())
    page = (
        "<h1>T</h1><figure id=f>"
        "<figure><img src=a.png alt=A><figcaption>(a) left</figcaption></figure>"
        "<figure><img src=b.png alt=B></figure><figcaption>Figure 4. Two</figcaption></figure>"
    )
    contents = figures(read_text(tmp_path, "a.html", page))
    assert [(f.anchor, f.number, f.caption) for f in contents] == [
        ("f", "4", "Two (a) left"),
        ("figure-4", "4", "Two"),
    ]


def test_films_and_frames_are_problems_with_a_place(tmp_path: Path) -> None:
    page = (
        '<p>See</p><video id="film" src="cell.mp4"></video><iframe src="https://x.org/q"></iframe>'
        '<canvas></canvas><iframe src="count" width="0" height="0"></iframe>'
    )
    reported = problems(read_text(tmp_path, "a.html", page))
    assert [(p.anchor, p.kind) for p in reported] == [
        ("film", "attachment"),
        ("iframe-2", "attachment"),
        ("canvas-3", "diagram"),
    ]


def test_a_drawing_reads_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret.png"
    secret.write_bytes(png(colour="blue"))
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 90 90"><image xlink:href="{secret}" width="90" height="90"/>'
        "<text>safe</text></svg>"
    )
    (figure,) = figures(read_text(tmp_path, "a.html", f"<h1>T</h1>{drawing}"))
    assert isinstance(figure.picture, bytes)
    colours = open_picture(figure.picture).getcolors(1_000_000) or []
    assert (0, 0, 255) not in [colour for _, colour in colours]


def test_a_drawing_in_a_file_is_a_figure_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "heart.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><title>Heart</title>'
        '<text x="1" y="9">left <tspan x="1" dy="9">atrium</tspan></text></svg>'
    )
    contents = read_text(tmp_path, "a.html", '<h1>T</h1><img src="heart.svg">')
    (figure,) = figures(contents)
    assert figure.alt == "Heart: left atrium"
    assert isinstance(figure.picture, bytes)


def test_a_drawing_that_declares_entities_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "bad.svg").write_text('<!DOCTYPE svg [<!ENTITY a "b">]><svg><text>&a;</text></svg>')
    contents = read_text(tmp_path, "a.html", '<h1>T</h1><img src="bad.svg" alt="A heart">')
    assert [(f.alt, f.picture) for f in figures(contents)] == [("A heart", None)]
    assert "declares entities" in problems(contents)[0].message


def test_xhtml_with_elements_closed_at_once_is_read_whole(tmp_path: Path) -> None:
    page = (
        '<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head>'
        '<title>T</title><script src="a.js"/></head><body><p><a id="p1"/>One&nbsp;cell.</p></body>'
        "</html>"
    )
    contents = read_text(tmp_path, "a.xhtml", page)
    assert [c.text for c in contents if isinstance(c, Block)] == ["One cell."]
