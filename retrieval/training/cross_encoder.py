"""Train the layers of a cross-encoder over the frozen embeddings of a sentence model.

The embeddings stay as they are in the sentence model, so that only the layers have to be stored.
Binary cross-entropy with label smoothing, AdamW, linear warm-up and decay.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import AutoTokenizer

from retrieval.cross_encoder import PairClassifier, load_trunk

__all__ = ["CrossEncoderTraining", "Pair", "save_layers", "train_layers"]

_SMOOTHING = 0.05
_WARM_UP = 0.06  # share of the steps
_HEAD_RATE = 5.0  # learning rate of the head, in learning rates of the layers
_WINDOW = 512  # pairs that are sorted by length together, so that batches need little padding


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, and the label in [0, 1] of each output; None if an output has no label."""

    first: str
    second: str
    labels: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class CrossEncoderTraining:
    """How to train: `tokens_per_batch` counts padding, `max_tokens` cuts the longer text."""

    epochs: int = 3
    learning_rate: float = 1.5e-4
    tokens_per_batch: int = 2048
    max_tokens: int = 256
    seed: int = 0


def train_layers(
    trunk: Path,
    pairs: Sequence[Pair],
    config: CrossEncoderTraining,
    start: Path | None = None,
    report: Callable[[str], None] = print,
) -> PairClassifier:
    """Return the trained model.

    `trunk` is the folder of a BERT-like sentence model. `start` is a file of layers to start from;
    its classifier is left out.
    """
    torch.manual_seed(config.seed)
    rng = random.Random(config.seed)
    model = PairClassifier(load_trunk(trunk), len(pairs[0].labels))
    if start is not None:
        _load_layers(model, start)
    model.bert.embeddings.requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(trunk, local_files_only=True)
    encoded = [
        dict(tokenizer(p.first, p.second, truncation=True, max_length=config.max_tokens))
        for p in pairs
    ]
    lengths = [len(e["input_ids"]) for e in encoded]
    epochs = [list(_batches(lengths, config, rng)) for _ in range(config.epochs)]
    optimizer, schedule = _optimizer(model, config, sum(map(len, epochs)))
    model.train()
    began = time.perf_counter()
    for epoch, batches in enumerate(epochs):
        total = 0.0
        for batch in batches:
            inputs = tokenizer.pad([encoded[i] for i in batch], return_tensors="pt")
            with torch.autocast("cpu", torch.bfloat16):
                logits_BL = model(**inputs)
            loss = _loss(logits_BL.float(), [pairs[i].labels for i in batch])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        seconds = time.perf_counter() - began
        report(f"epoch {epoch + 1}: loss {total / len(pairs):.3f}, {seconds:.0f} s")
    return model.eval()


def save_layers(model: PairClassifier, folder: Path, name: str, max_tokens: int) -> None:
    """Write config.json and model.safetensors: every layer above the embeddings, in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = {
        key: value.half().contiguous()
        for key, value in model.state_dict().items()
        if "embeddings" not in key
    }
    save_file(layers, folder / "model.safetensors")
    card = {"name": name, "max_tokens": max_tokens, "outputs": model.outputs}
    (folder / "config.json").write_text(json.dumps(card, indent=1) + "\n")


def _load_layers(model: PairClassifier, file: Path) -> None:
    from safetensors.torch import load_file

    layers = {k: v.float() for k, v in load_file(file).items() if "classifier" not in k}
    model.load_state_dict(layers, strict=False)


def _optimizer(
    model: PairClassifier, config: CrossEncoderTraining, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    head: list[torch.nn.Parameter] = []
    layers: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (head if "classifier" in name else layers).append(parameter)
    rate = config.learning_rate
    optimizer = torch.optim.AdamW(
        [{"params": head, "lr": rate * _HEAD_RATE}, {"params": layers, "lr": rate}],
        weight_decay=0.01,
    )

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / (_WARM_UP * steps)) * max(0.0, 1 - step / steps)

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _loss(logits_BL: torch.Tensor, labels: Sequence[tuple[float | None, ...]]) -> torch.Tensor:
    """Return the mean over the pairs of the summed losses of the outputs that have a label."""
    known_BL = torch.tensor([[label is not None for label in row] for row in labels])
    target_BL = torch.tensor([[label or 0.0 for label in row] for row in labels])
    smooth_BL = target_BL * (1 - 2 * _SMOOTHING) + _SMOOTHING
    losses_BL = functional.binary_cross_entropy_with_logits(logits_BL, smooth_BL, reduction="none")
    return (losses_BL * known_BL).sum() / len(labels)


def _batches(
    lengths: Sequence[int], config: CrossEncoderTraining, rng: random.Random
) -> Iterator[list[int]]:
    """Yield the indices of each batch of one epoch, shuffled; a batch has texts of like length."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    windows = [order[n : n + _WINDOW] for n in range(0, len(order), _WINDOW)]
    batches: list[list[int]] = []
    for window in windows:
        batch: list[int] = []
        for index in sorted(window, key=lengths.__getitem__):
            if batch and lengths[index] * (len(batch) + 1) > config.tokens_per_batch:
                batches.append(batch)
                batch = []
            batch.append(index)
        batches.append(batch)
    rng.shuffle(batches)
    yield from batches
