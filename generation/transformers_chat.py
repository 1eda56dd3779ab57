"""Run a causal language model with a chat template from a folder, on CPU or CUDA."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)

from data.errors import BadInput
from generation.chat import Message

__all__ = ["TransformersChat"]


class _Stop(StoppingCriteria):
    """Ends a generation once `event` is set."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full(
            (input_ids.shape[0],), self.event.is_set(), dtype=torch.bool, device=input_ids.device
        )


class TransformersChat:
    """A language model of transformers, loaded from a folder of safetensors.

    It writes one reply at a time. Calls from other threads wait, because two replies at once would
    slow each other down. Raise `BadInput` if the folder has no model with a chat template.
    """

    def __init__(
        self, name: str, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise BadInput(
                f"{folder}: the language model cannot be loaded ({error}); expected config.json, "
                "a tokeniser and safetensors"
            ) from None
        if not self._tokenizer.chat_template:
            raise BadInput(
                f"{folder}: the model has no chat template; expected an instruction-tuned model"
            )
        self._model = model.to(device).eval()
        self._lock = threading.Lock()
        self.name = name

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """Yield the reply piece by piece, decoded greedily. Closing the iterator stops it."""
        inputs: Any = self._tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        inputs = inputs.to(self._model.device)
        # No timeout: `generate` always ends the streamer, and the machine may have been asleep.
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        stop = _Stop()
        failure: list[BaseException] = []

        def generate() -> None:
            try:
                with torch.inference_mode():
                    self._model.generate(
                        **inputs,
                        max_new_tokens=max_tokens,
                        do_sample=False,
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([stop]),
                    )
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                failure.append(error)
                streamer.end()

        with self._lock:
            worker = threading.Thread(target=generate, daemon=True, name="generate")
            worker.start()
            try:
                yield from (piece for piece in streamer if piece)
            finally:
                stop.event.set()
                worker.join()
        if failure:
            raise failure[0]
