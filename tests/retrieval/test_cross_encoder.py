"""Cross-encoders: tiny models in the Hub's own format, and the weights that are shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from data.errors import BadInput
from retrieval.cross_encoder import CrossEncoder

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"a lens bends light what does it do".split(),
]


def save_tiny_model(folder: Path, labels: dict[int, str]) -> Path:
    """Write a sequence classifier with two layers of width 16 and its tokenizer."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
    )
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


PAIRS = [("what does a lens do", "a lens bends light"), ("light", "it " * 40), ("a", "a")]


def test_one_output_gives_a_sigmoid(tmp_path: Path) -> None:
    model = CrossEncoder.from_hub_folder("tiny", save_tiny_model(tmp_path, {0: "LABEL_0"}))
    scores = model.score(PAIRS)
    assert scores.dtype == np.float32
    assert scores.shape == (3,)
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize(
    "labels",
    [
        {0: "contradiction", 1: "entailment", 2: "neutral"},
        {0: "unsupported", 1: "supported"},
        {0: "LABEL_0", 1: "LABEL_1"},
    ],
)
def test_several_outputs_give_the_probability_of_entailment(
    tmp_path: Path, labels: dict[int, str]
) -> None:
    folder = save_tiny_model(tmp_path, labels)
    model = CrossEncoder.from_hub_folder("tiny", folder)
    raw = BertForSequenceClassification.from_pretrained(folder)
    inputs = BertTokenizerFast.from_pretrained(folder)(*PAIRS[0], return_tensors="pt")
    expected = torch.softmax(raw(**inputs).logits, 1)[0, 1].item()
    assert model.score(PAIRS)[0] == pytest.approx(expected, abs=1e-4)


def test_the_score_of_a_pair_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    model = CrossEncoder.from_hub_folder("tiny", save_tiny_model(tmp_path, {0: "LABEL_0"}))
    alone = np.concatenate([model.score([pair]) for pair in PAIRS])
    assert model.score(PAIRS) == pytest.approx(alone, abs=1e-5)
    assert model.score([]).shape == (0,)


def test_labels_without_entailment_are_refused(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path, {0: "positive", 1: "negative"})
    with pytest.raises(BadInput, match="none of its labels"):
        CrossEncoder.from_hub_folder("tiny", folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a cross-encoder"):
        CrossEncoder.from_hub_folder("tiny", tmp_path)
    with pytest.raises(BadInput, match="no weights over"):
        CrossEncoder.over_trunk(tmp_path, tmp_path)
