"""EPUB, LaTeX, notebooks, CSV and transcripts."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path

import pytest

from data.documents import Block, Document, Problem
from data.errors import BadInput
from data.readers import scan
from tests.data.readers.reading import blocks, figures, png, problems, read_text, texts

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"
 xmlns:dc="http://purl.org/dc/elements/1.1/">
<metadata><dc:title>Waves</dc:title><dc:creator>A. Teacher</dc:creator>
<dc:language>en-GB</dc:language>
<dc:rights>CC BY 4.0</dc:rights></metadata><manifest>
<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>
<item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="lost" href="text/lost.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="two"/><itemref idref="lost"/>
</spine>
</package>"""


def page(body: str) -> str:
    return f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>'


def epub(folder: Path, **members: str) -> Path:
    path = folder / "book.epub"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("mimetype", "application/epub+zip")
        packed.writestr("META-INF/container.xml", members.get("container", CONTAINER))
        packed.writestr("OPS/book.opf", members.get("package", PACKAGE))
        packed.writestr("OPS/nav.xhtml", page("<nav>One Two</nav>"))
        packed.writestr("OPS/text/one.xhtml", page('<h1>One</h1><p><a id="x"/>A wave.</p>'))
        figure = (
            '<figure><img src="../a.png" alt="A"/><figcaption>Figure 1. A</figcaption></figure>'
        )
        packed.writestr("OPS/text/two.xhtml", page(f"<h1>Two</h1><p>A crest.</p>{figure}"))
        packed.writestr("OPS/a.png", png())
        if "encryption" in members:
            packed.writestr("META-INF/encryption.xml", members["encryption"])
    return path


def test_a_book_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    (book,) = scan(epub(tmp_path))
    assert isinstance(book, Document)
    assert (book.title, book.attribution, book.licence, book.language) == (
        "Waves",
        "A. Teacher",
        "CC BY 4.0",
        "en",
    )
    contents = list(book.read())
    assert [(b.section, b.text) for b in blocks(contents)] == [
        (("Waves", "One"), "A wave."),
        (("Waves", "Two"), "A crest."),
    ]
    (figure,) = figures(contents)
    assert (figure.number, figure.picture) == ("1", png())
    assert [p.message for p in problems(contents)] == [
        "OPS/text/lost.xhtml: this page is missing in the book"
    ]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"container": "<container/>"}, "no package document"),
        ({"package": '<!DOCTYPE x [<!ENTITY a "b">]><package>&a;</package>'}, "entities"),
        ({"package": "<package><spine/></package>"}, "nothing to index"),
        (
            {"encryption": '<e><CipherReference URI="OPS/text/one.xhtml"/></e>'},
            "copy-protected",
        ),
    ],
)
def test_a_book_that_cannot_be_read_says_why(
    tmp_path: Path, members: dict[str, str], reason: str
) -> None:
    (book,) = scan(epub(tmp_path, **members))
    assert isinstance(book, Document)
    with pytest.raises(BadInput, match=reason):
        list(book.read())


LATEX = r"""\documentclass{article}
\newcommand{\vect}[1]{\mathbf{#1}}
\DeclareMathOperator{\sinc}{sinc}
\newtheorem{law}{Law}
\graphicspath{{img/}}
\title{Waves and \emph{Optics}}\author{A. Teacher \and B. Helper}
\begin{document}
\section{Speed}
With $\vect{v} = f\lambda$, see Figure~\ref{fig:w}~\cite{h}.
It costs \$5, 5\,\% of ``it''---na\"ive.\footnote{A note.} % no

\begin{equation}\label{e} R = \sinc x \cos y \end{equation}
It is \SI{3.0e8}{\metre\per\second}, \qty{9.81}{\metre\per\second\squared}.
\begin{figure}\includegraphics[width=1cm]{wave}\caption{A $y(x)$.}\label{fig:w}\end{figure}
\begin{tabular}{lcc}\toprule Medium & \multicolumn{2}{c}{Speed} \\ & cold & hot \\ \midrule
\multirow{2}{*}{Air} & 331 & 343 \\ & 332 & 344 \\ \bottomrule\end{tabular}
\begin{law}[Snell] It bends.\end{law}
\begin{verbatim}
x = 5 % 2
  y $z$
\end{verbatim}
\begin{tikzpicture}\draw (0,0) node {hot body};\end{tikzpicture}
\input{parts/end}\input{missing}
\end{document}"""


def test_a_latex_source_is_read_with_its_parts(tmp_path: Path) -> None:
    for name, data in (
        ("img/wave.png", png()),
        ("parts/end.tex", rb"\subsection{End} It \emph{ends}."),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
    (tmp_path / "main.tex").write_text(LATEX)
    (document,) = scan(tmp_path)
    assert isinstance(document, Document)
    assert (document.title, document.attribution) == ("Waves and Optics", "A. Teacher, B. Helper")
    contents = list(document.read())
    assert [b.text for b in blocks(contents)] == [
        r"With \(\mathbf{v} = f\lambda\), see Figure 1. It costs $5, 5 % of “it”—naïve."
        "\n(A note.)",
        r"\[R = \operatorname{sinc} x \cos y\] It is 3.0 × 10^8 m/s, 9.81 m/s^2.",
        "| Medium | Speed, cold | Speed, hot |\n| --- | --- | --- |\n"
        "| Air | 331 | 343 |\n| Air | 332 | 344 |",
        "Law (Snell). It bends.",
        "x = 5 % 2\n  y $z$",
        "hot body",
        "It ends.",
    ]
    (figure,) = figures(contents)
    assert (figure.anchor, figure.number, figure.caption) == ("fig:w", "1", r"A \(y(x)\).")
    assert isinstance(figure.picture, Path)
    assert blocks(contents)[0].refs == ("fig:w",)
    assert {p.kind for p in problems(contents)} == {"link", "diagram"}


def test_a_change_of_an_included_part_changes_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "main.tex").write_text(
        r"\documentclass{article}\begin{document}\input{a}\end{document}"
    )
    fingerprints = set()
    for words in ("One.", "Two."):
        (tmp_path / "a.tex").write_text(words)
        (document,) = scan(tmp_path)
        assert isinstance(document, Document)
        fingerprints.add(document.fingerprint)
    assert len(fingerprints) == 2


