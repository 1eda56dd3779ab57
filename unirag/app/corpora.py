"""The corpora of a workspace: index, list, inspect, remove, carry to another workspace."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import BadInput
from retrieval.store import Where
from unirag.app.components import Components
from unirag.indexing.indexer import Indexer, default_corpus_name
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.workspace.catalog import Corpus
from unirag.workspace.embedding_cache import CachedEncoders

if TYPE_CHECKING:  # they import torch or pyarrow, which would slow `unirag --help` down
    from unirag.indexing.reembed import ReembedReport
    from unirag.transfer.archive import ArchiveHeader, ExportResult

__all__ = ["Corpora"]


class Corpora:
    """Indexes, lists and changes the corpora of a workspace.

    Every method that changes a corpus raises `Busy` while another process changes one.
    """

    def __init__(self, components: Components) -> None:
        self._components = components

    def index(
        self,
        paths: Sequence[Path | str],
        *,
        corpus: str | None = None,
        prune: bool = False,
        retry_failed: bool = False,
        progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> list[IndexReport]:
        """Index each path as a corpus, named after the path unless `corpus` is given.

        `prune` removes documents that are gone. `retry_failed` reads unchanged dead letters again.
        """
        names = _corpus_names(paths, corpus)
        components = self._components
        with components.workspace.hold_index_lock():
            indexer = Indexer(
                components.store,
                components.catalog,
                components.cached_encoders,
                components.bm25,
                components.readers,
                components.index_ocr,
            )
            return [
                indexer.index(
                    Path(path), name, prune=prune, retry_failed=retry_failed, progress=progress
                )
                for path, name in zip(paths, names, strict=True)
            ]

    def list(self) -> list[dict[str, Any]]:
        """Return each corpus with its root, licence, attribution and counts."""
        catalog = self._components.catalog
        return [
            {
                "name": corpus.name,
                "root": corpus.root,
                "licence": corpus.licence,
                "attribution": corpus.attribution,
                **catalog.item_counts(corpus.name),
            }
            for corpus in catalog.corpora()
        ]

    def coverage(self, name: str, limit: int = 200, offset: int = 0) -> dict[str, Any]:
        """Return what was indexed from each document of a corpus, what was not, and why.

        `covered` holds `limit` documents from `offset`; documents with a problem come first.
        """
        self._check_known(name)
        catalog = self._components.catalog
        return {
            "name": name,
            **catalog.item_counts(name),
            **catalog.document_counts(name),
            "covered": [c.to_json() for c in catalog.coverage(name, limit, offset)],
        }

    def add(self, name: str, root: Path, licence: str = "", attribution: str = "") -> Corpus:
        """Register a folder as a corpus, or point a corpus at another folder; `index` reads it.

        A corpus keeps its licence and attribution unless new ones are given.
        """
        _check_root(root)
        _check_name(name)
        old = self._components.catalog.corpus(name) or Corpus(name, "")
        corpus = Corpus(
            name, str(root.resolve()), licence or old.licence, attribution or old.attribution
        )
        self._components.catalog.save_corpus(corpus)
        return corpus

    def remove(self, name: str) -> int:
        """Delete a corpus with its items and the pictures that no other corpus uses.

        Return the number of deleted items.
        """
        components = self._components
        with components.workspace.hold_index_lock():
            self._check_known(name)
            where = Where(corpora=(name,))
            count = components.store.count(where)
            pictures = self._picture_digests(where)
            if count:
                components.store.delete_where(where)
            components.catalog.remove_corpus(name)
            self._remove_unused(pictures)
            components.store.flush()
            return count

    def remove_document(self, name: str, source: str) -> int:
        """Delete a document of a corpus with its items, and the pictures that nothing else uses.

        Return the number of deleted items. Raise `BadInput` if the corpus has no such document.
        """
        components = self._components
        with components.workspace.hold_index_lock():
            self._check_known(name)
            if source not in components.catalog.entries(name):
                raise BadInput(f"no document {source!r} in corpus {name!r}")
            where = Where(corpora=(name,), sources=(source,))
            count = components.store.count(where)
            pictures = self._picture_digests(where)
            if count:
                components.store.delete_where(where)
            components.catalog.remove_documents(name, [source])
            self._remove_unused(pictures)
            components.store.flush()
            return count

    def export(self, name: str, path: Path) -> ExportResult:
        """Write a corpus with its vectors to one file. Loads no model."""
        from unirag.transfer.corpus import export_corpus

        components = self._components
        with components.workspace.hold_index_lock(), components.any_store() as store:
            return export_corpus(name, path, store, components.catalog, components.assets)

    def import_file(
        self,
        path: Path,
        *,
        replace: bool = False,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> ArchiveHeader:
        """Store a corpus that `export` wrote. `replace` overwrites a corpus of its name.

        Change nothing if the file is damaged or another encoder wrote it. `progress` receives the
        number of stored items and of all items.
        """
        from unirag.indexing.pipeline import words_of
        from unirag.transfer.archive import CorpusArchive
        from unirag.transfer.corpus import import_corpus, require_new_corpus

        components = self._components
        with components.workspace.hold_index_lock(), CorpusArchive(path) as file:
            name = file.header.corpus.name
            _check_name(name)
            if not replace:
                require_new_corpus(name, components.catalog)
            components.stamp.check(
                file.header.stamp.to_json(),
                f"corpus {name!r} in {path}",
                "run `unirag reembed` where it was exported and export it again, or index its "
                "documents here",
            )
            old_pictures = self._picture_digests(Where(corpora=(name,)))
            import_corpus(
                file,
                components.store,
                components.catalog,
                components.assets,
                components.decoder.decode,
                words_of,
                progress,
            )
            self._remove_unused(old_pictures)
            return file.header

    def reembed(self, progress: Callable[[int, int], None] = lambda *_: None) -> ReembedReport:
        """Encode every stored item with this run's encoders, then switch to the new collection.

        Searches use the old collection until then. If nothing has to be encoded, delete the
        collections that an earlier run replaced. The next `index` reads documents with lost
        pictures again.
        """
        from unirag.indexing.reembed import ReembedReport, reembed

        components = self._components
        with components.workspace.hold_index_lock(), components.any_store() as old:
            stamp = components.loaded_stamp
            if old.stamp == stamp:
                old.delete_replaced()
                return ReembedReport()
            models = components.encoder, components.text
            encoders = CachedEncoders(stamp, lambda: models, components.embedding_cache)
            with closing(components.open_store(stamp, replacement=True)) as new:
                report = reembed(old, new, encoders, components.assets, progress)
                new.promote()
            for item, _ in report.missing_pictures:
                components.catalog.mark_for_rereading(item.corpus, [item.source])
            return report

    def _check_known(self, name: str) -> None:
        catalog = self._components.catalog
        if catalog.corpus(name) is None:
            names = ", ".join(c.name for c in catalog.corpora()) or "none"
            raise BadInput(f"no corpus {name!r} in this workspace; its corpora: {names}")

    def _picture_digests(self, where: Where) -> set[str]:
        return {item.image for item in self._components.store.scan(where) if item.image}

    def _remove_unused(self, pictures: set[str]) -> None:
        """Delete the pictures that no figure uses."""
        for digest in pictures - self._picture_digests(Where(kinds=("figure",))):
            self._components.assets.remove(digest)


def _corpus_names(paths: Sequence[Path | str], corpus: str | None) -> list[str]:
    """Return the name of each path's corpus. Check all of them before anything is loaded."""
    if not paths:
        raise BadInput("nothing to index; expected at least one file or folder")
    if corpus is not None and len(paths) > 1:
        raise BadInput(
            f"--corpus names one folder, got {len(paths)} paths; index them one at a time, or "
            "the folder above them"
        )
    for path in paths:
        _check_root(Path(path))
    names = [corpus or default_corpus_name(Path(path)) for path in paths]
    _check_name(names[0])
    if duplicate := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(
            f"two of the paths would be corpus {duplicate!r}; index them one at a time, the second "
            "with --corpus OTHER-NAME"
        )
    return names


def _check_root(path: Path) -> None:
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; check the path")
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:
        raise BadInput(f"{path}: its path is not UTF-8; rename it") from None


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise BadInput(
            f"corpus name {name!r}: expected lower-case letters, digits and hyphens, such as "
            f"{default_corpus_name(Path(name))!r}"
        )
