"""The JSON that the command line and the service answer with: one schema for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from data.records import CHANNELS, Answer, Hit, Item, Sentence, Task
from unirag.search.searcher import SearchResult
from unirag.workspace.conversations import Conversation, Turn

__all__ = [
    "Numbers",
    "answer_json",
    "cited",
    "conversation_json",
    "conversation_markdown",
    "coverage_line",
    "found_json",
    "item_json",
    "many",
    "missing_line",
    "sentence_json",
    "source_line",
]

# Tasks whose sentences stand on a line each.
_LISTED: tuple[Task, ...] = ("steps", "quiz", "feedback")
# A digest to where its picture can be had (a path or an address), or None where it is not kept.
Address = Callable[[str], object]


def found_json(found: SearchResult, address: Address) -> dict[str, Any]:
    return {
        "query": found.words,
        "hits": [_hit_json(h, address) for h in found.hits],
        "no_good_match": found.no_good_match,
        "styles": {name: _rounded(share) for name, share in found.styles.items()},
        "experts": [_rounded(share) for share in found.experts],
        "timings_ms": _timings(found.timings_ms),
    }


def answer_json(answer: Answer, found: SearchResult, address: Address) -> dict[str, Any]:
    return {
        **found_json(found, address),
        "timings_ms": _timings(answer.timings_ms),
        "task": answer.task,
        "level": answer.level,
        "answer": answer.text,
        "sentences": [sentence_json(s) for s in answer.sentences],
        "quoted": answer.quoted,
        "refused": answer.refused,
    }


def sentence_json(sentence: Sentence) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "citations": list(sentence.citations),
        "support": sentence.support,
        "quoted": sentence.quoted,
    }


def item_json(item: Item, address: Address) -> dict[str, Any]:
    return {
        **_shown(item, address),
        "labels": item.labels,
        "page": item.page,
        "neighbours": list(item.neighbours),
    }


class Numbers:
    """Citations as readers see them: [1] for what is cited first, [2] for the next."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def behind(self, sentence: Mapping[str, Any]) -> str:
        """The sentence of `sentence_json` with its numbers behind it."""
        numbers = []
        for name in sentence["citations"]:
            if name not in self.order:
                self.order.append(name)
            numbers.append(f"[{self.order.index(name) + 1}]")
        text = f"“{sentence['text']}”" if sentence.get("quoted") else sentence["text"]
        return " ".join([text, "".join(numbers)]).strip()


def cited(answer: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The text of `answer_json` with numbered citations, and the hits that they stand for."""
    numbers = Numbers()
    between = "\n\n" if answer.get("task") in _LISTED else " "
    text = between.join(numbers.behind(s) for s in answer["sentences"])
    hits = {h["id"]: h for h in answer["hits"]}
    return text, [hits[name] for name in numbers.order if name in hits]


def conversation_json(kept: Conversation) -> dict[str, Any]:
    """A conversation with its turns; pictures by their address under the service."""

    def turn(t: Turn) -> dict[str, Any]:
        pictures = [f"/v1/conversations/{kept.id}/pictures/{d}" for d in t.pictures]
        return {
            "number": t.number,
            "question": t.question,
            "pictures": pictures,
            "answer": t.answer,
            "asked": t.asked,
        }

    return {
        "id": kept.id,
        "title": kept.title,
        "created": kept.created,
        "turns": [turn(t) for t in kept.turns],
    }


def conversation_markdown(conversation: Conversation) -> str:
    """A conversation to take away, with where each source stands and under which licence."""
    lines = [f"# {conversation.title or 'A conversation'}", ""]
    for turn in conversation.turns:
        lines += [f"## {turn.question or 'A picture'}", ""]
        if turn.answer is None:
            lines += ["*No answer was made.*", ""]
            continue
        text, sources = cited(turn.answer)
        if turn.answer["refused"]:
            text = "No evidence for this in what is indexed. The nearest material:"
            sources = turn.answer["hits"][:3]
        lines += [text, ""]
        for number, hit in enumerate(sources, 1):
            rights = ", ".join(part for part in (hit["attribution"], hit["licence"]) if part)
            where = hit["source"] + (f" ({rights})" if rights else "")
            lines.append(f"{number}. {hit['title'] or hit['text'][:80]} — {where}")
        lines.append("")
    return "\n".join(lines)


def coverage_line(coverage: Mapping[str, Any]) -> str:
    """All of a corpus in a sentence, of `App.coverage`."""
    taken = f"{many(coverage['figures'], 'figure')} and {many(coverage['passages'], 'passage')}"
    of = f"{coverage['documents']:,} of {many(coverage['total'], 'document')}"
    said = f"{coverage['name']}: {taken} from {of}"
    rest = {
        "could not be read": coverage["failed"],
        "not read to their end": coverage["unfinished"],
        "without some of their parts": coverage["cut"],
    }
    return "; ".join([said, *(f"{count:,} {what}" for what, count in rest.items() if count)])


def missing_line(covered: Mapping[str, Any]) -> str:
    """What of a document of `App.coverage` is not indexed, and why; "" where all of it is."""
    before = " What was read before is kept." if covered["figures"] + covered["passages"] else ""
    if covered["state"] == "failed":
        return f"Not read: {covered['reason']}{'.' if before else ''}{before}"
    if covered["state"] != "stored":
        return f"Not read to its end; index again.{before}"
    if covered["left_out"]:
        return "; ".join(part["message"] for part in covered["left_out"])
    return "" if covered["figures"] + covered["passages"] else "Nothing in it that can be searched."


def source_line(item: Item) -> str:
    """Where an item stands, in a few words."""
    page = f", page {item.page}" if item.page else ""
    return f"{item.corpus}: {item.source}{page}"


def _hit_json(hit: Hit, address: Address) -> dict[str, Any]:
    return {
        **_shown(hit.item, address),
        "score": round(hit.score, 6),
        "channels": {c: _rounded(hit.channels.get(c)) for c in CHANNELS},
    }


def _shown(item: Item, address: Address) -> dict[str, Any]:
    place = address(item.image) if item.image else None
    return {
        "id": item.id,
        "kind": item.kind,
        "title": item.title,
        "text": item.text,
        "image": None if place is None else str(place),
        "corpus": item.corpus,
        "section": list(item.section),
        "source": source_line(item),
        "licence": item.licence,
        "attribution": item.attribution,
    }


def many(count: int, what: str) -> str:
    """The count with its noun: `1 figure`, `2 figures`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _timings(timings: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in timings.items()}