@pytest.mark.parametrize("hostile", ["{", r"\begin{x}", r"\textbf{", r"\newcommand{\a}{\a\a}\a"])
def test_hostile_latex_ends(tmp_path: Path, hostile: str) -> None:
    (tmp_path / "a.tex").write_text("Words. " + hostile * 800)
    (document,) = scan(tmp_path)
    assert isinstance(document, Document)
    try:
        contents = list(document.read())
    except BadInput as error:
        contents = [Problem("", str(error))]
    (first,) = contents[:1]
    assert "Words" in first.text if isinstance(first, Block) else "too deep" in str(first)


def notebook(*cells: dict[str, object]) -> str:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def test_a_notebook_keeps_text_code_and_results(tmp_path: Path) -> None:
    picture = base64.b64encode(png()).decode()
    table = (
        "<table><thead><tr><th>t</th><th>v</th></tr></thead><tr><td>1</td><td>5</td></tr></table>"
    )
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["v = 5\n"]},
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}},
        {
            "output_type": "execute_result",
            "execution_count": 1,
            "metadata": {},
            "data": {"text/html": [table], "text/plain": ["t v"]},
        },
    ]
    text = notebook(
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": ["# Fall\n", "\n", "With $g_1*t$.\n\n![Tower](attachment:a.png)"],
            "attachments": {"a.png": {"image/png": picture}},
        },
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": 1,
            "source": ["for i in x:\n", "    print(i)"],
            "outputs": outputs,
        },
    )
    contents = read_text(tmp_path, "a.ipynb", text)
    assert texts(contents) == [
        r"With \(g_1*t\).",
        "for i in x:\n    print(i)",
        "v = 5",
        "| t | v |\n| --- | --- |\n| 1 | 5 |",
    ]
    assert [(f.alt, f.picture) for f in figures(contents)] == [("Tower", png()), ("", png())]
    assert blocks(contents)[0].section == ("Fall",)


@pytest.mark.parametrize("text", ["{}", "[1]", "not json", "[" * 5_000])
def test_a_broken_notebook_is_bad_input(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match=r"a.ipynb: .*notebook"):
        read_text(tmp_path, "a.ipynb", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'Gas,Mass (u),Use\nHelium,4.0,"balloons, ships"\nNeon,20.2,\n'),
        ("a.csv", "Gas;Mass (u);Use\nHelium;4.0;balloons, ships\nNeon;20.2;\n"),
        ("a.tsv", "Gas\tMass (u)\tUse\nHelium\t4.0\tballoons, ships\nNeon\t20.2\n"),
    ],
)
def test_tables_with_separators(tmp_path: Path, name: str, text: str) -> None:
    (block,) = blocks(read_text(tmp_path, name, text))
    assert block.role == "table"
    assert block.text == (
        "| Gas | Mass (u) | Use |\n| --- | --- | --- |\n"
        "| Helium | 4.0 | balloons, ships |\n| Neon | 20.2 |  |"
    )


def test_a_table_of_numbers_has_no_header_and_a_remark_is_its_caption(tmp_path: Path) -> None:
    (block,) = blocks(read_text(tmp_path, "a.csv", "# Fall from 5 m\n0,0.0\n1,4.9\n"))
    assert block.text == "Fall from 5 m\n|  |  |\n| --- | --- |\n| 0 | 0.0 |\n| 1 | 4.9 |"


def test_a_recording_of_many_rows_is_cut_with_a_problem(tmp_path: Path) -> None:
    contents = read_text(tmp_path, "a.csv", "t,v\n" + "1,2\n" * 6_000)
    assert texts(contents)[0].count("\n") == 5_001
    assert [p.kind for p in contents if isinstance(p, Problem)] == ["table"]


VTT = """WEBVTT

NOTE made for a test

00:03:12.000 --> 00:03:15.000
<v Ada>A wave &amp; a <i>crest</i>

00:03:15.000 --> 00:03:18.000
<v Ada>move on.

00:03:18.000 --> 00:03:20.000
<v Bob>Why?

01:10:00.500 --> 01:10:02.000
Later.
"""


def test_a_transcript_keeps_its_times_and_speakers(tmp_path: Path) -> None:
    passages = blocks(read_text(tmp_path, "talk.vtt", VTT))
    assert [(b.anchor, b.section, b.text) for b in passages] == [
        ("00:03:12", ("Talk", "00:03:12"), "Ada: A wave & a crest move on.\nBob: Why?"),
        ("01:10:00", ("Talk", "01:10:00"), "Later."),
    ]


def test_captions_of_other_programs(tmp_path: Path) -> None:
    times = ("00:00:01,000 --> 00:00:02,000", "00:00:02,000 --> 00:00:04,000")
    srt = f"1\n{times[0]}\nA wave\n\n2\n{times[1]}\nA wave\nmoves.\n"
    (passage,) = blocks(read_text(tmp_path, "talk.srt", srt))
    assert passage.text == "A wave moves."  # live captions repeat a line
    with pytest.raises(BadInput, match="not a transcript with times"):
        read_text(tmp_path / "bad", "talk.srt", "no times here")
