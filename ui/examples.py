"""The first screen: questions and sketches made from what is indexed."""

from __future__ import annotations

import base64
import io
import random
from html import escape
from itertools import islice

from data.pictures import open_picture
from data.records import Item
from data.styles import restyle
from retrieval.store import Where
from ui.formulas import html
from unirag.app import App

__all__ = ["Examples"]

_QUESTIONS, _SKETCHES, _READ = 4, 4, 2000
_SIDE = 360  # pixels of a sketch
_SEED = 7


class Examples:
    """Made once for a state of the index; `html` makes them again when it has grown."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._count = -1
        self._html = ""

    def html(self, corpora: tuple[str, ...]) -> str:
        """The cards; a caller limited to some corpora gets none made from others."""
        if corpora:
            return self._make(corpora)
        count = self._app.store.count()
        if count != self._count:
            self._html, self._count = self._make(()), count
        return self._html

    def _make(self, corpora: tuple[str, ...]) -> str:
        choose = random.Random(_SEED)
        items = list(islice(self._app.store.scan(Where(corpora=corpora)), _READ))
        if not items:
            return ""
        texts = {q for i in items if (q := _question(i))}
        questions = choose.sample(sorted(texts), min(_QUESTIONS, len(texts)))
        figures = sorted((i for i in items if i.image), key=lambda i: i.id)
        choose.shuffle(figures)
        sketches = [s for f in islice(figures, _SKETCHES * 3) if (s := self._sketch(f))]
        rows = [
            f'<button type="button" class="example" data-ask="{escape(q)}">{html(q)}</button>'
            for q in questions
        ]
        pictures = [
            f'<button type="button" class="example sketch" data-sketch="{data}" '
            f'aria-label="Ask with a sketch of: {escape(title)}">'
            f'<img src="{data}" alt="A sketch of: {escape(title)}"></button>'
            for title, data in sketches[:_SKETCHES]
        ]
        parts = []
        if rows:
            parts.append(f"<h3>Try a question</h3><div class=row>{''.join(rows)}</div>")
        if pictures:
            parts.append(f"<h3>Or ask with a sketch</h3><div class=row>{''.join(pictures)}</div>")
        return f'<div class="examples">{"".join(parts)}</div>'

    def _sketch(self, figure: Item) -> tuple[str, str] | None:
        path = self._app.assets.path(figure.image) if figure.image else None
        if path is None:  # an index may have come from another machine
            return None
        picture = open_picture(path)
        picture.thumbnail((_SIDE, _SIDE))
        buffer = io.BytesIO()
        restyle(picture, "sketch", figure.id, _SEED).convert("L").save(buffer, "WEBP", quality=60)
        encoded = base64.b64encode(buffer.getvalue()).decode()
        return figure.title, f"data:image/webp;base64,{encoded}"


def _question(item: Item) -> str:
    """A question that the item's own section answers; empty where its title makes none."""
    title = item.section[-1] if item.section else item.title
    if item.kind != "passage" or item.audience != "student" or not 4 <= len(title) <= 48:
        return ""
    if item.role == "term" and 4 <= len(item.title) <= 40:
        return f"What does “{_lower(item.title)}” mean?"
    return f"Explain: {title}" if item.role == "text" and " " in title else ""


def _lower(term: str) -> str:
    """Without the capital that begins a glossary entry; `DNA` and `Snell's law` keep theirs."""
    first = term.split()[0]
    return term[0].lower() + term[1:] if first[1:].islower() and "'" not in first else term
