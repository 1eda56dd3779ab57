"""Build the figures of a CNXML module, with their captions, numbers and alt texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from data.documents import Figure, Problem
from data.readers.cnxml_numbers import LinkLabels
from data.readers.cnxml_text import TextRenderer, as_sentence
from data.readers.structure import Anchors
from data.readers.xml import local_name
from data.records import Audience

__all__ = ["FigureBuilder", "locate_picture"]


def locate_picture(name: str, folder: Path, repository: Path) -> Path | str:
    """Return the picture file `name` of a module in `folder`, or an error message."""
    short_name = name if len(name) <= 120 else name[:117] + "..."
    if not name or "://" in name or name.startswith("data:"):
        return f"picture '{short_name}' is not a file of the repository; put it into media/"
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(repository.resolve()):
            return f"picture '{short_name}' points outside the repository; use ../../media/"
        if path.is_file():
            return path
    except (OSError, ValueError):
        pass  # the file system does not accept the name
    return (
        f"picture '{short_name}' is missing, only its caption and alt text are kept; "
        "add the file to media/"
    )


@dataclass(frozen=True)
class FigureBuilder:
    """Build the `Figure` records of the module `document`, which lies in `folder`."""

    document: str
    folder: Path
    repository: Path
    labels: LinkLabels
    anchors: Anchors

    def build(
        self,
        element: etree._Element,
        renderer: TextRenderer,
        section: tuple[str, ...],
        audience: Audience,
    ) -> Iterator[Figure | Problem]:
        """Yield a figure for each picture of a `figure` or `media` element, and any problems."""
        element_id = element.get("id", "")
        number = self.labels.number(self.document, element_id)
        caption = self._caption(element, renderer)
        images = [e for e in element.iter(etree.Element) if local_name(e) == "image"]
        if not images and local_name(element) == "figure":
            anchor = self.anchors.claim(element_id or "figure")
            yield Problem(anchor, "the figure has no picture; only its caption is kept")
            if caption:
                yield Figure(anchor, None, caption, "", number, section=section, audience=audience)
        for image in images:
            anchor = self.anchors.claim(element_id or "picture")
            picture = locate_picture(image.get("src", ""), self.folder, self.repository)
            if isinstance(picture, str):
                yield Problem(anchor, picture)
            yield Figure(
                anchor=anchor,
                picture=picture if isinstance(picture, Path) else None,
                caption=caption,
                alt=self._alt(image),
                number=number,
                section=section,
                audience=audience,
            )

    @staticmethod
    def _caption(element: etree._Element, renderer: TextRenderer) -> str:
        """Join the titles and captions of a figure and its subfigures, in document order."""
        texts: list[str] = []
        for child in element.iter(etree.Element):
            if local_name(child) in ("title", "caption"):
                text = " ".join(renderer.text(child).split())
                texts += [as_sentence(text)] if text and local_name(child) == "title" else [text]
        return " ".join(text for text in texts if text)

    @staticmethod
    def _alt(image: etree._Element) -> str:
        """Return the alt text of an image, or of the media element around it."""
        for element in (image, *image.iterancestors()):
            if local_name(element) not in ("image", "media"):
                break
            if element.get("alt", "").strip():
                return " ".join(element.get("alt", "").split())
        return ""
