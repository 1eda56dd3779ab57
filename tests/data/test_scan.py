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


def sources(found: Iterator[Document | Rejected]) -> list[str]:
    return [part.source for part in found]


def test_a_folder_in_order_with_bare_pictures_last(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "b.txt": "Text.",
            "a/shown.png": red(),
            "a/bare.png": red(),
            "a/bare.json": '{"caption": "A bare one"}',
            "c.md": "![x](a/shown.png) words",
            "d.html": "<p>x</p>",
            ".hidden/x.md": "x",
            ".x.md": "x",
            "style.css": "x",
            "LICENSE": "x",
            "a/.DS_Store": b"\0",
        },
    )
    assert sources(scan(tmp_path)) == ["b.txt", "c.md", "d.html", "a/bare.png"]


def test_a_sidecar_of_a_shown_picture_is_read_as_text(tmp_path: Path) -> None:
    fill(tmp_path, {"p.png": red(), "p.txt": "Its words.", "x.md": "![x](p.png)"})
    assert sources(scan(tmp_path)) == ["x.md", "p.txt"]
    (tmp_path / "x.md").unlink()
    assert sources(scan(tmp_path)) == ["p.png"]


def test_unknown_content_is_reported(tmp_path: Path) -> None:
    fill(tmp_path, {"old.doc": b"x", "data.xyz": b"x", "noname": b"x", "sub/t.tex": b"x"})
    found = {part.source: part for part in scan(tmp_path)}
    assert set(found) == {"old.doc", "data.xyz", "noname", "sub/t.tex"}
    reasons = {s: part.reason for s, part in found.items() if isinstance(part, Rejected)}
    assert reasons["old.doc"] == "files of the type .doc are not read; save it as .docx"
    assert "(no suffix)" in reasons["noname"]


def test_content_goes_before_the_suffix(tmp_path: Path) -> None:
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
    named = {r.name: r for r in READERS}
    claims = {
        name: next((n for n, r in named.items() if r.claims(tmp_path / name)), "")
        for name in ("picture.pdf", "paper.txt", "word.txt", "a.docx")
    }
    assert claims == {
        "picture.pdf": "picture",
        "paper.txt": "pdf",
        "word.txt": "docx",
        "a.docx": "docx",
    }
    rejected = [part for part in scan(tmp_path / "zipped.md") if isinstance(part, Rejected)]
    assert len(rejected) == 1


def test_exclude_matches_paths_and_names(tmp_path: Path) -> None:
    fill(tmp_path, {"a.md": "x", "drafts/b.md": "x", "c.txt": "x", "deep/d.txt": "x"})
    assert sources(scan(tmp_path, exclude=["drafts", "*.txt"])) == ["a.md"]
    assert sources(scan(tmp_path, exclude=["drafts/*", "deep/*"])) == ["a.md", "c.txt"]


def test_links_are_followed_inside_the_root_only(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", {"real/a.md": "x"})
    fill(tmp_path, {"out.md": "secret", "far/b.md": "secret"})
    (root / "link.md").symlink_to(tmp_path / "out.md")
    (root / "far").symlink_to(tmp_path / "far")
    (root / "loop").symlink_to(root)
    (root / "dead.md").symlink_to(root / "gone.md")
    (root / "again.md").symlink_to(root / "real/a.md")
    (root / "self.md").symlink_to(root / "self.md")
    found = list(scan(root))
    assert [p.source for p in found if isinstance(p, Document)] == ["again.md", "real/a.md"]
    assert {p.source for p in found if isinstance(p, Rejected)} == {
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
    read: list[str] = []
    bad: dict[str, str] = {}
    for part in scan(tmp_path):
        if isinstance(part, Rejected):
            bad[part.source] = f"{part.source}: {part.reason}"
            continue
        try:
            read += [part.source for block in part.read() if isinstance(block, Block)]
        except BadInput as error:
            bad[part.source] = str(error)
    assert read == ["e.txt"]
    assert sorted(bad) == ["a.md", "b.docx", "c.zip", "d.pdf"]
    assert all(message.startswith(f"{source}: ") for source, message in bad.items())


def test_a_file_that_may_not_be_read_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"a.md": "x", "b.md": "y"})
    real = Path.open

    def guarded(self: Path, *args: object, **options: object) -> object:
        if self.name == "a.md":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **options)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(Path, "open", guarded)
    first, second = scan(tmp_path)
    assert isinstance(first, Rejected)
    assert "Permission denied" in first.reason
    assert second.source == "b.md"


def test_a_repository_of_modules_is_taken_whole(tmp_path: Path) -> None:
    (tmp_path / "book/collections").mkdir(parents=True)
    (tmp_path / "book/META-INF").mkdir()
    fill(tmp_path, {"book/META-INF/books.xml": "<container/>", "book/readme.md": "x", "z.md": "z"})
    assert "book/readme.md" not in sources(scan(tmp_path))
    assert "z.md" in sources(scan(tmp_path))


def test_fingerprints_and_order_are_the_same_each_time(tmp_path: Path) -> None:
    fill(tmp_path, {f"{n}.md": f"# {n}" for n in "cab"})
    first = [(d.source, d.fingerprint) for d in scan(tmp_path) if isinstance(d, Document)]
    again = [(d.source, d.fingerprint) for d in scan(tmp_path) if isinstance(d, Document)]
    assert first == again
    assert [source for source, _ in first] == ["a.md", "b.md", "c.md"]
