"""Read Jupyter notebooks: text, code with its lines, and the results that the code left.

Each cell becomes HTML, as the Markdown reader makes it, and the page reader reads all of them.
"""

from __future__ import annotations

import html
import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data.documents import Document
from data.errors import BadInput
from data.readers.files import decode, format_of, read_text_bytes
from data.readers.html import parse_html
from data.readers.markdown import render_markdown
from data.readers.page import HtmlPage, document_of
from data.readers.page_text import headings_of

__all__ = ["NotebookReader"]

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_MAX_OUTPUT_LINES = 200  # of one printed result


class NotebookReader:
    """Read `.ipynb` files of any version."""

    name = "notebook"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "notebook"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        yield document_of(path, root, _parse)


def _parse(path: Path, name: str) -> HtmlPage:
    import nbformat  # takes 0.3 s, and most corpora have no notebook

    text = decode(read_text_bytes(path, name), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old versions and missing cell ids
            notebook = nbformat.reads(text, as_version=4)
        cells, metadata = list(notebook.cells), dict(notebook.metadata)
        body = "\n".join(part for cell in cells for part in _cell_html(cell))
    except (nbformat.reader.NotJSONError, json.JSONDecodeError, RecursionError):
        raise BadInput(f"{name}: not a notebook; save it again in Jupyter") from None
    except (AttributeError, KeyError, TypeError, ValueError, nbformat.ValidationError) as error:
        reason = str(error).split("\n", 1)[0]
        raise BadInput(f"{name}: a broken notebook ({reason}); save it again in Jupyter") from None
    root = parse_html(f"<body>{body}</body>", name)
    authors = metadata.get("authors")
    names = [a.get("name", "") for a in authors if isinstance(a, dict)] if authors else []
    title = metadata.get("title")
    return HtmlPage(
        root=root,
        title=title if isinstance(title, str) else next(iter(headings_of(root, 1)), ""),
        licence=str(metadata.get("license") or ""),
        attribution=", ".join(filter(None, names)),
    )


def _cell_html(cell: Any) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield _with_attachments(render_markdown(cell.source), cell.get("attachments") or {})
    elif cell.cell_type == "code":
        yield _pre(cell.source)
        for output in cell.outputs:
            yield _output_html(output)
    else:
        yield _pre(cell.source)


def _pre(text: str) -> str:
    return f"<pre>\n{html.escape(text)}</pre>" if text.strip() else ""


def _with_attachments(rendered: str, attachments: dict[str, dict[str, str]]) -> str:
    """Put the pictures that a cell carries into its HTML."""
    for name, kinds in attachments.items():
        for kind, data in kinds.items():
            uri = f"data:{kind};base64,{''.join(data.split())}"
            for link in {name, name.replace(" ", "%20")}:
                rendered = rendered.replace(f'src="attachment:{html.escape(link)}"', f'src="{uri}"')
    return rendered


def _output_html(output: Any) -> str:
    """Return the richest form of a result that can be read."""
    if output.output_type == "stream":
        return _printed(output.text)
    if output.output_type == "error":
        return _printed(f"{output.ename}: {output.evalue}")
    data = output.get("data") or {}
    for kind in _PICTURES:
        if kind in data:
            return f'<img src="data:{kind};base64,{"".join(str(data[kind]).split())}">'
    if "image/svg+xml" in data:
        return str(data["image/svg+xml"])
    if "text/html" in data:
        return f"<div>{data['text/html']}</div>"
    if "text/latex" in data or "text/markdown" in data:
        return render_markdown(data.get("text/latex") or data["text/markdown"])
    if "text/plain" in data:
        return _printed(data["text/plain"])
    return "<canvas></canvas>" if data else ""


def _printed(text: str) -> str:
    lines = text.rstrip().split("\n")
    if len(lines) > _MAX_OUTPUT_LINES:
        lines = [*lines[:_MAX_OUTPUT_LINES], f"… {len(lines) - _MAX_OUTPUT_LINES} more lines"]
    return _pre("\n".join(lines))
