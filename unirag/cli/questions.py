"""`unirag search` and `unirag ask`."""

from __future__ import annotations

from collections.abc import Iterable

from data.records import Answer, Sentence
from generation.tasks import TaskRequest
from unirag.app import App
from unirag.cli.options import (
    AudioOption,
    CorpusOption,
    ImageOption,
    KindOption,
    LevelOption,
    LimitOption,
    RoleOption,
    SectionOption,
    StudentAnswerOption,
    StyleOption,
    TaskOption,
    TeacherOption,
    TextArgument,
    parse_filter,
    parse_query,
)
from unirag.cli.output import out, plain, print_hits, print_json
from unirag.cli.session import Session
from unirag.schemas import AnswerOut, SearchOut
from unirag.search.result import SearchResult
from unirag.serialization import answer_out, correction_line, search_out

__all__ = ["ask", "print_answer", "search"]

_MAX_STYLES = 2  # printed styles of a query picture


def search(
    session: Session,
    text: TextArgument = "",
    image: ImageOption = None,
    style: StyleOption = "auto",
    audio: AudioOption = None,
    limit: LimitOption = 5,
    corpus: CorpusOption = None,
    kind: KindOption = None,
    section: SectionOption = None,
    role: RoleOption = None,
    teacher: TeacherOption = False,
) -> None:
    """Find figures and passages by words, pictures, speech or any mix."""
    settings = session.settings()
    where = parse_filter(corpus, section, teacher, kind, role)
    query = parse_query(text, image, style, audio)
    with session.open_app(settings) as app:
        result = search_out(app.search(query, limit=limit, where=where), app.components.assets.path)
    if session.json:
        print_json(result)
    else:
        _print_search(result)


def _print_search(result: SearchOut) -> None:
    _print_corrections(result)
    if not result.hits:
        out.print(
            "Nothing found: no corpus here matches. `unirag corpora list` shows what is indexed."
        )
    elif result.no_good_match:
        out.print("[yellow]No good match; the nearest material:[/]")
    if result.styles:
        styles = sorted(result.styles.items(), key=lambda pair: -pair[1])[:_MAX_STYLES]
        shares = ", ".join(f"{name} {share:.0%}" for name, share in styles)
        out.print(f"[dim]The picture looks like: {shares}[/]")
    print_hits(result.hits)


def _print_corrections(result: SearchOut) -> None:
    if line := correction_line(result):
        out.print(f"[dim]{plain(line)}[/]")


def ask(
    session: Session,
    text: TextArgument = "",
    image: ImageOption = None,
    style: StyleOption = "auto",
    audio: AudioOption = None,
    task: TaskOption = "explain",
    level: LevelOption = "school",
    student_answer: StudentAnswerOption = "",
    limit: LimitOption = 5,
    corpus: CorpusOption = None,
    section: SectionOption = None,
    teacher: TeacherOption = False,
) -> None:
    """Explain the answer, every sentence cited, or say that there is no evidence."""
    request = TaskRequest(task, level, student_answer)  # type: ignore[arg-type]
    settings = session.settings()
    where = parse_filter(corpus, section, teacher)
    query = parse_query(text, image, style, audio)
    with session.open_app(settings) as app:
        events = app.stream(query, limit=limit, where=where, task=request)
        if session.json:
            print_json(_whole_answer(app, events))
        else:
            print_answer(app, events)


def _whole_answer(
    app: App, events: Iterable[SearchResult | Sentence | Answer], *, echo: bool = False
) -> AnswerOut:
    """Return the wire model of the answer; `echo` prints each sentence as it comes."""
    for event in events:
        if isinstance(event, SearchResult):
            result = event
        elif isinstance(event, Answer):
            answer = event
        elif echo:
            out.print(event.cited_text, markup=False, soft_wrap=True)
    return answer_out(answer, result, app.components.assets.path)


def print_answer(app: App, events: Iterable[SearchResult | Sentence | Answer]) -> None:
    """Print sentences as they come, each with its citation numbers, then the cited hits."""
    answer = _whole_answer(app, events, echo=True)
    _print_corrections(answer)
    if answer.refused:
        out.print(f"[yellow]{answer.answer} The nearest material:[/]")
    out.print()
    print_hits(answer.cited_hits)
