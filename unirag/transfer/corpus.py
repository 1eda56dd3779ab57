"""A corpus from one home into another: out into a file, in from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from PIL import Image

from data.errors import BadInput
from data.pictures import Assets
from retrieval.store import VectorStore, Where
from unirag.transfer.archive import CorpusFile, Written, write
from unirag.workspace.catalog import Catalog

__all__ = ["bring_in", "check_free", "export"]

_UPSERT = 500


def export(name: str, path: Path, store: VectorStore, catalog: Catalog, assets: Assets) -> Written:
    """Write corpus `name` to `path`; the home must not change meanwhile."""
    corpus = catalog.corpus(name)
    if corpus is None:
        known = ", ".join(c.name for c in catalog.corpora()) or "none"
        raise BadInput(f"corpus {name!r} is not here; known corpora: {known}")
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"{path}: expected the name of a file in a folder that is there")
    points = store.points(Where(corpora=(name,)))
    return write(path, corpus, store.stamp, catalog.documents(name), points, assets)


def check_free(name: str, catalog: Catalog) -> None:
    """Refuse a corpus of which something is stored. One whose import was killed has nothing yet."""
    if catalog.counts(name)["documents"]:
        raise BadInput(
            f"corpus {name!r} is here already; pass --replace to put the one in the file in its "
            f"place, or run `unirag corpora remove {name}` first"
        )


def bring_in(
    file: CorpusFile,
    store: VectorStore,
    catalog: Catalog,
    assets: Assets,
    decode: Callable[[bytes, str], Image.Image],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Store what `file` holds, in place of what there is of its corpus.

    The journal has its documents as `queued` until every item is stored: after a kill the same
    import goes over all of it again, and `index` reads all of it again. `progress` is told how
    many items of how many are stored. Memory holds the ids of the items, and a batch of them.
    """
    head = file.head
    where = Where(corpora=(head.corpus.name,))
    documents = file.documents()
    for _ in file.points():  # a bad one is met before anything is changed
        pass
    for digest, read in file.pictures():
        data = read()
        if assets.path(digest) is None or not assets.thumbnail(digest).exists():
            assets.put(data, decode(data, f"{file.path}: picture {digest}"))
    known = catalog.corpus(head.corpus.name)
    # where its documents lie on this machine, this machine knows best
    corpus = replace(head.corpus, root=known.root) if known else head.corpus
    catalog.restore(corpus, [replace(d, fingerprint="", state="queued") for d in documents])
    stored: set[str] = set()
    points = file.points()
    while batch := list(islice(points, _UPSERT)):
        store.upsert(batch)
        stored |= {point.item.id for point in batch}
        progress(len(stored), head.items)
    if store.count(where) > len(stored):
        store.delete({item.id for item in store.scan(where)} - stored)
    store.flush()
    catalog.restore(corpus, documents)
