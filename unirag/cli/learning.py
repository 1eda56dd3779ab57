"""`train`, `adapt`, `styles` and `eval`: commands that make or measure an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from data.errors import BadInput
from data.styles import STYLES
from generation.openai_chat import OpenAIChat
from unirag.app import App
from unirag.cli.arguments import ConfigOption, HomeOption, JsonOption, ProfileOption
from unirag.cli.output import err, out, plain, print_json, progress_bar
from unirag.settings import Settings, load_settings

__all__ = ["adapt", "eval_app", "styles_app", "train"]

styles_app = typer.Typer(help="List and remove query styles.", no_args_is_help=True)
eval_app = typer.Typer(help="Measure retrieval or answers on a corpus.", no_args_is_help=True)


def train(
    run: Annotated[Path, typer.Argument(help="Settings of the run, YAML; see docs/training.md.")],
    to: Annotated[Path, typer.Option("--out", help="Folder for the encoder; resumes there.")],
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train an encoder on the figures of corpora; a killed run goes on where it stopped."""
    from unirag.training.trainer import read_config, run_training

    settings = load_settings(config_file, home=home, profile=profile)
    wanted = read_config(run)
    with progress_bar(quiet=as_json) as bar:
        views = bar.add_task("views", total=None, detail="")
        steps = bar.add_task("steps", total=wanted.train.steps, detail="")

        def said(step: int, values: Mapping[str, float]) -> None:
            detail = ", ".join(f"{k.split('/')[-1]} {v:.3g}" for k, v in values.items())
            bar.update(steps, completed=step, detail=detail)
            if not err.is_terminal and not as_json and step % 20 == 0:
                err.print(f"step {step} of {wanted.train.steps}: {detail}", soft_wrap=True)

        card = run_training(
            wanted, settings, to, lambda d, n: bar.update(views, completed=d, total=n), said
        )
    if as_json:
        print_json({"encoder": card.name, "folder": str(to), "styles": list(card.styles)})
    else:
        out.print(f"{card.name} is in {plain(str(to))}; use it with `encoder: {plain(str(to))}`")


