"""LangChain and MCP: other people's clients, unchanged."""

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
def app(place: Any, chat: Any) -> Iterator[App]:
    with place.open() as opened:
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


def test_a_document_says_where_it_stands(app: App) -> None:
    first, *_ = create_retriever(app, k=2).invoke(QUESTION)
    assert first.metadata["source"] == "optics.md"
    assert first.metadata["channels"]["text"] > 0.5
    assert app.item(first.id) is not None
    json.dumps(first.metadata)


def test_the_chain_streams_and_composes(app: App, chat: Any) -> None:
    chain = create_chain(app)
    whole = chain.invoke(QUESTION)
    assert whole.content == "“Light bends when it enters glass because it slows down there.” [1]"
    (source,) = whole.response_metadata["references"]
    assert source["source"] == "cards: optics.md"
    parts = list(chain.stream(QUESTION))
    assert "".join(p.content for p in parts) == whole.content
    loud = chain | RunnableLambda(lambda message: message.content.upper())
    assert loud.invoke(QUESTION).startswith("“LIGHT BENDS")
    talk = [HumanMessage(QUESTION), AIMessage("..."), HumanMessage("And why is that?")]
    chain.invoke(talk)
    assert f"{QUESTION} And why is that?" in chat.prompts[-1]
    assert chain.invoke("Who won the football cup of 1974?").response_metadata["refused"]


def test_an_mcp_client_lists_and_calls_the_tools(place: Any) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "unirag", "mcp"], env=dict(os.environ)
    )

    async def talk() -> None:
        async with Client(stdio_client(server)) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"search", "ask", "get_item"}
            assert tools["search"].input_schema["properties"]["question"]["maxLength"] == 4000
            given = {"question": QUESTION, "limit": 3}
            text, *pictures = (await client.call_tool("search", given)).content
            found = json.loads(text.text)
            assert found["hits"][0]["source"] == "cards: optics.md"
            assert pictures[0].mime_type == "image/jpeg"
            text, *_ = (await client.call_tool("ask", {"question": QUESTION})).content
            assert json.loads(text.text)["sources"]
            name = found["hits"][0]["id"]
            text, *_ = (await client.call_tool("get_item", {"id": name})).content
            assert json.loads(text.text)["id"] == name
            refused = await client.call_tool("get_item", {"id": "nobody"})
            assert refused.is_error
            assert "ids come from search" in refused.content[0].text

    anyio.run(talk)
