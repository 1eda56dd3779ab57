"""LangChain and MCP: the clients of these projects work unchanged."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_tests.integration_tests import RetrieversIntegrationTests
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from retrieval.langchain import UniRetriever
from unirag.app import App
from unirag.integrations.langchain import create_chain, create_retriever

QUESTION = "Why does light bend when it enters glass?"


@pytest.fixture
def app(workspace: Any, chat: Any) -> Iterator[App]:
    with workspace.open() as opened:
        yield opened


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _app(self, app: App) -> None:
        self.app = app

    @property
    def retriever_constructor(self) -> type[UniRetriever]:
        return UniRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"search": lambda text, k: self.app.search(text, limit=k).hits}

    @property
    def retriever_query_example(self) -> str:
        return QUESTION


def test_a_langchain_document_has_its_source_and_channels(app: App) -> None:
    first, *_ = create_retriever(app, k=2).invoke(QUESTION)
    assert first.metadata["source"] == "optics.md"
    assert first.metadata["channels"]["text"] > 0.5
    assert app.item(first.id) is not None
    json.dumps(first.metadata)


def test_the_chain_streams_composes_and_understands_follow_ups(app: App, chat: Any) -> None:
    chain = create_chain(app)
    message = chain.invoke(QUESTION)
    assert message.content == "“Light bends when it enters glass because it slows down there.” [1]"
    (source,) = message.response_metadata["references"]
    assert source["source"] == "cards: optics.md"
    chunks = list(chain.stream(QUESTION))
    assert "".join(chunk.content for chunk in chunks) == message.content
    shouting_chain = chain | RunnableLambda(lambda message: message.content.upper())
    assert shouting_chain.invoke(QUESTION).startswith("“LIGHT BENDS")
    conversation = [HumanMessage(QUESTION), AIMessage("..."), HumanMessage("And why is that?")]
    chain.invoke(conversation)
    assert f"{QUESTION} And why is that?" in chat.prompts[-1]
    assert chain.invoke("Who won the football cup of 1974?").response_metadata["refused"]


def test_an_mcp_client_lists_and_calls_the_tools(workspace: Any) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "unirag", "mcp"], env=dict(os.environ)
    )

    async def call_tools() -> None:
        async with Client(stdio_client(server)) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"search", "ask", "get_item"}
            assert tools["search"].input_schema["properties"]["question"]["maxLength"] == 4000
            arguments = {"question": QUESTION, "limit": 3}
            text, *pictures = (await client.call_tool("search", arguments)).content
            result = json.loads(text.text)
            assert result["hits"][0]["source"] == "cards: optics.md"
            assert pictures[0].mime_type == "image/jpeg"
            text, *_ = (await client.call_tool("ask", {"question": QUESTION})).content
            assert json.loads(text.text)["sources"]
            item_id = result["hits"][0]["id"]
            text, *_ = (await client.call_tool("get_item", {"id": item_id})).content
            assert json.loads(text.text)["id"] == item_id
            error = await client.call_tool("get_item", {"id": "nobody"})
            assert error.is_error
            assert "ids come from search" in error.content[0].text

    anyio.run(call_tools)