def adapt(
    name: Annotated[str, typer.Argument(help="The style's name, such as blackboard.")],
    examples: Annotated[Path, typer.Option("--examples", help="Folder with 8 or more pictures.")],
    originals: Annotated[
        Path | None,
        typer.Option("--originals", help="Folder with the figures they show, same file names."),
    ] = None,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn a query style from examples. What is indexed stays as it is."""
    settings = load_settings(config_file, home=home, profile=profile)
    with App(settings) as unirag:
        entry = unirag.adapt(name, examples, originals)
    if as_json:
        print_json({"name": entry.name, "version": entry.version, "examples": entry.examples})
    else:
        how = "paired" if entry.paired else "unpaired"
        out.print(
            f"{entry.name} v{entry.version} learned from {entry.examples} {how} examples; queries "
            "that look like it use it from now on"
        )


@styles_app.command("list")
def styles_list(
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The styles that queries are told apart by."""
    with App(load_settings(config_file, home=home, profile=profile)) as unirag:
        rows = unirag.styles()
    if as_json:
        print_json({"styles": rows})
        return
    table = Table("style", "version", "examples", "in use")
    for row in rows:
        values = (row["name"], row["version"] or "trained", row["examples"] or "", row["in_use"])
        table.add_row(*(("yes" if v is True else "no" if v is False else str(v)) for v in values))
    out.print(table)


@styles_app.command("remove")
def styles_remove(
    name: str,
    version: Annotated[int | None, typer.Option(min=1, help="One version; else all.")] = None,
    home: HomeOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget an enrolled style; an earlier version is then in use again."""
    with App(load_settings(config_file, home=home)) as unirag:
        count = unirag.shelf.remove(name, version)
    if as_json:
        print_json({"name": name, "removed": count})
    else:
        out.print(f"{name}: {count} versions removed")


@eval_app.command("retrieval")
def eval_retrieval(
    corpus: Annotated[Path, typer.Argument(help="A corpus with figures.")],
    style: Annotated[list[str] | None, typer.Option(help="Only these styles; else all.")] = None,
    queries: Annotated[int, typer.Option(min=1, help="Queries of each style.")] = 300,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    speech: Annotated[bool, typer.Option("--speech/--no-speech", help="Spoken too.")] = False,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Each figure asked for in words and in every style, ranked in the corpus's whole gallery."""
    from unirag.evaluation.retrieval import evaluate

    if unknown := set(style or ()) - set(STYLES):
        raise BadInput(f"style {min(unknown)!r} is unknown; expected one of {', '.join(STYLES)}")
    settings = load_settings(config_file, home=home, profile=profile)
    with App(settings) as unirag, progress_bar(quiet=as_json) as bar:
        task = bar.add_task("gallery", total=None, detail="")
        result = evaluate(
            corpus,
            unirag.encoder,
            styles=tuple(style or STYLES),
            queries=queries,
            seed=seed,
            transcribe=(lambda recording: unirag.speech.transcribe(recording).text)
            if speech
            else None,
            progress=lambda what, d, n: bar.update(task, description=what, completed=d, total=n),
        )
    if as_json:
        print_json(result.to_json())
        return
    table = Table("queries", "R@1", "95 % interval", "R@5", "MRR", "of")
    for name, s in result.scores.items():
        label = f"{name} (unseen)" if name in STYLES and STYLES[name].unseen else name
        low, high = s.interval
        table.add_row(
            label, f"{s.r1:.1f}", f"{low:.1f} to {high:.1f}", f"{s.r5:.1f}", f"{s.mrr:.3f}",
            str(s.queries),
        )  # fmt: skip
    out.print(table)
    out.print(f"{result.encoder}; gallery of {result.gallery} figures; seed {result.seed}")


def _judge(endpoint: str, settings: Settings) -> OpenAIChat:
    url, _, model = endpoint.partition("#")
    if not model:
        raise BadInput(f"--judge: got {endpoint!r}; expected http(s)://host:port/v1#MODEL")
    key = settings.chat.api_key
    return OpenAIChat(url, model, key.get_secret_value() if key else None)


@eval_app.command("generation")
def eval_generation(
    corpus: Annotated[str, typer.Argument(help="An indexed corpus of the home.")],
    answerable: Annotated[int, typer.Option(min=1, help="Questions that it answers.")] = 500,
    unanswerable: Annotated[int, typer.Option(min=0, help="Questions that it does not.")] = 200,
    system: Annotated[
        list[str] | None, typer.Option(help="ours, plain or closed book; else all three.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    judge: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible endpoint that marks the answers, URL#MODEL."),
    ] = None,
    home: HomeOption = None,
    profile: ProfileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answers to questions made from the corpus, beside plain RAG and the model alone."""
    from unirag.evaluation.answers import SYSTEMS, evaluate_answers, table, to_json

    chosen = [s for s in SYSTEMS if not system or s in system]
    if unknown := set(system or ()) - set(SYSTEMS):
        raise BadInput(f"system {min(unknown)!r} is unknown; expected one of {', '.join(SYSTEMS)}")
    settings = load_settings(config_file, home=home, profile=profile)
    with App(settings) as unirag, progress_bar(quiet=as_json) as bar:
        task = bar.add_task("questions", total=None, detail="")
        rows = evaluate_answers(
            unirag,
            corpus,
            answerable=answerable,
            refusable=unanswerable,
            seed=seed,
            systems=chosen,
            judge=_judge(judge, settings) if judge else None,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(to_json(rows))
        return
    scores = table(rows)
    shown = Table("score", *scores)
    for name in next(iter(scores.values())):
        values = (scores[s][name] for s in scores)
        shown.add_row(name, *("" if v is None else f"{v:.3g}" for v in values))
    out.print(shown)
