"""unirag for agents: search, ask and items over the Model Context Protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from data.errors import UniragError
from retrieval.store import Where
from unirag import __version__
from unirag.app import App
from unirag.search.result import SearchResult
from unirag.serialization import answer_out, item_out, search_out

__all__ = ["create_server"]

T = TypeVar("T")
Kinds = list[Literal["figure", "passage"]]
Question = Annotated[str, Field(max_length=4000, description="A question, in plain words.")]
Limit = Annotated[int, Field(ge=1, le=20)]
_MAX_PICTURES = 3  # per reply; a picture costs an agent as many tokens as a page


def create_server(app: App) -> MCPServer:
    """Create the server of an open application. `run()` serves it on stdin and stdout."""
    server = MCPServer(
        "unirag",
        version=__version__,
        instructions="Finds figures and passages of textbooks and explains them with citations.",
    )

    @server.tool(structured_output=False)
    def search(question: Question, limit: Limit = 5, kinds: Kinds = []) -> list[Any]:  # noqa: B006
        """Find the figures and passages that answer a question, with the first pictures."""
        where = Where(kinds=tuple(kinds))
        result = _call(lambda: app.search(question, limit=limit, where=where))
        wire = search_out(result, _digest)
        return [wire.model_dump_json(), *_pictures(app, [hit.image for hit in wire.hits])]

    @server.tool(structured_output=False)
    def ask(question: Question, earlier: list[str] = []) -> list[Any]:  # noqa: B006
        """Explain from the textbooks, every sentence cited, or say that there is no evidence.

        `earlier` holds the questions before this one, if it is a follow-up.
        """
        result, *_, answer = _call(lambda: list(app.stream(question, history=earlier)))
        assert isinstance(result, SearchResult)
        wire = answer_out(answer, result, _digest)  # type: ignore[arg-type]
        reply = {
            "answer": answer.cited_text,  # type: ignore[union-attr]
            "refused": wire.refused,
            "sources": [hit.model_dump() for hit in wire.cited_hits],
        }
        text = json.dumps(reply, ensure_ascii=False)
        pictures = [] if wire.refused else [hit.image for hit in wire.cited_hits]
        return [text, *_pictures(app, pictures)]

    @server.tool(structured_output=False)
    def get_item(id: str) -> list[Any]:  # noqa: A002 - the name that agents use
        """Return one figure or passage in full, with its picture and the ids of related items."""
        item = _call(lambda: app.item(id))
        if item is None:
            raise ToolError("no item has this id; ids come from search and ask")
        wire = item_out(item, _digest)
        return [wire.model_dump_json(), *_pictures(app, [wire.image])]

    return server


def _pictures(app: App, digests: Sequence[str | None]) -> list[Image]:
    paths = [app.components.assets.thumbnail(digest) for digest in digests if digest]
    return [Image(path=path) for path in paths if path.exists()][:_MAX_PICTURES]


def _call(function: Callable[[], T]) -> T:
    """Call a function. Raise `UniragError` as `ToolError`: the agent then reads its message."""
    try:
        return function()
    except UniragError as error:
        raise ToolError(str(error)) from None


def _digest(digest: str) -> str:
    return digest
