"""unirag as parts of a LangChain program: a retriever, and the cited answer as a Runnable.

from unirag.integrations.langchain import answers, retriever

chain = answers(app)
print(chain.invoke("What sets the period of a pendulum?").content)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableGenerator

from data.records import Answer, Sentence
from retrieval.langchain import UniRetriever
from unirag.app import App
from unirag.search.searcher import SearchResult
from unirag.serialization import Numbers, answer_json, sentence_json

__all__ = ["answers", "retriever"]

Question = str | BaseMessage | list[BaseMessage]


def retriever(app: App, k: int = 10) -> UniRetriever:
    """Figures and passages of what `app` has indexed."""
    return UniRetriever(find=lambda text, limit: app.search(text, limit=limit).hits, k=k)


def answers(app: App) -> Runnable[Question, AIMessageChunk]:
    """A question, or a conversation that ends in one, to its cited explanation.

    `stream` gives a sentence at a time; the last chunk carries `references`, the hits that the
    numbers in the text stand for, and `refused` in `response_metadata`.
    """

    def explain(given: Iterator[Question]) -> Iterator[AIMessageChunk]:
        question, earlier = _question(list(given)[-1])
        numbers = Numbers()
        for event in app.stream(question, earlier=earlier):
            if isinstance(event, SearchResult):
                found = event
            elif isinstance(event, Sentence):
                lead = " " if numbers.order else ""
                yield AIMessageChunk(content=lead + numbers.behind(sentence_json(event)))
            else:
                yield _end(event, found, numbers)

    return RunnableGenerator(explain)


def _end(answer: Answer, found: SearchResult, numbers: Numbers) -> AIMessageChunk:
    made = answer_json(answer, found, lambda digest: digest)
    hits = {hit["id"]: hit for hit in made["hits"]}
    refusal = "There is no evidence for this in what is indexed." if answer.refused else ""
    told: dict[str, Any] = {
        "references": [hits[name] for name in numbers.order],
        "refused": answer.refused,
        "quoted": answer.quoted,
    }
    return AIMessageChunk(content=refusal, response_metadata=told)


def _question(given: Question) -> tuple[str, list[str]]:
    """The last thing that a human said, and what they said before."""
    if isinstance(given, str):
        return given, []
    messages = given if isinstance(given, list) else [given]
    said = [str(m.text) for m in messages if isinstance(m, HumanMessage)]
    return (said[-1], said[:-1]) if said else ("", [])
