"""Example cards of the first screen: questions and sketches made from the indexed items."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Sequence
from html import escape
from itertools import islice

from data.pictures import open_picture
from data.records import Item
from data.styles import restyle
from retrieval.store import Where
from ui.formulas import text_to_html
from unirag.app import App

__all__ = ["ExampleCards"]

_QUESTION_CARDS, _SKETCH_CARDS = 4, 4
_MAX_ITEMS = 2000  # number of items to choose from
_SKETCH_PIXELS = 360  # length of the longer side
_SEED = 7


class ExampleCards:
    """Makes the cards. Caches them until the number of indexed items changes."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._item_count = -1
        self._html = ""

    def html(self, corpora: Sequence[str]) -> str:
        """Return cards from these corpora, or from every corpus if `corpora` is empty."""
        if corpora:
            return self._cards(corpora)
        item_count = self._app.components.store.count()
        if item_count != self._item_count:
            self._html, self._item_count = self._cards(()), item_count
        return self._html

    def _cards(self, corpora: Sequence[str]) -> str:
        store = self._app.components.store
        items = list(islice(store.scan(Where(corpora=tuple(corpora))), _MAX_ITEMS))
        if not items:
            return ""
        chance = random.Random(_SEED)
        questions = "".join(_question_card(text) for text in _choose_questions(items, chance))
        sketches = "".join(self._sketch_cards(items, chance))
        html = ""
        if questions:
            html += f"<h3>Try a question</h3><div class=row>{questions}</div>"
        if sketches:
            html += f"<h3>Or ask with a sketch</h3><div class=row>{sketches}</div>"
        return f'<div class="examples">{html}</div>'

    def _sketch_cards(self, items: Sequence[Item], chance: random.Random) -> list[str]:
        figures = sorted((item for item in items if item.image), key=lambda item: item.id)
        chance.shuffle(figures)
        # some pictures may be lost, so look at more figures than cards
        cards = (self._sketch_card(figure) for figure in figures[: 3 * _SKETCH_CARDS])
        return list(islice((card for card in cards if card), _SKETCH_CARDS))

    def _sketch_card(self, figure: Item) -> str:
        """Return a card with a sketch of a figure; "" if its picture is not on this machine."""
        path = self._app.components.assets.path(figure.image)
        if path is None:
            return ""
        picture = open_picture(path)
        picture.thumbnail((_SKETCH_PIXELS, _SKETCH_PIXELS))
        sketch = io.BytesIO()
        restyle(picture, "sketch", figure.id, _SEED).convert("L").save(sketch, "WEBP", quality=60)
        url = f"data:image/webp;base64,{base64.b64encode(sketch.getvalue()).decode()}"
        title = escape(figure.title)
        return (
            f'<button type="button" class="example sketch" data-event="select" data-sketch="{url}" '
            f'aria-label="Ask with a sketch of: {title}">'
            f'<img src="{url}" alt="A sketch of: {title}"></button>'
        )


def _choose_questions(items: Sequence[Item], chance: random.Random) -> list[str]:
    questions = sorted({question for item in items if (question := _question(item))})
    return chance.sample(questions, min(_QUESTION_CARDS, len(questions)))


def _question_card(question: str) -> str:
    return (
        f'<button type="button" class="example" data-event="select" data-ask="{escape(question)}">'
        f"{text_to_html(question)}</button>"
    )


def _question(item: Item) -> str:
    """Return a question that the item's section answers; "" if its title does not make one."""
    title = item.section[-1] if item.section else item.title
    if item.kind != "passage" or item.audience != "student" or not 4 <= len(title) <= 48:
        return ""
    if item.role == "term" and 4 <= len(item.title) <= 40:
        return f"What does “{_lower_first(item.title)}” mean?"
    return f"Explain: {title}" if item.role == "text" and " " in title else ""


def _lower_first(term: str) -> str:
    """Lower the capital of a glossary entry; `DNA` and `Snell's law` keep theirs."""
    first_word = term.split()[0]
    is_ordinary = first_word[1:].islower() and "'" not in first_word
    return term[0].lower() + term[1:] if is_ordinary else term
