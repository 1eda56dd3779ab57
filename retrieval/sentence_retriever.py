"""The text retriever: a model in the format of sentence-transformers, from a folder.

The library itself is not imported: it brings scikit-learn and its trainers along, which costs every
command 1.3 s and 150 MB (benchmarks/results/ask_cost.json). The tests compare the vectors with its
own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer

from data.errors import BadInput
from retrieval.encoder import Vectors, batches_by_length, normalize_rows

__all__ = ["SentenceRetriever"]

# The CPU's value is within 10 % of the fastest that was tried, in fp32 and in bf16
# (benchmarks/index.md). The GPU's value is not measured.
_TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65_536}
_DEFAULT_LENGTH = 512  # tokens of a text, if neither the folder nor the tokenizer says it
_PROMPTS = "config_sentence_transformers.json"


class SentenceRetriever:
    """A `TextRetriever` that uses the query and passage prompts of the model's configuration.

    `name` identifies the model in the collection stamp; `folder` has its files, safetensors only. A
    transformer with mean or [CLS] pooling is understood, as nearly every retriever has it; any
    other module raises `BadInput`.
    """

    def __init__(
        self, name: str, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        try:
            transformer, self._pools_first_token = _read_modules(folder)
            self._model = AutoModel.from_pretrained(
                transformer, local_files_only=True, use_safetensors=True, dtype=dtype
            )
            self._tokenizer = AutoTokenizer.from_pretrained(transformer, local_files_only=True)
            self._prompts: dict[str, str] = _read_json(folder / _PROMPTS).get("prompts", {})
            self._max_tokens = _max_tokens(transformer, self._model, self._tokenizer)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise BadInput(
                f"{folder}: not a sentence-transformers model ({error}); expected config.json, "
                "modules.json and model.safetensors; remove the folder and run `unirag models pull`"
            ) from None
        self._model.to(device).eval()
        self._device = torch.device(device)
        self._batch_tokens = _TOKENS_PER_BATCH.get(self._device.type, _TOKENS_PER_BATCH["cpu"])
        self.name = name
        self.width = int(self._model.config.hidden_size)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "query")

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "document")

    @torch.inference_mode()
    def _encode(self, texts: Sequence[str], task: str) -> Vectors:
        prompt = self._prompts.get(task, "")
        encoded = self._tokenizer(
            [prompt + text.strip() for text in texts], truncation=True, max_length=self._max_tokens
        )
        rows = [{name: column[n] for name, column in encoded.items()} for n in range(len(texts))]
        vectors_BD = np.empty((len(texts), self.width), np.float32)
        for batch in batches_by_length([len(row["input_ids"]) for row in rows], self._batch_tokens):
            inputs = self._tokenizer.pad([rows[n] for n in batch], return_tensors="pt")
            inputs = inputs.to(self._device)
            hidden_BTD = self._model(**inputs).last_hidden_state
            vectors_BD[batch] = self._pool(hidden_BTD, inputs["attention_mask"]).cpu().numpy()
        return normalize_rows(vectors_BD)

    def _pool(self, hidden_BTD: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        if self._pools_first_token:
            return hidden_BTD[:, 0].float()
        weights_BT1 = mask_BT[..., None].to(hidden_BTD.dtype)
        return ((hidden_BTD * weights_BT1).sum(1) / weights_BT1.sum(1).clamp_min(1e-9)).float()


def _read_modules(folder: Path) -> tuple[Path, bool]:
    """Return the folder of the transformer, and whether it pools the first token."""
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(f"modules {kinds} are not supported")
    pooling = _read_json(folder / modules[1]["path"] / "config.json")
    mode = pooling.get("pooling_mode")  # newer folders name it, older ones have a flag for each
    first = mode == "cls" or bool(pooling.get("pooling_mode_cls_token"))
    mean = mode == "mean" or bool(pooling.get("pooling_mode_mean_tokens"))
    if first == mean:
        raise ValueError("only mean and [CLS] pooling are supported")
    return folder / modules[0]["path"], first


def _max_tokens(transformer: Path, model: Any, tokenizer: Any) -> int:
    stated = _read_json(transformer / "sentence_bert_config.json").get("max_seq_length")
    positions = getattr(model.config, "max_position_embeddings", _DEFAULT_LENGTH)
    return int(stated or min(tokenizer.model_max_length, positions))


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
