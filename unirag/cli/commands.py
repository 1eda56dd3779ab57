"""The commands. Each parses, calls `App`, and prints; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID
from rich.table import Table

from data.errors import Missing
from data.records import Answer, Sentence
from generation.tasks import TaskRequest
from unirag.app import App
from unirag.cli.arguments import (
    AudioOption,
    ConfigOption,
    CorpusFilter,
    HomeOption,
    ImageOption,
    JsonOption,
    KindOption,
    LevelOption,
    LimitOption,
    ProfileOption,
    RoleOption,
    SectionOption,
    StudentAnswerOption,
    StyleOption,
    TaskOption,
    TeacherOption,
    TextArgument,
    images_of,
    sounds_of,
    where_of,
)
from unirag.cli.corpora import corpora_app, reembed
from unirag.cli.learning import adapt, eval_app, styles_app, train
from unirag.cli.output import err, out, plain, print_hits, print_json, progress_bar
from unirag.cli.planning import plan
from unirag.doctor import examine, worst
from unirag.indexing.indexer import Progress, Report
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore, Pull
from unirag.search.searcher import SearchResult
from unirag.serialization import answer_json, found_json
from unirag.settings import Settings, load_settings
from unirag.workspace.catalog import Trouble
from unirag.workspace.paths import Workspace

__all__ = ["app", "index_command", "show_answer"]

app = typer.Typer(
    help="Find the textbook figures and passages that answer a question, and explain them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="See and fetch the models of a profile.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(corpora_app, name="corpora")
app.add_typer(styles_app, name="styles")
app.add_typer(eval_app, name="eval")
app.command()(train)
app.command()(adapt)
app.command()(reembed)
app.command()(plan)


@app.command()
def index(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders or OpenStax repositories.")],
    corpus: Annotated[str | None, typer.Option("--corpus", help="Name; else the folder's.")] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what is no longer there.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Read again what could not be read before.")
    ] = False,
    ocr: Annotated[bool, typer.Option("--ocr/--no-ocr", help="Read labels in figures.")] = True,
    engine: Annotated[
        str | None, typer.Option("--engine", help="local, or ray: on a cluster (docs/indexing.md).")
    ] = None,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Index documents; a second run reads only what changed."""
    settings = load_settings(
        config_file, home=home, profile=profile, ocr=None if ocr else False, engine=engine
    )
    if index_command(
        settings, paths, corpus=corpus, prune=prune, retry_failed=retry_failed, as_json=as_json
    ):
        raise typer.Exit(4)


def index_command(
    settings: Settings,
    paths: list[Path],
    *,
    corpus: str | None = None,
    prune: bool = False,
    retry_failed: bool = False,
    as_json: bool = False,
) -> bool:
    """Index with a progress bar and print what was done; true where there are dead letters."""
    with App(settings) as unirag, progress_bar(quiet=as_json) as bar:
        task = bar.add_task("indexing", total=None, detail="")

        def show(state: Progress) -> None:
            bar.update(
                task,
                total=state.total,
                completed=state.documents,
                detail=_detail(state),
            )

        try:
            reports = unirag.index(
                paths, corpus=corpus, prune=prune, retry_failed=retry_failed, progress=show
            )
        except KeyboardInterrupt:
            bar.stop()
            err.print("stopped; what is stored stays, and the same command goes on from there")
            raise typer.Exit(130) from None
    if as_json:
        print_json({"corpora": [r.to_json() for r in reports]})
    else:
        for report in reports:
            _print_report(report)
    return any(r.dead for r in reports)


def _detail(state: Progress) -> str:
    pages = f"{state.pages} pages, " if state.pages else ""
    failed = f", {state.failed} failed" if state.failed else ""
    return f"{pages}{state.pictures} figures, {state.items} items, {state.rate:.1f} items/s{failed}"


def _print_report(report: Report) -> None:
    out.print(
        f"[bold]{report.corpus}[/]: {report.figures} figures and {report.passages} passages from "
        f"{report.new} new and {report.changed} changed documents, {report.unchanged} unchanged, "
        f"{report.removed} removed, {len(report.dead)} failed; {report.seconds:.1f} s",
        soft_wrap=True,
    )
    for trouble in report.dead:
        out.print(f"  [red]not indexed[/] {_said(trouble)}", soft_wrap=True)
    problems = [t for t in report.troubles if not t.dead]
    for trouble in problems[:10]:
        out.print(f"  [yellow]left out[/] {_said(trouble)}", soft_wrap=True)
    if len(problems) > 10:
        out.print(f"  [yellow]and {len(problems) - 10} more[/] (all of them with --json)")
    if report.gone and not report.removed:
        out.print(
            f"  {len(report.gone)} indexed documents are no longer there; --prune removes them"
        )


def _said(trouble: Trouble) -> str:
    """A message that names its document already, as some readers' do, does so once."""
    return plain(f"{trouble.source}: {trouble.message.removeprefix(f'{trouble.source}: ')}")


