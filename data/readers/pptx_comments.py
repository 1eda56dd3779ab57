"""Read the comments on PowerPoint slides, in the old and the threaded format."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree
from pptx.opc.package import Part

from data.readers.xml import local_name, parse_xml

__all__ = ["CommentAuthors", "comments_of"]


class CommentAuthors:
    """The names of those who commented on a presentation, by id."""

    def __init__(self, presentation: Part) -> None:
        self._names = {
            author.get("id") or "": _name(author)
            for root in _related(presentation, "commentAuthors", "authors")
            for author in root
        }

    def name(self, comment: etree._Element) -> str:
        """Return the name of a comment's author; '' if it is unknown."""
        return self._names.get(comment.get("authorId") or "", "")


def comments_of(slide: Part, authors: CommentAuthors) -> Iterator[str]:
    """Yield each comment and each reply on a slide with its author and time."""
    for root in _related(slide, "comments"):
        for comment in root.iter("{*}cm", "{*}reply"):
            text = " ".join(" ".join(_texts(comment)).split())
            if text:
                time = comment.get("created") or comment.get("dt") or ""
                origin = ", ".join(filter(None, (authors.name(comment), time)))
                yield f"Comment ({origin}): {text}" if origin else f"Comment: {text}"


def _name(author: etree._Element) -> str:
    """Return an author's name with initials: "Jane Smith (JS)"."""
    name, initials = author.get("name") or "", author.get("initials") or ""
    return f"{name} ({initials})" if name and initials else name or initials


def _texts(comment: etree._Element) -> Iterator[str]:
    """Yield the texts of a comment without those of its replies."""
    for child in comment:
        if local_name(child) in ("t", "text"):
            yield "".join(map(str, child.itertext()))
        elif local_name(child) not in ("reply", "replyLst"):
            yield from _texts(child)


def _related(part: Part, *kinds: str) -> Iterator[etree._Element]:
    for relation in part.rels.values():
        if not relation.is_external and relation.reltype.rsplit("/", 1)[-1] in kinds:
            yield parse_xml(relation.target_part.blob, relation.target_part.partname)
