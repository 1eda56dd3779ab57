"""Settings of one answer, by component.

Each description names the benchmark that set the default, or says that it was chosen by hand.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AnswerSettings",
    "FeedbackSettings",
    "GroundingSettings",
    "QuizSettings",
    "QuotationSettings",
    "StatementSettings",
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
    """The sentences that are quoted.

    A sentence scores its cosine with the question. The bonuses are added to it and the penalties
    taken off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences: int = Field(
        2, ge=0, description="Sentences quoted, at most (benchmarks/answers_choices.md)."
    )
    min_words: int = Field(
        3, ge=1, description="Words of the shortest sentence that is quoted (chosen by hand)."
    )
    min_similarity: float = Field(
        0.15,
        ge=-1,
        le=1,
        description="Cosine with the question below which no sentence is quoted (chosen by hand).",
    )
    max_drop: float = Field(
        0.15,
        ge=0,
        description="Score by which a sentence may lie below the one quoted before it "
        "(chosen by hand).",
    )
    item_weight: float = Field(
        0.2,
        ge=0,
        description="Score for each unit of the item's cosine with the query "
        "(benchmarks/answers_choices.md).",
    )
    section_weight: float = Field(
        0.2,
        ge=0,
        description="Score of a sentence if all hits are in its section, else that share of it "
        "(benchmarks/answers_choices.md).",
    )
    definition_bonus: float = Field(
        0.2,
        ge=0,
        description="Score of a glossary entry for exactly the term in question "
        "(benchmarks/answers_choices.md).",
    )
    min_term_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the question's words that a glossary term has to make up "
        "(benchmarks/answers_choices.md).",
    )
    neighbour_bonus: float = Field(
        0.1,
        ge=0,
        description="Score of a sentence next to a quoted one (benchmarks/answers_choices.md).",
    )
    dependent_penalty: float = Field(
        0.1,
        ge=0,
        description="Score taken from a sentence that needs the previous one "
        "(benchmarks/answers_choices.md).",
    )
    other_section_penalty: float = Field(
        0.1,
        ge=0,
        description="Score taken from a sentence outside the section of the first quotation "
        "(benchmarks/answers_choices.md).",
    )
    worked_problem_penalty: float = Field(
        0.1,
        ge=0,
        description="Score taken from a sentence of a solution or worked example "
        "(benchmarks/answers_choices.md).",
    )
    note_penalty: float = Field(
        0.1,
        ge=0,
        description="Score taken from a sentence of a box beside the text (chosen by hand).",
    )
    echo_overlap: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Share of a sentence's content words that the question has if the sentence is "
        "an echo of it (chosen by hand).",
    )
    min_score_after_echo: float = Field(
        0.65,
        description="Score of a sentence quoted beside an echo of the question, at least "
        "(benchmarks/answers_choices.md).",
    )


class GroundingSettings(BaseModel):
    """The checks that a sentence of the language model has to pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    support: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Support of a sentence by a source, in [0, 1], at least (chosen by hand).",
    )
    claim: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of a sentence's content words that one place of a source has in the "
        "same order, at least (chosen by hand).",
    )
    topic: float = Field(
        0.2,
        ge=-1,
        le=1,
        description="Cosine of a sentence with the question, at least (chosen by hand).",
    )
    cosine_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Weight of the cosine in the support; the share of common words has the rest "
        "(chosen by hand).",
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

    min_support: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Support below which the sources do not say a sentence (chosen by hand).",
    )
    same_similarity: float = Field(
        0.7,
        ge=-1,
        le=1,
        description="Cosine from which two sentences say the same (chosen by hand).",
    )
    related_similarity: float = Field(
        0.3,
        ge=-1,
        le=1,
        description="Cosine below which two sentences have no subject in common (chosen by hand).",
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
