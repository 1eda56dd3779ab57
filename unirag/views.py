"""The JSON that the command line and the service answer with: one schema for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from data.records import CHANNELS, Answer, Hit, Item
from unirag.search import Found

__all__ = ["answer_json", "found_json", "source_line"]

# A digest to where its picture can be had (a path or an address), or None where it is not kept.
Address = Callable[[str], object]


def found_json(found: Found, address: Address) -> dict[str, Any]:
    return {
        "query": found.words,
        "hits": [_hit_json(h, address) for h in found.hits],
        "no_good_match": found.no_good_match,
        "styles": {name: _rounded(share) for name, share in found.styles.items()},
        "experts": [_rounded(share) for share in found.experts],
        "timings_ms": _timings(found.timings_ms),
    }


def answer_json(answer: Answer, found: Found, address: Address) -> dict[str, Any]:
    return {
        **found_json(found, address),
        "timings_ms": _timings(answer.timings_ms),
        "answer": answer.text,
        "sentences": [
            {"text": s.text, "citations": list(s.citations), "support": s.support}
            for s in answer.sentences
        ],
        "quoted": answer.quoted,
        "refused": answer.refused,
    }


def source_line(item: Item) -> str:
    """Where an item stands, in a few words."""
    page = f", page {item.page}" if item.page else ""
    return f"{item.corpus}: {item.source}{page}"


def _hit_json(hit: Hit, address: Address) -> dict[str, Any]:
    item = hit.item
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
        "score": round(hit.score, 6),
        "channels": {c: _rounded(hit.channels.get(c)) for c in CHANNELS},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _timings(timings: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in timings.items()}
