"""The scan of a corpus: which files become documents, in which order."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import docx
import pytest
from PIL import Image

from data.documents import Block, Document
from data.errors import BadInput
from data.readers import READERS, Rejected, scan


def red() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return buffer.getvalue()


def fill(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return root


def sources(documents: Iterator[Document | Rejected]) -> list[str]:
    return [document.source for document in documents]


def test_bare_pictures_come_last(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "b.txt": "Text.",
            "a/linked.png": red(),
            "a/bare.png": red(),
            "a/bare.json": '{"caption": "A bare one"}',
            "c.md": "![x](a/linked.png) words",
            "d.html": "<p>x</p>",
            ".hidden/x.md": "x",
            ".x.md": "x",
            "style.css": "x",
            "LICENSE": "x",
            "a/.DS_Store": b"\0",
        },
    )
    assert sources(scan(tmp_path)) == ["b.txt", "c.md", "d.html", "a/bare.png"]


def test_the_sidecar_of_a_linked_picture_is_a_document(tmp_path: Path) -> None:
    fill(tmp_path, {"p.png": red(), "p.txt": "Its words.", "x.md": "![x](p.png)"})
    assert sources(scan(tmp_path)) == ["x.md", "p.txt"]
    (tmp_path / "x.md").unlink()
    assert sources(scan(tmp_path)) == ["p.png"]


def test_unknown_content_is_reported(tmp_path: Path) -> None:
    fill(tmp_path, {"old.doc": b"x", "data.xyz": b"x", "noname": b"x", "sub/t.rst": b"x"})
    rejected = {r.source: r for r in scan(tmp_path) if isinstance(r, Rejected)}
    assert set(rejected) == {"old.doc", "data.xyz", "noname", "sub/t.rst"}
    reasons = {source: entry.reason for source, entry in rejected.items()}
    assert reasons["old.doc"] == "files of the type .doc are not read; save it as .docx"
    assert "(no suffix)" in reasons["noname"]


def test_the_content_of_a_file_overrides_its_suffix(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_paragraph("Words.")
    word.save(str(tmp_path / "a.docx"))
    fill(
        tmp_path,
        {
            "picture.pdf": red(),
            "paper.txt": b"%PDF-1.4\n",
            "word.txt": (tmp_path / "a.docx").read_bytes(),
            "zipped.md": b"PK\x03\x04broken",
        },
    )
    claims = {
        name: next((r.name for r in READERS if r.claims(tmp_path / name)), "")
        for name in ("picture.pdf", "paper.txt", "word.txt", "a.docx")
    }
    assert claims == {
        "picture.pdf": "picture",
        "paper.txt": "pdf",
        "word.txt": "docx",
        "a.docx": "docx",
    }
    rejected = [entry for entry in scan(tmp_path / "zipped.md") if isinstance(entry, Rejected)]
    assert len(rejected) == 1


def test_exclude_matches_paths_and_names(tmp_path: Path) -> None:
    fill(tmp_path, {"a.md": "x", "drafts/b.md": "x", "c.txt": "x", "deep/d.txt": "x"})
    assert sources(scan(tmp_path, exclude=["drafts", "*.txt"])) == ["a.md"]
    assert sources(scan(tmp_path, exclude=["drafts/*", "deep/*"])) == ["a.md", "c.txt"]


def test_links_are_followed_only_inside_the_root(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", {"real/a.md": "x"})
    fill(tmp_path, {"out.md": "secret", "far/b.md": "secret"})
    (root / "link.md").symlink_to(tmp_path / "out.md")
    (root / "far").symlink_to(tmp_path / "far")
    (root / "loop").symlink_to(root)
    (root / "dead.md").symlink_to(root / "gone.md")
    (root / "again.md").symlink_to(root / "real/a.md")
    (root / "self.md").symlink_to(root / "self.md")
    entries = list(scan(root))
    assert [e.source for e in entries if isinstance(e, Document)] == ["again.md", "real/a.md"]
    assert {e.source for e in entries if isinstance(e, Rejected)} == {
        "link.md",
        "far",
        "dead.md",
        "self.md",
    }


def test_one_file(tmp_path: Path) -> None:
    fill(tmp_path, {"a.md": "x", "b.md": "x", "p.png": red()})
    assert sources(scan(tmp_path / "a.md")) == ["a.md"]
    assert sources(scan(tmp_path / "p.png")) == ["p.png"]


def test_a_missing_path_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        list(scan(tmp_path / "none"))


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    fill(tmp_path, {"a.md": b"\0", "b.docx": b"", "c.zip": b"x", "d.pdf": b"x", "e.txt": "Text."})
    blocks: list[str] = []
    errors: dict[str, str] = {}
    for entry in scan(tmp_path):
        if isinstance(entry, Rejected):
            errors[entry.source] = f"{entry.source}: {entry.reason}"
            continue
        try:
            blocks += [entry.source for block in entry.read() if isinstance(block, Block)]
        except BadInput as error:
            errors[entry.source] = str(error)
    assert blocks == ["e.txt"]
    assert sorted(errors) == ["a.md", "b.docx", "c.zip", "d.pdf"]
    assert all(message.startswith(f"{source}: ") for source, message in errors.items())


def test_a_file_without_read_permission_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"a.md": "x", "b.md": "y"})
    open_file = Path.open

    def open_guarded(self: Path, *args: object, **options: object) -> object:
        if self.name == "a.md":
            raise PermissionError(13, "Permission denied")
        return open_file(self, *args, **options)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(Path, "open", open_guarded)
    first, second = scan(tmp_path)
    assert isinstance(first, Rejected)
    assert "Permission denied" in first.reason
    assert second.source == "b.md"


def test_the_openstax_reader_takes_a_whole_repository(tmp_path: Path) -> None:
    (tmp_path / "book/collections").mkdir(parents=True)
    (tmp_path / "book/META-INF").mkdir()
    fill(tmp_path, {"book/META-INF/books.xml": "<container/>", "book/readme.md": "x", "z.md": "z"})
    assert "book/readme.md" not in sources(scan(tmp_path))
    assert "z.md" in sources(scan(tmp_path))


def test_fingerprints_and_order_do_not_change(tmp_path: Path) -> None:
    fill(tmp_path, {f"{n}.md": f"# {n}" for n in "cab"})
    first = [(d.source, d.fingerprint) for d in scan(tmp_path) if isinstance(d, Document)]
    again = [(d.source, d.fingerprint) for d in scan(tmp_path) if isinstance(d, Document)]
    assert first == again
    assert [source for source, _ in first] == ["a.md", "b.md", "c.md"]
