"""The HTML of a conversation: questions, cited sentences, sources and suggestions.

Functions take the wire models of `unirag/schemas.py` and return HTML in which all text is escaped.
`static/app.js` handles the clicks on its buttons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice

from ui.formulas import text_to_html
from ui.source_cards import picture_thumbnail, source_cards
from unirag.schemas import (
    AnswerOut,
    ConversationOut,
    HitOut,
    SearchOut,
    SentenceOut,
)
from unirag.serialization import correction_line

__all__ = [
    "TASK_LABELS",
    "complete_answer",
    "conversation_turns",
    "failure",
    "partial_answer",
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
_SUGGESTED_TASKS = ("steps", "quiz")
_MAX_SUGGESTIONS = 4
_MAX_RELATED_FIGURES = 6
_MIN_RELATIVE_SIMILARITY = 0.7  # of a related figure, relative to the most similar figure
_MIN_CERTAIN_SHARE = 0.5  # below this share of a style the page says "may be"
_STYLE_NAMES = {"lowres": "low resolution", "art": "painting"}


def conversation_turns(conversation: ConversationOut) -> str:
    """Return the turns of a stored conversation."""
    no_answer = '<p class="quiet">No answer was made. Ask again.</p>'
    return "".join(
        turn(
            conversation.id,
            stored.question,
            stored.pictures,
            complete_answer(stored.answer) if stored.answer else no_answer,
        )
        for stored in conversation.turns
    )


def turn(conversation_id: str, question: str, pictures: Sequence[str], body: str) -> str:
    """Return one question above `body`, which is HTML. `pictures` are addresses."""
    words = text_to_html(question) if question else "<em>A picture</em>"
    images = "".join(
        f'<img src="{escape(address)}" alt="The picture of the question">' for address in pictures
    )
    return (
        f'<article class="turn" data-conversation="{escape(conversation_id)}">'
        f'<header class="question"><h2>{words}</h2>{images}</header>{body}</article>'
    )


def status(message: str) -> str:
    """Return a line that says what the service is doing."""
    return f'<p class="status" role="status"><span class="dots"></span>{escape(message)}</p>'


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


def complete_answer(answer: AnswerOut) -> str:
    """Return a whole answer with its sources and related figures, or a refusal."""
    if answer.refused:
        return _notes(answer) + _refusal(answer)
    task = ""
    if answer.task != "explain":
        task = f'<p class="task">{TASK_LABELS[answer.task]}</p>'
    return "".join(
        [
            _notes(answer),
            task,
            _sentences(answer.sentences, {hit.id: hit for hit in answer.hits}),
            _numbered_sources(answer.cited_hits),
            source_cards("More figures from your books", _related_figures(answer)),
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
    """Return what the search made of the query: its corrected slips, the style of its picture."""
    line = correction_line(search)
    corrections = f'<p class="quiet">{escape(line)}</p>' if line else ""
    return corrections + _style(search)


def _style(search: SearchOut) -> str:
    """Return the detected style of the query's picture and the experts that adapted the encoder."""
    styles = sorted(search.styles.items(), key=lambda style: -style[1])
    if not styles:
        return ""
    name, share = styles[0]
    verb = "looks like" if share >= _MIN_CERTAIN_SHARE else "may be"
    style_bars = "".join(_bar(_readable_style(name), share) for name, share in styles[:4])
    expert_bars = "".join(_bar(f"Expert {i}", share) for i, share in enumerate(search.experts, 1))
    columns = f"<div><h4>Query style</h4>{style_bars}</div>"
    if expert_bars:
        columns += f"<div><h4>Experts</h4>{expert_bars}</div>"
    return (
        f'<details class="style"><summary>Your picture {verb} '
        f"<b>{escape(_readable_style(name))}</b> ({share:.0%})</summary>"
        f"<div>{columns}</div></details>"
    )


def _bar(label: str, share: float) -> str:
    return (
        f'<div class="bar"><span>{escape(label)}</span>'
        f'<i style="--share:{share:.3f}"></i><b>{share:.0%}</b></div>'
    )


def _readable_style(name: str) -> str:
    return _STYLE_NAMES.get(name, name.replace("_", " "))


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
        f'<button type="button" class="suggestion" data-ask="{escape(question)}" '
        f'data-task="{task}">{escape(label)}</button>'
    )
