"""Make the pairs of texts that the reranker and the entailment model learn from.

Relevance: a question with the passages that its explanation cites, against passages of the same
group that it does not cite, near passages of other groups, and passages that do not answer the
group's unanswerable question; the same with sentences of the passages. The reranker has a second
label: does the sentence contradict what the question takes for granted?

Entailment: the nearest sentences of the cited passages with a faithful or a wrong sentence;
faithful sentences with the evidence of another group, and sentences of the evidence itself, so that
the style of a sentence tells nothing; before these, sentences of the training books, kept or
corrupted.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.books import read_items
from benchmarks.environment import CORPORA
from benchmarks.explanations import Claim, Group, Passage
from data.sentences import split_sentences
from generation.quotation import with_title
from retrieval.training.cross_encoder import Pair

__all__ = ["book_pairs", "entailment_pairs", "relevance_pairs"]

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

PREMISE_SENTENCES = 3  # as `grounding.premise_sentences`
STYLE_SHARE = 0.15  # of the claims that get a pair against reading the style
NEAR_PASSAGES = 30  # the nearest passages of other groups, of which two are drawn
MIN_CITES = 2  # a passage is relevant if this many sentences of the explanation cite it
SENTENCE_COSINE = 0.62  # from which a sentence of the evidence is taken for the answer
OTHER_COSINE = 0.42  # below which it is not
BOOKS = {
    "openstax-university-physics-bundle": 1300, "openstax-college-physics-bundle": 1300,
    "openstax-psychology": 1300, "openstax-introductory-statistics-bundle": 1300,
    "openstax-calculus-bundle": 250, "openstax-college-algebra-bundle": 250,
}  # fmt: skip  # passages of each training book


def entailment_pairs(groups: Sequence[Group], embed: Embed, rng: random.Random) -> list[Pair]:
    """Return pairs of evidence and a sentence with the label 1 if the evidence says it."""
    pairs = []
    for group in groups:
        corrections = [group.correction] if group.correction else []
        right = [*group.faithful, *(Claim(_without_no(c.text), c.cites) for c in corrections)]
        for claim in (*right, *group.wrong):
            sentences = [s for p in group.cited(claim.cites) for s in p.sentences]
            if not sentences:
                continue
            is_right = claim.kind == ""
            pairs.append(_entailment(sentences, claim.text, is_right, embed))
            if rng.random() < STYLE_SHARE:
                pairs += _against_style(claim, is_right, sentences, groups, embed, rng)
    return pairs


def _against_style(
    claim: Claim,
    is_right: bool,
    sentences: Sequence[str],
    groups: Sequence[Group],
    embed: Embed,
    rng: random.Random,
) -> Iterator[Pair]:
    if is_right:
        other = rng.choice(groups)
        evidence = [s for p in other.evidence for s in p.sentences]
        if claim not in other.faithful:
            yield _entailment(evidence, claim.text, False, embed)
        return
    whole = [s for s in sentences if 40 < len(s) < 300 and s.endswith(".")]
    if whole:
        yield _entailment(sentences, rng.choice(whole), True, embed)


def _entailment(sentences: Sequence[str], text: str, is_right: bool, embed: Embed) -> Pair:
    nearest = np.argsort(-(embed(sentences) @ embed([text])[0]), kind="stable")
    premise = " ".join(sentences[n] for n in sorted(nearest[:PREMISE_SENTENCES]))
    return Pair(premise, text, (float(is_right),))


def _without_no(text: str) -> str:
    """Return a correction without its first word, `No: `."""
    text = re.sub(r"^No[:,]\s*", "", text)
    return text[0].upper() + text[1:]


def relevance_pairs(groups: Sequence[Group], embed: Embed, rng: random.Random) -> list[Pair]:
    """Return pairs of a question and a text, labelled (relevant, contradicts its premise)."""
    pool = [(group.id, _title_and_text(p)) for group in groups for p in group.evidence]
    pool_vectors = embed([text[:600] for _, text in pool])
    pairs: list[Pair] = []
    for group in groups:
        counts = [sum(p.label in c.cites for c in group.faithful) for p in group.evidence]
        cited = [p for p, n in zip(group.evidence, counts, strict=True) if n >= MIN_CITES]
        uncited = [p for p, n in zip(group.evidence, counts, strict=True) if n == 0]

        def near(question: str, own: str = group.id) -> list[str]:
            order = np.argsort(-(pool_vectors @ embed([question])[0]))
            texts = [pool[n][1] for n in order if pool[n][0] != own][:NEAR_PASSAGES]
            return rng.sample(texts[2:], 2)

        question = group.question
        pairs += [Pair(question, _title_and_text(p), (1.0, 0.0)) for p in cited]
        pairs += [Pair(question, _title_and_text(p), (0.0, None)) for p in uncited]
        pairs += [Pair(question, text, (0.0, None)) for text in near(question)]
        answer = [c.text for c in group.faithful]
        pairs += _sentence_pairs(question, group, answer, SENTENCE_COSINE, 4, 0.0, embed, rng)
        pairs += [
            Pair(group.unanswerable, _title_and_text(p), (0.0, None))
            for p, n in zip(group.evidence, counts, strict=True)
            if n
        ]
        if correction := group.correction:
            question = correction.question
            pairs += [
                Pair(question, _title_and_text(p), (1.0, 1.0))
                for p in group.cited(correction.cites)
            ]
            pairs += [Pair(question, text, (0.0, None)) for text in near(question)]
            pairs += _sentence_pairs(question, group, [correction.text], 0.5, 1, 1.0, embed, rng)
    return pairs


def _sentence_pairs(
    question: str,
    group: Group,
    answer: Sequence[str],
    min_cosine: float,
    count: int,
    contradicts: float,
    embed: Embed,
    rng: random.Random,
) -> Iterator[Pair]:
    """Yield the sentences of the evidence nearest to the answer, and some far from it."""
    sentences = [(p.title, s) for p in group.evidence for s in p.sentences if len(s) > 15]
    if not sentences:
        return
    cosines = (embed([s for _, s in sentences]) @ embed(answer).T).max(axis=1)
    near = [n for n in np.argsort(-cosines) if cosines[n] >= min_cosine][:count]
    far = [n for n in range(len(sentences)) if cosines[n] < OTHER_COSINE]
    for n in near:
        yield Pair(question, with_title(*sentences[n]), (1.0, contradicts))
    for n in rng.sample(far, min(5, len(far))):
        yield Pair(question, with_title(*sentences[n]), (0.0, None))


def _title_and_text(passage: Passage) -> str:
    return with_title(passage.title, passage.text)


# Sentences of the books, kept or corrupted

_OPPOSITES = (
    "increase decrease|increases decreases|increased decreased|increasing decreasing|higher lower|"
    "greater smaller|larger smaller|more less|most least|faster slower|longer shorter|"
    "stronger weaker|above below|before after|inside outside|positive negative|maximum minimum|"
    "hot cold|warm cool|left right|up down|upward downward|first last|same different|attract repel|"
    "absorb emit|gain lose|expand contract|rise fall|rises falls|always never|all none|high low|"
    "large small|strong weak|long short|heavy light|solid liquid|parallel perpendicular|"
    "internal external|direct indirect|directly inversely|open closed|early late|begin end|"
    "begins ends|many few|cause prevent|causes prevents|with without|add remove|"
    "accelerate decelerate|constant variable|acid base|reactant product|input output|"
    "anode cathode|oxidation reduction|independent dependent"
)
_OPPOSITE = {
    word: other
    for pair in _OPPOSITES.split("|")
    for a, b in [pair.split()]
    for word, other in ((a, b), (b, a))
}
_STRONGER = {
    "some": "all", "may": "must", "can": "always", "often": "always", "usually": "always",
    "sometimes": "always", "most": "all", "many": "all", "about": "exactly", "nearly": "exactly",
    "only": "not only", "might": "will", "could": "must",
}  # fmt: skip
_TOKEN = re.compile(r"\\\(.*?\\\)|[\w'-]+|[^\w\s]|\s+")
_CONTENT_WORD = re.compile(r"[A-Za-z][a-z]{4,}")
_VERB = re.compile(r"\b(is|are|was|were|can|does|will|has|have|must|should)\b(?! not)")
_CONNECTIVE = re.compile(
    r"^(However|Therefore|Thus|For example|In addition|Similarly|In fact|Note that|As a result|"
    r"Hence|In this case|In general|Of course|Also|Moreover),? "
)


def book_pairs(rng: random.Random) -> list[Pair]:
    """Return entailment pairs of the training books, made by rules."""
    pairs: list[Pair] = []
    for book, count in BOOKS.items():
        texts = [
            item.text
            for item in read_items(CORPORA / book)
            if item.kind == "passage"
            and item.role in ("text", "note", "summary")
            and item.audience == "student"
            and 200 < len(item.text) < 1800
        ]
        rng.shuffle(texts)
        for text in texts[:count]:
            pairs += _passage_pairs(" ".join(text.split()), rng)
    return pairs


def _passage_pairs(text: str, rng: random.Random) -> Iterator[Pair]:
    sentences = [s for s in split_sentences(text) if 30 < len(s) < 320]
    if len(sentences) < PREMISE_SENTENCES:
        return
    for n in rng.sample(range(len(sentences)), min(4, len(sentences))):
        first = min(max(0, n - rng.randint(0, 2)), len(sentences) - 1)
        premise = sentences[first : first + PREMISE_SENTENCES]
        text = _shortened(sentences[n], rng)
        draw = rng.random()
        if draw < 0.45:
            yield Pair(" ".join(premise), text, (1.0,))
        elif draw < 0.9:
            others = [s for s in sentences if s != sentences[n]]
            if corrupted := _corrupted(text, others, rng):
                yield Pair(" ".join(premise), corrupted, (0.0,))
        elif far := [s for s in sentences if s not in premise]:
            yield Pair(" ".join(premise), rng.choice(far), (0.0,))


def _shortened(sentence: str, rng: random.Random) -> str:
    """Return a sentence that says the same or less: without brackets or its connective."""
    text = sentence
    if rng.random() < 0.5:
        text = re.sub(r"\s*\([^()\\]{3,60}\)", "", text)
    if rng.random() < 0.6:
        text = _CONNECTIVE.sub("", text)
    text = text[:1].upper() + text[1:]
    return text if len(text) > 20 else sentence


def _corrupted(sentence: str, others: Sequence[str], rng: random.Random) -> str | None:
    """Return a sentence that says something else: one word, number or negation is changed."""
    tokens = _TOKEN.findall(sentence)
    content = [n for n, token in enumerate(tokens) if _CONTENT_WORD.fullmatch(token)]
    changes: list[Callable[[], list[str] | None]] = []

    def other_number(token: str) -> str:
        return _other_number(token, rng)

    if numbers := [n for n, token in enumerate(tokens) if token.isdigit()]:
        changes += [lambda: _replaced(tokens, rng.choice(numbers), other_number)] * 3
    if turned := [n for n, token in enumerate(tokens) if token.lower() in _OPPOSITE]:
        changes += [lambda: _replaced(tokens, rng.choice(turned), _OPPOSITE.__getitem__)] * 4
    if weak := [n for n, token in enumerate(tokens) if token.lower() in _STRONGER]:
        changes += [lambda: _replaced(tokens, rng.choice(weak), _STRONGER.__getitem__)] * 2
    if _VERB.search(sentence):
        changes += [lambda: _TOKEN.findall(_VERB.sub(r"\1 not", sentence, count=1))] * 2
    if len(content) >= 4:
        changes.append(lambda: _swapped(tokens, rng.sample(content, 2)))
        changes += [lambda: _other_word(tokens, rng.choice(content), others, rng)] * 2
    changed = rng.choice(changes)() if changes else None
    return "".join(changed) if changed and changed != tokens else None


def _replaced(tokens: Sequence[str], index: int, change: Callable[[str], str]) -> list[str]:
    token = tokens[index]
    new = change(token.lower())
    new = new.capitalize() if token[0].isupper() else new
    return [*tokens[:index], new, *tokens[index + 1 :]]


def _other_number(token: str, rng: random.Random) -> str:
    number = int(token[:9])
    choices = (number * 2, number + 1, number * 10, max(0, number - 1), number + rng.randint(2, 30))
    return str(rng.choice(choices))


def _swapped(tokens: Sequence[str], places: Sequence[int]) -> list[str] | None:
    i, j = places
    if tokens[i].lower()[:5] == tokens[j].lower()[:5]:
        return None
    swapped = list(tokens)
    swapped[i], swapped[j] = tokens[j], tokens[i]
    return swapped


def _other_word(
    tokens: Sequence[str], index: int, others: Sequence[str], rng: random.Random
) -> list[str] | None:
    """Replace a word by one of the passage with the same ending."""
    word = tokens[index]
    candidates = [
        other
        for sentence in others
        for other in _CONTENT_WORD.findall(sentence)
        if other[-2:] == word[-2:] and other.lower()[:5] != word.lower()[:5] and other not in tokens
    ]
    if not candidates:
        return None
    return [*tokens[:index], rng.choice(candidates), *tokens[index + 1 :]]
