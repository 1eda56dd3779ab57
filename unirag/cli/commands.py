"""The tree of commands. Each turns its options into a call of `App` and prints the result."""

from __future__ import annotations

from unirag.cli.corpora import corpora_group, reembed
from unirag.cli.encoders import encoder_group
from unirag.cli.evaluation import eval_group
from unirag.cli.indexing import index
from unirag.cli.methods import methods
from unirag.cli.models import doctor, models_group, settings
from unirag.cli.planning import plan
from unirag.cli.questions import ask, search
from unirag.cli.serving import demo, mcp, serve
from unirag.cli.session import command_group, with_session
from unirag.cli.styles import adapt, manifest, styles_group, train

__all__ = ["app"]

app = command_group(
    "Find the textbook figures and passages that answer a question, and explain them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    index,
    search,
    ask,
    doctor,
    settings,
    train,
    manifest,
    methods,
    adapt,
    reembed,
    plan,
):
    app.command()(with_session(command))
for command in (serve, mcp, demo):
    app.command()(with_session(command, json=False))
for group, name in (
    (models_group, "models"),
    (corpora_group, "corpora"),
    (styles_group, "styles"),
    (encoder_group, "encoder"),
    (eval_group, "eval"),
):
    app.add_typer(group, name=name)
