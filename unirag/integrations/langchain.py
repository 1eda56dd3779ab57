"""unirag in a LangChain program: a retriever, and the cited answer as a Runnable.

from unirag.integrations.langchain import create_chain

chain = create_chain(app)
print(chain.invoke("What sets the period of a pendulum?").content)
"""

from __future__ import annotations

from collections.abc import Iterator

from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableGenerator

from data.records import Answer, Sentence
from retrieval.langchain import UniRetriever
from unirag.app import App
from unirag.search.result import SearchResult
from unirag.serialization import answer_out

__all__ = ["create_chain", "create_retriever"]

Question = str | BaseMessage | list[BaseMessage]


def create_retriever(app: App, k: int = 10) -> UniRetriever:
    """Return a retriever of the `k` best figures and passages."""
    return UniRetriever(search=lambda text, limit: app.search(text, limit=limit).hits, k=k)


def create_chain(app: App) -> Runnable[Question, AIMessageChunk]:
    """Return a Runnable that turns a question, or a conversation, into its cited answer.

    `stream` yields a sentence at a time. The last chunk has `references`, the hits behind the
    numbers in the text, `refused` and `quoted` in its `response_metadata`.
    """

    def answer(inputs: Iterator[Question]) -> Iterator[AIMessageChunk]:
        question, history = _split(list(inputs)[-1])
        between = ""
        for event in app.stream(question, history=history):
            if isinstance(event, SearchResult):
                result = event
            elif isinstance(event, Sentence):
                yield AIMessageChunk(content=between + event.cited_text)
                between = " "
            else:
                yield _last_chunk(event, result)

    return RunnableGenerator(answer)


def _last_chunk(answer: Answer, result: SearchResult) -> AIMessageChunk:
    wire = answer_out(answer, result, lambda digest: digest)
    return AIMessageChunk(
        content=wire.answer if wire.refused else "",
        response_metadata={
            "references": [] if wire.refused else [h.model_dump() for h in wire.cited_hits],
            "refused": wire.refused,
            "quoted": wire.quoted,
        },
    )


def _split(question: Question) -> tuple[str, list[str]]:
    """Return the last human message, and the human messages before it."""
    if isinstance(question, str):
        return question, []
    messages = question if isinstance(question, list) else [question]
    texts = [str(message.text) for message in messages if isinstance(message, HumanMessage)]
    return (texts[-1], texts[:-1]) if texts else ("", [])
