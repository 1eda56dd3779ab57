"""What is indexed in a home, how it gets there and leaves it, and the styles it is asked in."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import BadInput
from data.pictures import open_picture
from data.records import Item
from retrieval.store import Where
from unirag.app.components import Parts
from unirag.indexing.indexer import Indexer, Progress, Report, corpus_name
from unirag.workspace.catalog import Corpus
from unirag.workspace.embedding_cache import CachedEncoders

if TYPE_CHECKING:  # these load torch, which `unirag --help` need not wait for
    from retrieval.enrolment import Enrolment
    from unirag.indexing.reembed import Reembedded
    from unirag.transfer.archive import Head, Written

__all__ = ["Library"]

_OTHERS = 256  # indexed figures against which a new style is learned


class Library(Parts):
    """Corpora and query styles of one home. What changes them raises `Busy` while another does."""

    def index(
        self,
        paths: Sequence[Path | str],
        *,
        corpus: str | None = None,
        prune: bool = False,
        retry_failed: bool = False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> list[Report]:
        """Index each path as a corpus of its own, named after it unless `corpus` is given.

        With `retry_failed` dead letters that did not change are read again. Raises `Busy` where
        another process is changing what is indexed.
        """
        if not paths:
            raise BadInput("nothing to index; expected at least one file or folder")
        if corpus is not None and len(paths) > 1:
            raise BadInput(
                f"--corpus names one folder, got {len(paths)} paths; index them one at a time, or "
                "the folder above them"
            )
        for path in paths:  # before anything is loaded or stored
            _check_root(Path(path))
        names = [corpus or corpus_name(Path(path)) for path in paths]
        _check_name(names[0])
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise BadInput(
                f"two of the paths would be corpus {twice!r}; index them one at a time, the second "
                "with --corpus OTHER-NAME"
            )
        with self.home.changing():
            indexer = Indexer(
                self.store,
                self.catalog,
                self.encoding,
                self.bm25,
                self.readers,
                self.labels,
            )
            return [
                indexer.index(
                    Path(path), name, prune=prune, retry_failed=retry_failed, progress=progress
                )
                for path, name in zip(paths, names, strict=True)
            ]

    def item(self, item_id: str) -> Item | None:
        try:
            uuid.UUID(item_id)
        except ValueError:  # no id of ours
            return None
        return next(iter(self.store.get([item_id])), None)

    def corpora(self) -> list[dict[str, Any]]:
        """Each corpus with its root and its counts."""
        return [
            {
                "name": c.name,
                "root": c.root,
                "licence": c.licence,
                "attribution": c.attribution,
                **self.catalog.counts(c.name),
            }
            for c in self.catalog.corpora()
        ]

    def coverage(self, name: str, limit: int = 200, offset: int = 0) -> dict[str, Any]:
        """What was taken from each document of a corpus, what was not, and why.

        `covered` are `limit` documents from `offset`, those that need a look first.
        """
        self._known(name)
        return {
            "name": name,
            **self.catalog.counts(name),
            **self.catalog.tally(name),
            "covered": [c.to_json() for c in self.catalog.coverage(name, limit, offset)],
        }

    def _known(self, name: str) -> None:
        if self.catalog.corpus(name) is None:
            known = ", ".join(c.name for c in self.catalog.corpora()) or "none"
            raise BadInput(f"corpus {name!r} is not here; known corpora: {known}")

    def add_corpus(self, name: str, root: Path, licence: str = "", attribution: str = "") -> Corpus:
        """Register a corpus or point a known one at another folder; `index` then reads it.

        A known one keeps its licence and attribution where none is given.
        """
        _check_root(root)
        _check_name(name)
        known = self.catalog.corpus(name) or Corpus(name, "")
        corpus = Corpus(
            name,
            str(root.resolve()),
            licence or known.licence,
            attribution or known.attribution,
        )
        self.catalog.put_corpus(corpus)
        return corpus

    def remove_corpus(self, name: str) -> int:
        """Delete a corpus and its items; pictures that no other corpus shows go too.

        Raises `Busy` as `index` does.
        """
        with self.home.changing():
            self._known(name)
            where = Where(corpora=(name,))
            count = self.store.count(where)
            pictures = self._pictures(where)
            if count:
                self.store.delete_where(where)
            self.catalog.remove_corpus(name)
            self._forget(pictures)
            self.store.flush()
            return count

    def _pictures(self, where: Where) -> set[str]:
        return {i.image for i in self.store.scan(where) if i.image}

    def _forget(self, pictures: set[str]) -> None:
        """Remove those that no item shows any longer."""
        for digest in pictures - self._pictures(Where(kinds=("figure",))):
            self.assets.remove(digest)

    def export_corpus(self, name: str, path: Path) -> Written:
        """Write a corpus to one file, for another home; no model is loaded.

        Raises `Busy` as `index` does.
        """
        from unirag.transfer.corpus import export

        with self.home.changing(), self.whatever_is_there() as store:
            return export(name, path, store, self.catalog, self.assets)

    def import_corpus(
        self,
        path: Path,
        *,
        replace: bool = False,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> Head:
        """Store what `export_corpus` wrote; what it has of a corpus here goes with `replace` only.

        Nothing is changed where the file is damaged or another encoder made it. `progress` is told
        how many items of how many are stored. Raises `Busy` as `index` does.
        """
        from unirag.transfer.archive import CorpusFile
        from unirag.transfer.corpus import bring_in, check_free

        with self.home.changing(), CorpusFile(path) as file:
            name = file.head.corpus.name
            _check_name(name)
            if not replace:
                check_free(name, self.catalog)
            self.stamp.check(
                file.head.stamp.to_json(),
                f"corpus {name!r} in {path}",
                "run `unirag reembed` where it was exported and export it again, or index its "
                "documents here",
            )
            before = self._pictures(Where(corpora=(name,)))
            bring_in(file, self.store, self.catalog, self.assets, self.decoder.decode, progress)
            self._forget(before)
            return file.head

    def reembed(self, progress: Callable[[int, int], None] = lambda *_: None) -> Reembedded:
        """Encode anew what another encoder indexed; until all of it is, what was there stays.

        Where nothing is to do, what an earlier run replaced is deleted. Documents of figures whose
        picture is lost are read again by the next `index`. Raises `Busy` as `index` does.
        """
        from unirag.indexing.reembed import Reembedded, reembed

        with self.home.changing(), self.whatever_is_there() as old:
            stamp = self.loaded_stamp
            if old.stamp == stamp:
                old.tidy()
                return Reembedded()
            encoding = CachedEncoders(stamp, lambda: (self.encoder, self.text), self.vectors)
            with closing(self.open_store(stamp, beside=True)) as new:
                report = reembed(old, new, encoding, self.assets, progress)
                new.promote()
            for item, _ in report.lacking:
                self.catalog.read_again(item.corpus, [item.source])
            return report

    def adapt(self, name: str, examples: Path, originals: Path | None = None) -> Enrolment:
        """Learn a query style from a folder of pictures; what is indexed stays as it is.

        With `originals`, the figures that they show under the same names, more is learned than
        without.
        """
        from unirag.training.styles import learn, read_examples

        read = read_examples(examples, originals, self.decoder.decode)
        others = [
            open_picture(path)
            for item in islice(self.store.scan(Where(kinds=("figure",))), _OTHERS)
            if item.image and (path := self.assets.path(item.image))
        ]
        version = self.shelf.next_version(name)
        return self.shelf.add(learn(self.encoder, name, version, read, others))

    def styles(self) -> list[dict[str, Any]]:
        """Styles that queries are told apart by: trained ones, and every enrolled version."""
        enrolled = self.shelf.all()
        newest = {e.name: e.version for e in enrolled}
        trained = [
            {"name": name, "version": None, "examples": None, "in_use": True}
            for name in self.encoder.encoder.styles
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


def _check_root(path: Path) -> None:
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; check the path")
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:
        raise BadInput(f"{path}: its path is not UTF-8, expected one that is; rename it") from None


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise BadInput(
            f"corpus name {name!r}: expected lower-case letters, digits and hyphens, such as "
            f"{corpus_name(Path(name))!r}"
        )
