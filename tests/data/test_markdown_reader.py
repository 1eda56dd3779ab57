"""The Markdown reader on small cards."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.markdown import MarkdownReader

CARD = r"""---
title: Projectile motion
licence: CC BY 4.0
attribution: A. Teacher
---

# Projectile motion

A ball flies as in Figure 1, with \(v_x*t*2\) and $a_1 + b_1$; a ticket costs $5 (US$).

![A ball on its *arc*](../figures/arc.png "Figure 1. The path \(y(x)\) of a ball.")

## Range

The range is

\[ R = \frac{v^2}{g}
- 0 \]

$$
a \\[4pt] b
$$

## Worked example

**Problem.** Find \(R\).

**Solution.** It is 40 m.

## Key terms

- **Range**: how far \(x_1\) it flies.
- **Apex**: the highest point.
"""


def write(root: Path, text: str | bytes = CARD, name: str = "cards/card.md") -> Document:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    (document,) = MarkdownReader().documents(path, root)
    return document


def picture(root: Path, name: str = "figures/arc.png", colour: str = "red") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def blocks(document: Document) -> list[Block]:
    return [content for content in document.read() if isinstance(content, Block)]


def test_the_contents_of_a_card(tmp_path: Path) -> None:
    arc = picture(tmp_path)
    document = write(tmp_path)
    assert (document.source, document.title) == ("cards/card.md", "Projectile motion")
    assert (document.licence, document.attribution) == ("CC BY 4.0", "A. Teacher")
    contents = list(document.read())
    figure = next(c for c in contents if isinstance(c, Figure))
    assert (figure.anchor, figure.number) == ("figure-1", "1")
    assert figure.caption == r"The path \(y(x)\) of a ball."
    assert figure.alt == "A ball on its arc"
    assert figure.picture == arc.resolve()
    first = contents[0]
    assert isinstance(first, Block)
    assert first.refs == ("figure-1",)
    assert first.section == ("Projectile motion",)
    assert r"\(v_x*t*2\) and \(a_1 + b_1\); a ticket costs $5 (US$)." in first.text


def test_displayed_formulas_join_the_sentence_before_them(tmp_path: Path) -> None:
    texts = [b for b in blocks(write(tmp_path)) if b.section[-1] == "Range" and b.role == "text"]
    assert [b.text for b in texts] == [
        r"The range is \[R = \frac{v^2}{g} - 0\] \[a \\[4pt] b\]",
    ]


def test_examples_and_terms_have_their_roles(tmp_path: Path) -> None:
    card_blocks = blocks(write(tmp_path))
    examples = [b for b in card_blocks if b.role == "example"]
    assert [b.text for b in examples] == ["Problem. Find \\(R\\).\nSolution. It is 40 m."]
    terms = [(b.title, b.text) for b in card_blocks if b.role == "term"]
    assert terms == [
        ("Range", r"Range: how far \(x_1\) it flies."),
        ("Apex", "Apex: the highest point."),
    ]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        (r"\\(a_1\\) and \\[b_2\\]", r"\(a_1\) and \[b_2\]"),
        (r"`\(code\)` and \(a|b\)", r"\(code\) and \(a|b\)"),
        (r"He said \[sic\] so.", "He said [sic] so."),
        (r"Pay \$5 or $6, not $7.", "Pay $5 or $6, not $7."),
        ("H<sub>2</sub>O at 10<sup>-3</sup>", "H2O at 10^-3"),
        ("A *big* [link](https://example.org) & more", "A big link & more"),
        (r"\(a < b\) and \(c > d\)", r"\(a < b\) and \(c > d\)"),
    ],
)
def test_inline_markup(tmp_path: Path, markdown: str, expected: str) -> None:
    assert [b.text for b in blocks(write(tmp_path, markdown))] == [expected]


def test_a_table_keeps_formulas_with_bars_in_one_cell(tmp_path: Path) -> None:
    (table,) = blocks(write(tmp_path, "| a | b |\n|---|---|\n| \\(|x|\\) | 2 |\n"))
    assert table.role == "table"
    assert table.text == "| a | b |\n| --- | --- |\n| \\(\\|x\\|\\) | 2 |"


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("https://example.org/a.png", "not downloaded"),
        ("//example.org/a.png", "not downloaded"),
        ("../../outside.png", "outside the corpus folder"),
        ("../figures/none.png", "no such picture"),
        ("file:///etc/passwd", "not a relative path"),
        ("../notes.txt", "not a picture"),
        ("a" * 5000 + ".png", "not a valid path"),
    ],
)
def test_an_unusable_picture_keeps_its_caption_and_alt_text(
    tmp_path: Path, link: str, reason: str
) -> None:
    root = tmp_path / "corpus"
    picture(tmp_path, "outside.png")
    (root / "cards").mkdir(parents=True)
    (root / "notes.txt").write_text("words")
    document = write(root, f'![An arc]({link} "Figure 2. An arc.")')
    figure, problem = document.read()
    assert isinstance(figure, Figure)
    assert (figure.picture, figure.caption, figure.alt) == (None, "An arc.", "An arc")
    assert isinstance(problem, Problem)
    assert problem.anchor == figure.anchor == "figure-2"
    assert reason in problem.message


def test_a_picture_behind_a_symbolic_link_to_the_outside_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    secret = picture(tmp_path, "outside.png")
    root.mkdir()
    (root / "in.png").symlink_to(secret)
    figure, problem = write(root, "![x](in.png)", "card.md").read()
    assert isinstance(figure, Figure)
    assert figure.picture is None
    assert isinstance(problem, Problem)


def test_the_fingerprint_covers_the_pictures(tmp_path: Path) -> None:
    missing = write(tmp_path).fingerprint
    picture(tmp_path)
    red = write(tmp_path).fingerprint
    picture(tmp_path, colour="blue")
    blue = write(tmp_path).fingerprint
    assert len({missing, red, blue}) == 3
    assert write(tmp_path).fingerprint == blue


def test_figures_with_equal_captions_have_different_anchors(tmp_path: Path) -> None:
    picture(tmp_path, "a.png")
    text = '![a](a.png "Figure 1. A")\n\n![b](a.png "Figure 1. B")\n\n![c](a.png)\n\nSee Fig. 1.'
    contents = list(write(tmp_path, text, "card.md").read())
    assert [c.anchor for c in contents if isinstance(c, Figure)] == [
        "figure-1",
        "figure-1-2",
        "picture-3",
    ]
    assert [c.refs for c in contents if isinstance(c, Block)] == [("figure-1",)]


def test_broken_front_matter_is_a_problem_and_the_text_is_read(tmp_path: Path) -> None:
    problem, block = write(tmp_path, "---\ntitle: [a\n---\nText.").read()
    assert isinstance(problem, Problem)
    assert "YAML" in problem.message
    assert isinstance(block, Block)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file; nothing to index"),
        (b" \n\n", "empty file; nothing to index"),
        (b"abc\0def", "binary data"),
        (b"\xff\xfea", "broken UTF-16"),
        (b"---\ntitle: x\n---\n", "nothing to index"),
        (b"<div>" * 400 + b"deep", "nested more than 255 deep"),
    ],
)
def test_reading_a_bad_file_raises_bad_input(tmp_path: Path, data: bytes, reason: str) -> None:
    document = write(tmp_path, data)
    assert document.title
    with pytest.raises(BadInput, match=reason) as caught:
        list(document.read())
    assert str(caught.value).startswith("cards/card.md: ")


@pytest.mark.parametrize("hostile", ["\\(", "\\[", "$", "$$", "`", "\\\\(", "![", "<", "*", "> "])
def test_unclosed_markup_is_read_quickly(tmp_path: Path, hostile: str) -> None:
    document = write(tmp_path, "x " + hostile * (20_000 // len(hostile)))
    assert any(isinstance(content, Block) for content in document.read())
