"""The CNXML reader on small repositories that the tests write."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.cnxml import CnxmlReader
from data.readers.xml import MAX_XML_DEPTH, parse_xml

BOOKS = """<container xmlns="https://openstax.org/namespaces/book-container" version="1">
<book slug="a" style="hs-physics" href="../collections/a.collection.xml"/>
<book slug="b" style="hs-physics" href="../collections/b.collection.xml"/></container>"""
COLLECTION = """<col:collection xmlns:col="http://cnx.rice.edu/collxml"
 xmlns:md="http://cnx.rice.edu/mdml" authors="Ada Smith ,Bo Lee"><metadata>
<md:title>{title}</md:title>
<md:license url="http://creativecommons.org/licenses/by/4.0/">CC Attribution</md:license></metadata>
<col:content>{content}</col:content></col:collection>"""
MATH = "<m:math><m:mi>v</m:mi><m:mo>=</m:mo><m:mi>a</m:mi><m:mi>t</m:mi></m:math>"

SPEEDS = "Speeds.\n| Who | m/s |\n| --- | --- |\n| Snail | 0.01 |"


def module(document: str) -> str:
    return f'<col:module document="{document}"/>'


def chapter(title: str, *members: str) -> str:
    return (
        f"<col:subcollection><md:title>{title}</md:title>"
        f"<col:content>{''.join(members)}</col:content></col:subcollection>"
    )


def figure(anchor: str, *images: str, caption: str = "", kind: str = "") -> str:
    media = "".join(
        f'<media alt="Alt of {name}"><image src="{name}" mime-type="image/png"/></media>'
        for name in images
    )
    return f'<figure id="{anchor}" class="{kind}">{media}<caption>{caption}</caption></figure>'


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("META-INF/books.xml", BOOKS)
        self.write("media/x.png", "not decoded by the reader")

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def book(self, name: str, title: str, *content: str) -> None:
        text = COLLECTION.format(title=title, content="".join(content))
        self.write(f"collections/{name}.collection.xml", text)

    def module(self, document: str, title: str, content: str, *, kind: str = "") -> None:
        self.write(
            f"modules/{document}/index.cnxml",
            '<document xmlns="http://cnx.rice.edu/cnxml" '
            f'xmlns:m="http://www.w3.org/1998/Math/MathML" class="{kind}"><title>{title}</title>'
            f"<content>{content}</content></document>",
        )

    def documents(self) -> dict[str, Document]:
        documents = CnxmlReader().documents(self.path, self.path)
        return {document.path.parent.name: document for document in documents}

    def read(self, content: str) -> list[Block | Figure | Problem]:
        """Return the contents of a book with one module."""
        self.book("a", "Book", chapter("Motion", module("m1")))
        self.module("m1", "Speed", content)
        return list(self.documents()["m1"].read())

    def blocks(self, content: str) -> list[Block]:
        return [item for item in self.read(content) if isinstance(item, Block)]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


# -- books, places, numbers ------------------------------------------------------------------------


def test_only_a_repository_is_claimed(repository: Repository, tmp_path: Path) -> None:
    reader = CnxmlReader()
    assert reader.claims(repository.path)
    assert not reader.claims(repository.path / "media")
    assert not reader.claims(repository.path / "META-INF" / "books.xml")
    (repository.path / "META-INF" / "books.xml").unlink()
    assert not reader.claims(repository.path)
    repository.book("a", "Book", module("m1"))
    repository.module("m1", "Speed", "<para>One.</para>")
    assert reader.claims(repository.path)


@pytest.mark.parametrize("books", [None, "<container", BOOKS.replace("../collections", "../..")])
def test_all_collections_are_read_without_a_usable_list_of_books(
    repository: Repository, books: str | None
) -> None:
    if books is None:
        (repository.path / "META-INF" / "books.xml").unlink()
    else:
        repository.write("META-INF/books.xml", books)
    repository.book("z", "Last", module("m2"))
    repository.book("c", "First", module("m1"))
    repository.module("m1", "One", "<para>One.</para>")
    repository.module("m2", "Two", "<para>Two.</para>")
    # a broken list is a document of its own, which raises its error when it is read
    broken = ["META-INF"] if books == "<container" else []
    assert list(repository.documents()) == [*broken, "m1", "m2"]


def test_places_follow_the_printed_numbers(repository: Repository) -> None:
    repository.book(
        "a",
        "Book A",
        module("m0"),
        chapter(
            "Unit", chapter("First", module("m1"), module("m2")), chapter("Next", module("m3"))
        ),
        module("m9"),
    )
    repository.book("b", "Book B", chapter("Shared", module("m3"), module("m4")))
    for document, kind in {"m0": "preface", "m1": "introduction", "m9": "appendix"}.items():
        repository.module(document, f"Title {document}", "<para>Text.</para>", kind=kind)
    for document in ("m2", "m3", "m4"):
        repository.module(document, f"Title {document}", "<para>Text.</para>")
    documents = repository.documents()
    assert list(documents) == ["m0", "m1", "m2", "m3", "m9", "m4"]
    places = [next(iter(d.read())).section for d in documents.values()]  # type: ignore[union-attr]
    assert places == [
        ("Book A", "Title m0"),
        ("Book A", "Unit", "1 First", "Title m1"),
        ("Book A", "Unit", "1 First", "1.1 Title m2"),
        ("Book A", "Unit", "2 Next", "2.1 Title m3"),
        ("Book A", "A Title m9"),
        ("Book B", "1 Shared", "1.2 Title m4"),
    ]
    shared = documents["m3"]
    assert shared.source == "modules/m3/index.cnxml"
    assert shared.licence == "CC BY 4.0, http://creativecommons.org/licenses/by/4.0/"
    assert shared.attribution == (
        "Book A, by Ada Smith, Bo Lee. OpenStax. Access for free at openstax.org."
    )


def test_figures_are_counted_through_the_chapter_with_moved_sections_last(
    repository: Repository,
) -> None:
    repository.book("a", "Book", chapter("Motion", module("m0"), module("m1"), module("m2")))
    image = "../../media/x.png"
    repository.module("m0", "Introduction", figure("splash", image), kind="introduction")
    repository.module(
        "m1",
        "One",
        f'<section class="problems"><title>Problems</title>{figure("late", image)}</section>'
        + figure("loose", image, kind="scaled unnumbered")
        + '<para id="p">See <link target-id="second" document="m2"/> and <link document="m2"/>, '
        'not <link target-id="late"/> or <link target-id="loose"/>.</para>',
    )
    repository.module("m2", "Two", figure("second", image))
    documents = repository.documents()
    contents = [c for document in documents.values() for c in document.read()]
    numbers = {c.anchor: c.number for c in contents if isinstance(c, Figure)}
    assert numbers == {"splash": "1.1", "second": "1.2", "late": "1.3", "loose": ""}
    text = next(c for c in contents if isinstance(c, Block))
    assert text.text == "See Figure 1.2 and Section 1.2, not Figure 1.3 or this figure."
    assert text.refs == ("modules/m2/index.cnxml#second", "late", "loose")


def test_counting_restarts_in_each_module_of_precalculus(repository: Repository) -> None:
    repository.write("META-INF/books.xml", BOOKS.replace("hs-physics", "precalculus"))
    repository.book("a", "Book", chapter("Motion", module("m1"), module("m2")))
    repository.module("m1", "One", figure("f1", "../../media/x.png"))
    repository.module("m2", "Two", figure("f2", "../../media/x.png"))
    contents = [c for d in repository.documents().values() for c in d.read()]
    assert [c.number for c in contents if isinstance(c, Figure)] == ["1", "1"]


# -- fingerprints ----------------------------------------------------------------------------------


def test_the_fingerprint_covers_everything_that_the_items_depend_on(repository: Repository) -> None:
    def fingerprints() -> dict[str, str]:
        return {name: d.fingerprint for name, d in repository.documents().items()}

    def changed(before: dict[str, str]) -> set[str]:
        after = fingerprints()
        return {name for name in after if after[name] != before[name]}

    image = "../../media/x.png"
    link = '<para>See <link document="m2" target-id="g"/>.</para>'
    repository.book("a", "Book", chapter("Motion", module("m1"), module("m2")))
    repository.module("m1", "One", link)
    repository.module("m2", "Two", figure("g", image))
    state = fingerprints()
    assert changed(state) == set()
    repository.write("media/x.png", "other bytes")
    assert changed(state) == {"m2"}
    state = fingerprints()
    repository.module("m2", "Two", figure("first", image) + figure("g", image))
    assert changed(state) == {"m1", "m2"}, "the link's words have become Figure 1.2"
    state = fingerprints()
    repository.book("a", "Other title", chapter("Motion", module("m1"), module("m2")))
    assert changed(state) == {"m1", "m2"}


# -- what is missing, broken or hostile ------------------------------------------------------------


def test_bad_modules_and_collections_do_not_stop_the_rest(repository: Repository) -> None:
    repository.book("a", "Book", *map(module, ("gone", "../../etc", "broken", "good")))
    repository.write("collections/b.collection.xml", "<col")
    repository.write("modules/broken/index.cnxml", "<document>")
    repository.module("good", "Good", "<para>Still here.</para>")
    results: dict[str, str] = {}
    for document in CnxmlReader().documents(repository.path, repository.path):
        try:
            first = next(iter(document.read()))
            results[document.source] = first.message if isinstance(first, Problem) else "read"
        except BadInput as error:
            results[document.source] = str(error)
    assert "modules/gone/index.cnxml is missing" in results["modules/gone/index.cnxml"]
    assert "not a module name" in results["modules/..%2F..%2Fetc/index.cnxml"]
    assert "not well-formed XML" in results["modules/broken/index.cnxml"]
    assert "not well-formed XML" in results["collections/b.collection.xml"]
    assert results["modules/good/index.cnxml"] == "read"


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c "&b;&b;">]><a>&c;</a>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1:1/x">%b;]><a/>', "declares entities"),
        ("<a>" * (MAX_XML_DEPTH + 1) + "</a>" * (MAX_XML_DEPTH + 1), "nests deeper"),
        ("<a><b></a>", "not well-formed"),
        ("", "not well-formed"),
    ],
)
def test_hostile_xml_is_refused(xml: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        parse_xml(xml.encode(), "book.xml")
    assert str(caught.value).startswith("book.xml: ")
    assert "\n" not in str(caught.value)


def test_nesting_below_the_limit_is_read(repository: Repository) -> None:
    deep = MAX_XML_DEPTH - 10
    content = "<section>" * deep + "<para>Bottom.</para>" + "</section>" * deep
    assert [block.text for block in repository.blocks(content)] == ["Bottom."]


def test_missing_and_outside_pictures_keep_their_captions(
    repository: Repository, tmp_path: Path
) -> None:
    contents = repository.read(
        figure("a", "../../media/x.png", caption="Here.")
        + figure("b", "../../media/absent.png", caption="Gone.")
        + figure("c", "../../../../../../../../etc/hostname", caption="Outside.")
        + figure("d", "https://example.org/x.png", caption="Far.")
    )
    pictures = {c.anchor: c for c in contents if isinstance(c, Figure)}
    assert pictures["a"].picture == (tmp_path / "media" / "x.png").resolve()
    assert [pictures[name].picture for name in "bcd"] == [None, None, None]
    assert [pictures[name].caption for name in "bcd"] == ["Gone.", "Outside.", "Far."]
    problems = {c.anchor: c.message for c in contents if isinstance(c, Problem)}
    assert set(problems) == {"b", "c", "d"}
    assert "missing" in problems["b"]
    assert "points outside the repository" in problems["c"]
    assert "not a file of the repository" in problems["d"]


def test_each_picture_of_a_figure_is_a_figure(repository: Repository) -> None:
    image = "../../media/x.png"
    contents = repository.read(figure("f", image, image, caption="Both."))
    figures = [c for c in contents if isinstance(c, Figure)]
    assert [(f.anchor, f.number, f.caption) for f in figures] == [
        ("f", "1.1", "Both."),
        ("f-2", "1.1", "Both."),
    ]


# -- text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("para", "expected"),
    [
        ("H<sub>2</sub>O and  K<sub>eq</sub>\n here", "H2O and K_eq here"),
        ("5 m/s<sup>2</sup>, <sup>14</sup>C, the 1<sup>st</sup>", "5 m/s^2, 14C, the 1st"),
        ("Ca<sup>2+</sup> and x<sup>n − 1</sup>", "Ca^2+ and x^(n - 1)"),
        (f"Here {MATH}, so.", r"Here \(v = at\), so."),
        ("A fact<footnote>Not always.</footnote> here", "A fact here\n(Not always.)"),
        ("<title>Lead</title>Then text.", "Lead. Then text."),
        ("Old <strange>words <b>stay</b></strange>.", "Old words stay."),
        ('Go to <link url="http://example.org">the page</link>.', "Go to the page."),
        ("One<newline/>two", "One\ntwo"),
    ],
)
def test_running_text(repository: Repository, para: str, expected: str) -> None:
    assert [b.text for b in repository.blocks(f"<para>{para}</para>")] == [expected]


def test_equations_and_lists_stay_with_their_paragraph(repository: Repository) -> None:
    blocks = repository.blocks(
        '<para id="a">Speed is</para>'
        f'<equation id="e">{MATH}</equation>'
        '<para id="b">where a is constant.</para>'
        '<para id="c">Take three steps:</para>'
        '<list list-type="enumerated"><item>Look.</item><item>Draw.</item></list>'
        '<para id="d">A new thought.</para><para id="x"> </para>'
    )
    assert [(b.anchor, b.text) for b in blocks] == [
        ("a", "Speed is\n\\[v = at\\]\nwhere a is constant."),
        ("c", "Take three steps:\n1. Look.\n2. Draw."),
        ("d", "A new thought."),
    ]


def test_roles_partners_and_audience(repository: Repository) -> None:
    blocks = repository.blocks(
        '<note class="learning-objectives"><title>Objectives</title><para>Explain speed.</para>'
        "</note>"
        '<note class="tips-for-success" id="tip"><para>Draw first.</para></note>'
        '<note class="os-teacher"><title>Teacher Support</title><para>Ask them.</para></note>'
        '<section id="s"><title>Motion</title><para>Things move.</para>'
        '<table id="t"><title>Speeds</title><tgroup><thead><row><entry>Who</entry>'
        "<entry>m/s</entry></row></thead><tbody><row><entry>Snail</entry><entry>0.01</entry></row>"
        "</tbody></tgroup></table></section>"
        '<table class="section-key-terms"><tgroup><tbody><row><entry>speed</entry>'
        "<entry>pace</entry></row></tbody></tgroup></table>"
        '<example id="ex"><title>Run</title><para>How fast?</para><exercise><problem><para>Find v.'
        "</para></problem><solution><para>2 m/s</para></solution></exercise></example>"
        '<exercise id="q"><problem><para>Why?</para></problem>'
        '<solution id="answer"><para>Because.</para></solution></exercise>'
        '<section class="summary"><title>Summary</title><para>It moved.</para></section>'
        '<glossary><definition id="d"><term>speed</term><meaning>distance per time</meaning>'
        "</definition></glossary>"
    )
    assert [(b.role, b.audience, b.title, b.text, b.partner) for b in blocks] == [
        ("objective", "student", "Objectives", "Explain speed.", ""),
        ("note", "student", "Tips for success", "Draw first.", ""),
        ("note", "teacher", "Teacher Support", "Ask them.", ""),
        ("text", "student", "", "Things move.", ""),
        ("table", "student", "Table 1.1: Speeds", SPEEDS, ""),
        ("objective", "student", "Key terms", "Key terms: speed; pace", ""),
        ("example", "student", "Example 1.1: Run", "How fast?\nFind v.\nSolution:\n2 m/s", ""),
        ("exercise", "student", "", "Why?", ""),
        ("solution", "student", "", "Because.", "q"),
        ("summary", "student", "", "It moved.", ""),
        ("term", "student", "speed", "speed: distance per time", ""),
    ]
    assert blocks[3].section == ("Book", "1 Motion", "1.1 Speed", "Motion")
    assert blocks[-1].section[-1] == "Glossary"


def test_teacher_notes_are_not_part_of_an_exercise(repository: Repository) -> None:
    blocks = repository.blocks(
        '<exercise id="q"><problem><para>Why?</para><note class="os-teacher"><para>Hint at air.'
        "</para></note></problem></exercise>"
    )
    assert [(b.role, b.audience, b.text) for b in blocks] == [
        ("exercise", "student", "Why?"),
        ("note", "teacher", "Hint at air."),
    ]


def test_long_examples_are_split_between_paragraphs(repository: Repository) -> None:
    paras = "".join(f'<para id="p{i}">{"word " * 200}end {i}.</para>' for i in range(6))
    blocks = repository.blocks(f'<example id="long">{paras}</example>')
    assert [b.anchor for b in blocks] == ["long", "p2", "p4"]
    assert all(b.role == "example" and len(b.text) <= 2_500 for b in blocks)
    assert "\n".join(b.text for b in blocks).count("end") == 6


def test_pictures_in_the_text_follow_their_block(repository: Repository) -> None:
    contents = repository.read(
        '<exercise id="q"><problem><para>What is it? <media id="m" alt="A cart."><image '
        'src="../../media/x.png"/></media></para></problem><solution><media alt="A graph.">'
        '<image src="../../media/x.png"/></media></solution></exercise>'
    )
    question, cart, answer, graph = contents
    assert isinstance(question, Block)
    assert isinstance(answer, Block)
    assert isinstance(cart, Figure)
    assert isinstance(graph, Figure)
    assert (question.text, question.refs) == ("What is it?", ("m",))
    assert (cart.anchor, cart.alt, cart.number) == ("m", "A cart.", "")
    assert (answer.text, answer.partner, answer.refs) == ("A graph.", "q", (graph.anchor,))


def test_exercises_outside_the_repository_are_reported_once(repository: Repository) -> None:
    embedded = (
        '<exercise><problem><para><link class="os-embed" url="#ost/x"/></para></problem></exercise>'
    )
    contents = repository.read(embedded * 3 + "<para>Text.</para>")
    block, problem = contents
    assert isinstance(block, Block)
    assert isinstance(problem, Problem)
    assert problem.message.startswith("3 exercises")


def test_anchors_are_unique(repository: Repository) -> None:
    same = '<para id="p">One.</para><para id="p">Two.</para><para>Three.</para><para>Four.</para>'
    anchors = [block.anchor for block in repository.blocks(same)]
    assert len(set(anchors)) == 4
    assert anchors[:2] == ["p", "p-2"]
