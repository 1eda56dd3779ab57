"""The text retriever: any sentence-transformers model from a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase

from data.errors import BadInput
from retrieval.encoder import Vectors, normalize_rows

__all__ = ["SentenceRetriever"]

# The CPU's value is within 10 % of the fastest that was tried, in fp32 and in bf16
# (benchmarks/index.md). The GPU's value is not measured.
_TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65_536}


class SentenceRetriever:
    """A `TextRetriever` that uses the query and passage prompts of the model's configuration.

    `name` identifies the model in the collection stamp; `folder` has its files, safetensors only.
    """

    def __init__(
        self, name: str, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        try:
            self._model = SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                model_kwargs={"torch_dtype": dtype, "use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise BadInput(
                f"{folder}: not a sentence-transformers model ({error}); expected config.json, "
                "modules.json and model.safetensors; remove the folder and run `unirag models pull`"
            ) from None
        self.name = name
        self.width = int(self._model.get_embedding_dimension() or 0)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "query")

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "document")

    def _encode(self, texts: Sequence[str], task: str) -> Vectors:
        prompt = task if self._model.prompts.get(task) else None
        vectors_BD = np.empty((len(texts), self.width), np.float32)
        for batch in self._batches(texts):
            vectors_BD[batch] = self._model.encode(
                [texts[i] for i in batch],
                prompt_name=prompt,
                batch_size=len(batch),
                show_progress_bar=False,
            )
        return normalize_rows(vectors_BD)

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the indices of texts of similar length, so that batches need little padding."""
        lengths = self._lengths(texts)
        limit = _TOKENS_PER_BATCH.get(self._model.device.type, _TOKENS_PER_BATCH["cpu"])
        batch: list[int] = []
        for index in sorted(range(len(texts)), key=lengths.__getitem__):
            if batch and lengths[index] * (len(batch) + 1) > limit:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        """Return lengths in tokens, or in characters for models with a tokeniser of their own."""
        tokenizer = self._model.tokenizer
        if not texts or not isinstance(tokenizer, PreTrainedTokenizerBase):
            return [len(text) for text in texts]
        tokens = tokenizer(list(texts), truncation=True, max_length=self._model.max_seq_length)
        return [len(ids) for ids in tokens["input_ids"]]
