"""The training loop for every tower and method, on the devices that accelerate was started with.

B batch, D width of the vectors, K prototype width.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import ProjectConfiguration, is_tensorboard_available, set_seed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from data.errors import BadInput
from retrieval.encoder import ORIGINAL
from retrieval.experts.allocations.diffora import discretise
from retrieval.experts.parameterisations import Experts
from retrieval.experts.rules import RuleBatch, build_rule
from retrieval.mini_tower import MiniTower
from retrieval.tower import TowerInputs
from retrieval.training.config import TrainConfig
from retrieval.training.losses import ContrastiveLoss, StyleLoss
from retrieval.training.pairs import TEXT, Pairs, TrainingBatch
from retrieval.training.stages import Stages
from retrieval.uni_retrieval import EncodedBatch, UniRetrieval

__all__ = ["Evaluator", "StepCallback", "train"]

Evaluator = Callable[[UniRetrieval], Mapping[str, float]]  # returns scores by name
StepCallback = Callable[[int, Mapping[str, float]], None]  # takes the step and its values by name
_CHECKPOINT, _SETTINGS_FILE, _BEST_FILE = "checkpoint", "settings.json", "best.safetensors"


class _TrainingLoss(nn.Module):
    """The losses of a batch. It is a module because accelerate spreads only `forward` over GPUs."""

    def __init__(
        self, encoder: UniRetrieval, config: TrainConfig, style_names: Sequence[str]
    ) -> None:
        super().__init__()
        self.encoder, self.config, self.style_names = encoder, config, tuple(style_names)
        self.rule = build_rule(encoder, encoder.config.depth, config.steps)
        margin = config.margin if config.loss == "triplet" else None
        self.pictures, self.words = ContrastiveLoss(margin), ContrastiveLoss(margin)
        self.styles: StyleLoss | None = None
        if encoder.prototypes.gram.weight.requires_grad and config.style_weight:
            self.styles = StyleLoss(len(style_names), encoder.config.prototype)

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the weighted losses by name."""
        size = len(batch.style_B)
        pictures = self.encoder.forward_image(
            TowerInputs(
                *(torch.cat(pair) for pair in zip(batch.queries, batch.originals, strict=True))
            )
        )
        query_BD, original_BD = pictures.vectors_BD.split(size)
        losses = {"pictures": self.pictures(query_BD, original_BD, batch.copies_BB)}
        router_loss = pictures.router_loss
        if (rule_loss := self._rule_loss(batch, pictures)) is not None:
            losses["rule"] = rule_loss
        labelled = [
            (pictures.prototypes_BK[:size], batch.style_B),
            (pictures.prototypes_BK[size:], self._repeat_style(batch.style_B, ORIGINAL)),
        ]
        has_words_B = batch.has_words_B
        if self.config.words_weight and has_words_B.any():
            words = self.encoder.forward_text(
                TowerInputs(*(values[has_words_B] for values in batch.words))
            )
            copies_BB = batch.copies_BB[has_words_B][:, has_words_B]
            words_losses = [
                self.words(words.vectors_BD, pictures_BD[has_words_B], copies_BB)
                for pictures_BD in (original_BD, query_BD)
            ]
            losses["words"] = self.config.words_weight * torch.stack(words_losses).mean()
            router_loss = router_loss + words.router_loss
            labelled.append(
                (words.prototypes_BK, self._repeat_style(batch.style_B[has_words_B], TEXT))
            )
        if router_loss.requires_grad:
            losses["balance"] = router_loss
        if self.styles is not None:
            prototypes, styles = (torch.cat(x) for x in zip(*labelled, strict=True))
            losses["styles"] = self.config.style_weight * self.styles(prototypes, styles)
        return losses

    def _repeat_style(self, like_B: Tensor, style: str) -> Tensor:
        return torch.full_like(like_B, self.style_names.index(style))

    def _rule_loss(self, batch: TrainingBatch, pictures: EncodedBatch) -> Tensor | None:
        """Return the rule's loss of the queries and the originals."""
        if self.rule is None:
            return None
        figures_B = torch.arange(len(batch.style_B), device=batch.style_B.device)
        originals_B = self._repeat_style(batch.style_B, ORIGINAL)
        return self.rule.loss(
            RuleBatch(
                pictures.prototypes_BK,
                torch.cat([batch.style_B, originals_B]),
                figures_B.repeat(2),
                self.encoder.route.taught,
            )
        )


