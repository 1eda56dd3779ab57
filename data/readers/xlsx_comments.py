"""Read the notes and the threaded comments on the cells of a sheet."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

from data.readers.xlsx_parts import SheetPart, read_part, related_parts

__all__ = ["comments_of"]

_WORKBOOK = "xl/workbook.xml"


def comments_of(archive: zipfile.ZipFile, part: SheetPart) -> Iterator[str]:
    """Yield each note and comment with its cell, author and time.

    Excel keeps a copy of each threaded comment as a note for old versions; it is left out.
    """
    threads = [
        path for _, kind, path in related_parts(archive, part.path) if kind == "threadedComment"
    ]
    people = {
        person.get("id") or "": person.get("displayName") or ""
        for _, kind, path in related_parts(archive, _WORKBOOK)
        if kind == "person"
        for person in read_part(archive, path)
    }
    threaded_cells: set[str] = set()
    for path in threads:
        for comment in read_part(archive, path):
            cell, text = comment.get("ref") or "", comment.findtext("{*}text") or ""
            threaded_cells.add(cell)
            author = people.get(comment.get("personId") or "", "")
            yield _remark(cell, author, comment.get("dT") or "", text)
    notes = [path for _, kind, path in related_parts(archive, part.path) if kind == "comments"]
    for path in notes:
        root = read_part(archive, path)
        authors = [author.text or "" for author in root.iterfind("{*}authors/{*}author")]
        for note in root.iterfind("{*}commentList/{*}comment"):
            cell, number = note.get("ref") or "", note.get("authorId") or ""
            author = (
                authors[int(number)] if number.isdecimal() and int(number) < len(authors) else ""
            )
            text = "".join(t.text or "" for t in note.iter("{*}t"))
            if cell not in threaded_cells:
                yield _remark(cell, author, "", text.removeprefix(f"{author}:"))


def _remark(cell: str, author: str, time: str, text: str) -> str:
    origin = ", ".join(filter(None, (author, time)))
    head = f"Comment on {cell} ({origin})" if origin else f"Comment on {cell}"
    return f"{head}: {' '.join(text.split())}"
