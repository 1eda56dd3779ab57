"""`unirag eval generation`: three systems answer the same questions, and a judge scores them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from data.errors import BadInput
from tests.generation.answering import Script
from unirag.app import App
from unirag.evaluation.answers import SYSTEMS, evaluate_answers, score_table, scores_to_json

MARKS = '{"faithfulness": 5, "grounding": 4, "usefulness": 3, "pedagogy": 2}'


@pytest.fixture
def app(workspace: Any, chat: Any) -> Iterator[App]:
    with workspace.open() as opened:
        yield opened


def test_our_system_is_scored_above_the_plain_model(app: App, chat: Any) -> None:
    chat.script = "Napoleon had 17 cats of 9 kg. Light bends when it enters glass [1]."
    rows = evaluate_answers(app, "cards", answerable=4, refusable=3, every=2, judge=Script(MARKS))
    scores = score_table(rows)
    assert list(scores) == list(SYSTEMS)
    ours, plain = scores["ours"], scores["plain"]
    assert ours["answers"] == len([r for r in rows if r.system == "ours"]) > 4
    assert 2 * plain["answers"] - ours["answers"] in (0, 1)  # type: ignore[operator]
    assert ours["unsupported"] == ours["numbers"] == 0
    assert ours["refusal recall"] == ours["refusal precision"] == 1
    assert plain["unsupported"] >= 0.5  # type: ignore[operator]
    assert plain["unsupported numbers"] == 1
    assert plain["refusal recall"] == 0
    assert ours["citation precision"] == 1
    assert (ours["faithfulness"], plain["pedagogy"]) == (5, 2)
    assert scores_to_json(rows)["answers"][0]["question"]


def test_an_unknown_corpus_is_refused(app: App) -> None:
    with pytest.raises(BadInput, match="unirag corpora list"):
        evaluate_answers(app, "nowhere")
