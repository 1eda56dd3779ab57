"""Unreadable documents get one line of the report each, and no stored item is lost."""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pptx
import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

pytestmark = pytest.mark.models

SetUp = Callable[[Any], object]
_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>'
)
_OUTSIDE = b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
_MODULE = (
    '<document xmlns="http://cnx.rice.edu/cnxml" id="m1" cnxml-version="0.7"><title>Waves</title>'
    '<metadata xmlns:md="http://cnx.rice.edu/mdml"/><content><para id="p1">{}</para></content>'
    "</document>"
)
_BOOK = (
    '<col:collection xmlns:col="http://cnx.rice.edu/collxml"><col:metadata '
    'xmlns:md="http://cnx.rice.edu/mdml"><md:title>Physics</md:title></col:metadata><col:content>'
    '<col:module document="m1"/></col:content></col:collection>'
)
_BOOKS = (
    '<container xmlns="https://openstax.org/namespaces/book-container" version="1">'
    '<book slug="physics" href="../collections/physics.collection.xml"/></container>'
)


def card_file(name: str, content: bytes | Callable[[], bytes]) -> SetUp:
    """Write a file among the cards; a callable `content` is called when the test runs."""

    def set_up(workspace: Any) -> None:
        path = workspace.cards / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content())

    return set_up


def book(
    module: str | None, collection: str = _BOOK, books: str = _BOOKS, prolog: bytes = b""
) -> SetUp:
    """Write an OpenStax repository of one module among the cards."""

    def set_up(workspace: Any) -> None:
        card_file("book/META-INF/books.xml", books.encode())(workspace)
        card_file("book/collections/physics.collection.xml", collection.encode())(workspace)
        if module is not None:
            card_file("book/modules/m1/index.cnxml", prolog + module.encode())(workspace)

    return set_up


