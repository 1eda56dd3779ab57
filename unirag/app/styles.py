"""The query styles of a workspace: the encoder's trained styles and the enrolled ones."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.pictures import open_picture
from retrieval.store import Where
from unirag.app.components import Components

if TYPE_CHECKING:  # it imports torch, which would slow `unirag --help` down
    from retrieval.enrolment import Enrolment

__all__ = ["Styles"]

_CONTRAST_FIGURES = 256  # indexed figures to compare the examples of a new style with


class Styles:
    """Lists, learns and removes query styles."""

    def __init__(self, components: Components) -> None:
        self._components = components

    def list(self) -> list[dict[str, Any]]:
        """Return the trained styles and every version of the enrolled ones."""
        enrolled = self._components.shelf.all()
        newest = {e.name: e.version for e in enrolled}
        trained = [
            {"name": name, "version": None, "examples": None, "in_use": True}
            for name in self._components.encoder.encoder.styles
        ]
        return trained + [
            {
                "name": e.name,
                "version": e.version,
                "examples": e.examples,
                "in_use": newest[e.name] == e.version,
            }
            for e in enrolled
        ]

    def adapt(self, name: str, examples: Path, originals: Path | None = None) -> Enrolment:
        """Learn a style from a folder of pictures; stored vectors stay as they are.

        `originals` is a folder with the figures that the examples show, under the same names. The
        encoder learns more from such pairs than from the examples alone.
        """
        from unirag.training.styles import learn_style, read_examples

        components = self._components
        pictures = read_examples(examples, originals, components.decoder.decode)
        figures = components.store.scan(Where(kinds=("figure",)))
        contrast = [
            open_picture(path)
            for item in islice(figures, _CONTRAST_FIGURES)
            if item.image and (path := components.assets.path(item.image))
        ]
        version = components.shelf.next_version(name)
        return components.shelf.add(
            learn_style(components.encoder, name, version, pictures, contrast)
        )

    def remove(self, name: str, version: int | None = None) -> int:
        """Delete one version of an enrolled style, or all of them. Return how many were deleted.

        The version before a deleted one is used again.
        """
        return self._components.shelf.remove(name, version)
