"""Generate questions from the items of a corpus, to measure answers and refusals.

Answerable questions ask for definitions of the glossary, learning objectives, exercises with a
solution, figures with a caption and statements of the text. The text behind a question is its
reference; citations of its section count as right. Evaluation searches as a student does, so it
finds glossary and figures. Objectives and exercises are no evidence, but they help to find the
section that a question is about (`unirag/search/context_selection.py`), and a student may ask an
exercise of the corpus.

Unanswerable questions are of three kinds. Some ask for terms of another subject that the corpus
never uses. Some ask for invented terms. Some have a false premise: a term with the definition of
another term, or a statement with a changed term or number. Answerable questions about unchanged
statements use the same forms, so that the form of a question does not give its kind away.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from data.records import Item
from data.sentences import split_sentences
from generation.quantities import quantities
from generation.statements import FORMULA, stands_alone
from generation.words import stems

__all__ = [
    "EvaluationQuestion",
    "QuestionKind",
    "SectionKey",
    "answerable_questions",
    "section_keys",
    "unanswerable_questions",
]

QuestionKind = Literal[
    "definition", "objective", "exercise", "figure", "statement", "checked",
    "other subject", "made up", "false premise",
]  # fmt: skip
SectionKey = tuple[str, ...]
SectionKeyOf = Callable[[Item], SectionKey]

_TERM = re.compile(r"[A-Za-z][A-Za-z' -]{2,39}")
_DEFINITION_FORMS = (
    "What is meant by {}?",
    "What does the term {} mean?",
    "Explain {} in simple words.",
)
_PREMISE_FORMS = ("How do we know that {}?", "Why is it that {}?", "{} Can you explain that?")
# Sentences that start with a clause, address the reader or contain a formula are skipped.
_UNUSABLE_STATEMENT = re.compile(
    rf"^(?:If|When|Since|Because|As|Although|While|To|For|In)\b|\b(?:you|your|let|example)\b"
    rf"|{FORMULA.pattern}",
    re.DOTALL,
)
_TASK_VERB = re.compile(
    r"(?:Explain|Describe|Define|State|Discuss|Identify|Compare|Distinguish|List|Outline|Summarize"
    r"|Relate|Contrast)\b"
)
_SECTION_NUMBER = re.compile(r"^[\d.]+\s+")
_FIGURE_NUMBER = re.compile(r"^\s*(?:fig(?:ure|\.)?|table)\s*[\d.]+[.:]?\s*", re.IGNORECASE)
_MIN_DEFINITION_WORDS = 4
_MIN_STATEMENT_STEMS = 5
_MAX_EXERCISE_WORDS = 80
_MAX_FALSE_DEFINITION = 120  # characters
_SWAP_CANDIDATES = 20  # terms tried in place of a term
_NUMBER_FACTOR = 3  # multiplies a right number to make a wrong one
_ONSETS = "br cl dr fl gr kl pl pr sk sp st tr th v z m n l r".split()
_VOWELS = "a e i o u ae io".split()
_CODAS = "n r l x m th nd rk st".split()
_CONCEPTS = "effect law constant reaction principle coefficient equation process".split()


@dataclass(frozen=True)
class EvaluationQuestion:
    """A question with its reference answer.

    `section` is empty if the corpus has no answer. `reference` is empty for questions about a
    statement, which already contain it. `locator` names the item behind the question.
    """

    text: str
    kind: QuestionKind
    reference: str = ""
    section: SectionKey = ()
    locator: str = ""

    @property
    def answerable(self) -> bool:
        """Whether the corpus has an answer."""
        return bool(self.section)


def section_keys(items: Iterable[Item]) -> SectionKeyOf:
    """Return a function that maps an item to the key of its section.

    A citation is right if it has the section key of the question. If a document is one section of
    a book, the key is the section's title without its number, so that two editions share the key.
    If several sections of a book have this title ("Introduction"), the key starts with the titles
    above it. For any other document the key is the document and three levels of section titles.
    """
    common_paths: dict[str, tuple[str, ...]] = {}
    for item in items:
        path = common_paths.get(item.source, item.section)
        pairs = zip(path, item.section, strict=False)
        common_paths[item.source] = tuple(a for a, _ in takewhile(lambda p: p[0] == p[1], pairs))
    paths = {
        source: tuple(_SECTION_NUMBER.sub("", title) for title in path)
        for source, path in common_paths.items()
        if len(path) > 1
    }
    uses = Counter((path[0], path[-1]) for path in paths.values())
    repeated = {title for (_, title), count in uses.items() if count > 1}
    keys = {s: path[1:] if path[-1] in repeated else path[-1:] for s, path in paths.items()}
    return lambda item: keys.get(item.source) or (item.source, *item.section[:3])


def answerable_questions(items: Iterable[Item], count: int, seed: int) -> list[EvaluationQuestion]:
    """Return about `count` answerable questions, as evenly of the five kinds as the corpus allows.

    The same items and the same seed give the same questions.
    """
    ordered = sorted(items, key=lambda item: item.locator)
    key_of = section_keys(ordered)
    statements = [
        EvaluationQuestion(
            _premise_question(statement), "statement", "", key_of(item), item.locator
        )
        for item, statement in _statements(ordered)
    ]
    kinds = [
        _definition_questions(ordered, key_of),
        _objective_questions(ordered, key_of),
        _exercise_questions(ordered, key_of),
        _figure_questions(ordered, key_of),
        statements,
    ]
    return _sample_evenly(kinds, count, random.Random(seed))


def unanswerable_questions(
    items: Iterable[Item], other_items: Iterable[Item], count: int, seed: int
) -> list[EvaluationQuestion]:
    """Return about `count` questions without an answer in `items`, as evenly as possible.

    `other_items` belong to another subject. Without them, that kind of question is missing.
    """
    ordered = sorted(items, key=lambda item: item.locator)
    rng = random.Random(seed)
    corpus_stems = frozenset().union(*(stems(f"{i.title} {i.text}") for i in ordered))
    other_ordered = sorted(other_items, key=lambda item: item.locator)
    kinds = [
        _other_subject_questions(other_ordered, corpus_stems),
        [_made_up_question(rng, corpus_stems) for _ in range(count)],
        _sample_evenly(
            [
                _wrong_definitions(ordered, rng),
                _wrong_terms(ordered, rng),
                _wrong_numbers(ordered),
            ],
            count,
            rng,
        ),
    ]
    return _sample_evenly(kinds, count, rng)


def _sample_evenly(
    kinds: Sequence[Sequence[EvaluationQuestion]], count: int, rng: random.Random
) -> list[EvaluationQuestion]:
    """Draw `count` questions as evenly from all kinds as possible, in mixed order."""
    sample: list[EvaluationQuestion] = []
    remaining = count
    for n, kind in enumerate(sorted(kinds, key=len)):
        share = remaining // (len(kinds) - n)
        sample += rng.sample(list(kind), min(share, len(kind)))
        remaining = count - len(sample)
    rng.shuffle(sample)
    return sample


def _glossary(items: Sequence[Item]) -> dict[str, tuple[Item, str]]:
    """Return the item and the definition of each term."""
    glossary: dict[str, tuple[Item, str]] = {}
    for item in items:
        term, _, definition = item.text.partition(": ")
        is_long_enough = len(definition.split()) >= _MIN_DEFINITION_WORDS
        if item.role == "term" and _TERM.fullmatch(term) and is_long_enough:
            glossary.setdefault(term, (item, definition.strip()))
    return glossary


def _definition_questions(items: Sequence[Item], key_of: SectionKeyOf) -> list[EvaluationQuestion]:
    return [
        EvaluationQuestion(
            _definition_question(term), "definition", definition, key_of(item), item.locator
        )
        for term, (item, definition) in _glossary(items).items()
    ]


def _definition_question(term: str) -> str:
    """Ask for a term in one of the forms, always in the same form for the same term."""
    return _form_for(term, _DEFINITION_FORMS).format(term)


def _premise_question(statement: str) -> str:
    """Return a question that takes the statement for granted."""
    form = _form_for(statement, _PREMISE_FORMS)
    if form.startswith("{}"):
        return form.format(statement)
    first, rest = statement[0], statement[1:].rstrip(".")
    is_plain_word = rest[:1].islower() or statement[1:2] == " "  # not an abbreviation such as DNA
    return form.format((first.lower() if is_plain_word else first) + rest)


def _form_for(text: str, forms: Sequence[str]) -> str:
    return forms[sum(map(ord, text)) % len(forms)]


def _statements(items: Sequence[Item]) -> list[tuple[Item, str]]:
    """Return the stand-alone sentence of each passage that has the most content words."""
    statements = []
    for item in items:
        if item.role not in ("text", "summary") or item.kind != "passage":
            continue
        candidates = [
            sentence
            for line in item.text.splitlines()
            for sentence in split_sentences(line)
            if stands_alone(sentence)
            and len(stems(sentence)) >= _MIN_STATEMENT_STEMS
            and not _UNUSABLE_STATEMENT.search(sentence)
        ]
        if candidates:
            statements.append((item, max(candidates, key=lambda s: len(stems(s)))))
    return statements


def _objective_questions(items: Sequence[Item], key_of: SectionKeyOf) -> list[EvaluationQuestion]:
    """Ask for the objectives of a section; its summary is the reference."""
    summaries: dict[SectionKey, list[str]] = defaultdict(list)
    for item in items:
        if item.role == "summary":
            summaries[key_of(item)].append(item.text)
    questions = []
    for item in items:
        if item.role != "objective" or key_of(item) not in summaries:
            continue
        for line in item.text.splitlines():
            objective = line.removeprefix("- ").strip().rstrip(".")
            if _TASK_VERB.match(objective) and 5 <= len(objective.split()) <= 20:
                key = key_of(item)
                reference = "\n".join(summaries[key])
                questions.append(
                    EvaluationQuestion(f"{objective}.", "objective", reference, key, item.locator)
                )
    return questions


def _exercise_questions(items: Sequence[Item], key_of: SectionKeyOf) -> list[EvaluationQuestion]:
    """Ask the exercises that have a solution; the solution is the reference."""
    by_id = {item.id: item for item in items}
    questions = []
    for solution in items:
        neighbours = [by_id[n] for n in solution.neighbours if n in by_id]
        exercise = next((n for n in neighbours if n.role == "exercise"), None)
        if solution.role != "solution" or exercise is None:
            continue
        if len(exercise.text.split()) <= _MAX_EXERCISE_WORDS:
            questions.append(
                EvaluationQuestion(
                    exercise.text, "exercise", solution.text, key_of(exercise), solution.locator
                )
            )
    return questions


def _figure_questions(items: Sequence[Item], key_of: SectionKeyOf) -> list[EvaluationQuestion]:
    """Ask for figures by the first sentence of their caption; the caption is the reference."""
    questions = []
    for item in items:
        if item.kind != "figure" or not _FIGURE_NUMBER.match(item.title):
            continue
        caption = _FIGURE_NUMBER.sub("", item.text.splitlines()[0])
        first, *rest = split_sentences(caption) or [""]
        if rest and 4 <= len(first.split()) <= 25:
            text = f"What does the figure show? {first}"
            questions.append(
                EvaluationQuestion(text, "figure", item.text, key_of(item), item.locator)
            )
    return questions


def _other_subject_questions(
    other_items: Sequence[Item], corpus_stems: frozenset[str]
) -> list[EvaluationQuestion]:
    """Ask for terms of another subject whose words never occur in the corpus."""
    return [
        EvaluationQuestion(_definition_question(term), "other subject", locator=item.locator)
        for term, (item, _) in _glossary(other_items).items()
        if stems(term) and not stems(term) & corpus_stems
    ]


def _made_up_question(rng: random.Random, corpus_stems: frozenset[str]) -> EvaluationQuestion:
    """Ask for an invented term."""
    while True:
        syllables = [
            rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) * rng.randint(0, 1)
            for _ in range(3)
        ]
        word = "".join(syllables) + rng.choice(("ic", "al", "ine", ""))
        if not stems(word) & corpus_stems:
            term = f"the {word} {rng.choice(_CONCEPTS)}"
            return EvaluationQuestion(_definition_question(term), "made up")


def _wrong_definitions(items: Sequence[Item], rng: random.Random) -> list[EvaluationQuestion]:
    """Combine each term with the definition of an unrelated term from another chapter."""
    glossary = _glossary(items)
    questions = []
    for term, (item, _) in glossary.items():
        for other in _swap_candidates(glossary, rng):
            other_item, definition = glossary[other]
            if _chapter(other_item) == _chapter(item) or len(definition) >= _MAX_FALSE_DEFINITION:
                continue
            if not stems(term) & stems(f"{other} {definition}"):
                claim = f"{_capitalised(term)} is {definition.rstrip('.')}."
                questions.append(_false_premise(claim, other_item))
                break
    return questions


def _wrong_terms(items: Sequence[Item], rng: random.Random) -> list[EvaluationQuestion]:
    """Replace a term of each statement by a term from another chapter."""
    glossary = _glossary(items)
    if not glossary:
        return []
    any_term = re.compile(rf"\b(?:{'|'.join(map(re.escape, glossary))})\b")
    questions = []
    for item, statement in _statements(items):
        match = any_term.search(statement)
        if not match:
            continue
        passage_stems = stems(f"{item.title} {item.text}")
        for other in _swap_candidates(glossary, rng):
            is_far = _chapter(glossary[other][0]) != _chapter(item)
            if is_far and not stems(other) & passage_stems:
                claim = f"{statement[: match.start()]}{other}{statement[match.end() :]}"
                questions.append(_false_premise(_capitalised(claim), item))
                break
    return questions


def _wrong_numbers(items: Sequence[Item]) -> list[EvaluationQuestion]:
    """Multiply the only quantity of a statement; skip it if its passage contains the result."""
    questions = []
    for item, statement in _statements(items):
        amounts = quantities(statement)
        if len(amounts) != 1 or not amounts[0].unit or not 1 < amounts[0].value < 10_000:
            continue
        written = amounts[0].written
        number = re.match(r"[\d.,]+", written)
        if not number or statement.count(written) != 1:
            continue
        wrong = f"{amounts[0].value * _NUMBER_FACTOR:g}"
        if any(f"{quantity.value:g}" == wrong for quantity in quantities(item.text)):
            continue
        claim = statement.replace(written, written.replace(number[0], wrong, 1))
        questions.append(_false_premise(claim, item))
    return questions


def _swap_candidates(glossary: dict[str, tuple[Item, str]], rng: random.Random) -> list[str]:
    return rng.sample(sorted(glossary), min(_SWAP_CANDIDATES, len(glossary)))


def _false_premise(claim: str, item: Item) -> EvaluationQuestion:
    return EvaluationQuestion(_premise_question(claim), "false premise", locator=item.locator)


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _chapter(item: Item) -> tuple[str, ...]:
    return item.section[:2] or (item.source,)
