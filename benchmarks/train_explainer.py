"""Teach the small language model of profile `mini` to explain from evidence, as a LoRA adapter.

    python -m benchmarks.train_explainer --out FOLDER [--epochs 3] [--seed 0]

The training data are the faithful sentences of the shared groups without the held-out book and of
data/explanations/train.jsonl, in the prompt that the application uses. Nothing is trained on
anatomy, chemistry, physics, organic chemistry or microbiology. LoRA (arXiv 2106.09685) on every
linear layer, cross-entropy on the reply alone, AdamW, linear warm-up and cosine decay. About 20
minutes an epoch on two cores. `benchmarks.readers_choice` judges the result.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.explanations import Group
from benchmarks.train_cross_encoders import training_groups
from data.records import Item
from generation.embedding import Embed, EmbedOnce
from generation.evidence import Evidence
from generation.prompts import prompt
from unirag.app.build import build_text_retriever
from unirag.models.profiles import profile_of
from unirag.models.store import ModelStore
from unirag.settings import load_settings

EVIDENCE_TOKENS = 300  # as the application shows to a small model
TOKENS_PER_STEP = 4500  # of prompts and replies, padding included
TOKENS_PER_BATCH = 2250
LEARNING_RATE = 5e-4
RANK, ALPHA = 32, 64
WARM_UP = 0.05  # share of the steps


class Example(NamedTuple):
    """Token ids of a prompt and of the reply to it."""

    prompt: list[int]
    reply: list[int]


def main() -> None:
    """Train the adapter and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = load_settings()
    store, profile = ModelStore(settings.models, settings.profile), profile_of(settings)
    embed = EmbedOnce(build_text_retriever(settings, profile, store).encode_passages, {})
    folder = store.locate(profile.chat)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rng = random.Random(options.seed)
    groups = training_groups()
    examples = [example for g in groups if (example := _example(g, embed, tokenizer, rng))]
    rng.shuffle(examples)
    held, examples = examples[:40], examples[40:]
    print(len(examples), "replies,", sum(len(e.prompt) + len(e.reply) for e in examples), "tokens")
    torch.manual_seed(options.seed)
    model = _with_lora(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16))
    batches = [list(_batches(examples, rng)) for _ in range(options.epochs)]
    per_step = TOKENS_PER_STEP // TOKENS_PER_BATCH
    steps = sum(math.ceil(len(epoch) / per_step) for epoch in batches)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    began = time.perf_counter()
    for number, epoch in enumerate(batches, 1):
        model.train()
        total = tokens = 0.0
        for start in range(0, len(epoch), per_step):
            group = epoch[start : start + per_step]
            reply_tokens = sum(len(e.reply) for batch in group for e in batch)
            for batch in group:
                loss = _loss(model, batch)
                (loss / reply_tokens).backward()
                total += float(loss.detach())
            tokens += reply_tokens
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if start // per_step % 10 == 9:
                seconds = time.perf_counter() - began
                print(f"  {start}/{len(epoch)} {total / tokens:.3f}, {seconds:.0f} s", flush=True)
        held_loss = _held_out_loss(model, held)
        seconds = time.perf_counter() - began
        print(
            f"epoch {number}: loss {total / tokens:.3f}, held out {held_loss:.3f}, {seconds:.0f} s",
            flush=True,
        )
        model.save_pretrained(options.out)
    (options.out / "training.json").write_text(json.dumps({"seed": options.seed}) + "\n")


