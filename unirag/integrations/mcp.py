"""unirag for agents: search, ask and items over the Model Context Protocol."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

import unirag
from data.errors import UniragError
from data.records import Item
from retrieval.store import Where
from unirag.app import App
from unirag.serialization import answer_json, cited, found_json, item_json

__all__ = ["create"]

Kinds = list[Literal["figure", "passage"]]
Question = Annotated[str, Field(max_length=4000, description="A question, in plain words.")]
Limit = Annotated[int, Field(ge=1, le=20)]
_PICTURES = 3  # per reply: a picture costs an agent as much as a page


def create(app: App) -> MCPServer:
    """The server over an open application; `run()` serves it on stdin and stdout."""
    server = MCPServer(
        "unirag",
        version=unirag.__version__,
        instructions="Finds figures and passages of textbooks and explains them with citations.",
    )

    @server.tool(structured_output=False)
    def search(question: Question, limit: Limit = 5, kinds: Kinds = []) -> list[Any]:  # noqa: B006
        """Find the figures and passages that answer a question, with the pictures of the first."""
        found = _said(lambda: app.search(question, limit=limit, where=Where(kinds=tuple(kinds))))
        return [_json(found_json(found, _kept)), *_pictures([hit.item for hit in found.hits])]

    @server.tool(structured_output=False)
    def ask(question: Question, earlier: list[str] = []) -> list[Any]:  # noqa: B006
        """Explain from the textbooks, every sentence cited, or say that there is no evidence.

        `earlier` are the questions before this one, if it follows up on them.
        """
        found, *_, answer = _said(lambda: list(app.stream(question, earlier=earlier)))
        made = answer_json(answer, found, _kept)
        text, sources = cited(made)
        named = {source["id"] for source in sources}
        items = [hit.item for hit in answer.hits if hit.item.id in named]
        told = {
            "answer": text or "There is no evidence for this in what is indexed.",
            "refused": made["refused"],
            "sources": sources or made["hits"][:3],
        }
        return [_json(told), *_pictures(items)]

    @server.tool(structured_output=False)
    def get_item(id: str) -> list[Any]:  # noqa: A002 - the name that agents know it by
        """One figure or passage in full, with its picture and the ids of what belongs to it."""
        item = _said(lambda: app.item(id))
        if item is None:
            raise ToolError("no item of this id is here; ids come from search and ask")
        return [_json(item_json(item, _kept)), *_pictures([item])]

    def _pictures(items: list[Item]) -> list[Image]:
        paths = [app.assets.thumbnail(item.image) for item in items if item.image]
        return [Image(path=path) for path in paths if path.exists()][:_PICTURES]

    return server


def _said(do: Any) -> Any:
    """What `do` gives; what it refuses reaches the agent in our words."""
    try:
        return do()
    except UniragError as error:
        raise ToolError(str(error)) from None


def _kept(digest: str) -> str:
    return digest


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
