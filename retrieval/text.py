"""The text retriever: any sentence-transformers model from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from data.errors import BadInput
from retrieval.encoder import Vectors, unit

__all__ = ["SentenceRetriever"]

_BATCH = 16  # on a CPU more only pads more


class SentenceRetriever:
    """Prompts that the model's own configuration names for queries and passages are used.

    `name` is the model's name in the collection stamp; `folder` its files, safetensors only.
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
        # sentence-transformers sorts by length itself, so that a batch pads little.
        return unit(
            self._model.encode(
                list(texts), prompt_name=prompt, batch_size=_BATCH, show_progress_bar=False
            ).astype("float32")
        )
