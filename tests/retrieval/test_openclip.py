"""The profiles `base` and `paper`, with tiny models saved in the hub's own formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from data.errors import BadInput
from retrieval.openclip import OpenClipEncoder
from retrieval.text import SentenceRetriever

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bicubic"}


@pytest.fixture
def clip_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = open_clip.CLIP(**CONFIG)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        tmp_path / "open_clip_model.safetensors",
    )
    config = {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    return tmp_path


def pictures(n: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (40, 56, 3), dtype=np.uint8)) for _ in range(n)]


def test_both_towers_give_unit_vectors_of_one_space(clip_folder: Path) -> None:
    encoder = OpenClipEncoder("tiny", clip_folder)
    images, texts = encoder.encode_image(pictures(3)), encoder.encode_text(["a lens", "a cell"])
    assert encoder.cross_modal
    assert images.shape == (3, encoder.width) == (3, 24)
    assert texts.shape == (2, 24)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm([*images, *texts], axis=1), 1, atol=1e-5)


def test_vectors_are_those_of_open_clip_itself(clip_folder: Path) -> None:
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{clip_folder}")
    image = pictures(1)[0]
    with torch.inference_mode():
        expected = model.eval().encode_image(transform(image)[None], normalize=True).numpy()
    np.testing.assert_allclose(
        OpenClipEncoder("tiny", clip_folder).encode_image([image]), expected, atol=1e-6
    )


def test_batches_do_not_change_vectors(clip_folder: Path) -> None:
    encoder = OpenClipEncoder("tiny", clip_folder)
    many = pictures(37)
    whole = encoder.encode_image(many)
    np.testing.assert_allclose(whole[34], encoder.encode_image([many[34]])[0], atol=1e-5)
    assert encoder.encode_image([]).shape == (0, 24)


def test_a_folder_that_is_no_openclip_model_is_refused(tmp_path: Path, clip_folder: Path) -> None:
    with pytest.raises(BadInput, match=r"expected open_clip_config\.json"):
        OpenClipEncoder("none", tmp_path / "nothing")
    (clip_folder / "open_clip_model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(BadInput, match="cannot be loaded"):
        OpenClipEncoder("broken", clip_folder)


@pytest.fixture
def sentence_folder(tmp_path: Path) -> Path:
    """A BGE-like model: BERT, [CLS] pooling, a prompt for queries."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", ":", "lens", "cell", "force"]
    tokenizer = Tokenizer(WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    folder = tmp_path / "bert"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
        )
    ).save_pretrained(folder)
    transformer = models.Transformer(str(folder))
    pooling = models.Pooling(16, pooling_mode="cls")
    target = tmp_path / "sentence"
    SentenceTransformer(
        modules=[transformer, pooling], prompts={"query": "query: ", "document": ""}
    ).save(str(target))
    return target


def test_text_retriever_uses_the_models_own_prompts(sentence_folder: Path) -> None:
    retriever = SentenceRetriever("tiny", sentence_folder)
    passages = retriever.encode_passages(["lens", "cell force"])
    queries = retriever.encode_queries(["lens"])
    assert retriever.width == 16
    assert passages.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-5)
    assert np.abs(queries[0] - passages[0]).max() > 1e-4
    np.testing.assert_allclose(queries[0], retriever.encode_passages(["query: lens"])[0], atol=1e-6)


def test_a_folder_that_is_no_text_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a sentence-transformers model"):
        SentenceRetriever("none", tmp_path)
