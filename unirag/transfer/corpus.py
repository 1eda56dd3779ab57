"""Export a corpus of one workspace to a file, and import it into another workspace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from PIL import Image

from data.errors import BadInput
from data.pictures import Assets
from data.records import Item
from retrieval.store import VectorStore, Where
from unirag.transfer.archive import CorpusArchive, ExportResult, write_archive
from unirag.workspace.catalog import Catalog

__all__ = ["export_corpus", "import_corpus", "require_new_corpus"]

_UPSERT_BATCH = 500


def export_corpus(
    name: str, path: Path, store: VectorStore, catalog: Catalog, assets: Assets
) -> ExportResult:
    """Write corpus `name` to the file `path`. Nothing may change the index meanwhile.

    Raise `BadInput` if there is no such corpus, or if `path` cannot be a file.
    """
    corpus = catalog.corpus(name)
    if corpus is None:
        names = ", ".join(c.name for c in catalog.corpora()) or "none"
        raise BadInput(f"corpus {name!r} is not here; known corpora: {names}")
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"{path}: expected the name of a file in an existing folder")
    points = store.scan_points(Where(corpora=(name,)))
    return write_archive(path, corpus, store.stamp, catalog.documents(name), points, assets)


def require_new_corpus(name: str, catalog: Catalog) -> None:
    """Raise `BadInput` if the corpus has stored documents. A killed import has none yet."""
    if catalog.item_counts(name)["documents"]:
        raise BadInput(
            f"corpus {name!r} is here already; pass --replace to replace it with the one in the "
            f"file, or run `unirag corpora remove {name}` first"
        )


def import_corpus(
    archive: CorpusArchive,
    store: VectorStore,
    catalog: Catalog,
    assets: Assets,
    decode: Callable[[bytes, str], Image.Image],
    words_of: Callable[[Iterable[Item]], Collection[str]],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Store the corpus of `archive`, and delete other items of a corpus of this name.

    Its documents are `queued` in the catalog until every item is stored. So after a kill, the same
    import repeats everything, and `index` reads every document again. `words_of` returns the words
    of items for the correction of slips. `progress` is called with the number of stored items and
    of all items. Memory holds the ids of all items and one batch.
    """
    header = archive.header
    documents = archive.documents()
    for _ in archive.points():  # check every item before anything is changed
        pass
    for digest, read_picture in archive.pictures():
        picture = read_picture()
        if assets.path(digest) is None or not assets.thumbnail(digest).exists():
            assets.put(picture, decode(picture, f"{archive.path}: picture {digest}"))
    existing = catalog.corpus(header.corpus.name)
    # keep the folder registered here: the one in the file is a path of another machine
    corpus = replace(header.corpus, root=existing.root) if existing else header.corpus
    catalog.restore(corpus, [replace(d, stored_fingerprint="", state="queued") for d in documents])
    stored_ids: set[str] = set()
    points = archive.points()
    while batch := list(islice(points, _UPSERT_BATCH)):
        store.upsert(batch)
        catalog.save_words(corpus.name, words_of([point.item for point in batch]))
        stored_ids |= {point.item.id for point in batch}
        progress(len(stored_ids), header.items)
    where = Where(corpora=(header.corpus.name,))
    if store.count(where) > len(stored_ids):
        store.delete({item.id for item in store.scan(where)} - stored_ids)
    store.flush()
    catalog.restore(corpus, documents)
