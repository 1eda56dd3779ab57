"""The teacher's side as HTML: what is indexed, index jobs, query styles, how much is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from unirag.indexing.jobs import Job
from unirag.serialization import many

__all__ = ["FORMS", "corpora", "jobs", "styles", "usage"]

_STATES = {
    "queued": "Waiting",
    "running": "Indexing",
    "done": "Done",
    "partly": "Done, but for some documents",
    "failed": "Failed",
    "cancelled": "Cancelled",
}

FORMS = """<div class="library">
<h3>Add material</h3>
<p>A document, a picture or a zip archive of them: PDF, Word, PowerPoint, HTML, Markdown, OpenStax
CNXML. Uploads to the same corpus add up; the same name again replaces what was there.</p>
<form data-post="v1/index-jobs" data-done="Received. It is indexed in the background; see below.">
<label>Corpus <small>lower-case letters, digits and hyphens</small>
<input name="corpus" required maxlength="100" pattern="[a-z0-9]+(-[a-z0-9]+)*"
placeholder="year-9-physics"></label>
<label>File <input name="file" type="file" required></label>
<button>Upload and index</button><progress hidden max="1"></progress><output></output></form>
<h3>Teach a query style</h3>
<p>Eight to 32 pictures in a style that is not recognised well yet, such as chalk on your
blackboard. With the figures that they show, in the same order, more is learned.</p>
<form data-post="v1/styles" data-done="Learned. Queries in this style are recognised from now on.">
<label>Name of the style <input name="name" required maxlength="100" placeholder="blackboard">
</label>
<label>Examples <input name="examples" type="file" accept="image/*" multiple required></label>
<label>Originals <small>if you have them</small>
<input name="originals" type="file" accept="image/*" multiple></label>
<button>Teach</button><progress hidden max="1"></progress><output></output></form>
</div>"""


def corpora(known: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            _Html(f'<a href="coverage/{quote(c["name"])}">{escape(c["name"])}</a>'),
            *(_Number(c[name]) for name in ("documents", "figures", "passages")),
            ", ".join(part for part in (c["attribution"], c["licence"]) if part),
        )
        for c in known
    ]
    head = ("Corpus", "Documents", "Figures", "Passages", "Rights")
    return _section("Corpora", head, rows, "Nothing is indexed yet.")


def jobs(known: Sequence[Job]) -> str:
    """The newest first; each with its progress, what was left out, and a way to stop it."""
    rows = [(j.corpus, _when(j.created), _Html(_state(j)), _Html(_outcome(j))) for j in known]
    head = ("Corpus", "Since", "State", "Outcome")
    return _section("Index jobs", head, rows, "No job yet.")


def styles(known: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            s["name"].replace("_", " "),
            "trained" if s["version"] is None else f"taught, version {s['version']}",
            "" if s["examples"] is None else _Number(s["examples"]),
            "yes" if s["in_use"] else "no",
        )
        for s in known
    ]
    return _section("Query styles", ("Style", "Origin", "Examples", "In use"), rows, "")


def usage(days: Sequence[tuple[str, int, int, int]]) -> str:
    """The days of `Conversations.usage`."""
    rows = [(day, *(_Number(n) for n in counts)) for day, *counts in days]
    head = ("Day", "Questions", "Answered", "No evidence")
    return _section("Questions of the last 14 days", head, rows, "Nobody has asked yet.")


class _Number(int):
    pass


class _Html(str):
    __slots__ = ()


def _state(job: Job) -> str:
    said = escape(_STATES[job.state])
    if job.state == "running" and job.total:
        label = f"{job.documents} of {job.total} documents"
        if job.failed:
            label += f", {job.failed} left out"
        if job.seconds_left is not None:
            label += f", about {max(1, round(job.seconds_left / 60))} min left"
        said += (
            f'<br><progress max="{job.total}" value="{job.documents}">{label}</progress> {label}'
        )
    if job.state in ("queued", "running"):
        said += f'<br><button type="button" data-cancel="{escape(job.id)}">Cancel</button>'
    return said


def _outcome(job: Job) -> str:
    if job.report is None:
        return escape(job.message)
    figures, passages = job.report["figures"], job.report["passages"]
    counted = f"{many(figures, 'figure')}, {many(passages, 'passage')} indexed"
    dead = job.report["dead_letters"]
    if not dead:
        return counted
    lines = "".join(f"<li>{escape(d['source'])}: {escape(d['message'])}</li>" for d in dead)
    said = many(len(dead), "document")
    return f"{counted}<details><summary>{said} left out</summary><ul>{lines}</ul></details>"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _section(
    title: str, head: Sequence[str], rows: Sequence[Sequence[object]], nothing: str
) -> str:
    if not rows:
        return f'<div class="library"><h3>{title}</h3><p>{nothing}</p></div>'
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(f"<tr>{''.join(_cell(v) for v in row)}</tr>" for row in rows)
    return (
        f'<div class="library"><h3>{title}</h3><div class="scroll"><table><thead><tr>{heads}</tr>'
        f"</thead><tbody>{body}</tbody></table></div></div>"
    )


def _cell(value: object) -> str:
    if isinstance(value, _Number):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{value if isinstance(value, _Html) else escape(str(value))}</td>"
