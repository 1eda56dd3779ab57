"""Score the readers on Docling's conformance files: the words of each file against its Markdown.

    python -m benchmarks.reader_conformance [FORMAT ...] [--words FILE]

Every file is read through the public interface of the readers (`data.readers.scan`). The reader's
words, in order, are its headings, blocks and captions; the words that are right are those of the
Markdown that Docling's maintainers keep beside each file. The score of a file is the F1 of the two
bags of words; `order` is the share of the common words that come in the same order. Prints both
means for each format and the ten worst files, and writes `results/reader_conformance.json`.
`--words` prints the words of one file that are missing and those that are extra.
"""

from __future__ import annotations

import argparse
import html
import re
import shutil
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from benchmarks.environment import SHARED, describe, write_results
from data.documents import Block, Document, Figure
from data.errors import BadInput
from data.readers.files import format_of
from data.readers.scan import Rejected, scan
from data.readers.structure import humanise

FILES = SHARED / "benchmarks" / "docling"
WORST = 10
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK_TARGET = re.compile(r"\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)")
_ESCAPE = re.compile(r"\\([_*#\[\]()\-.!~<>|`{}$&])")
_SPACING = re.compile(r"\\(?:left|right|quad|qquad|displaystyle|text|mathrm|operatorname)\b")
_TITLE_IS_PROPERTY = ("docx", "pptx", "xlsx", "odf")
_UNTITLED_SLIDE = re.compile(r"Slide \d+")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Score:
    """The score of one file. `error` is empty if the file was read."""

    file: str
    f1: float
    order: float
    error: str = ""


def main() -> None:
    """Score the files of the chosen formats, or show the words of one file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    formats = sorted(folder.name for folder in FILES.iterdir() if folder.is_dir())
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=", ".join(formats))
    parser.add_argument("--words", metavar="FILE", help="show the differences of this file")
    arguments = parser.parse_args()
    if arguments.words:
        show_words(next(p for p in sources() if p.name == arguments.words))
        return
    chosen = arguments.formats or formats
    scores = {name: [score(path) for path in sources(name)] for name in chosen}
    for name, rows in scores.items():
        print(
            f"{name:7} {len(rows):3} files  F1 {_mean(r.f1 for r in rows):.3f}"
            f"  order {_mean(r.order for r in rows):.3f}  failed {sum(bool(r.error) for r in rows)}"
        )
    everything = sorted((row for rows in scores.values() for row in rows), key=lambda r: r.f1)
    print(f"\nthe worst {WORST}:")
    for row in everything[:WORST]:
        print(f"{row.f1:.3f}  {row.file}  {row.error}")
    if not arguments.formats:
        write_results("reader_conformance", _results(scores))


def sources(name: str = "*") -> list[Path]:
    """Return the source files of a format that have a Markdown file beside them.

    The PDF files among those of another format are printouts that Docling does not read.
    """
    files = sorted(FILES.glob(f"{name}/sources/*"))
    own = [p for p in files if p.suffix != ".pdf" or p.parent.parent.name == "pdf"]
    return [p for p in own if _truth_of(p).is_file()]


def score(path: Path) -> Score:
    """Return the score of one file; a file that cannot be read scores 0."""
    label = f"{path.parent.parent.name}/{path.name}"
    try:
        actual = words(reader_text(path))
    except BadInput as error:
        return Score(label, 0.0, 0.0, str(error))
    expected = words(_truth_of(path).read_text(encoding="utf-8"))
    common = sum((Counter(actual) & Counter(expected)).values())
    f1 = 2 * common / max(len(actual) + len(expected), 1)
    return Score(label, round(f1, 4), round(_order(actual, expected, common), 4))


def reader_text(path: Path) -> str:
    """Return all words that the reader finds in a file, as text in reading order.

    The file is read alone in a folder, so that the files beside it do not matter.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        return "\n".join(line for d in _documents(copy) for line in _lines(d))


def words(text: str) -> list[str]:
    """Return the words of a Markdown or plain text, without mark-up and addresses of links."""
    text = _LINK_TARGET.sub("]", _COMMENT.sub(" ", text))
    text = html.unescape(_ESCAPE.sub(r"\1", text))
    return _WORD.findall(_SPACING.sub(" ", text).casefold())


def show_words(path: Path) -> None:
    """Print the words of a file that the reader misses and those that it adds."""
    text = reader_text(path)
    actual, expected = (Counter(words(t)) for t in (text, _truth_of(path).read_text("utf-8")))
    print(text)
    print("\nmissing:", *sorted((expected - actual).elements()))
    print("\nextra:", *sorted((actual - expected).elements()))


def _documents(path: Path) -> Iterator[Document]:
    for document in scan(path):
        if isinstance(document, Rejected):
            raise BadInput(f"{document.source}: {document.reason}")
        yield document


def _lines(document: Document) -> Iterator[str]:
    """Yield headings, texts and captions.

    Left out are titles that stand in no text: those made from the file's name, those that Office
    files store as a property, and the names of slides without a title. Speaker's notes are left
    out too, because Docling's Markdown has none; comments are in both.
    """
    section: tuple[str, ...] = ()
    file_title = humanise(document.path.stem)
    has_property = format_of(document.path) in _TITLE_IS_PROPERTY
    for content in document.read():
        if not isinstance(content, Block | Figure) or _is_speaker_note(content):
            continue
        path = content.section[has_property:]
        shared = 0
        while path[: shared + 1] == section[: shared + 1] and shared < len(path):
            shared += 1
        for heading in path[shared:]:
            if heading != file_title and not _UNTITLED_SLIDE.fullmatch(heading):
                yield heading
        section = path
        if isinstance(content, Block):
            yield content.text
        else:
            yield (
                f"Figure {content.number} {content.caption}" if content.number else content.caption
            )


def _is_speaker_note(content: Block | Figure) -> bool:
    is_remark = content.role == "note" and content.audience == "teacher"
    return isinstance(content, Block) and is_remark and not content.text.startswith("Comment")


def _order(actual: Sequence[str], expected: Sequence[str], common: int) -> float:
    blocks = SequenceMatcher(None, actual, expected, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / common if common else 0.0


def _truth_of(path: Path) -> Path:
    folder = path.parent.parent / "groundtruth"
    named = folder / f"{path.name}.md"
    return named if named.is_file() else folder / f"{path.stem}.md"


def _mean(values: Iterator[float]) -> float:
    return statistics.fmean(values)


def _results(scores: dict[str, list[Score]]) -> dict[str, object]:
    return {
        **describe(["lxml", "python-docx", "python-pptx", "openpyxl", "pypdfium2"]),
        "formats": {
            name: {
                "files": len(rows),
                "f1": round(_mean(r.f1 for r in rows), 4),
                "order": round(_mean(r.order for r in rows), 4),
                "failed": [r.file for r in rows if r.error],
            }
            for name, rows in scores.items()
        },
        "files": {row.file: row.f1 for rows in scores.values() for row in rows},
    }


if __name__ == "__main__":
    main()
