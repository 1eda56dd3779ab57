"""Use an OpenAI-compatible endpoint (vLLM, llama-server, Ollama, …) as the language model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import httpx

from data.errors import BadSetting, Missing
from generation.chat import Message

__all__ = ["OpenAIChat"]

_TIMEOUT = httpx.Timeout(120, connect=10)


class OpenAIChat:
    """A language model behind an OpenAI-compatible endpoint.

    `url` is the part before `/chat/completions`, such as `http://127.0.0.1:8000/v1`. `client`
    replaces the HTTP client in tests. Raise `BadSetting` for a bad address or a refused key, and
    `Missing` if no server answers or the server does not have `model`.
    """

    def __init__(
        self, url: str, model: str, api_key: str | None = None, client: httpx.Client | None = None
    ) -> None:
        try:
            valid = httpx.URL(url).scheme in ("http", "https")
        except httpx.InvalidURL:
            valid = False
        if not valid:
            raise BadSetting(f"setting chat.url: got {url!r}; expected http(s)://host:port/v1")
        self._url = url.rstrip("/") + "/chat/completions"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = client or httpx.Client(timeout=_TIMEOUT)
        self.name = model

    def count(self, text: str) -> int:
        """Return an estimate of the number of tokens: four characters each, as in English."""
        return len(text) // 4 + 1

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """Yield the reply piece by piece. Closing the iterator closes the connection."""
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
        reason = response.text[:200].strip()
        if response.status_code in (401, 403):
            raise BadSetting(f"{self._url} refused the key: {reason}; check UNIRAG_CHAT__API_KEY")
        raise Missing(
            f"{self._url} answered {response.status_code}: {reason}; "
            f"check chat.model ({self.name!r})"
        )


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """Yield the text deltas of a server-sent event stream."""
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
                f"the language model sent {data[:80]!r}, which is not JSON; expected the OpenAI "
                "streaming format"
            ) from None
        piece = (choices[0].get("delta") or {}).get("content")
        if piece:
            yield piece