@app.command()
def search(
    text: TextArgument = "",
    image: ImageOption = None,
    style: StyleOption = "auto",
    audio: AudioOption = None,
    limit: LimitOption = 5,
    corpus: CorpusFilter = None,
    kind: KindOption = None,
    section: SectionOption = None,
    role: RoleOption = None,
    teacher: TeacherOption = False,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find figures and passages by words, pictures, speech or any mix."""
    settings = load_settings(config_file, home=home, profile=profile)
    where = where_of(corpus, section, teacher, kind, role)
    images, sounds = images_of(image, style), sounds_of(audio)
    with App(settings) as unirag:
        found = unirag.search(text, images=images, audio=sounds, limit=limit, where=where)
        if as_json:
            print_json(found_json(found, unirag.assets.path))
            return
        _print_found(found)
        _print_styles(found)
        print_hits(found.hits, unirag.assets)


def _print_found(found: SearchResult) -> None:
    if not found.hits:
        out.print(
            "Nothing found: no corpus here matches. `unirag corpora list` shows what is indexed."
        )
    elif found.no_good_match:
        out.print("[yellow]No good match; the nearest material:[/]")


def _print_styles(found: SearchResult) -> None:
    """What the pictures were taken for: the styles that weigh most."""
    most = sorted(found.styles.items(), key=lambda pair: -pair[1])[:2]
    if most:
        said = ", ".join(f"{name} {share:.0%}" for name, share in most)
        out.print(f"[dim]The picture looks like: {said}[/]")


@app.command()
def ask(
    text: TextArgument = "",
    image: ImageOption = None,
    style: StyleOption = "auto",
    audio: AudioOption = None,
    task: TaskOption = "explain",
    level: LevelOption = "school",
    student_answer: StudentAnswerOption = "",
    limit: LimitOption = 5,
    corpus: CorpusFilter = None,
    section: SectionOption = None,
    teacher: TeacherOption = False,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain what was found, every sentence cited, or say that there is no evidence."""
    wanted = TaskRequest(task, level, student_answer)  # type: ignore[arg-type]
    settings = load_settings(config_file, home=home, profile=profile)
    where = where_of(corpus, section, teacher)
    images, sounds = images_of(image, style), sounds_of(audio)
    with App(settings) as unirag:
        events = unirag.stream(
            text, images=images, audio=sounds, limit=limit, where=where, wanted=wanted
        )
        if not as_json:
            show_answer(unirag, events)
            return
        found, *_, answer = list(events)
        assert isinstance(found, SearchResult) and isinstance(answer, Answer)  # noqa: PT018
        print_json(answer_json(answer, found, unirag.assets.path))


def show_answer(unirag: App, events: Iterable[SearchResult | Sentence | Answer]) -> None:
    """Print sentences as they come, numbered citations behind each, then what they cite."""
    numbers: dict[str, int] = {}
    for event in events:
        if isinstance(event, Sentence):
            labels = [f"[{numbers.setdefault(c, len(numbers) + 1)}]" for c in event.citations]
            text = f"“{event.text}”" if event.quoted else event.text
            out.print(text, "".join(labels), markup=False, soft_wrap=True)
        elif isinstance(event, Answer):
            answer = event
    if answer.refused:
        out.print("[yellow]No evidence for this in what is indexed. The nearest material:[/]\n")
        print_hits(answer.hits[:3], unirag.assets)
        return
    out.print()
    cited = [h for h in answer.hits if h.item.id in numbers]
    print_hits(sorted(cited, key=lambda h: numbers[h.item.id]), unirag.assets)


@models_app.command("list")
def models_list(
    profile: ProfileOption = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """The models of a profile and whether they are here."""
    settings = load_settings(config_file, profile=profile)
    store = ModelStore(settings.models, settings.profile)
    rows = [
        {
            "name": m.name,
            "task": m.task,
            "ready": store.is_ready(m),
            "megabytes": round(m.download_bytes / 1e6),
            "licence": m.licence,
            "sources": [str(s) for s in m.sources],
        }
        for m in profile_of(settings).models
    ]
    if as_json:
        print_json({"profile": settings.profile, "folder": str(settings.models), "models": rows})
        return
    table = Table("model", "task", "here", "MB", "licence")
    for row in rows:
        table.add_row(
            str(row["name"]),
            str(row["task"]),
            "yes" if row["ready"] else "no",
            str(row["megabytes"]),
            str(row["licence"]),
        )
    out.print(table)
    if not all(row["ready"] for row in rows):
        out.print(f"Fetch the missing ones with: unirag models pull --profile {settings.profile}")


@models_app.command("pull")
def models_pull(
    profile: ProfileOption = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Fetch, verify and convert what is missing; a second pull does nothing."""
    settings = load_settings(config_file, profile=profile)
    store = ModelStore(settings.models, settings.profile)
    pulled: dict[str, str] = {}
    with progress_bar(quiet=as_json) as bar:
        for model in profile_of(settings).models:
            if store.is_ready(model):
                pulled[model.name] = "here"
                continue
            task = bar.add_task(model.name, total=100, detail="")

            def show(pull: Pull, task: TaskID = task) -> None:
                share = 100 * pull.done / pull.total if pull.total else 0
                bar.update(task, completed=int(share), detail=pull.step)

            store.pull(model, show)
            bar.update(task, completed=100, detail="ready")
            pulled[model.name] = "pulled"
    if as_json:
        print_json({"profile": settings.profile, "models": pulled})
    elif all(state == "here" for state in pulled.values()):
        err.print(f"Every model of profile {settings.profile} is already here.")


@app.command()
def doctor(
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What is there, what is missing, and the command that mends it."""
    settings = load_settings(config_file, home=home, profile=profile)
    models = ModelStore(settings.models, settings.profile)
    found = examine(
        profile_of(settings),
        models,
        settings.home,
        device=settings.device,
        dtype=settings.dtype,
        qdrant_url=settings.qdrant_url,
        holder=lambda root: Workspace(root).holder(),
    )
    checks = []
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    for check in found:
        checks.append(check)
        if not as_json:
            out.print(
                f"[{colours[check.state]}]{check.state:4}[/] {check.name}: {plain(check.found)}",
                soft_wrap=True,
            )
            if check.remedy:
                out.print(f"     mend it: [bold]{plain(check.remedy)}[/]", soft_wrap=True)
    failed = worst(checks) == "fail"
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(c) for c in checks]})
    if failed:
        raise typer.Exit(Missing.exit_code)
