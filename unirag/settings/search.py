"""Settings of search: channel weights, the answerability model, the choice of context.

A description names the benchmark that set the default, or says that it was chosen by hand.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AnswerabilitySettings", "ContextSettings", "SearchSettings"]


class AnswerabilitySettings(BaseModel):
    """The model that decides whether the best hit answers the question.

    A logistic regression. The weights come from `python -m benchmarks.answerability`, which fits
    them on books that it does not report on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(
        0.5, ge=0, le=1, description="Confidence below which a result counts as no good match."
    )
    words: tuple[float, ...] = Field(
        (-0.29, 0.92, 0.96, 0.0, -2.38),
        description="Bias, then the weights of the word features (benchmarks.answerability).",
    )
    picture: tuple[float, ...] = Field(
        (-2.96, 6.5, 3.71),
        description="Bias, then the weights of the picture features (benchmarks.answerability).",
    )
    covering_hits: int = Field(
        3, ge=1, description="Best hits of which one has to hold the question's words."
    )
    question_words: int = Field(
        24, ge=1, description="Content words of a question that are looked at, at most."
    )


class ContextSettings(BaseModel):
    """How hits become the evidence of an answer (benchmarks/answers_choices.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(
        10,
        ge=1,
        description="Hits from which the evidence is chosen (benchmarks/answers_choices.md).",
    )
    passages_per_answer: int = Field(
        2,
        ge=0,
        description="Passages taken along with the figures that they refer to, at most "
        "(chosen by hand).",
    )
    section_depth: int = Field(
        3, ge=1, description="Levels of titles that make up a section of a book."
    )
    solved_exercise_overlap: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Share of an exercise's words in the question from which its solution is "
        "held back.",
    )
    same_exercise_overlap: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Share of words, in both directions, that makes a question an exercise of the "
        "corpus.",
    )
    exercise_words: int = Field(
        4, ge=1, description="Content words of the shortest exercise that is recognised."
    )


class SearchSettings(BaseModel):
    """Weights of the channels in the fusion, and how query pictures and speech are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Weight of the sentence vectors (chosen by hand).",
    )
    bm25: float = Field(0.7, gt=0, le=1, description="Weight of BM25 (chosen by hand).")
    cross_modal: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Weight of words against picture vectors where passages compete with figures "
        "(chosen by hand).",
    )
    image: float = Field(1.0, gt=0, le=1, description="Weight of a query picture (chosen by hand).")
    picture_words: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Weight of the labels read in a query picture (chosen by hand).",
    )
    words_beside_picture: float = Field(
        0.05,
        ge=0,
        description="Cosine that the best word score adds to a figure's likeness to a query "
        "picture (benchmarks/search_physics.md).",
    )
    picture_lead: float = Field(
        0.06,
        ge=0,
        description="Cosine by which a figure has to lead the next one to come first "
        "(benchmarks/search_physics.md).",
    )
    picture_candidates: int = Field(
        50,
        ge=1,
        description="Figures whose likeness to a query picture is compared (chosen by hand).",
    )
    page_words: int = Field(
        25,
        ge=1,
        description="Words from which a query picture counts as a page of text, not as a figure "
        "(chosen by hand).",
    )
    rerank_candidates: int = Field(
        10,
        ge=0,
        description="Hits that the reranker reads, for questions in words "
        "(benchmarks/eduscopeqa.md).",
    )
    rerank_cosine: float = Field(
        6.0,
        ge=0,
        description="Weight of the cosine beside the reranker's logit (benchmarks.reranking).",
    )
    rerank_constant: float = Field(
        8.0,
        ge=0,
        description="Added to the ranks before and by relevance when they are fused: the smaller, "
        "the more the first ranks count (benchmarks/eduscopeqa.md).",
    )
    speech_items: int = Field(
        10,
        ge=1,
        description="Hits whose terms the second transcription gets "
        "(benchmarks/text_to_figure.md).",
    )
    answerability: AnswerabilitySettings = AnswerabilitySettings()
    context: ContextSettings = ContextSettings()
