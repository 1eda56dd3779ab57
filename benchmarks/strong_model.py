"""Put the replies of a strong language model through the whole answer path.

    python -m benchmarks.strong_model

A local endpoint that speaks OpenAI's protocol serves the faithful sentences of a group as one
reply, with their labels; `Answerer` makes the answer from the evidence, over HTTP. Measured:
the share of sentences that survive in order, with the right citations; and of one wrong sentence
planted in each reply, the share that is removed. The groups are held out by book. Writes
strong_model.md and results/strong_model.json.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from benchmarks.environment import BENCHMARKS, describe, write_results
from benchmarks.explanations import HELD_OUT_BOOK, Claim, Group, shared_groups, written_groups
from benchmarks.support import load_text_models
from data.records import Answer, Hit, Item
from generation.answer import Answerer
from generation.openai_chat import OpenAIChat
from generation.settings import AnswerSettings
from generation.text_models import TextModels

SEED = 0


class _Endpoint(BaseHTTPRequestHandler):
    """Replies to every request with `reply`, in the pieces of a stream."""

    reply = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for start in range(0, len(self.reply), 40):
            delta = {"choices": [{"delta": {"content": self.reply[start : start + 40]}}]}
            self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def endpoint() -> Iterator[str]:
    """Serve on a free port while the block runs. Yield the URL."""
    server = HTTPServer(("127.0.0.1", 0), _Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    """Answer every held-out group twice: as it stands, and with a wrong sentence planted."""
    sets = {
        "shared groups, organic chemistry": [g for g in shared_groups() if g.book == HELD_OUT_BOOK],
        "our groups, anatomy, chemistry, physics": written_groups("heldout"),
    }
    models = load_text_models()
    with endpoint() as url:
        chat = OpenAIChat(url, "stub")
        results = {name: _measure(groups, chat, models) for name, groups in sets.items()}
    write_results("strong_model", {**describe(("torch", "httpx")), "seed": SEED, "sets": results})
    columns = list(next(iter(results.values())))
    lines = [
        "# A strong model keeps its voice",
        "",
        "`python -m benchmarks.strong_model`: faithful replies served by a local endpoint, checked "
        "by profile `mini`.",
        "",
        "| set | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(f"| {n} | " + " | ".join(str(r[c]) for c in columns) + " |" for n, r in results.items()),
    ]
    page = "\n".join(lines) + "\n"
    (BENCHMARKS / "strong_model.md").write_text(page)
    print(page)


def _measure(groups: Sequence[Group], chat: OpenAIChat, models: TextModels) -> dict[str, Any]:
    rng = random.Random(SEED)
    sentences = kept = rightly_cited = removed = in_order = 0
    for group in groups:
        answer = _answer(group, group.faithful, chat, models)
        texts = [s.text for s in answer.sentences]
        written = {claim.text: claim for claim in group.faithful}
        survivors = [s for s in answer.sentences if s.text in written]
        sentences += len(group.faithful)
        kept += len(survivors)
        rightly_cited += sum(
            {int(c) for c in s.citations} <= set(written[s.text].cites) for s in survivors
        )
        expected = [claim.text for claim in group.faithful if claim.text in texts]
        in_order += [s.text for s in survivors] == expected
        wrong = rng.choice(group.wrong)
        position = rng.randrange(1, len(group.faithful) + 1)
        planted = [*group.faithful[:position], wrong, *group.faithful[position:]]
        with_plant = _answer(group, planted, chat, models)
        removed += wrong.text not in [s.text for s in with_plant.sentences]
    return {
        "replies": len(groups),
        "sentences": sentences,
        "survive": round(kept / sentences, 3),
        "of these rightly cited": round(rightly_cited / max(1, kept), 3),
        "replies in order": round(in_order / len(groups), 3),
        "planted wrong sentences removed": round(removed / len(groups), 3),
    }


def _answer(group: Group, claims: Sequence[Claim], chat: OpenAIChat, models: TextModels) -> Answer:
    """Return the answer of which the endpoint's reply is `claims`."""
    _Endpoint.reply = " ".join(f"{c.text} {json.dumps(list(c.cites))}" for c in claims)
    hits = [
        Hit(Item(str(p.label), "passage", "c", f"c#{p.label}", p.title, p.text), 1.0)
        for p in group.evidence
    ]
    question_vector = models.embed([group.question])[0]
    answerer = Answerer(chat, models, AnswerSettings(), "large")
    *_, answer = answerer.stream(group.question, hits, question_vector=question_vector)
    assert isinstance(answer, Answer)
    return answer


if __name__ == "__main__":
    main()
