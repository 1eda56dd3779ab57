"""Settings of one answer, by component.

Each description names the benchmark that set the default, or says that it was chosen by hand.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from generation.chat import ChatSize

__all__ = [
    "AnswerSettings",
    "FeedbackSettings",
    "GroundingSettings",
    "LargeWritingSettings",
    "QuizSettings",
    "QuotationSettings",
    "StatementSettings",
    "WritingSettings",
]


class StatementSettings(BaseModel):
    """The sentences of the evidence that can be read without their paragraph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_words: int = Field(
        5, ge=1, description="Words of the shortest sentence that stands alone (chosen by hand)."
    )
    max_words: int = Field(
        35, ge=1, description="Words of the longest sentence that stands alone (chosen by hand)."
    )


class QuotationSettings(BaseModel):
    """The sentences that are quoted, by their relevance to the question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences: int = Field(
        4,
        ge=0,
        description="Sentences quoted, at most; one more if the last refers to the one before it "
        "(benchmarks/eduscopeqa.md).",
    )
    words: int = Field(
        80,
        ge=1,
        description="Words quoted, at most; two sentences may have more "
        "(benchmarks/eduscopeqa.md).",
    )
    sources: int = Field(
        2,
        ge=1,
        description="Sources quoted, at most: sentences from many read like a list "
        "(benchmarks/eduscopeqa.md).",
    )
    min_words: int = Field(
        3, ge=1, description="Words of the shortest sentence that is quoted (chosen by hand)."
    )
    cosine_weight: float = Field(
        6.0,
        ge=0,
        description="Weight of the cosine with the question beside the reranker's logit "
        "(benchmarks.reranking).",
    )
    min_relevance: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Relevance of the first quoted sentence, at least (chosen by hand).",
    )
    min_next_relevance: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Relevance of every further sentence, at least (benchmarks/eduscopeqa.md).",
    )


class GroundingSettings(BaseModel):
    """The checks that a sentence of the language model has to pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    support: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Probability that the sources entail a sentence, at least; a language model "
        "has its own limit (benchmarks/support.md).",
    )
    premise_sentences: int = Field(
        3,
        ge=1,
        description="Sentences of the sources that a sentence is held against: the nearest ones "
        "(benchmarks/support.md).",
    )
    nearest_sources: int = Field(
        2,
        ge=1,
        description="Sources that are tried for a sentence that names none, or a wrong one "
        "(chosen by hand).",
    )
    topic: float = Field(
        0.2,
        ge=-1,
        le=1,
        description="Cosine of a sentence with the question, at least (chosen by hand).",
    )
    min_words: int = Field(
        2, ge=1, description="Words of the shortest sentence that is checked (chosen by hand)."
    )


class QuizSettings(BaseModel):
    """The questions of a quiz, and the words that they leave blank."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: int = Field(3, ge=1, description="Questions of a quiz, at most (chosen by hand).")
    min_similarity: float = Field(
        0.3,
        ge=-1,
        le=1,
        description="Cosine of a sentence with the question, at least (chosen by hand).",
    )
    formula_penalty: float = Field(
        0.1, ge=0, description="Cosine taken from a sentence with a formula (chosen by hand)."
    )
    verb_penalty: float = Field(
        0.2,
        ge=0,
        description="Cosine taken from a word that looks like a verb (chosen by hand).",
    )
    min_letters: int = Field(
        4,
        ge=1,
        description="Letters of the shortest word left blank, abbreviations aside "
        "(chosen by hand).",
    )


class FeedbackSettings(BaseModel):
    """How near a student's sentence has to be to the evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    same_similarity: float = Field(
        0.7,
        ge=-1,
        le=1,
        description="Cosine from which two sentences say the same (chosen by hand).",
    )
    wrong_support: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability that the sources entail a sentence, below which it is wrong if a "
        "source is near; above it, the two are shown side by side (chosen by hand).",
    )
    contradiction_similarity: float = Field(
        0.5,
        ge=-1,
        le=1,
        description="Cosine with a source from which a sentence without support is wrong, and not "
        "just unknown to the source (chosen by hand).",
    )
    related_similarity: float = Field(
        0.3,
        ge=-1,
        le=1,
        description="Cosine below which two sentences have no subject in common (chosen by hand).",
    )


class WritingSettings(BaseModel):
    """How much a small language model reads and writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    writes: bool = Field(
        False,
        description="Whether the model adds sentences of its own to the quotations. Off, because "
        "the untaught small model states falsehoods that pass the check (docs/answers.md).",
    )
    evidence_tokens: int = Field(
        300,
        ge=50,
        le=100_000,
        description="Tokens of evidence shown to the model, at most (chosen by hand).",
    )
    max_tokens: int = Field(
        140, ge=16, le=4096, description="Tokens that the model writes, at most (chosen by hand)."
    )
    unsupported_sentences: int = Field(
        2,
        ge=1,
        description="Unsupported sentences in a row after which the model is stopped "
        "(chosen by hand).",
    )
    support: float = Field(
        0.9,
        ge=0,
        le=1,
        description="Probability that the sources entail a sentence of the model, at least; a "
        "small model is often wrong (benchmarks/support.md).",
    )


class LargeWritingSettings(WritingSettings):
    """How much any larger language model reads and writes."""

    writes: bool = Field(
        True, description="Whether a larger model writes the answer; else it is quoted."
    )
    evidence_tokens: int = Field(
        2000,
        ge=50,
        le=100_000,
        description="Tokens of evidence shown to a larger model, at most (chosen by hand).",
    )
    max_tokens: int = Field(
        500,
        ge=16,
        le=4096,
        description="Tokens that a larger model writes, at most (chosen by hand).",
    )
    unsupported_sentences: int = Field(
        6,
        ge=1,
        description="Unsupported sentences in a row after which a larger model is stopped "
        "(chosen by hand).",
    )
    support: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Probability that the sources entail a sentence of a larger model, at least "
        "(benchmarks/support.md).",
    )


class AnswerSettings(BaseModel):
    """The size of an answer, and the settings of the components that make it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = Field(
        5,
        ge=1,
        le=20,
        description="Items shown to the model, at most (benchmarks/answers_choices.md).",
    )
    small: WritingSettings = WritingSettings()
    large: LargeWritingSettings = LargeWritingSettings()
    repeat_overlap: float = Field(
        0.7,
        gt=0,
        le=1,
        description="Share of a sentence's content words that an earlier sentence has if it is a "
        "repetition (chosen by hand).",
    )
    statements: StatementSettings = StatementSettings()
    quotation: QuotationSettings = QuotationSettings()
    grounding: GroundingSettings = GroundingSettings()
    quiz: QuizSettings = QuizSettings()
    feedback: FeedbackSettings = FeedbackSettings()

    def for_size(self, size: ChatSize) -> WritingSettings:
        """Return the settings for a small or a large language model."""
        return self.small if size == "small" else self.large
