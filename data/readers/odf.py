"""Read OpenDocument files: texts (`.odt`), presentations (`.odp`) and spreadsheets (`.ods`).

The mark-up is small and regular, so it is read directly. We looked at three libraries: odfpy has
had no release since 2020, odfdo loads files without limits and has no reading order for slides and
drawings, and pandoc (a binary of 150 MB under the GPL) reads neither slides nor spreadsheets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from data.documents import Document, Problem
from data.errors import BadInput
from data.readers.files import fingerprint, format_of, source_of
from data.readers.odf_package import OdfPackage, read_odf_properties
from data.readers.odf_walker import OdfWalker
from data.readers.structure import Content, assemble, humanise

__all__ = ["OdfReader"]

_ODF_ERRORS = (ValueError, KeyError, IndexError, RecursionError)


class OdfReader:
    """Read `.odt`, `.odp` and `.ods` files and their templates."""

    name = "odf"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "odf"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = read_odf_properties(path)
        title = title or humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    package = OdfPackage(path, source)
    try:
        walker = OdfWalker(title, package)
        walker.walk()
    except _ODF_ERRORS as error:
        raise BadInput(
            f"{source}: a damaged OpenDocument file ({type(error).__name__}: {error}); "
            "open it in LibreOffice and save it again"
        ) from None
    finally:
        package.close()
    if all(isinstance(content, Problem) for content in walker.contents):
        raise BadInput(f"{source}: no text and no pictures in this file; nothing to index")
    yield from assemble(walker.contents)