def pdf(password: str = "", pages: int = 1) -> bytes:
    """Return a PDF with a sentence on each page, encrypted if there is a password."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, encrypt=StandardEncryption(password) if password else None)
    for number in range(pages):
        canvas.drawString(72, 720, f"Page {number + 1}: a lens brings parallel rays to its focus.")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def word() -> bytes:
    buffer = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("A lens brings parallel rays to its focus.")
    document.save(buffer)
    return buffer.getvalue()


def slides() -> bytes:
    buffer = io.BytesIO()
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = "Lenses"
    deck.save(buffer)
    return buffer.getvalue()


def with_member(package: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return the zip `package` with the content of one member changed."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, change(data) if member == name else data)
    return buffer.getvalue()


def with_entity_bomb(part: bytes) -> bytes:
    """Return an XML part with an entity bomb before its first element."""
    return _BOMB + part[part.index(b"?>") + 2 :]


def zipped(members: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((200, 150), 80).save(buffer, "JPEG")
    return buffer.getvalue()


def file_name_not_utf8(workspace: Any) -> None:
    path = os.fsencode(workspace.cards) + b"/caf\xe9.md"
    try:
        Path(os.fsdecode(path)).write_text("# Light\n\nLight is a wave.")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")


def link_to_outside(workspace: Any) -> None:
    secret = workspace.root / "secret.md"
    secret.write_text("# Secret\n\nThis must not be indexed.")
    (workspace.cards / "secret.md").symlink_to(secret)


def locked_folder(workspace: Any) -> None:
    folder = workspace.cards / "locked"
    folder.mkdir(mode=0o000)


LENS = b"# Lens\n\nA lens brings parallel rays to its focus.\n\n"

DEAD_LETTERS = {
    # -- PDF
    "pdf-truncated": (card_file("a.pdf", lambda: pdf()[:400]), r"a\.pdf: .*cut off.*download it"),
    "pdf-encrypted": (
        card_file("a.pdf", lambda: pdf("secret")),
        r"a\.pdf: .*encrypted; save a copy",
    ),
    "pdf-empty": (card_file("a.pdf", b""), r"a\.pdf: .*empty; copy or download"),
    "pdf-is-text": (
        card_file("a.pdf", b"Just words."),
        r"a\.pdf: not a PDF .*suffix of its real format",
    ),
    "pdf-noise": (
        card_file("a.pdf", b"%PDF-1.7\n" + b"\xff\0" * 999),
        r"a\.pdf: .*damaged.*save a copy",
    ),
    # -- Office
    "docx-no-zip": (
        card_file("a.docx", b"Just words."),
        r"a\.docx: not a zip archive.*save it again",
    ),
    "docx-empty": (card_file("a.docx", b""), r"a\.docx: empty file; nothing to index"),
    "docx-old": (
        card_file("a.docx", b"\xd0\xcf\x11\xe0" + b"\0" * 600),
        r"a\.docx: .*before 2007.*save it as",
    ),
    "docx-bomb": (
        card_file(
            "a.docx",
            lambda: with_member(word(), "word/document.xml", lambda d: d + b" " * 30_000_000),
        ),
        r"a\.docx: member 'word/document\.xml' unpacks.*like a zip bomb; add the unpacked file",
    ),
    "docx-entities": (
        card_file("a.docx", lambda: with_member(word(), "word/document.xml", with_entity_bomb)),
        r"a\.docx: member 'word/document\.xml' declares a document type.*save the file from Word",
    ),
    "docx-half-xml": (
        card_file("a.docx", lambda: with_member(word(), "word/document.xml", lambda d: d[:300])),
        r"a\.docx: a damaged Word file.*open it in Word and save it again",
    ),
    "docx-is-pptx": (card_file("a.docx", slides), r"a\.docx: not a Word file.*save it from Word"),
    "pptx-truncated": (
        card_file("a.pptx", lambda: slides()[:9_000]),
        r"a\.pptx: .*broken.*save it again",
    ),
    "pptx-entities": (
        card_file(
            "a.pptx", lambda: with_member(slides(), "ppt/slides/slide1.xml", with_entity_bomb)
        ),
        r"a\.pptx: member 'ppt/slides/slide1\.xml' declares a document type.*save the file",
    ),
    # -- OpenStax
    "cnxml-bomb": (
        book(_MODULE.format("&d;"), prolog=_BOMB),
        r"index\.cnxml: .*declares entities.*replace them",
    ),
    "cnxml-external": (
        book(_MODULE.format("&a;"), prolog=_OUTSIDE),
        r"index\.cnxml: .*declares entities.*replace them",
    ),
    "cnxml-malformed": (
        book(_MODULE[:150]),
        r"index\.cnxml: not well-formed XML.*correct the file",
    ),
    "cnxml-empty": (book(""), r"index\.cnxml: .*XML.*correct the file"),
    "cnxml-module-missing": (
        book(None),
        r"names m1, but modules/m1/index\.cnxml is missing; add it",
    ),
    "cnxml-module-outside": (
        book(_MODULE, _BOOK.replace("m1", "../../../etc")),
        r"not a module name; expected one like",
    ),
    "cnxml-collection": (
        book(_MODULE, _BOOK[:99]),
        r"physics\.collection\.xml: not well-formed.*correct the file",
    ),
    # -- zip
    "zip-dotdot": (
        card_file("a.zip", lambda: zipped({"../evil.md": LENS})),
        r"a\.zip: member '\.\./evil\.md' points outside",
    ),
    "zip-absolute": (
        card_file("a.zip", lambda: zipped({"/evil.md": LENS})),
        r"a\.zip: member '/evil\.md' points outside",
    ),
    "zip-drive": (
        card_file("a.zip", lambda: zipped({"C:\\evil.md": LENS})),
        r"a\.zip: member 'C:.*points outside",
    ),
    "zip-symlink": (
        card_file("a.zip", lambda: zipped({"a.md": b"/etc/passwd"}, stat.S_IFLNK | 0o777)),
        r"a\.zip: member 'a\.md' is a symbolic link; pack the file itself",
    ),
    "zip-bomb": (
        card_file("a.zip", lambda: zipped({"a.md": b"0" * 30_000_000})),
        r"a\.zip: .*like a zip bomb; add",
    ),
    "zip-truncated": (
        card_file("a.zip", lambda: zipped({"a.md": LENS})[:60]),
        r"a\.zip: .*broken.*save it again",
    ),
    "zip-two-names": (
        card_file("a.zip", lambda: zipped({"a.md": LENS}).replace(b"a.md", b"b.md", 1)),
        r"a\.zip: member 'a\.md' cannot be unpacked.*pack the archive again",
    ),
    "zip-in-zip": (
        card_file("a.zip", lambda: zipped({"b.zip": zipped({"a.md": LENS})})),
        r"a\.zip/b\.zip: an archive inside.*unpack it",
    ),
    "zip-empty": (
        card_file("a.zip", lambda: zipped({})),
        r"a\.zip: .*(no supported file|not a zip)",
    ),
    # -- pictures
    "picture-huge": (
        lambda p: p.write_png_header(p.cards / "a.png", 20_000, 20_000),
        r"a\.png: .*400000000 pixels.*scale the picture down",
    ),
    "picture-large": (
        lambda p: p.write_png_header(p.cards / "a.png", 10_000, 8_000),
        r"a\.png: .*10000 x 8000.*scale it down",
    ),
    "picture-truncated": (
        card_file("a.jpg", lambda: jpeg()[:2_000]),
        r"a\.jpg: the picture is broken.*save it again",
    ),
    "picture-is-text": (
        card_file("a.jpg", b"Just words."),
        r"a\.jpg: not a picture.*expected one of png, jpeg",
    ),
    "picture-empty": (card_file("a.png", b""), r"a\.png: empty file; nothing to index"),
    "picture-svg": (
        card_file("a.svg", b"<svg/>"),
        r"a\.svg: an empty drawing; nothing to index",
    ),
    # -- text
    "text-nul": (
        card_file("a.md", LENS + b"\0\1\2"),
        r"a\.md: binary data, expected text; save it as UTF-8",
    ),
    "text-encoding": (
        card_file("a.md", bytes(range(128, 256)) * 40),
        r"a\.md: .*encoding is unknown; save it as UTF-8",
    ),
    "text-utf16": (
        card_file("a.md", b"\xff\xfe\x00"),
        r"a\.md: broken UTF-16 text; save it as UTF-8",
    ),
    "text-empty": (card_file("a.md", b" \n"), r"a\.md: empty file; nothing to index"),
    "text-no-words": (
        card_file("a.md", b"---\ntitle: Optics\n---\n"),
        r"a\.md: no text and no figures.*nothing to index",
    ),
    "html-no-words": (card_file("a.html", b"<script>1</script>"), r"a\.html: .*nothing to index"),
    "wrong-type": (card_file("a.rtf", b"{\\rtf1 words}"), r"a\.rtf: .*not read; save it as \.docx"),
    "picture-heic": (
        card_file("a.heic", b"\0\0\0\x18ftypheic"),
        r"a\.heic: not a picture that can be read; expected one of png",
    ),
    "name-is-markup": (card_file("notes[/b].md", b""), r"notes\[/b\]\.md: empty file"),
    "name-is-command": (card_file("a\x1b[31m\n.md", b""), r"a\\x1b\[31m .md: empty file"),
    # -- the folder
    "name-not-utf8": (file_name_not_utf8, r"caf\\udce9\.md: its name is not UTF-8; rename it"),
    "link-out": (
        link_to_outside,
        r"secret\.md: a link that points outside the corpus folder; copy the file into it",
    ),
    "html-deep": (
        card_file("a.html", b"<div>" * 5_000 + b"words"),
        r"a\.html: elements nested more than 255 deep.*save the page",
    ),
    # -- documents that were readable when they were indexed
    "indexed-now-binary": (card_file("cells.md", b"\0" * 64), r"cells\.md: binary data"),
    "indexed-now-empty": (card_file("cells.md", b""), r"cells\.md: empty file"),
}
if os.geteuid() != 0:  # root reads every folder
    DEAD_LETTERS["folder-locked"] = (
        locked_folder,
        r"locked: cannot be opened.*check its permissions",
    )


LEFT_OUT = {
    "link-outside": (
        card_file("a.md", LENS + b"![x](../../secret.png)"),
        r"a\.md: \.\./\.\./secret\.png: points outside",
    ),
    "link-web": (
        card_file("a.md", LENS + b"![x](http://127.0.0.1:9/x.png)"),
        r"a\.md: http://.*not downloaded; save the picture",
    ),
    "link-file": (
        card_file("a.md", LENS + b"![x](file:///etc/passwd)"),
        r"a\.md: file:.*not a relative path",
    ),
    "link-missing": (
        card_file("a.md", LENS + b"![x](none.png)"),
        r"a\.md: none\.png: no such picture; check",
    ),
    "link-text": (card_file("a.md", LENS + b"![x](cells.md)"), r"a\.md: cells\.md: not a picture"),
    "link-inline": (
        card_file("a.md", LENS + b"![x](data:image/png;base64,AAAA)"),
        r"a\.md: data:.*save it as PNG",
    ),
    "front-matter": (
        card_file("a.md", b"---\nx: [\n---\n" + LENS),
        r"a\.md: the front matter is not valid YAML",
    ),
    "picture-truncated": (
        lambda workspace: (
            card_file("a.md", LENS + b"![x](b.jpg)")(workspace),
            card_file("b.jpg", lambda: jpeg()[:2_000])(workspace),
        ),
        r"a\.md: .*b\.jpg: the picture is broken.*save it again",
    ),
}


@pytest.mark.parametrize(("set_up", "message"), DEAD_LETTERS.values(), ids=DEAD_LETTERS.keys())
def test_an_unreadable_document_gets_one_line_and_no_stored_item_is_lost(
    set_up: SetUp, message: str, workspace: Any, unirag: Any
) -> None:
    set_up(workspace)
    run = unirag(f"index {workspace.cards}")
    lines = [line.strip() for line in run.out.splitlines()]
    assert (run.code, run.err, run.warnings) == (4, "", [])
    assert lines[0].startswith("cards: 0 figures and 0 passages from ")
    assert len(lines) == 2, lines
    assert re.match(f"not indexed .*{message}", lines[1]), lines[1]
    assert workspace.contents() == workspace.initial_contents
    assert not list((workspace.root / "tmp").iterdir())
    assert not list(workspace.root.rglob("evil*"))


def test_a_broken_list_of_books_is_reported_and_its_collections_are_read(
    workspace: Any, unirag: Any
) -> None:
    book(_MODULE.format(LENS.decode()), books=_BOOKS[:80])(workspace)
    run = unirag(f"index {workspace.cards}")
    lines = [line.strip() for line in run.out.splitlines()]
    assert (run.code, run.err, len(lines)) == (4, "", 2)
    assert re.match(r"not indexed .*books\.xml: not well-formed XML.*correct the file", lines[1])
    (items_before, _), (items, _) = workspace.initial_contents, workspace.contents()
    assert items_before.keys() < items.keys()


@pytest.mark.parametrize(("set_up", "message"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_left_out_parts_of_a_document_are_reported_and_the_rest_is_stored(
    set_up: SetUp, message: str, workspace: Any, unirag: Any
) -> None:
    set_up(workspace)
    run = unirag(f"index {workspace.cards}")
    lines = [line.strip() for line in run.out.splitlines()]
    assert (run.code, run.err, run.warnings) == (0, "", [])
    assert len(lines) == 2, lines
    assert re.match(f"left out .*{message}", lines[1]), lines[1]
    (items_before, _), (items, _) = workspace.initial_contents, workspace.contents()
    assert {key: items[key] for key in items_before} == items_before
    new_texts = [items[key].text for key in items.keys() - items_before]
    assert any("A lens brings parallel rays" in text for text in new_texts)


def test_the_json_report_has_dead_letters_and_problems(workspace: Any, unirag: Any) -> None:
    card_file("a.pdf", b"Just words.")(workspace)
    card_file("a.md", LENS + b"![x](none.png)")(workspace)
    run = unirag(f"index {workspace.cards} --json")
    (corpus,) = run.json["corpora"]
    assert (run.code, run.err) == (4, "")
    assert [d["source"] for d in corpus["dead_letters"]] == ["a.pdf"]
    assert [p["source"] for p in corpus["problems"]] == ["a.md"]
    (second_run,) = unirag(f"index {workspace.cards} --json").json["corpora"]
    assert second_run["dead_letters"] == corpus["dead_letters"]
    assert second_run["documents"]["unchanged"] == 4


def test_a_pdf_with_the_suffix_of_text_is_read_as_a_pdf(workspace: Any, unirag: Any) -> None:
    card_file("a.txt", pdf)(workspace)
    run = unirag(f"index {workspace.cards} --json")
    assert run.code == 0
    assert run.json["corpora"][0]["passages"] == 1
