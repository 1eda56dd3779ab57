"""What a student sees of a conversation, as HTML: questions, cited sentences, sources, figures.

Every function takes what the service answers with (`unirag.views`) and returns a string in which
all text is escaped. `static/app.js` gives the buttons in it their meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ui.formulas import html

__all__ = ["TASKS", "failure", "history", "sources", "suggestions", "thread", "turn"]

Json = Mapping[str, Any]

TASKS = {
    "explain": "Explain",
    "steps": "Step by step",
    "compare": "Compare",
    "define": "Define",
    "quiz": "Quiz me",
    "feedback": "Check my answer",
}
_NEAREST, _RELATED, _SHORT = 3, 6, 260
_LIKE = 0.7  # share of the best figure's cosine to the query's picture
_SURE = 0.5  # the share from which a style is named as one


def thread(conversation: str, turns: Iterable[Json]) -> str:
    """The turns of `GET /v1/conversations/{id}`."""
    return "".join(turn(conversation, t["question"], t["pictures"], t["answer"]) for t in turns)


def turn(
    conversation: str,
    question: str,
    pictures: Sequence[str],
    answer: Json | None,
    status: str = "",
    failed: str = "",
) -> str:
    """One question with as much of its answer as there is.

    `status` says what is being done, `failed` why there will be no more.
    """
    shown = "".join(
        f'<img src="{escape(p)}" alt="The picture that was asked with">' for p in pictures
    )
    words = html(question) if question else "<em>A picture</em>"
    body = "" if answer is None else _answer(answer)
    if answer is None and not status and not failed:
        body = '<p class="quiet">No answer was made. Ask again.</p>'
    if status:
        body += f'<p class="status" role="status"><span class="dots"></span>{escape(status)}</p>'
    body += failure(failed) if failed else ""
    return (
        f'<article class="turn" data-conversation="{escape(conversation)}">'
        f'<header class="question"><h2>{words}</h2>{shown}</header>{body}</article>'
    )


def failure(message: str) -> str:
    return f'<p class="failure" role="alert">{escape(message)}</p>'


def _answer(answer: Json) -> str:
    hits = {hit["id"]: hit for hit in answer["hits"]}
    order = {
        name: number
        for number, name in enumerate(
            dict.fromkeys(c for s in answer.get("sentences", ()) for c in s["citations"]), 1
        )
        if name in hits
    }
    parts = [_style(answer)]
    if answer.get("refused"):
        parts.append(_refused(answer))
        return "".join(parts)
    task = answer.get("task", "explain")
    if task != "explain" and task in TASKS:
        parts.append(f'<p class="task">{TASKS[task]}</p>')
    lines = [_line(s, order, hits) for s in answer.get("sentences", ())]
    if lines:
        parts.append(f'<div class="answer">{"".join(lines)}</div>')
    parts.append(sources([hits[name] for name in order], "Sources", numbered=True))
    if "answer" in answer:  # whole: nothing more will be cited
        parts.append(sources(_related(answer, order), "More figures from your books"))
    return "".join(parts)


def _related(answer: Json, cited: Collection[str]) -> list[Json]:
    """Figures that were found but not cited: of cited chapters, or like the picture that asked."""
    chapters = {tuple(h["section"][:1]) for h in answer["hits"] if h["id"] in cited}
    figures = [h for h in answer["hits"] if h["kind"] == "figure"]
    likeness = {h["id"]: h["channels"]["image"] or 0.0 for h in figures if answer["styles"]}
    least = _LIKE * max(likeness.values(), default=0.0)
    return [
        h
        for h in figures
        if h["id"] not in cited
        and (tuple(h["section"][:1]) in chapters or likeness.get(h["id"], -1.0) >= least)
    ][:_RELATED]


def _refused(answer: Json) -> str:
    return (
        '<div class="refused"><h3>No evidence in your books</h3><p>Nothing that is indexed '
        "answers this question, so there is no explanation. This is the nearest material; try "
        "other words, or a clearer picture.</p></div>"
        + sources(answer["hits"][:_NEAREST], "Nearest material")
    )


def _line(sentence: Json, order: Mapping[str, int], hits: Mapping[str, Json]) -> str:
    cited = [name for name in sentence["citations"] if name in order]
    chips = "".join(_chip(order[name], hits[name]) for name in cited)
    figures = [hits[name] for name in cited if hits[name]["image"]]
    shown = "".join(
        f'<button type="button" class="figure" data-open="{f["id"]}" '
        f'aria-label="Open figure {order[f["id"]]}: {escape(f["title"])}">{_thumbnail(f)}</button>'
        for f in figures
    )
    gallery = f'<span class="figures">{shown}</span>' if shown else ""
    text = html(sentence["text"])
    # behind a formula that has a line of its own a closing mark would have one too
    mark = '<q class="open">' if sentence["text"].endswith(("\\]", "$$")) else "<q>"
    said = f"{mark}{text}</q>" if sentence.get("quoted") else text
    return (
        f'<p class="sentence" data-cites="{" ".join(cited)}">'
        f"<span>{said} {chips}</span>{gallery}</p>"
    )


def _chip(number: int, hit: Json) -> str:
    return (
        f'<button type="button" class="cite" data-open="{hit["id"]}" '
        f'aria-label="Source {number}: {escape(hit["title"] or hit["source"])}">{number}</button>'
    )


def sources(hits: Sequence[Json], title: str, *, numbered: bool = False) -> str:
    """Cards, each with all that the viewer shows when it is opened."""
    if not hits:
        return ""
    cards = "".join(_card(hit, number if numbered else 0) for number, hit in enumerate(hits, 1))
    return f'<section class="sources"><h3>{escape(title)}</h3><ol>{cards}</ol></section>'


def _card(hit: Json, number: int) -> str:
    text = hit["text"]
    short = text if len(text) <= _SHORT else text[:_SHORT].rsplit(" ", 1)[0] + " …"
    if short.count("\\(") != short.count("\\)") or short.count("\\[") != short.count("\\]"):
        short = short[: max(short.rfind("\\("), short.rfind("\\["))] + " …"
    title = hit["title"] or (hit["section"][-1] if hit["section"] else hit["source"])
    number_html = f'<span class="number" aria-hidden="true">{number}</span>' if number else ""
    picture = f'<span class="thumbnail">{_thumbnail(hit)}</span>' if hit["image"] else ""
    # a figure's title is how its caption begins
    quote = "" if hit["kind"] == "figure" else f'<span class="quote">{html(short)}</span>'
    return (
        f'<li class="card" data-item="{hit["id"]}"><button type="button" data-open="{hit["id"]}">'
        f"{picture}<span class=text>{number_html}<strong>{html(title)}</strong>"
        f'{quote}<span class="where">{escape(_where(hit))}</span></span></button>'
        f"<template>{_full(hit, title)}</template></li>"
    )


def _full(hit: Json, title: str) -> str:
    """The viewer's content: figure or passage, where it stands, and whose it is."""
    picture = ""
    if hit["image"]:
        picture = f'<img src="{escape(hit["image"])}" alt="{escape(hit["text"][:500])}">'
    kind = "Figure" if hit["kind"] == "figure" else "Passage"
    facts = [
        ("Section", " › ".join(hit["section"])),
        ("Source", hit["source"]),
        ("Licence", hit["licence"]),
        ("By", hit["attribution"]),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{escape(v)}</dd>" for name, v in facts if v)
    paragraphs = "".join(f"<p>{html(p)}</p>" for p in hit["text"].split("\n") if p.strip())
    return (
        f'<p class="kind">{kind}</p><h2>{html(title)}</h2>{picture}'
        f'<div class="full">{paragraphs}</div><dl>{rows}</dl>'
    )


def _thumbnail(hit: Json) -> str:
    return f'<img src="{escape(hit["image"])}/thumbnail" alt="" loading="lazy">'


def _where(hit: Json) -> str:
    section = hit["section"][-1] if hit["section"] else ""
    return " · ".join(p for p in (hit["corpus"], section, hit["licence"].split(",")[0]) if p)


def _style(answer: Json) -> str:
    """What the encoder took the picture for, and which experts adapted it."""
    styles = sorted(answer["styles"].items(), key=lambda s: -s[1])
    if not styles:
        return ""
    name, share = styles[0]
    said = f"looks like <b>{escape(_readable(name))}</b>"
    if share < _SURE:
        said = f"may be <b>{escape(_readable(name))}</b>"
    bars = "".join(_bar(_readable(n), s) for n, s in styles[:4])
    experts = "".join(_bar(f"Expert {i}", s) for i, s in enumerate(answer["experts"], 1))
    columns = f"<div><h4>Query style</h4>{bars}</div>"
    if experts:
        columns += f"<div><h4>Experts at work</h4>{experts}</div>"
    return (
        f'<details class="style"><summary>Your picture {said} '
        f"({share:.0%})</summary><div>{columns}</div></details>"
    )


def _bar(name: str, share: float) -> str:
    return (
        f'<div class="bar"><span>{escape(name)}</span>'
        f'<i style="--share:{share:.3f}"></i><b>{share:.0%}</b></div>'
    )


def _readable(style: str) -> str:
    return {"lowres": "low resolution", "art": "painting"}.get(style, style.replace("_", " "))


def suggestions(answer: Json) -> str:
    """What may be asked next: other tasks on the same question, and what was found beside it."""
    asked = [(TASKS[t], answer["query"], t) for t in ("steps", "quiz")]
    task = answer.get("task", "explain")
    made = [] if answer["refused"] or not answer["query"] else [a for a in asked if a[2] != task]
    cited = {c for s in answer["sentences"] for c in s["citations"]}
    seen = {h["title"].casefold() for h in answer["hits"] if h["id"] in cited}
    for hit in answer["hits"]:
        title = hit["title"]
        if hit["kind"] == "passage" and 3 <= len(title) <= 60 and title.casefold() not in seen:
            seen.add(title.casefold())
            made.append((title, f"Explain: {title}", "explain"))
        if len(made) == 4:
            break
    if not made:
        return ""
    buttons = "".join(
        f'<button type="button" class="suggestion" data-ask="{escape(text)}" '
        f'data-task="{t}">{escape(label)}</button>'
        for label, text, t in made
    )
    return f'<div class="suggestions" aria-label="Ask next"><span>Next:</span>{buttons}</div>'


def history(conversations: Sequence[Json], current: str) -> str:
    """The list at the side, the newest first."""
    if not conversations:
        return '<p class="quiet">Your questions will be kept here.</p>'
    rows = "".join(
        f"<li{' aria-current=true' if c['id'] == current else ''}>"
        f'<button type="button" class="open" data-conversation="{c["id"]}">'
        f"{html(c['title']) or 'A picture'}</button>"
        f'<a href="v1/conversations/{c["id"]}/markdown" download="conversation.md" '
        f'aria-label="Download as Markdown" title="Download as Markdown">↓</a>'
        f'<button type="button" class="delete" data-delete="{c["id"]}" '
        f'aria-label="Delete this conversation" title="Delete">×</button></li>'
        for c in conversations
    )
    return f'<ul class="history">{rows}</ul>'
