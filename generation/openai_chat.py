"""Any OpenAI-compatible endpoint (vLLM, llama-server, Ollama, …) as the language model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import httpx

from data.errors import BadSetting, Missing
from generation.chat import Message

__all__ = ["OpenAIChat"]

_TIMEOUT = httpx.Timeout(120, connect=10)


class OpenAIChat:
    """`url` ends where `/chat/completions` is added: `http://127.0.0.1:8000/v1`.

    Raises `Missing` where nothing answers or the model is not there, `BadSetting` for a bad key.
    """

    def __init__(
        self, url: str, model: str, api_key: str | None = None, client: httpx.Client | None = None
    ) -> None:
        try:
            usable = httpx.URL(url).scheme in ("http", "https")
        except httpx.InvalidURL:
            usable = False
        if not usable:
            raise BadSetting(f"setting chat.url: got {url!r}; expected http(s)://host:port/v1")
        self._url = url.rstrip("/") + "/chat/completions"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = client or httpx.Client(timeout=_TIMEOUT)
        self.name = model

    def count(self, text: str) -> int:
        return len(text) // 4 + 1  # the usual rule of thumb for English

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        body = {
            "model": self.name,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
        }
        try:
            with self._client.stream(
                "POST", self._url, json=body, headers=self._headers
            ) as response:
                self._check(response)
                yield from _pieces(response.iter_lines())
        except httpx.HTTPError as error:
            raise Missing(
                f"the language model at {self._url} does not answer ({error}); start its server, "
                "or unset chat.url to use the model of the profile"
            ) from None

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        response.read()
        said = response.text[:200].strip()
        if response.status_code in (401, 403):
            raise BadSetting(f"{self._url} refused the key: {said}; check UNIRAG_CHAT__API_KEY")
        raise Missing(
            f"{self._url} answered {response.status_code}: {said}; check chat.model ({self.name!r})"
        )


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """The text deltas of a server-sent event stream."""
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        try:
            choices = json.loads(data).get("choices") or [{}]
        except json.JSONDecodeError:
            raise Missing(
                f"the language model sent what is no JSON ({data[:80]!r}); expected the "
                "OpenAI streaming format"
            ) from None
        piece = (choices[0].get("delta") or {}).get("content")
        if piece:
            yield piece
