"""`unirag eval`: measure retrieval or answers on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.table import Table

from data.errors import BadInput
from data.manifest import MANIFEST_SUFFIXES, Split
from data.styles import STYLES
from generation.openai_chat import OpenAIChat
from unirag.cli.output import out, print_json
from unirag.cli.progress import show_progress
from unirag.cli.session import Session, command_group, with_session
from unirag.settings import Settings

__all__ = ["eval_group"]

eval_group = command_group("Measure retrieval or answers on a corpus.")


@eval_group.command("retrieval")
@with_session
def eval_retrieval(
    session: Session,
    corpus: Annotated[Path, typer.Argument(help="A corpus with figures, or a manifest.")],
    style: Annotated[list[str] | None, typer.Option(help="Only this style. Repeatable.")] = None,
    queries: Annotated[int, typer.Option(min=1, help="Queries of each style.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random choices.")] = 0,
    speech: Annotated[bool, typer.Option("--speech/--no-speech", help="Ask aloud too.")] = False,
    split: Annotated[str, typer.Option(help="Split of a manifest to ask.")] = "test",
) -> None:
    """Search for each figure in words and in every style, among all figures of the corpus.

    With a manifest (.csv, .jsonl) its own queries are asked, among all of its targets.
    """
    from unirag.evaluation.manifest import evaluate_manifest
    from unirag.evaluation.retrieval import evaluate_retrieval

    is_manifest = corpus.suffix.lower() in MANIFEST_SUFFIXES
    if is_manifest:
        _check_names("split", [split], get_args(Split))
    else:
        _check_names("style", style, tuple(STYLES))
    with session.open() as app, show_progress("gallery") as display:
        encoder = app.components.encoder

        def progress(step: str, done: int, total: int) -> None:
            display.update(done, total, description=step)

        if is_manifest:
            result = evaluate_manifest(
                corpus,
                encoder,
                split=cast(Split, split),
                styles=tuple(style or ()),
                queries=queries,
                seed=seed,
                progress=progress,
            )
        else:
            result = evaluate_retrieval(
                corpus,
                encoder,
                styles=tuple(style or STYLES),
                queries=queries,
                seed=seed,
                transcribe=(lambda recording: app.components.speech.transcribe(recording).text)
                if speech
                else None,
                progress=progress,
            )
    if session.json:
        print_json(result.to_json())
        return
    table = Table("queries", "R@1", "95 % interval", "R@5", "MRR", "of")
    for name, score in result.scores.items():
        label = f"{name} (unseen)" if name in STYLES and STYLES[name].unseen else name
        low, high = score.r1_interval
        table.add_row(
            label,
            f"{score.r1:.1f}",
            f"{low:.1f} to {high:.1f}",
            f"{score.r5:.1f}",
            f"{score.mrr:.3f}",
            str(score.queries),
        )
    out.print(table)
    out.print(f"{result.encoder}; gallery of {result.gallery} figures; seed {result.seed}")


@eval_group.command("generation")
@with_session
def eval_generation(
    session: Session,
    corpus: Annotated[str, typer.Argument(help="An indexed corpus of the workspace.")],
    answerable: Annotated[int, typer.Option(min=1, help="Questions that it answers.")] = 500,
    unanswerable: Annotated[int, typer.Option(min=0, help="Questions that it does not.")] = 200,
    system: Annotated[
        list[str] | None, typer.Option(help="ours, plain or closed book. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random choices.")] = 0,
    judge: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible endpoint that marks the answers, URL#MODEL."),
    ] = None,
) -> None:
    """Answer questions made from the corpus; compare with plain RAG and the model alone."""
    from unirag.evaluation.answers import SYSTEMS, evaluate_answers, score_table, scores_to_json

    _check_names("system", system, SYSTEMS)
    settings = session.settings()
    judge_model = _judge_model(judge, settings) if judge else None
    with session.open_app(settings) as app, show_progress("questions") as display:
        answers = evaluate_answers(
            app,
            corpus,
            answerable=answerable,
            refusable=unanswerable,
            seed=seed,
            systems=[s for s in SYSTEMS if not system or s in system],
            judge=judge_model,
            progress=lambda done, total: display.update(done, total),
        )
    if session.json:
        print_json(scores_to_json(answers))
        return
    scores = score_table(answers)
    table = Table("score", *scores)
    for name in next(iter(scores.values())):
        values = (scores[s][name] for s in scores)
        table.add_row(name, *("" if value is None else f"{value:.3g}" for value in values))
    out.print(table)


def _check_names(option: str, names: list[str] | None, known: tuple[str, ...]) -> None:
    if unknown := set(names or ()) - set(known):
        raise BadInput(f"{option} {min(unknown)!r} is unknown; expected one of {', '.join(known)}")


def _judge_model(endpoint: str, settings: Settings) -> OpenAIChat:
    url, _, model = endpoint.partition("#")
    if not model:
        raise BadInput(f"--judge: got {endpoint!r}; expected http(s)://host:port/v1#MODEL")
    key = settings.chat.api_key
    return OpenAIChat(url, model, key.get_secret_value() if key else None)
