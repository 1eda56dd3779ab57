"""The coverage page of a corpus, for a teacher to print: what was indexed from each document."""

from __future__ import annotations

from html import escape
from math import ceil
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from unirag.api.errors import NotFound
from unirag.api.service import CurrentService, CurrentTeacher
from unirag.schemas import CoverageOut, CoveredOut
from unirag.serialization import coverage_line, left_out_line, problem_line

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_DOCUMENTS_PER_PAGE = 200
_STATIC = Path(__file__).with_name("static")
_SCRIPT = (_STATIC / "library.js").read_text("utf-8")
_CSS = "".join((_STATIC / f"{name}.css").read_text("utf-8") for name in ("app", "library"))
_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name} · unirag</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{css}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0; }}
main {{ max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 3rem; }} h1 {{ font: 700 1.5rem
var(--serif); }} a {{ color: var(--accent); }} th {{ white-space: nowrap; }}
td:first-child {{ min-width: 12rem; }}
@media print {{ nav {{ display: none; }} }}</style>
<script>document.documentElement.classList.toggle("dark", (localStorage.getItem("unirag-theme") ||
(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark");</script>
<script>{script}</script>
</head><body><main class="library"><nav><a href="../">Back to unirag</a></nav><h1>{name}</h1>
<p>{summary}.</p><p>Documents with problems come first. Files that are neither text nor pictures,
such as style sheets and programs, are skipped and not listed.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Documents"><table><thead><tr>
<th scope="col">Document</th><th scope="col">Figures</th><th scope="col">Passages</th>
<th scope="col">Left out, and why</th><th scope="col"><span class="unseen">Change</span></th></tr>
</thead><tbody>{rows}</tbody></table></div>
<nav aria-label="Pages">{page_links}</nav></main></body></html>"""


@router.get("/coverage/{name}")
def coverage_page(
    name: str,
    caller: CurrentTeacher,
    service: CurrentService,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """Return one page of the coverage of a corpus."""
    exists = service.app.components.catalog.corpus(name) is not None
    if not exists or not caller.may_see(name):
        raise NotFound(f"no corpus {name!r} that this key opens")
    first = (page - 1) * _DOCUMENTS_PER_PAGE
    coverage = CoverageOut.model_validate(
        service.app.corpora.coverage(name, _DOCUMENTS_PER_PAGE, first)
    )
    return HTMLResponse(
        _TEMPLATE.format(
            css=_CSS,
            script=_SCRIPT,
            name=escape(name),
            summary=escape(coverage_line(coverage)),
            rows="".join(_row(name, document) for document in coverage.covered),
            page_links=_page_links(page, ceil(coverage.total / _DOCUMENTS_PER_PAGE)),
        )
    )


def _row(corpus: str, document: CoveredOut) -> str:
    title = f"{escape(document.title)}<br>" if document.title else ""
    return (
        f"<tr><td>{title}<small>{escape(document.source)}</small></td>"
        f'<td class="number">{document.figures:,}</td>'
        f'<td class="number">{document.passages:,}</td><td>{_left_out(document)}</td>'
        f"<td>{_buttons(corpus, document.source)}</td></tr>"
    )


def _buttons(corpus: str, source: str) -> str:
    """Return the buttons that replace and delete a document. An archive's part is not replaced."""
    address = f"../v1/corpora/{quote(corpus)}/documents?source={quote(source, safe='')}"
    replace = ""
    if "/" not in source:
        replace = (
            f'<label class="replace">Replace<input type="file" data-replace="{escape(source)}" '
            f'data-corpus="{escape(corpus)}" aria-label="Replace {escape(source)}"></label>'
        )
    return (
        f'{replace}<button type="button" data-remove="{address}" data-name="{escape(source)}">'
        "Delete</button><output></output>"
    )


def _left_out(document: CoveredOut) -> str:
    """Return what was left out and why; several parts as a list."""
    if len(document.problems) < 2:
        return escape(left_out_line(document))
    lines = (problem_line(part.message, part.kind, part.page) for part in document.problems)
    reasons = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"{len(document.problems)} parts<ul>{reasons}</ul>"


def _page_links(page: int, pages: int) -> str:
    if pages < 2:
        return ""
    previous_link = f'<a href="?page={page - 1}">Previous</a>' if page > 1 else ""
    next_link = f'<a href="?page={page + 1}">Next</a>' if page < pages else ""
    return f"{previous_link} Page {page} of {pages} {next_link}"
