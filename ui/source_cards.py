"""Cards of the figures and passages behind an answer, and the viewer that a click opens."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from data.tables import Table, statement_text, text_parts
from ui.formulas import text_to_html
from unirag.schemas import HitOut

__all__ = ["picture_thumbnail", "source_cards"]

_EXCERPT_CHARACTERS = 260
_ALT_CHARACTERS = 500


def source_cards(title: str, hits: Sequence[HitOut], *, numbered: bool = False) -> str:
    """Return a card for each hit, or "" without hits. `numbered` cards count from 1."""
    if not hits:
        return ""
    cards = "".join(_card(hit, number if numbered else None) for number, hit in enumerate(hits, 1))
    return f'<section class="sources"><h3>{escape(title)}</h3><ol>{cards}</ol></section>'


def picture_thumbnail(hit: HitOut) -> str:
    """Return the small picture of a figure."""
    return f'<img src="{escape(hit.image or "")}/thumbnail" alt="" loading="lazy">'


def _card(hit: HitOut, number: int | None) -> str:
    """Return a card. Its <template> holds the viewer's content, so a click needs no request."""
    title = text_to_html(_title(hit))
    badge = f'<span class="number" aria-hidden="true">{number}</span>' if number else ""
    picture = f'<span class="thumbnail">{picture_thumbnail(hit)}</span>' if hit.image else ""
    excerpt = ""
    if hit.kind == "passage":  # a figure's title repeats the start of its text
        text = _excerpt(statement_text(hit.text))
        excerpt = f'<span class="quote">{text_to_html(text)}</span>'
    return (
        f'<li class="card" data-item="{hit.id}"><button type="button" data-open="{hit.id}">'
        f"{picture}<span class=text>{badge}<strong>{title}</strong>"
        f'{excerpt}<span class="where">{escape(_place(hit))}</span></span></button>'
        f"<template>{_viewer_content(hit)}</template></li>"
    )


def _viewer_content(hit: HitOut) -> str:
    """Return a figure or passage in full, with its section, source, licence and author."""
    picture = ""
    if hit.image:
        alt = escape(hit.text[:_ALT_CHARACTERS])
        picture = f'<img src="{escape(hit.image)}" alt="{alt}">'
    facts = [
        ("Section", " › ".join(hit.section)),
        ("Source", hit.source),
        ("Licence", hit.licence),
        ("By", hit.attribution),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    paragraphs = "".join(map(_paragraph_or_table, text_parts(hit.text)))
    return (
        f'<p class="kind">{hit.kind.capitalize()}</p><h2>{text_to_html(_title(hit))}</h2>{picture}'
        f'<div class="full">{paragraphs}</div><dl>{rows}</dl>'
    )


def _paragraph_or_table(part: str | Table) -> str:
    if isinstance(part, Table):
        return _table(part)
    return f"<p>{text_to_html(part)}</p>" if part.strip() else ""


def _table(table: Table) -> str:
    """Return a table that can be scrolled sideways, with a heading on each column and row."""
    names = "".join(f'<th scope="col">{text_to_html(name)}</th>' for name in table.column_names)
    head = f"<thead><tr>{names}</tr></thead>" if names else ""
    body = "".join(map(_row, table.body))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table>{head}<tbody>{body}</tbody></table></div>"
    )


def _row(cells: Sequence[str]) -> str:
    label, *values = map(text_to_html, cells)
    data = "".join(f"<td>{value}</td>" for value in values)
    return f'<tr><th scope="row">{label}</th>{data}</tr>'


def _title(hit: HitOut) -> str:
    return hit.title or (hit.section[-1] if hit.section else hit.source)


def _excerpt(text: str) -> str:
    """Return the start of a text, cut between words and never inside a formula."""
    if len(text) <= _EXCERPT_CHARACTERS:
        return text
    excerpt = text[:_EXCERPT_CHARACTERS].rsplit(" ", 1)[0]
    is_formula_cut = excerpt.count("\\(") != excerpt.count("\\)") or (
        excerpt.count("\\[") != excerpt.count("\\]")
    )
    if is_formula_cut:
        excerpt = excerpt[: max(excerpt.rfind("\\("), excerpt.rfind("\\["))].rstrip()
    return excerpt + " …"


def _place(hit: HitOut) -> str:
    section = hit.section[-1] if hit.section else ""
    licence = hit.licence.split(",")[0]
    return " · ".join(part for part in (hit.corpus, section, licence) if part)