def _example(group: Group, embed: Embed, tokenizer: Any, rng: random.Random) -> Example | None:
    """Return the prompt and the reply of a group: evidence in random order, renumbered labels."""
    passages = rng.sample(group.evidence, len(group.evidence))
    labels = {passage.label: n for n, passage in enumerate(passages, 1)}
    sentences = [(n, s) for n, p in enumerate(passages) for s in p.sentences]
    vectors_SD = embed([s for _, s in sentences])
    order = _by_need(group, labels, sentences, vectors_SD, embed)
    budget, kept = EVIDENCE_TOKENS, set[int]()
    for i in order:
        cost = len(tokenizer(sentences[i][1])["input_ids"])
        if cost <= budget:
            kept.add(i)
            budget -= cost
    evidence = []
    for n, passage in enumerate(passages):
        texts = [sentences[i][1] for i in sorted(kept) if sentences[i][0] == n]
        if texts:
            item = Item(str(n), "passage", "c", passage.title, passage.title, passage.text)
            text = f"{passage.title}: {' '.join(texts)}"
            evidence.append(Evidence(n + 1, item, tuple(texts), np.zeros((0, 1), "f"), text))
    shown = {source.label for source in evidence}
    reply = " ".join(
        f"{claim.text} [{', '.join(str(labels[c]) for c in cites)}]"
        for claim in group.faithful
        if (cites := [c for c in claim.cites if labels.get(c) in shown])
    )
    if not reply:
        return None
    messages = prompt(group.question, evidence)
    ids = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in messages],
        add_generation_prompt=True,
        return_dict=True,
    )["input_ids"]
    return Example(list(ids), [*tokenizer(reply)["input_ids"], tokenizer.eos_token_id])


def _by_need(
    group: Group,
    labels: dict[int, int],
    sentences: Sequence[tuple[int, str]],
    vectors_SD: Any,
    embed: Embed,
) -> list[int]:
    """Order the sentences: first the two nearest to each claim, then those near the question.

    A reply must not state what its prompt does not hold: that would teach to invent.
    """
    order: list[int] = []
    for claim in group.faithful:
        nearest = np.argsort(-(vectors_SD @ embed([claim.text])[0]))
        cited = {labels[c] - 1 for c in claim.cites if c in labels}
        order += [int(i) for i in nearest if sentences[i][0] in cited][:2]
    order += [int(i) for i in np.argsort(-(vectors_SD @ embed([group.question])[0]))]
    return list(dict.fromkeys(order))


def _with_lora(model: Any) -> Any:
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config, autocast_adapter_dtype=True)


def _batches(examples: Sequence[Example], rng: random.Random) -> Iterator[list[Example]]:
    """Yield batches of similar length in random order."""
    order = sorted(examples, key=lambda e: len(e.prompt) + len(e.reply) + rng.random() * 60)
    batches: list[list[Example]] = [[]]
    for example in order:
        width = len(example.prompt) + len(example.reply)
        if batches[-1] and width * (len(batches[-1]) + 1) > TOKENS_PER_BATCH:
            batches.append([])
        batches[-1].append(example)
    rng.shuffle(batches)
    yield from batches


def _loss(model: Any, batch: Sequence[Example]) -> torch.Tensor:
    """Return the summed cross-entropy of the replies' tokens."""
    width = max(len(e.prompt) + len(e.reply) for e in batch)
    ids_BT = torch.zeros(len(batch), width, dtype=torch.long)
    rows, columns = [], []
    for i, example in enumerate(batch):
        tokens = example.prompt + example.reply
        ids_BT[i, : len(tokens)] = torch.tensor(tokens)
        positions = range(len(example.prompt), len(tokens))
        rows += [i] * len(positions)
        columns += positions
    with torch.autocast("cpu", torch.bfloat16):
        trunk = model.get_base_model()
        # Padding comes last, so causal attention needs no mask.
        hidden_BTW = trunk.model(input_ids=ids_BT).last_hidden_state
        before = torch.tensor(columns) - 1
        logits = trunk.lm_head(hidden_BTW[torch.tensor(rows), before])
    target = ids_BT[torch.tensor(rows), torch.tensor(columns)]
    return torch.nn.functional.cross_entropy(logits.float(), target, reduction="sum")


@torch.no_grad()
def _held_out_loss(model: Any, examples: Sequence[Example]) -> float:
    model.eval()
    losses = [float(_loss(model, [e])) for e in examples]
    return sum(losses) / sum(len(e.reply) for e in examples)


def _rate(step: int, steps: int) -> float:
    warm_up = max(1.0, WARM_UP * steps)
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))


if __name__ == "__main__":
    main()