def train(
    encoder: UniRetrieval,
    pairs: Pairs,
    config: TrainConfig,
    folder: Path,
    evaluate: Evaluator | None = None,
    report: StepCallback = lambda *_: None,
) -> None:
    """Train the parameters of `encoder` that require a gradient, in place.

    A killed run resumes from its last checkpoint in `folder`, where TensorBoard logs are too. The
    batch of a step depends only on the seed and the step, so a resumed run equals an unbroken one.
    With `evaluate`, the weights of the evaluation with the highest mean score are the result, and
    training stops after `patience` evaluations without a higher one. Raises `BadInput` if nothing
    is trained, or if `folder` has a run with other settings.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if torch.cuda.is_available() else "no",
        log_with="tensorboard" if is_tensorboard_available() else None,
        project_config=ProjectConfiguration(str(folder), logging_dir=str(folder / "logs")),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    set_seed(config.seed)
    loss_module = _TrainingLoss(encoder, config, pairs.style_names)
    if not any(p.requires_grad for p in encoder.parameters()):
        raise BadInput(f"method {config.method!r} trains nothing; name another")
    trained = [p for p in loss_module.parameters() if p.requires_grad]
    optimizer = _build_optimizer(trained, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _learning_rate_factor(step, config)
    )
    counter = _StepCounter()
    model, optimizer, schedule = accelerator.prepare(loss_module, optimizer, schedule)
    accelerator.register_for_checkpointing(counter)
    settings = config.model_dump(mode="json") | {"encoder": encoder.config.model_dump(mode="json")}
    if (checkpoint := _last_checkpoint(folder, settings)) is not None:
        accelerator.load_state(str(checkpoint))
    accelerator.init_trackers("unirag", config=config.model_dump(mode="json"))
    rule = loss_module.rule
    adapted = [m for m in encoder.modules() if isinstance(m, Experts)]
    stages = Stages(encoder, config.norm_steps)
    encoder.checkpointing = config.gradient_checkpointing
    while counter.step < config.steps and not counter.is_stale(config.patience):
        model.train()
        stages.start_step(counter.step)
        if rule is not None:
            rule.start_step(counter.step)
        _set_patch_dropout(encoder, config, counter.step)
        rng = np.random.default_rng([config.seed, counter.step, accelerator.process_index])
        torch.manual_seed(int(rng.integers(2**31)))
        batch = pairs.draw_batch(config.figures, config.hard_negative_share, rng)
        with accelerator.autocast():
            losses = model(batch.to(accelerator.device))
        loss = torch.stack(list(losses.values())).sum()
        if not math.isfinite(value := float(loss.detach())):
            raise FloatingPointError(f"the loss is {value} at step {counter.step}")
        accelerator.backward(loss)
        stages.before_step(counter.step)
        if rule is not None:
            rule.before_step(counter.step)
        accelerator.clip_grad_norm_(trained, config.clip)
        optimizer.step()
        if rule is not None:
            rule.after_step(counter.step)
        for experts in adapted:
            experts.after_step()
        schedule.step()
        optimizer.zero_grad()
        counter.step += 1
        values = {f"loss/{k}": float(v.detach()) for k, v in losses.items()}
        last = counter.step == config.steps
        due = last or counter.step % config.evaluate_every == 0
        if evaluate is not None and due and counter.step > config.norm_steps:
            encoder.eval()
            scores = evaluate(encoder)
            values |= {f"recall/{k}": v for k, v in scores.items()}
            if counter.note_score(float(np.mean(list(scores.values())))):
                _save_best(accelerator, encoder, folder)
        accelerator.log(values, step=counter.step)
        report(counter.step, values)
        stale = counter.is_stale(config.patience)
        if last or stale or counter.step % config.save_every == 0:
            _save_checkpoint(accelerator, folder, settings)
    accelerator.end_training()
    stages.finish()
    if rule is not None:
        rule.start_step(config.steps)
    if counter.best_step is not None:
        _load_best(encoder, folder)
    discretise([encoder])
    encoder.eval()


def _build_optimizer(trained: list[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """Build AdamW with weight decay for matrices only."""
    matrices = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.lr,
    )


def _save_best(accelerator: Accelerator, encoder: UniRetrieval, folder: Path) -> None:
    """Write the weights of the best evaluation so far."""
    if accelerator.is_main_process:
        state = {n: v.detach().clone().cpu() for n, v in encoder.state_dict().items()}
        save_file(state, folder / f"{_BEST_FILE}.part")
        (folder / f"{_BEST_FILE}.part").rename(folder / _BEST_FILE)
    accelerator.wait_for_everyone()


def _load_best(encoder: UniRetrieval, folder: Path) -> None:
    """Load the weights of the best evaluation."""
    encoder.load_state_dict(load_file(folder / _BEST_FILE))


def _save_checkpoint(
    accelerator: Accelerator, folder: Path, settings: Mapping[str, object]
) -> None:
    """Write a checkpoint, and replace the last one when it is complete."""
    part, current, old = (folder / f"{_CHECKPOINT}{suffix}" for suffix in (".part", "", ".old"))
    accelerator.save_state(str(part))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    (part / _SETTINGS_FILE).write_text(json.dumps(settings))
    if current.exists():
        shutil.rmtree(old, ignore_errors=True)
        current.rename(old)
    part.rename(current)
    shutil.rmtree(old, ignore_errors=True)


def _last_checkpoint(folder: Path, current: Mapping[str, object]) -> Path | None:
    """Return the last complete checkpoint; raise `BadInput` if its settings differ."""
    paths = [p for p in (folder / _CHECKPOINT, folder / f"{_CHECKPOINT}.old") if p.is_dir()]
    if not paths:
        return None
    stored = json.loads((paths[0] / _SETTINGS_FILE).read_text())
    differing = {k for k in current.keys() | stored.keys() if current.get(k) != stored.get(k)}
    later = {
        "encoder",
        "patience",
        "norm_steps",
    } - stored.keys()  # a run of before these were stored
    if changed := sorted(differing - {"save_every", "evaluate_every"} - later):
        changes = ", ".join(f"{k} {stored.get(k)!r}, now {current.get(k)!r}" for k in changed)
        raise BadInput(
            f"{folder}: holds a run with other settings ({changes}); change them back, or train "
            "into another folder"
        )
    return paths[0]


class _StepCounter:
    """The number of finished steps and the best evaluation, stored with a checkpoint."""

    def __init__(self) -> None:
        self.step = 0
        self.best_score = -math.inf
        self.best_step: int | None = None
        self.evaluations_since = 0

    def note_score(self, score: float) -> bool:
        """Count an evaluation; return True if it is the best so far."""
        self.evaluations_since += 1
        if score <= self.best_score:
            return False
        self.best_score, self.best_step, self.evaluations_since = score, self.step, 0
        return True

    def is_stale(self, patience: int | None) -> bool:
        """Return whether `patience` evaluations have passed without a better one."""
        return patience is not None and self.evaluations_since >= patience

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


def _learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Return a factor that rises to 1 in the warmup, then falls along a half cosine to 0.01."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def _set_patch_dropout(encoder: UniRetrieval, config: TrainConfig, step: int) -> None:
    """Switch the mini tower's patch dropout off for the last steps."""
    if isinstance(encoder.tower, MiniTower):
        dropping = step < config.steps * (1 - config.full_patches_share)
        encoder.tower.patch_dropout = config.patch_dropout if dropping else 0.0
