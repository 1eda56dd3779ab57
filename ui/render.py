"""The HTML of a conversation: questions, cited sentences, sources and suggestions.

Functions take the wire models of `unirag/schemas.py` and return HTML in which all text is escaped.
`static/app.js` handles the clicks on its buttons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice

from ui.formulas import text_to_html
from ui.how_found import how_found, readable_style
from ui.source_cards import picture_thumbnail, source_cards
from unirag.schemas import (
    AnswerOut,
    AnswerTurnOut,
    ConversationOut,
    HitOut,
    SearchOut,
    SentenceOut,
    TurnOut,
)
from unirag.serialization import answer_text, correction_line

__all__ = [
    "LEVEL_LABELS",
    "TASK_LABELS",
    "complete_answer",
    "conversation_turns",
    "failure",
    "note",
    "partial_answer",
    "readable_style",
    "status",
    "suggestions",
    "turn",
]

TASK_LABELS = {
    "explain": "Explain",
    "steps": "Step by step",
    "compare": "Compare",
    "define": "Define",
    "quiz": "Quiz me",
    "feedback": "Check my answer",
}
_THUMB = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 11v9H4v-9zM7 11l4-8c1.5 0 2.5 1 2.5 '
    '2.5V9H19a2 2 0 012 2.3l-1.2 7A2 2 0 0117.8 20H7"/></svg>'
)
LEVEL_LABELS = {"school": "School", "college": "College"}
_SUGGESTED_TASKS = ("steps", "quiz")
_MAX_SUGGESTIONS = 4
_MAX_RELATED_FIGURES = 6
_MIN_RELATIVE_SIMILARITY = 0.7  # of a related figure, relative to the most similar figure


def conversation_turns(conversation: ConversationOut) -> str:
    """Return the turns of a stored conversation."""
    return "".join(_stored_turn(conversation.id, stored) for stored in conversation.turns)


def turn(
    conversation_id: str, question: str, pictures: Sequence[str], body: str, number: int = 0
) -> str:
    """Return one question above `body`, which is HTML. `pictures` are addresses.

    `number` is that of a stored turn; 0 for a turn whose answer is still being made.
    """
    words = text_to_html(question) if question else "<em>A picture</em>"
    images = "".join(
        f'<img src="{escape(address)}" alt="The picture of the question">' for address in pictures
    )
    return (
        f'<article class="turn" data-conversation="{escape(conversation_id)}" '
        f'data-turn="{number}"><header class="question"><h2 tabindex="-1">{words}</h2>{images}'
        f"</header>{body}</article>"
    )


def _stored_turn(conversation_id: str, stored: TurnOut) -> str:
    if stored.answer:
        body = complete_answer(stored.answer)
    else:
        body = '<p class="quiet">There is no answer yet.</p>'
    body += _actions(stored)
    return turn(conversation_id, stored.question, stored.pictures, body, stored.number)


def _actions(stored: TurnOut) -> str:
    """Return the buttons below an answer."""
    copy = thumbs = ""
    if stored.answer:
        text = escape(answer_text(stored.answer))
        copy = (
            f"<button type=button data-copy>Copy</button><template class=copied>{text}</template>"
        )
        thumbs = "".join(
            f'<button type="button" class="thumb" data-vote="{vote}" aria-label="{label}" '
            f'title="{label}" aria-pressed="{str(stored.vote == vote).lower()}">{sign}</button>'
            for vote, label, sign in ((1, "Good answer", _THUMB), (-1, "Bad answer", _THUMB))
        )
    buttons = "".join(
        f'<button type="button" data-event="{event}" data-turn="{stored.number}">{label}</button>'
        for event, label in (("retry", "Ask again"), ("edit", "Edit question"))
    )
    return (
        f'<div class="actions" role="group" aria-label="This answer">{copy}{buttons}{thumbs}</div>'
    )


def status(message: str) -> str:
    """Return a line that says what the service is doing."""
    return f'<p class="status" role="status"><span class="dots"></span>{escape(message)}</p>'


def note(message: str) -> str:
    """Return a line that says what to do next."""
    return f'<p class="note" role="status">{escape(message)}</p>'


def failure(message: str) -> str:
    """Return a line that says what went wrong."""
    return f'<p class="failure" role="alert">{escape(message)}</p>'


def partial_answer(search: SearchOut, sentences: Sequence[SentenceOut]) -> str:
    """Return an answer that is still being written: its sentences so far and their sources."""
    hits = {hit.id: hit for hit in search.hits}
    cited = {
        number: hits[item_id]
        for sentence in sentences
        for number, item_id in zip(sentence.numbers, sentence.citations, strict=True)
    }
    sources = [cited[number] for number in sorted(cited)]
    return _notes(search) + _sentences(sentences, hits) + _numbered_sources(sources)


def complete_answer(answer: AnswerTurnOut) -> str:
    """Return a whole answer with its sources and related figures, or a refusal."""
    if answer.refused:
        return _notes(answer) + _refusal(answer) + how_found(answer)
    task = stopped = ""
    if answer.task != "explain":
        task = f'<p class="task">{TASK_LABELS[answer.task]}</p>'
    if answer.stopped:
        stopped = '<p class="quiet">The answer stopped here. These sentences were checked.</p>'
    return "".join(
        [
            _notes(answer),
            task,
            _sentences(answer.sentences, {hit.id: hit for hit in answer.hits}),
            stopped,
            _numbered_sources(answer.cited_hits),
            source_cards("More figures from your books", _related_figures(answer)),
            how_found(answer),
        ]
    )


def _numbered_sources(hits: Sequence[HitOut]) -> str:
    return source_cards("Sources", hits, numbered=True)


def _refusal(answer: AnswerOut) -> str:
    return (
        f'<div class="refused"><h3>No evidence in your books</h3><p>{escape(answer.answer)} '
        "Below is the nearest material. Try other words, or a clearer picture.</p></div>"
        + source_cards("Nearest material", answer.cited_hits)
    )


def _related_figures(answer: AnswerOut) -> list[HitOut]:
    """Return figures that were not cited, from cited chapters or similar to the query's picture."""
    chapters = {_chapter(hit) for hit in answer.cited_hits}
    figures = [hit for hit in answer.hits if hit.kind == "figure"]
    # an answer has styles only if the query had a picture
    similarity = {f.id: f.channels["image"] or 0.0 for f in figures} if answer.styles else {}
    least = _MIN_RELATIVE_SIMILARITY * max(similarity.values(), default=0.0)
    return [
        figure
        for figure in figures
        if figure.id not in answer.references
        and (_chapter(figure) in chapters or similarity.get(figure.id, -1.0) >= least)
    ][:_MAX_RELATED_FIGURES]


