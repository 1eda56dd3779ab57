"""What of a corpus is indexed, document by document, and what is not: a teacher's page to print."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from unirag.api.errors import NotFound
from unirag.api.service import Here, Teacher
from unirag.serialization import coverage_line, missing_line

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_ROWS = 200
_CSS = (Path(__file__).with_name("static") / "app.css").read_text(encoding="utf-8")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name} · unirag</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{css}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0; }}
main {{ max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 3rem; }} h1 {{ font: 700 1.5rem
var(--serif); }} a {{ color: var(--accent); }} th {{ white-space: nowrap; }}
td:first-child {{ min-width: 12rem; }}
@media print {{ nav {{ display: none; }} }}</style>
<script>document.documentElement.classList.toggle("dark", (localStorage.getItem("unirag-theme") ||
(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark");</script>
</head><body><main class="library"><nav><a href="../">Back to unirag</a></nav><h1>{name}</h1>
<p>{line}.</p><p>Documents that need a look come first. Files that are neither text nor pictures,
such as style sheets and programs, are passed over without a word.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Documents"><table><thead><tr>
<th scope="col">Document</th><th scope="col">Figures</th><th scope="col">Passages</th>
<th scope="col">What is not there, and why</th></tr></thead><tbody>{rows}</tbody></table></div>
<nav aria-label="Pages">{pages}</nav></main></body></html>"""


@router.get("/coverage/{name}")
def page(
    name: str, who: Teacher, here: Here, page: Annotated[int, Query(ge=1, le=100_000)] = 1
) -> HTMLResponse:
    if not who.may_see(name) or here.unirag.catalog.corpus(name) is None:
        raise NotFound("no corpus of this name is here")
    found = here.unirag.coverage(name, _ROWS, (page - 1) * _ROWS)
    return HTMLResponse(
        _PAGE.format(
            css=_CSS,
            name=escape(name),
            line=escape(coverage_line(found)),
            rows="".join(map(_row, found["covered"])),
            pages=_pages(page, -(-found["total"] // _ROWS)),
        )
    )


def _row(covered: Mapping[str, Any]) -> str:
    title = f"{escape(covered['title'])}<br>" if covered["title"] else ""
    left_out = covered["left_out"]
    missing = escape(missing_line(covered))
    if len(left_out) > 1:
        lines = "".join(f"<li>{escape(part['message'])}</li>" for part in left_out)
        missing = f"{len(left_out)} parts<ul>{lines}</ul>"
    return (
        f"<tr><td>{title}<small>{escape(covered['source'])}</small></td>"
        f'<td class="number">{covered["figures"]:,}</td>'
        f'<td class="number">{covered["passages"]:,}</td><td>{missing}</td></tr>'
    )


def _pages(page: int, pages: int) -> str:
    if pages < 2:
        return ""
    before = f'<a href="?page={page - 1}">Earlier</a>' if page > 1 else ""
    after = f'<a href="?page={page + 1}">Later</a>' if page < pages else ""
    return f"{before} Page {page} of {pages} {after}"
