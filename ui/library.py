"""The HTML of the teacher's library: corpora, index jobs, query styles and daily usage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from unirag.indexing.jobs import Job
from unirag.schemas import AnswerTurnOut, CorpusOut, StyleOut
from unirag.serialization import count_of
from unirag.workspace.conversations import VotedAnswer

__all__ = ["FORMS", "corpora_table", "jobs_table", "styles_table", "usage_table", "votes_table"]

_STATE_LABELS = {
    "queued": "Waiting",
    "running": "Indexing",
    "done": "Done",
    "partly": "Done, some documents left out",
    "failed": "Failed",
    "cancelled": "Cancelled",
}

# static/app.js sends these forms to the endpoints in data-post
FORMS = """<div class="library">
<h2>Add material</h2>
<p>Documents, pictures, or a zip archive of them. Formats: PDF, Word, PowerPoint, Excel,
OpenDocument, EPUB, HTML, Markdown, LaTeX, Jupyter notebooks, transcripts, CSV, plain text, OpenStax
CNXML. Uploads to the same book or course add up. A file with the name of an earlier one replaces
it.</p>
<form data-post="v1/index-jobs" data-each="file"
data-done="Received. Indexing goes on in the background; see below.">
<label>Book or course <small>letters, digits and spaces</small>
<input name="corpus" required maxlength="100" pattern="\\s*[A-Za-z0-9]+([ \\-]+[A-Za-z0-9]+)*\\s*"
placeholder="Year 9 Physics"></label>
<label>Files <input name="file" type="file" multiple required></label>
<button>Upload and index</button><ul class="uploads"></ul><output></output></form>
<h2>Teach a query style</h2>
<p>Choose 8 to 32 pictures in a style that is not recognised well yet, such as chalk on your
blackboard. If you also send the figures that they show, in the same order, the encoder learns
more.</p>
<form data-post="v1/styles" data-done="Learnt. Pictures in this style are recognised from now on.">
<label>Name of the style <input name="name" required maxlength="100" placeholder="blackboard">
</label>
<label>Examples <input name="examples" type="file" accept="image/*" multiple required></label>
<label>Originals <small>if you have them</small>
<input name="originals" type="file" accept="image/*" multiple></label>
<button>Teach</button><progress hidden max="1"></progress><output></output></form>
</div>"""


class _Html(str):
    """The content of a table cell that is HTML already."""

    __slots__ = ()


def corpora_table(corpora: Sequence[CorpusOut]) -> str:
    """Return the corpora with their counts; each name links to the corpus's coverage page."""
    rows = [
        (
            _Html(f'<a href="coverage/{quote(corpus.name)}">{escape(corpus.name)}</a>'),
            corpus.documents,
            corpus.figures,
            corpus.passages,
            ", ".join(part for part in (corpus.attribution, corpus.licence) if part),
            _Html(
                f'<button type="button" data-remove="v1/corpora/{quote(corpus.name)}" '
                f'data-name="{escape(corpus.name)}">Delete</button>'
            ),
        )
        for corpus in corpora
    ]
    columns = ("Corpus", "Documents", "Figures", "Passages", "Rights", "Change")
    return _table("Corpora", columns, rows, "Nothing is indexed yet.")


def jobs_table(jobs: Sequence[Job]) -> str:
    """Return index jobs with their progress, what was left out, and a button to cancel them.

    Each job reads its whole corpus again, so only the newest of a corpus lists what was left out.
    """
    newest = {job.corpus: job.id for job in reversed(jobs) if job.report}
    rows = [
        (
            job.corpus,
            _time(job.created),
            _Html(_job_state(job)),
            _Html(_job_outcome(job, has_reasons=newest.get(job.corpus) == job.id)),
        )
        for job in jobs
    ]
    columns = ("Corpus", "Since", "State", "Outcome")
    return _table("Index jobs", columns, rows, "No job yet.")


def styles_table(styles: Sequence[StyleOut]) -> str:
    """Return the query styles, trained and enrolled."""
    rows = [
        (
            style.name.replace("_", " "),
            "trained" if style.version is None else f"learnt, version {style.version}",
            "" if style.examples is None else style.examples,
            "yes" if style.in_use else "no",
        )
        for style in styles
    ]
    return _table("Query styles", ("Style", "Origin", "Examples", "In use"), rows, "No style.")


def usage_table(days: Sequence[tuple[str, int, int, int]]) -> str:
    """Return the counts of `Conversations.daily_usage`."""
    columns = ("Day", "Questions", "Answered", "No evidence")
    return _table("Questions of the last 14 days", columns, days, "Nobody has asked yet.")


def votes_table(votes: Sequence[VotedAnswer]) -> str:
    """Return the answers that students marked with a thumb, without their names."""
    rows = [
        (
            _Html(f"<span class=narrow>{'good' if voted.vote > 0 else 'bad'}</span>"),
            voted.question,
            AnswerTurnOut.model_validate(voted.answer).answer,
            _time(voted.voted_at),
        )
        for voted in votes
    ]
    columns = ("Thumb", "Question", "Answer", "When")
    return _table("Answers that students marked", columns, rows, "Nobody has marked an answer yet.")


def _job_state(job: Job) -> str:
    html = escape(_STATE_LABELS[job.state])
    if job.state == "running" and job.total:
        label = _progress_label(job)
        bar = f'<progress max="{job.total}" value="{job.documents}">{label}</progress>'
        html += f"<br>{bar} {label}"
    if job.state in ("queued", "running"):
        html += f'<br><button type="button" data-cancel="{escape(job.id)}">Cancel</button>'
    return html


def _progress_label(job: Job) -> str:
    label = f"{job.documents} of {job.total} documents"
    if job.failed:
        label += f", {job.failed} left out"
    if job.seconds_left is not None:
        label += f", about {max(1, round(job.seconds_left / 60))} min left"
    return label


def _job_outcome(job: Job, *, has_reasons: bool) -> str:
    if job.report is None:
        return escape(job.message)
    figures = count_of(job.report["figures"], "figure")
    passages = count_of(job.report["passages"], "passage")
    indexed = f"{figures}, {passages} indexed"
    dead_letters = job.report["dead_letters"]
    if not dead_letters:
        return indexed
    summary = f"{count_of(len(dead_letters), 'document')} left out"
    if not has_reasons:
        return f"{indexed}; {summary}"
    reasons = "".join(
        f"<li>{escape(letter['source'])}: {escape(letter['message'])}</li>"
        for letter in dead_letters
    )
    return f"{indexed}<details><summary>{summary}</summary><ul>{reasons}</ul></details>"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> str:
    """Return a table under its title, or the sentence `empty` if there are no rows."""
    if not rows:
        return f'<div class="library"><h2>{title}</h2><p>{empty}</p></div>'
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return (
        f'<div class="library"><h2>{title}</h2><div class="scroll"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div></div>"
    )


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{value if isinstance(value, _Html) else escape(str(value))}</td>"
