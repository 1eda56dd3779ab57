"""Makes the wire models of `unirag/schemas.py` from records, and texts that all interfaces show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data.documents import ProblemKind
from data.records import CHANNELS, Answer, Hit, Item, Sentence
from unirag.schemas import (
    AnswerOut,
    AnswerTurnOut,
    ConversationOut,
    CoverageOut,
    CoveredOut,
    HitOut,
    ItemOut,
    SearchOut,
    SentenceOut,
    TurnOut,
)
from unirag.search.result import SearchResult
from unirag.workspace.conversations import Conversation

__all__ = [
    "answer_out",
    "answer_text",
    "conversation_markdown",
    "conversation_out",
    "correction_line",
    "count_of",
    "coverage_line",
    "hit_out",
    "item_out",
    "left_out_line",
    "problem_line",
    "search_out",
    "sentence_out",
    "source_line",
]

# Turns the digest of a picture into its path or address; None if the picture is lost.
PictureAddress = Callable[[str], object]


def search_out(result: SearchResult, address: PictureAddress) -> SearchOut:
    """Return the wire model of a search."""
    return SearchOut(**_search_fields(result, address), timings_ms=_rounded(result.timings_ms, 1))


def answer_out(answer: Answer, result: SearchResult, address: PictureAddress) -> AnswerOut:
    """Return the wire model of an answer to the question of `result`."""
    return AnswerOut(
        **_search_fields(result, address),
        timings_ms=_rounded(answer.timings_ms, 1),
        task=answer.task,
        level=answer.level,
        answer=answer.text,
        sentences=[sentence_out(sentence) for sentence in answer.sentences],
        references=[hit.item.id for hit in answer.references],
        quoted=answer.quoted,
        refused=answer.refused,
    )


def sentence_out(sentence: Sentence) -> SentenceOut:
    """Return the wire model of a sentence."""
    return SentenceOut(
        text=sentence.text,
        citations=list(sentence.citations),
        numbers=list(sentence.numbers),
        support=sentence.support,
        quoted=sentence.quoted,
    )


def hit_out(hit: Hit, address: PictureAddress) -> HitOut:
    """Return the wire model of a hit."""
    channels = {c: _round(hit.channels.get(c), 4) for c in CHANNELS}
    return HitOut(
        **_evidence_fields(hit.item, address),
        score=round(hit.score, 6),
        channels=channels,
        relevance=hit.relevance,
    )


def item_out(item: Item, address: PictureAddress) -> ItemOut:
    """Return the wire model of an item."""
    return ItemOut(
        **_evidence_fields(item, address),
        labels=item.labels,
        page=item.page,
        neighbours=list(item.neighbours),
    )


def conversation_out(conversation: Conversation) -> ConversationOut:
    """Return the wire model of a conversation, its pictures by their address under the service."""
    pictures = f"/v1/conversations/{conversation.id}/pictures"
    return ConversationOut(
        id=conversation.id,
        title=conversation.title,
        created=conversation.created,
        turns=[
            TurnOut(
                number=turn.number,
                question=turn.question,
                pictures=[f"{pictures}/{digest}" for digest in turn.pictures],
                answer=AnswerTurnOut.model_validate(turn.answer) if turn.answer else None,
                asked_at=turn.asked_at,
                vote=turn.vote,
            )
            for turn in conversation.turns
        ],
    )


def conversation_markdown(conversation: Conversation) -> str:
    """Return a conversation as Markdown, with the place and licence of every source.

    Signs of HTML are escaped: a viewer that renders HTML shows them as they were written.
    """
    title = _escape(conversation.title) or "A conversation"
    lines = [f"# {title}", ""]
    for turn in conversation_out(conversation).turns:
        lines += [f"## {_escape(turn.question) or 'A picture'}", ""]
        text = _escape(answer_text(turn.answer)) if turn.answer else "*No answer was made.*"
        lines += [text, ""]
    return "\n".join(lines)


def answer_text(answer: AnswerOut) -> str:
    """Return the sentences of an answer, then the place and licence of every source."""
    sources = [f"{n}. {_source(hit)}" for n, hit in enumerate(answer.cited_hits, 1)]
    return "\n".join([_cited_text(answer), "", *sources]).rstrip() + "\n"


def _escape(text: str) -> str:
    """Escape the sign that begins HTML in Markdown."""
    return text.replace("<", "&lt;")


def _cited_text(answer: AnswerOut) -> str:
    if answer.refused:
        return f"{answer.answer} The nearest material:"
    sentences = tuple(
        Sentence(s.text, tuple(s.citations), s.support, s.quoted, tuple(s.numbers))
        for s in answer.sentences
    )
    return Answer(answer.query, sentences, (), task=answer.task).cited_text


def _source(hit: HitOut) -> str:
    rights = ", ".join(part for part in (hit.attribution, hit.licence) if part)
    place = f"{hit.source} ({rights})" if rights else hit.source
    return f"{hit.title or hit.text[:80]} — {place}"


def correction_line(search: SearchOut) -> str:
    """Say which words were searched for instead of slips; "" if there was none."""
    pairs = (f"“{word}” instead of “{slip}”" for slip, word in search.corrections.items())
    corrections = ", ".join(pairs)
    return f"Searched for {corrections}." if corrections else ""


def coverage_line(coverage: CoverageOut) -> str:
    """Sum up the coverage of a corpus in a sentence."""
    items = f"{count_of(coverage.figures, 'figure')} and {count_of(coverage.passages, 'passage')}"
    documents = f"{coverage.documents:,} of {count_of(coverage.total, 'document')}"
    problems = {
        "could not be read": coverage.failed,
        "not read to their end": coverage.unfinished,
        "without some of their parts": coverage.with_problems,
    }
    counts = [f"{count:,} {problem}" for problem, count in problems.items() if count]
    return "; ".join([f"{coverage.name}: {items} from {documents}", *counts])


def left_out_line(document: CoveredOut) -> str:
    """Say which parts of a document are not indexed, and why; "" if all of them are."""
    has_items = bool(document.figures + document.passages)
    note = " The items of its earlier version are kept." if has_items else ""
    if document.state == "failed":
        return f"Not read: {document.reason}{'.' if note else ''}{note}"
    if document.state != "stored":
        return f"Not read to its end; index again.{note}"
    if document.problems:
        return "; ".join(problem_line(p.message, p.kind, p.page) for p in document.problems)
    return "" if has_items else "It holds nothing to search for."


def problem_line(message: str, kind: ProblemKind, page: int | None) -> str:
    """Return the reason why a part was left out, with its kind and page if they are known."""
    places = ["" if kind == "part" else kind, f"page {page}" if page else ""]
    place = ", ".join(filter(None, places))
    return f"{message} ({place})" if place else message


def source_line(item: Item) -> str:
    """Return the corpus, document and page of an item."""
    page = f", page {item.page}" if item.page else ""
    return f"{item.corpus}: {item.source}{page}"


def count_of(count: int, noun: str) -> str:
    """Return the count with its noun: `1 figure`, `2 figures`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _search_fields(result: SearchResult, address: PictureAddress) -> dict[str, Any]:
    return {
        "query": result.question,
        "hits": [hit_out(hit, address) for hit in result.hits],
        "no_good_match": result.no_good_match,
        "corrections": dict(result.corrections),
        "styles": _rounded(result.styles, 4),
        "experts": [round(share, 4) for share in result.experts],
    }


def _evidence_fields(item: Item, address: PictureAddress) -> dict[str, Any]:
    image = address(item.image) if item.image else None
    return {
        "id": item.id,
        "kind": item.kind,
        "title": item.title,
        "text": item.text,
        "image": None if image is None else str(image),
        "corpus": item.corpus,
        "section": list(item.section),
        "source": source_line(item),
        "licence": item.licence,
        "attribution": item.attribution,
    }


def _rounded(values: Any, digits: int) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
