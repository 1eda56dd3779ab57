"""Markdown of MyST, Quarto, Obsidian, Hugo and GitHub."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.readers.reading import (
    alts_and_files,
    blocks,
    figures,
    png,
    problems,
    read_text,
    texts,
)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("See [[Optics]] and [[Sound#Speed|its speed]].", ["See Optics and its speed."]),
        ("==Hot== text, a == b, x==y. %%hidden%%", ["Hot text, a == b, x==y."]),
        ("# Waves {#sec-waves .unnumbered}\n\nA wave.", ["A wave."]),
        ("(intro)=\nA wave. See {ref}`the start <intro>`.", ["A wave. See the start."]),
        ("Speed {math}`v_1*t*2`, H{sub}`2`O", [r"Speed \(v_1*t*2\), H2O"]),
        ("```{math}\n:label: e\na^2\n```", [r"\[a^2\]"]),
        ("```math\n\\frac{a}{b}\n```", [r"\[\frac{a}{b}\]"]),
        (
            "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
            [r"\[\begin{align} a &= b \\ c &= d \end{align}\]"],
        ),
        ("```{code-cell} python\n:tags: [x]\ny = '$a$ $b$'\n  z\n```", ["y = '$a$ $b$'\n  z"]),
        ("```{r, echo=FALSE}\nx <- 1\n```", ["x <- 1"]),
        ("1. Run\n\n   ```sh\n   echo $A $B\n   ```", ["1. Run", "echo $A $B"]),
        ("```{toctree}\na\nb\n```\n\nText.", ["Text."]),
        ("- [x] done", ["- done"]),
        ("A [span]{.smallcaps} `x`{.py} word", ["A span x word"]),
        ("A note.[^1]\n\n[^1]: It is short.", ["A note.", "1. It is short."]),
        ("Term\n: One\n: Two", ["Term: One\nTwo"]),
        (
            "```{list-table} Fruit\n:header-rows: 1\n* - Name\n  - Mass\n* - Fig\n  - 50 g\n```",
            ["Fruit\n| Name | Mass |\n| --- | --- |\n| Fig | 50 g |"],
        ),
        (
            '```{csv-table} Fruit\n:header: Name, Mass\nFig, "5,0 g"\n```',
            ["Fruit\n| Name | Mass |\n| --- | --- |\n| Fig | 5,0 g |"],
        ),
    ],
)
def test_notations(tmp_path: Path, markdown: str, expected: list[str]) -> None:
    assert texts(read_text(tmp_path, "a.md", markdown)) == expected


@pytest.mark.parametrize(
    "markdown",
    [
        ":::{note}\nTake $a_1*b$.\n:::",
        "::: {.callout-tip}\nTake $a_1*b$.\n:::",
        "```{warning}\nTake $a_1*b$.\n```",
        "> [!TIP]\n> Take $a_1*b$.",
        "!!! note\n    Take $a_1*b$.",
        "::::{admonition} \n:::{tip}\nTake $a_1*b$.\n:::\n::::",
    ],
)
def test_notes_beside_the_text(tmp_path: Path, markdown: str) -> None:
    contents = blocks(read_text(tmp_path, "a.md", markdown))
    assert ("note", r"Take \(a_1*b\).") in [(b.role, b.text) for b in contents]


def test_pictures(tmp_path: Path) -> None:
    for name in ("img/a wave.png", "deep/down/heart.png", "p.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png())
    markdown = """![Wave](img/a wave.png "Figure 1. A wave")

![[Heart.png|A heart]]

![A pulse](p.png){#fig-pulse fig-alt="Pulse on a rope" width=50%}

```{figure} img/a%20wave.png
:name: fig-m
:alt: Again
Figure 2. The *same* $x_1$.
```

{{< figure src="p.png" caption="By Hugo" alt="H" >}}
"""
    contents = read_text(tmp_path, "a.md", markdown)
    assert [(f.anchor, f.caption, f.alt) for f in figures(contents)] == [
        ("figure-1", "A wave", "Wave"),
        ("picture-2", "", "A heart"),
        ("fig-pulse", "A pulse", "Pulse on a rope"),
        ("fig-m", r"The same \(x_1\).", "Again"),
        ("picture-5", "By Hugo", "H"),
    ]
    assert [name for _, name in alts_and_files(contents)] == [
        "a wave.png",
        "heart.png",
        "p.png",
        "a wave.png",
        "p.png",
    ]


def test_included_files_and_films_are_problems(tmp_path: Path) -> None:
    markdown = "Text.\n\n{{< video https://x.org/v.mp4 >}}\n\n```{include} part.md\n```"
    reported = problems(read_text(tmp_path, "a.md", markdown))
    assert [p.message.split(":")[0] for p in reported] == ["https", "part.md"]


@pytest.mark.parametrize("hostile", ["[[", "![[a|", "{{<", "![](", "::: \n", "```{note}\n"])
def test_unclosed_notations_are_read(tmp_path: Path, hostile: str) -> None:
    text = "x " + hostile * (5_000 // len(hostile))
    assert blocks(read_text(tmp_path, "a.md", text))