def _chapter(hit: HitOut) -> str:
    return hit.section[0] if hit.section else ""


def _sentences(sentences: Sequence[SentenceOut], hits: Mapping[str, HitOut]) -> str:
    if not sentences:
        return ""
    lines = "".join(_sentence(sentence, hits) for sentence in sentences)
    return f'<div class="answer">{lines}</div>'


def _sentence(sentence: SentenceOut, hits: Mapping[str, HitOut]) -> str:
    """Return a sentence with its citations behind it and its cited figures beside it."""
    cited = [(n, hits[i]) for n, i in zip(sentence.numbers, sentence.citations, strict=True)]
    citations = "".join(_citation(number, hit) for number, hit in cited)
    figures = "".join(_figure(number, hit) for number, hit in cited if hit.image)
    gallery = f'<span class="figures">{figures}</span>' if figures else ""
    return (
        f'<p class="sentence" data-cites="{" ".join(sentence.citations)}">'
        f"<span>{_sentence_text(sentence)} {citations}</span>{gallery}</p>"
    )


def _sentence_text(sentence: SentenceOut) -> str:
    text = text_to_html(sentence.text)
    if not sentence.quoted:
        return text
    # After a display formula the closing quotation mark would get a line of its own.
    ends_with_formula = sentence.text.endswith(("\\]", "$$"))
    return f'<q class="open">{text}</q>' if ends_with_formula else f"<q>{text}</q>"


def _citation(number: int, hit: HitOut) -> str:
    return (
        f'<button type="button" class="cite" data-open="{hit.id}" '
        f'aria-label="Source {number}: {escape(hit.title or hit.source)}">{number}</button>'
    )


def _figure(number: int, hit: HitOut) -> str:
    return (
        f'<button type="button" class="figure" data-open="{hit.id}" '
        f'aria-label="Open figure {number}: {escape(hit.title)}">{picture_thumbnail(hit)}</button>'
    )


def _notes(search: SearchOut) -> str:
    """Return which slips of the question the search corrected."""
    line = correction_line(search)
    return f'<p class="quiet">{escape(line)}</p>' if line else ""


def suggestions(answer: AnswerOut) -> str:
    """Return buttons for a next question: other tasks, and titles of passages not cited."""
    task_buttons = _task_suggestions(answer)
    titles = islice(_uncited_titles(answer), _MAX_SUGGESTIONS - len(task_buttons))
    buttons = task_buttons + [_suggestion(t, f"Explain: {t}", "explain") for t in titles]
    if not buttons:
        return ""
    return (
        f'<div class="suggestions" aria-label="Ask next"><span>Next:</span>{"".join(buttons)}</div>'
    )


def _task_suggestions(answer: AnswerOut) -> list[str]:
    if answer.refused or not answer.query:
        return []
    tasks = [task for task in _SUGGESTED_TASKS if task != answer.task]
    return [_suggestion(TASK_LABELS[task], answer.query, task) for task in tasks]


def _uncited_titles(answer: AnswerOut) -> list[str]:
    """Return the titles of passages that the answer does not cite, each once, best hit first."""
    cited = [] if answer.refused else answer.cited_hits
    excluded = {hit.title.casefold() for hit in cited}
    titles = []
    for hit in answer.hits:
        key = hit.title.casefold()
        if hit.kind == "passage" and 3 <= len(hit.title) <= 60 and key not in excluded:
            excluded.add(key)
            titles.append(hit.title)
    return titles


def _suggestion(label: str, question: str, task: str) -> str:
    return (
        f'<button type="button" class="suggestion" data-event="select" data-task="{task}" '
        f'data-ask="{escape(question)}">{escape(label)}</button>'
    )
