"""Cross-encoders: transformers that read two texts together and score the pair.

A reranker scores a question with a passage, an entailment model evidence with a sentence (Nogueira
and Cho 2019, arXiv 1901.04085; Honovich et al. 2022, arXiv 2204.04991). The profile `mini` has
weights of our own for both: fine-tuned layers over the frozen embeddings of the pinned MiniLM.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from data.errors import BadInput
from retrieval.encoder import batches_by_length

__all__ = [
    "ENTAILMENT_WEIGHTS",
    "RERANKER_WEIGHTS",
    "CrossEncoder",
    "PairClassifier",
    "Scores",
    "load_trunk",
]

Scores = NDArray[np.float32]  # (N,), each in [0, 1]

_WEIGHTS = Path(__file__).resolve().parent / "weights"
RERANKER_WEIGHTS = _WEIGHTS / "reranker"
ENTAILMENT_WEIGHTS = _WEIGHTS / "entailment"

_TOKENS_PER_BATCH = {"cpu": 4096, "cuda": 65_536}
_MAX_TOKENS = 512  # of a pair; what does not fit is cut from the longer text
_POSITIVE_LABELS = ("entailment", "supported", "label_1")
_HEAD_WIDTH = 256
# The differences and products of mean vectors are small; these factors bring them near 1.
_DIFFERENCE_SCALE, _PRODUCT_SCALE = 3.0, 10.0


class PairClassifier(nn.Module):
    """A BERT that reads two texts together, and a head that compares their mean vectors.

    The head sees [CLS], the means u and v of the two texts, |u - v| and u * v, as sentence-BERT's
    does (arXiv 1908.10084). A plain [CLS] head did not learn from a trunk that was trained with
    mean pooling.
    """

    def __init__(self, trunk: BertModel, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.bert = trunk
        width = trunk.config.hidden_size
        self.classifier = nn.Sequential(
            nn.Linear(5 * width, _HEAD_WIDTH),
            nn.Tanh(),
            nn.Dropout(0.1),
            nn.Linear(_HEAD_WIDTH, outputs),
        )

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> torch.Tensor:
        """Return the logits (B, L) of B pairs, from (B, T) token ids, mask and text numbers."""
        hidden_BTW = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        u_BW = _mean(hidden_BTW, attention_mask * (1 - token_type_ids))
        v_BW = _mean(hidden_BTW, attention_mask * token_type_ids)
        difference_BW = (u_BW - v_BW).abs() * _DIFFERENCE_SCALE
        product_BW = u_BW * v_BW * _PRODUCT_SCALE
        features = torch.cat([hidden_BTW[:, 0], u_BW, v_BW, difference_BW, product_BW], dim=1)
        return self.classifier(features)


def _mean(hidden_BTW: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    weights_BT1 = mask_BT[..., None].to(hidden_BTW.dtype)
    return (hidden_BTW * weights_BT1).sum(1) / weights_BT1.sum(1).clamp_min(1)


def load_trunk(folder: Path) -> BertModel:
    """Load the BERT of a sentence model. Raise `ValueError` if the folder has another model."""
    trunk = BertModel(BertConfig.from_pretrained(folder), add_pooling_layer=False)
    weights = load_file(folder / "model.safetensors")
    # Keep the tensors of the mapped file: only the rows of words in use come into memory, and the
    # layers are replaced anyway.
    missing, _ = trunk.load_state_dict(weights, strict=False, assign=True)
    if missing:
        raise ValueError(f"layers {missing[:3]} are missing")
    return trunk


class CrossEncoder:
    """Scores pairs of texts.

    One of our own models, and any model with one output, gives the sigmoid of its first output. A
    Hub model with several gives the probability of the
    label `entailment` or `supported`. `name` identifies the model.
    """

    def __init__(
        self,
        name: str,
        model: PreTrainedModel | PairClassifier,
        tokenizer: PreTrainedTokenizerBase,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        max_tokens: int = _MAX_TOKENS,
    ) -> None:
        self.name = name
        self._model = nn.Module.to(model, device, dtype).eval()
        self._tokenizer = tokenizer
        self._device = torch.device(device)
        self._batch_tokens = _TOKENS_PER_BATCH.get(self._device.type, _TOKENS_PER_BATCH["cpu"])
        self._max_tokens = max_tokens
        self._label = None if isinstance(model, PairClassifier) else _positive_label(model)

    @classmethod
    def from_hub_folder(
        cls, name: str, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> CrossEncoder:
        """Load a model of the Hub from a folder, safetensors only. Raise `BadInput` if it is none.

        The model is a sequence classifier of transformers.
        """
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise BadInput(
                f"{folder}: not a cross-encoder ({error}); expected config.json, tokenizer.json "
                "and model.safetensors; remove the folder and run `unirag models pull`"
            ) from None
        return cls(name, model, tokenizer, device=device, dtype=dtype)

    @classmethod
    def over_trunk(
        cls,
        weights: Path,
        trunk: Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> CrossEncoder:
        """Load weights of our own over the embeddings of a BERT-like sentence model.

        `weights` has config.json (`name`, `max_tokens`, `outputs`) and model.safetensors with
        every layer above the embeddings, in float16. `trunk` is the folder of the sentence model.
        Raise `BadInput` if the two do not fit.
        """
        try:
            card = json.loads((weights / "config.json").read_text())
            layers = load_file(weights / "model.safetensors")
            model = PairClassifier(load_trunk(trunk), card["outputs"])
            missing, unexpected = model.load_state_dict(
                {key: value.float() for key, value in layers.items()}, strict=False
            )
            if unexpected or any("embeddings" not in key for key in missing):
                raise ValueError(f"layers {[*missing, *unexpected][:3]} do not fit")
            tokenizer = AutoTokenizer.from_pretrained(trunk, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise BadInput(
                f"{weights}: no weights over {trunk.name} ({error}); reinstall unirag, then run "
                "`unirag models pull`"
            ) from None
        return cls(
            card["name"],
            model,
            tokenizer,
            device=device,
            dtype=dtype,
            max_tokens=card["max_tokens"],
        )

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Return the score of each pair, (N,) float32 in [0, 1]."""
        scores = np.zeros(len(pairs), np.float32)
        encoded = [
            self._tokenizer(first, second, truncation=True, max_length=self._max_tokens)
            for first, second in pairs
        ]
        for batch in batches_by_length([len(e["input_ids"]) for e in encoded], self._batch_tokens):
            padded = self._tokenizer.pad([encoded[i] for i in batch], return_tensors="pt")
            result = self._model(**padded.to(self._device))
            logits_BL = result if isinstance(result, torch.Tensor) else result.logits
            scores[batch] = self._probability(logits_BL.float()).cpu().numpy()
        return scores

    def _probability(self, logits_BL: torch.Tensor) -> torch.Tensor:
        if self._label is None:
            return torch.sigmoid(logits_BL[:, 0])
        return torch.softmax(logits_BL, dim=1)[:, self._label]


def _positive_label(model: PreTrainedModel) -> int | None:
    """Return the index of the label that counts, None for a model with one output."""
    if model.config.num_labels == 1:
        return None
    labels = {
        str(name).lower(): int(index) for index, name in (model.config.id2label or {}).items()
    }
    for name in _POSITIVE_LABELS:
        if name in labels:
            return labels[name]
    raise BadInput(f"{model.name_or_path}: none of its labels {list(labels)} means entailment")
