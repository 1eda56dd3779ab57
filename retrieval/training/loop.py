"""The one training loop: any tower, any method, on whatever devices accelerate was started with.

B batch, D width of the vectors.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import ProjectConfiguration, set_seed
from torch import Tensor, nn

from data.errors import BadInput
from retrieval.encoder import ORIGINAL
from retrieval.experts import OrthogonalRule
from retrieval.mini import MiniTower
from retrieval.tower import TowerInputs
from retrieval.training.config import TrainConfig
from retrieval.training.losses import ContrastiveLoss, StyleLoss
from retrieval.training.pairs import TEXT, TRAINED_STYLES, Pairs, TrainingBatch
from retrieval.uni import UniRetrieval

__all__ = ["Evaluate", "StepCallback", "train"]

Evaluate = Callable[[UniRetrieval], Mapping[str, float]]
StepCallback = Callable[[int, Mapping[str, float]], None]
_STATE, _SETTINGS = "checkpoint", "settings.json"


class _Objective(nn.Module):
    """The losses of a batch; a module of its own because only `forward` is spread over GPUs."""

    def __init__(self, encoder: UniRetrieval, config: TrainConfig) -> None:
        super().__init__()
        self.encoder, self.config = encoder, config
        margin = config.margin if config.loss == "triplet" else None
        self.pictures, self.words = ContrastiveLoss(margin), ContrastiveLoss(margin)
        self.styles: StyleLoss | None = None
        if encoder.bank is not None and config.style_weight:
            self.styles = StyleLoss(len(TRAINED_STYLES), encoder.config.prototype)

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        size = len(batch.style_B)
        both = TowerInputs(
            *(torch.cat(pair) for pair in zip(batch.query, batch.original, strict=True))
        )
        pictures = self.encoder.forward_image(both)
        query_BD, original_BD = pictures.vectors_BD.split(size)
        losses = {"pictures": self.pictures(query_BD, original_BD, batch.same_BB)}
        balance = pictures.balance
        known = [(pictures.prototypes_BK[:size], batch.style_B)]
        known.append((pictures.prototypes_BK[size:], _all(batch.style_B, ORIGINAL)))
        if self.config.words_weight:
            words = self.encoder.forward_text(batch.words)
            against = [
                self.words(words.vectors_BD, x, batch.same_BB) for x in (original_BD, query_BD)
            ]
            losses["words"] = self.config.words_weight * torch.stack(against).mean()
            balance = balance + words.balance
            known.append((words.prototypes_BK, _all(batch.style_B, TEXT)))
        if balance.requires_grad:
            losses["balance"] = balance
        if self.styles is not None:
            prototypes, styles = (torch.cat(x) for x in zip(*known, strict=True))
            losses["styles"] = self.config.style_weight * self.styles(prototypes, styles)
        return losses


def train(
    encoder: UniRetrieval,
    pairs: Pairs,
    config: TrainConfig,
    folder: Path,
    evaluate: Evaluate | None = None,
    report: StepCallback = lambda *_: None,
) -> None:
    """Train what requires a gradient in `encoder`, in place.

    A run that was killed goes on from its last checkpoint in `folder`; TensorBoard logs lie there
    too. The batch of a step depends on the seed and the step alone, and so does what follows.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if torch.cuda.is_available() else "no",
        log_with="tensorboard" if _has_tensorboard() else None,
        project_config=ProjectConfiguration(str(folder), logging_dir=str(folder / "logs")),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    set_seed(config.seed)
    objective = _Objective(encoder, config)
    if not any(p.requires_grad for p in encoder.parameters()):
        raise BadInput(f"method {config.method!r} trains nothing; name another")
    trained = [p for p in objective.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    rest = [p for p in trained if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ],
        lr=config.lr,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _lr(step, config))
    clock = _Clock()
    model, optimizer, schedule = accelerator.prepare(objective, optimizer, schedule)
    accelerator.register_for_checkpointing(clock)
    if (state := _saved(folder, config)) is not None:
        accelerator.load_state(str(state))
    accelerator.init_trackers("unirag", config=_flat(config))
    rule = None
    if (depth := encoder.config.depth) and depth.rule == "orthogonal":
        rule = OrthogonalRule([encoder])
    encoder.checkpointing = config.gradient_checkpointing
    while clock.step < config.steps:
        model.train()
        _drop(encoder, config, clock.step)
        rng = np.random.default_rng([config.seed, clock.step, accelerator.process_index])
        torch.manual_seed(int(rng.integers(2**31)))
        batch = pairs.batch(config.figures, config.hard_negative_share, rng).to(accelerator.device)
        with accelerator.autocast():
            losses = model(batch)
        loss = torch.stack(list(losses.values())).sum()
        if not math.isfinite(value := float(loss.detach())):
            raise FloatingPointError(f"the loss is {value} at step {clock.step}")
        accelerator.backward(loss)
        if rule is not None:
            rule.before_step(clock.step)
        accelerator.clip_grad_norm_(trained, config.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        clock.step += 1
        values = {f"loss/{k}": float(v.detach()) for k, v in losses.items()}
        last = clock.step == config.steps
        if evaluate is not None and (last or clock.step % config.evaluate_every == 0):
            encoder.eval()
            values |= {f"recall/{k}": v for k, v in evaluate(encoder).items()}
        accelerator.log(values, step=clock.step)
        report(clock.step, values)
        if last or clock.step % config.save_every == 0:
            _save(accelerator, folder, config)
    accelerator.end_training()
    encoder.eval()


def _save(accelerator: Accelerator, folder: Path, config: TrainConfig) -> None:
    """Beside the last checkpoint, which is replaced once the new one is whole."""
    part, state, old = (folder / f"{_STATE}{suffix}" for suffix in (".part", "", ".old"))
    accelerator.save_state(str(part))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    (part / _SETTINGS).write_text(config.model_dump_json())
    if state.exists():
        shutil.rmtree(old, ignore_errors=True)
        state.rename(old)
    part.rename(state)
    shutil.rmtree(old, ignore_errors=True)


def _saved(folder: Path, config: TrainConfig) -> Path | None:
    """The last whole checkpoint; `BadInput` if it was made with other settings."""
    found = [p for p in (folder / _STATE, folder / f"{_STATE}.old") if p.is_dir()]
    if not found:
        return None
    stored = json.loads((found[0] / _SETTINGS).read_text())
    given = config.model_dump(mode="json")
    differing = {k for k in given.keys() | stored.keys() if given.get(k) != stored.get(k)}
    if changed := sorted(differing - {"save_every", "evaluate_every"}):
        was = ", ".join(f"{k} {stored.get(k)!r}, now {given.get(k)!r}" for k in changed)
        raise BadInput(
            f"{folder}: holds a run with other settings ({was}); give them back, or train into "
            "another folder"
        )
    return found[0]


class _Clock:
    """The number of steps done, kept with a checkpoint."""

    def __init__(self) -> None:
        self.step = 0

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.step = state["step"]


def _lr(step: int, config: TrainConfig) -> float:
    """Warmup, then a half cosine to a hundredth."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2


def _drop(encoder: UniRetrieval, config: TrainConfig, step: int) -> None:
    if isinstance(encoder.tower, MiniTower):
        early = step < config.steps * (1 - config.full_patches_share)
        encoder.tower.patch_dropout = config.patch_dropout if early else 0.0


def _all(like_B: Tensor, style: str) -> Tensor:
    return torch.full_like(like_B, TRAINED_STYLES.index(style))


def _has_tensorboard() -> bool:
    from accelerate.utils import is_tensorboard_available

    return bool(is_tensorboard_available())


def _flat(config: TrainConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")
