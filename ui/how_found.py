"""The panel "How was this found?" below an answer: what was read, and how sure the app is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from unirag.schemas import AnswerOut
from unirag.serialization import count_of

__all__ = ["how_found", "readable_style"]

_MIN_CERTAIN_SHARE = 0.9  # of a kind of picture, to name it: below, one in five names is wrong
_MAX_STYLES = 4
_STYLE_NAMES = {"lowres": "low resolution", "art": "painting"}


def how_found(answer: AnswerOut) -> str:
    """Return the panel, closed."""
    if not answer.hits:
        return ""
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in _facts(answer))
    return (
        "<details class=how><summary>How was this found?</summary>"
        f"<ul>{facts}</ul>{_picture(answer)}</details>"
    )


def readable_style(name: str) -> str:
    """Return the name of a kind of picture in plain words."""
    return _STYLE_NAMES.get(name, name.replace("_", " "))


def _facts(answer: AnswerOut) -> list[str]:
    passages = sum(hit.kind == "passage" for hit in answer.hits)
    figures = len(answer.hits) - passages
    facts = [
        f"The books were searched for “{answer.query}”." if answer.query else "",
        f"{count_of(passages, 'passage')} and {count_of(figures, 'figure')} came closest.",
    ]
    if not answer.refused:
        quoted = sum(sentence.quoted for sentence in answer.sentences)
        facts.append(
            f"{count_of(len(answer.sentences), 'sentence')}: {quoted:,} copied word for word, "
            f"{len(answer.sentences) - quoted:,} written and checked against the books."
        )
    seconds = sum(answer.timings_ms.get(step, 0.0) for step in ("total", "generate")) / 1000
    if seconds:
        facts.append(f"It took {seconds:.1f} seconds.")
    return [fact for fact in facts if fact]


def _picture(answer: AnswerOut) -> str:
    """Return what kind of picture the question had; "" for a question without one."""
    styles = sorted(answer.styles.items(), key=lambda style: -style[1])
    if not styles:
        return ""
    name, share = styles[0]
    verdict = "The app is not sure what kind of picture yours is."
    if share >= _MIN_CERTAIN_SHARE:
        verdict = f"Your picture was read as: {readable_style(name)}."
    kinds = _bars([(readable_style(name), share) for name, share in styles[:_MAX_STYLES]])
    parts = [(f"Part {number}", share) for number, share in enumerate(answer.experts, 1)]
    columns = f"<div><h4>Kind of picture</h4>{kinds}</div>"
    if parts:
        columns += f"<div><h4>Parts of the picture reader that worked</h4>{_bars(parts)}</div>"
    return f"<p>{escape(verdict)}</p><div class=columns>{columns}</div>"


def _bars(shares: Sequence[tuple[str, float]]) -> str:
    return "".join(
        f'<div class="bar"><span>{escape(label)}</span>'
        f'<i style="--share:{share:.3f}"></i><b>{share:.0%}</b></div>'
        for label, share in shares
    )
