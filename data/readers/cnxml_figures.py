"""The pictures of a CNXML module: figures with captions, and pictures that stand in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from data.documents import Figure, Problem
from data.readers.cnxml_numbers import Labels, local_name
from data.readers.cnxml_text import Inline, sentence
from data.readers.structure import Anchors
from data.records import Audience

__all__ = ["Pictures", "locate"]


def locate(name: str, folder: Path, repository: Path) -> Path | str:
    """The file that `name` means inside a module's `folder`, or why it cannot be used."""
    shown = name if len(name) <= 120 else name[:117] + "..."
    if not name or "://" in name or name.startswith("data:"):
        return f"picture '{shown}' is not a file of the repository; put it into media/"
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(repository.resolve()):
            return f"picture '{shown}' leads out of the repository and is refused; use ../../media/"
        if path.is_file():
            return path
    except (OSError, ValueError):
        pass  # a name that no file system takes
    return f"picture '{shown}' is missing; its words are kept, add the file to media/"


@dataclass(frozen=True)
class Pictures:
    """Makes the `Figure` records of one module; `folder` is the module's."""

    document: str
    folder: Path
    repository: Path
    labels: Labels
    anchors: Anchors

    def of(
        self,
        element: etree._Element,
        inline: Inline,
        section: tuple[str, ...],
        audience: Audience,
    ) -> Iterator[Figure | Problem]:
        """One `Figure` for each picture of a `figure` or `media` element, and what is wrong."""
        anchor = element.get("id", "")
        number = self.labels.number(self.document, anchor)
        caption = self._caption(element, inline)
        images = [e for e in element.iter(etree.Element) if local_name(e) == "image"]
        if not images and local_name(element) == "figure":
            given = self.anchors.claim(anchor or "figure")
            yield Problem(given, "the figure holds no picture; only its words are kept")
            if caption:
                yield Figure(given, None, caption, "", number, section=section, audience=audience)
        for image in images:
            given = self.anchors.claim(anchor or "picture")
            found = locate(image.get("src", ""), self.folder, self.repository)
            if isinstance(found, str):
                yield Problem(given, found)
            yield Figure(
                anchor=given,
                picture=found if isinstance(found, Path) else None,
                caption=caption,
                alt=self._alt(image),
                number=number,
                section=section,
                audience=audience,
            )

    @staticmethod
    def _caption(element: etree._Element, inline: Inline) -> str:
        """Title and caption of the figure, then those of its subfigures, in document order."""
        texts: list[str] = []
        for child in element.iter(etree.Element):
            if local_name(child) in ("title", "caption"):
                text = " ".join(inline.text(child).split())
                texts += [sentence(text)] if text and local_name(child) == "title" else [text]
        return " ".join(text for text in texts if text)

    @staticmethod
    def _alt(image: etree._Element) -> str:
        for element in (image, *image.iterancestors()):
            if local_name(element) not in ("image", "media"):
                break
            if element.get("alt", "").strip():
                return " ".join(element.get("alt", "").split())
        return ""
