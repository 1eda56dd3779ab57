"""Tell the language of a question, so that one in a language that no model reads is not searched.

py3langid (BSD-3-Clause), a naive Bayes classifier over byte n-grams (Lui and Baldwin 2012).
"""

from __future__ import annotations

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

__all__ = ["LanguageDetector", "language_name"]

# Widely spoken languages of schools. With all 140 of the model, short questions are guessed worse.
_LANGUAGES = (
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl",
    "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
# The surest mistake among 2,445 English questions and messages had 0.67 ("no more questions").
_CERTAINTY = 0.75


@cache
def _load_identifier() -> LanguageIdentifier:
    """Load the classifier, which takes half a second, once for all."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(_LANGUAGES)
    return identifier


class LanguageDetector:
    """Detects the language of a text."""

    def __init__(self) -> None:
        self._identifier = _load_identifier()

    def language(self, text: str) -> str | None:
        """Return the ISO 639-1 code of the text's language; None if it is not certain."""
        code, probability = self._identifier.classify(text)
        return str(code) if probability >= _CERTAINTY else None


def language_name(code: str) -> str:
    """Return the English name of a language, or its code if Whisper has no name for it."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    return LANGUAGES[code].title() if code in LANGUAGES else code
