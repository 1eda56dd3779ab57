"""OpenCLIP towers with prompts, and text retrievers: tiny models saved in the formats of the Hub.

B batch, P prompts, W tower width, G Gram features, S sentence width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

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
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from data.errors import BadInput
from retrieval.efficientnet import GRAM, CnnFeatures, EfficientNetLite0
from retrieval.encoder import TextRetriever
from retrieval.experts import ExpertConfig
from retrieval.openclip_tower import OpenClipTower
from retrieval.prompt_bank import BankConfig
from retrieval.sentence_retriever import SentenceRetriever
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import UniConfig, UniRetrieval

CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bicubic"}
CELL = 5533  # id of the word in CLIP's vocabulary
TEXTS = ["a cell", "", "cell " * 20, "the lens of an eye and a cell beside it"]
VISION: dict[str, Any] = {
    "ls_init_value": 0.1,
    "pool_type": "avg",
    "final_ln_after_pool": True,
    "no_ln_pre": True,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "gelu": {},
    "quick gelu": {"quick_gelu": True},
    "scaled, mean of patches": {"vision_cfg": VISION, "text_cfg": {"ls_init_value": 0.1}},
    "mean of norms": {"vision_cfg": {"pool_type": "avg"}},
    "end by name": {"text_cfg": {"pool_type": "eos", "eos_id": CELL}},
}


def config_with(changes: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(CONFIG)
    for key, value in changes.items():
        config[key] = {**CONFIG[key], **value} if key.endswith("_cfg") else value
    return config


def save(folder: Path, **changes: Any) -> Path:
    """Save a random model. Noise on every parameter, because OpenCLIP starts many at 0 or 1."""
    torch.manual_seed(0)
    config = config_with(changes)
    arguments = {k: v for k, v in config.items() if k != "custom_text"}
    model = (open_clip.CustomTextCLIP if "custom_text" in config else open_clip.CLIP)(**arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    document = {"model_cfg": config, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(params=VARIANTS)
def variant_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save(tmp_path / "clip", **VARIANTS[request.param])


@pytest.fixture
def clip_folder(tmp_path: Path) -> Path:
    return save(tmp_path / "clip")


@pytest.fixture
def tower(clip_folder: Path) -> OpenClipTower:
    return OpenClipTower("tiny", clip_folder, None, None)


def pictures(n: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (40, 56, 3), dtype=np.uint8)) for _ in range(n)]


def prompts(batch: int, width: int, count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, count, width, generator=generator)


def sides(tower: OpenClipTower) -> list[tuple[Callable[..., Tensor], Tensor, int]]:
    """Return the forward function of each tower, inputs for it, and its width."""
    return [
        (tower.forward_image, tower.pixels(pictures(4)), tower.image_width),
        (tower.forward_text, tower.tokens(TEXTS), tower.text_width),
    ]


def set_gates(tower: OpenClipTower, value: float) -> None:
    with torch.no_grad():
        for block in (*tower.image_blocks, *tower.text_blocks):
            block.attention.gate_H.fill_(value)


def tower_inputs(tower: OpenClipTower, sentence: int = 384) -> tuple[TowerInputs, TowerInputs]:
    generator = torch.Generator().manual_seed(2)
    (_, pixels_BCHW, _), (_, tokens_BT, _) = sides(tower)
    gram_BG = torch.randn(4, GRAM, generator=generator)
    words_BS = torch.randn(4, sentence, generator=generator)
    return TowerInputs(pixels_BCHW, gram_BG), TowerInputs(tokens_BT, words_BS)


@torch.no_grad()
def test_plain_vectors_equal_those_of_open_clip(variant_folder: Path) -> None:
    location = f"local-dir:{variant_folder}"
    model, transform = open_clip.create_model_from_pretrained(location)
    model.eval()
    tower = OpenClipTower("tiny", variant_folder, None, None)
    pixels = torch.stack([transform(i) for i in pictures(3)])
    tokens = open_clip.get_tokenizer(location)(TEXTS)
    assert tower.pixels(pictures(3)).equal(pixels)
    assert tower.tokens(TEXTS).equal(tokens)
    torch.testing.assert_close(
        tower.forward_image(pixels), model.encode_image(pixels), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        tower.forward_text(tokens), model.encode_text(tokens), atol=1e-5, rtol=0
    )
    # Vectors that did not depend on the input would agree as well.
    assert tower.forward_image(pixels).std(0).min() > 1e-3
    assert tower.forward_text(tokens).std(0).min() > 1e-3
    assert (tower.width, tower.image_width, tower.text_width) == (24, 64, 32)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 5])
def test_prompts_behind_closed_gates_change_nothing(variant_folder: Path, count: int) -> None:
    tower = OpenClipTower("tiny", variant_folder, None, None)
    for encode, inputs, width in sides(tower):
        plain, prompted = encode(inputs), encode(inputs, prompts(len(inputs), width, count))
        torch.testing.assert_close(prompted, plain, atol=1e-6, rtol=0)


@torch.no_grad()
def test_prompts_behind_open_gates_change_only_their_row(variant_folder: Path) -> None:
    tower = OpenClipTower("tiny", variant_folder, None, None)
    set_gates(tower, 0.5)
    for encode, inputs, width in sides(tower):
        prompts_BPW = prompts(len(inputs), width)
        before = encode(inputs, prompts_BPW)
        assert ((before - encode(inputs)).abs().amax(1) > 1e-3).all()
        prompts_BPW[1] *= -1
        changed = (encode(inputs, prompts_BPW) - before).abs().amax(1)
        assert (changed > 1e-3).tolist() == [False, True, False, False]


@torch.no_grad()
def test_prompts_enter_the_first_block_unchanged(tower: OpenClipTower) -> None:
    block_inputs: list[Tensor] = []

    def wrap_block(step: Callable[[Tensor], Tensor], x_BTW: Tensor) -> Tensor:
        block_inputs.append(x_BTW)
        return step(x_BTW)

    tower.wrap_block = wrap_block
    for (encode, inputs, width), index in zip(sides(tower), (1, 0), strict=True):
        prompts_BPW = prompts(len(inputs), width)
        block_inputs.clear()
        encode(inputs)
        encode(inputs, prompts_BPW)
        plain_BTW, prompted_BTW = block_inputs[0], block_inputs[2]
        expected = (plain_BTW[:, :index], prompts_BPW, plain_BTW[:, index:])
        assert prompted_BTW.equal(torch.cat(expected, dim=1))


@torch.no_grad()
def test_the_order_of_prompts_does_not_matter(tower: OpenClipTower) -> None:
    set_gates(tower, 0.5)
    for encode, inputs, width in sides(tower):
        prompts_BPW = prompts(len(inputs), width)
        flipped = encode(inputs, prompts_BPW.flip(1))
        torch.testing.assert_close(flipped, encode(inputs, prompts_BPW), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_prompted_text_does_not_depend_on_its_batch(tower: OpenClipTower) -> None:
    set_gates(tower, 0.5)
    tokens, prompts_BPW = tower.tokens(TEXTS), prompts(len(TEXTS), tower.text_width)
    together = tower.forward_text(tokens, prompts_BPW)
    for i in range(len(TEXTS)):
        alone = tower.forward_text(tokens[i : i + 1], prompts_BPW[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("routed_by", ["prototype", "token"])
def test_untrained_uni_retrieval_equals_its_tower(
    clip_folder: Path, tower: OpenClipTower, routed_by: str
) -> None:
    experts = ExpertConfig.model_validate({"experts": 3, "rank": 2, "routed_by": routed_by})
    config = UniConfig(
        bank=BankConfig(entries=5, prompts=2), experts=ExpertConfig(experts=2), depth=experts
    )
    images, texts = tower_inputs(tower)
    plain = [
        nn.functional.normalize(f(x.inputs), dim=1) for f, x in with_forward(tower, images, texts)
    ]
    encoder = UniRetrieval(OpenClipTower("tiny", clip_folder, None, None), config)
    encoded = [encoder.forward_image(images), encoder.forward_text(texts)]
    for batch, expected in zip(encoded, plain, strict=True):
        torch.testing.assert_close(batch.vectors_BD, expected, atol=1e-6, rtol=0)
    assert len(encoded[0].gates) == 1 + 4 * 2  # experts of the prompts and of every layer


def with_forward(
    tower: OpenClipTower, images: TowerInputs, texts: TowerInputs
) -> list[tuple[Callable[[Tensor], Tensor], TowerInputs]]:
    return [(tower.forward_image, images), (tower.forward_text, texts)]


def build_trainable(tower: OpenClipTower, *, depth: bool) -> UniRetrieval:
    """Build an encoder that trains its adapters and the tower's norms."""
    experts = ExpertConfig(experts=3, rank=2)
    bank = BankConfig(entries=5, prompts=2)
    tower.requires_grad_(False)
    config = UniConfig(bank=bank, experts=experts, depth=experts if depth else None)
    encoder = UniRetrieval(tower, config)
    for _, parameter in encoder.adapter_parameters():
        parameter.requires_grad_(True)
    for module in tower.modules():
        if isinstance(module, nn.LayerNorm):
            module.requires_grad_(True)
    return encoder


def loss_of(encoder: UniRetrieval) -> Tensor:
    images, texts = tower_inputs(cast(OpenClipTower, encoder.tower))
    scores = encoder.forward_image(images).vectors_BD @ encoder.forward_text(texts).vectors_BD.T
    return nn.functional.cross_entropy(10 * scores, torch.arange(4))


def test_all_trained_parameters_get_a_gradient_and_the_loss_falls(tower: OpenClipTower) -> None:
    torch.manual_seed(3)
    encoder = build_trainable(tower, depth=True)
    frozen = {n: p.clone() for n, p in encoder.named_parameters() if not p.requires_grad}
    trained = {n: p for n, p in encoder.named_parameters() if p.requires_grad}
    optimizer = torch.optim.Adam(trained.values(), lr=1e-2)
    losses = []
    for _ in range(3):  # first the gates, then the prompts behind them
        optimizer.zero_grad()
        loss = loss_of(encoder)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    idle = [n for n, p in trained.items() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert losses[2] < losses[0]
    for fragment in (
        "bank.keys_ND",
        "bank.image_NPW",
        "bank.text_NPW",
        "gate_H",
        ".experts.",
        "norm",
    ):
        assert any(fragment in name for name in trained), fragment
    after = dict(encoder.named_parameters())
    assert frozen.keys() >= {"tower.patch.weight", "tower.image_out_WD", "tower.word.weight"}
    assert all(after[name].equal(value) for name, value in frozen.items())


def test_the_norms_alone_can_be_trained(tower: OpenClipTower) -> None:
    norms = [m for m in tower.modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 4 * 2 + 3  # 2 per block; before and after the ViT, after the text blocks
    tower.requires_grad_(False)
    for norm in norms:
        norm.requires_grad_(True)
    before = [encode(inputs) for encode, inputs, _ in sides(tower)]
    torch.stack([vectors.square().mean() for vectors in before]).sum().backward()
    assert all(norm.weight.grad is not None and norm.weight.grad.any() for norm in norms)
    with torch.no_grad():
        for norm in norms:
            assert norm.weight.grad is not None
            norm.weight -= 0.1 * norm.weight.grad
        after = [encode(inputs) for encode, inputs, _ in sides(tower)]
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(after, before, strict=True))


def test_activation_checkpointing_changes_neither_vectors_nor_gradients(
    tower: OpenClipTower,
) -> None:
    set_gates(tower, 0.5)
    calls = 0

    def wrap_block(step: Callable[[Tensor], Tensor], x_BTW: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return cast(Tensor, checkpoint(step, x_BTW, use_reentrant=False))

    for encode, inputs, width in sides(tower):
        runs = []
        for tower.wrap_block in (None, wrap_block):
            tower.zero_grad()
            prompts_BPW = prompts(len(inputs), width).requires_grad_()
            vectors = encode(inputs, prompts_BPW)
            vectors.square().mean().backward()
            grads = {n: p.grad.clone() for n, p in tower.named_parameters() if p.grad is not None}
            assert prompts_BPW.grad is not None
            runs.append((vectors.detach(), {**grads, "prompts": prompts_BPW.grad}))
        (plain, expected), (checkpointed, grads) = runs
        assert checkpointed.equal(plain)
        assert grads.keys() == expected.keys()
        assert all(grad.any() for grad in grads.values())
        for name, grad in grads.items():
            torch.testing.assert_close(grad, expected[name], atol=1e-7, rtol=1e-6, msg=name)
    assert calls == 4


class _FakeCNN:
    def preprocess(self, images: list[Image.Image]) -> Tensor:
        return torch.tensor([float(image.width) for image in images])

    def extract(self, x_B: Tensor) -> CnnFeatures:
        return CnnFeatures(x_B, x_B[:, None].expand(-1, GRAM))


class _FakeSentences:
    def encode_passages(self, texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.array([[len(text)] * 384 for text in texts], np.float32)


def test_features_come_from_the_cnn_and_the_text_retriever(clip_folder: Path) -> None:
    cnn, sentences = cast(EfficientNetLite0, _FakeCNN()), cast(TextRetriever, _FakeSentences())
    tower = OpenClipTower("tiny", clip_folder, cnn, sentences)
    images, texts = tower.prepare_images(pictures(2)), tower.prepare_texts(["lens", "a cell"])
    assert images.inputs.equal(tower.pixels(pictures(2)))
    assert images.features_BG.tolist() == [[56.0] * GRAM] * 2
    assert texts.inputs.equal(tower.tokens(["lens", "a cell"]))
    assert texts.features_BG.tolist() == [[4.0] * 384, [6.0] * 384]


@torch.no_grad()
def test_bfloat16_towers_work_with_prompts_and_experts(
    clip_folder: Path, tower: OpenClipTower
) -> None:
    images, texts = tower_inputs(tower)
    half = OpenClipTower("tiny", clip_folder, None, None, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    experts = ExpertConfig(experts=3, rank=2)
    encoder = UniRetrieval(half, UniConfig(experts=experts, depth=experts))
    images = TowerInputs(half.pixels(pictures(4)), images.features_BG)
    encoded = encoder.forward_image(images), encoder.forward_text(texts)
    for batch, (encode, inputs, _) in zip(encoded, sides(tower), strict=True):
        plain = nn.functional.normalize(encode(inputs), dim=1)
        assert batch.vectors_BD.dtype == torch.float32
        assert (batch.vectors_BD * plain).sum(1).min() > 0.999  # 8 bits of mantissa, 2 layers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"vision_cfg": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 64}},
            "image tower is a ModifiedResNet",
        ),
        ({"vision_cfg": {"attentional_pool": True}}, "pools with attention"),
        ({"vision_cfg": {"qk_norm": True}}, "CustomResidualAttentionBlock"),
        ({"text_cfg": {"no_causal_mask": True}}, "not causal"),
        ({"text_cfg": {"pool_type": "last"}}, "vector of the last word"),
        ({"text_cfg": {"proj_bias": True}}, "projection"),
        ({"custom_text": True}, "CustomTextCLIP"),
    ],
)
def test_other_architectures_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    folder = save(tmp_path / "clip", **changes)
    with pytest.raises(BadInput, match=rf"^org/other: .*{reason}.*expected.*ViT-B-32"):
        OpenClipTower("org/other", folder, None, None)


def test_a_folder_without_an_openclip_model_is_refused(tmp_path: Path, clip_folder: Path) -> None:
    with pytest.raises(BadInput, match=r"expected open_clip_config\.json"):
        OpenClipTower("none", tmp_path / "nothing", None, None)
    (clip_folder / "open_clip_model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(BadInput, match="cannot be loaded"):
        OpenClipTower("broken", clip_folder, None, None)
    (clip_folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(BadInput, match="cannot be loaded"):
        OpenClipTower("no weights", clip_folder, None, None)


@pytest.mark.parametrize(
    "text", ["{", "{}", json.dumps({"model_cfg": {**CONFIG, "depth": 3}, "preprocess_cfg": {}})]
)
def test_a_broken_configuration_is_refused(clip_folder: Path, text: str) -> None:
    (clip_folder / "open_clip_config.json").write_text(text)
    with pytest.raises(BadInput, match="cannot be loaded"):
        OpenClipTower("broken", clip_folder, None, None)


@pytest.fixture
def sentence_folder(tmp_path: Path) -> Path:
    """Save a model like BGE: BERT, [CLS] pooling, a prompt for queries."""
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


def test_the_text_retriever_uses_the_prompts_of_the_model(sentence_folder: Path) -> None:
    retriever = SentenceRetriever("tiny", sentence_folder)
    passages = retriever.encode_passages(["lens", "cell force"])
    queries = retriever.encode_queries(["lens"])
    assert retriever.width == 16
    assert passages.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-5)
    assert np.abs(queries[0] - passages[0]).max() > 1e-4
    np.testing.assert_allclose(queries[0], retriever.encode_passages(["query: lens"])[0], atol=1e-6)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_vectors_are_those_of_sentence_transformers(
    sentence_folder: Path, tmp_path: Path, pooling: str
) -> None:
    transformer = models.Transformer(str(sentence_folder))
    library = SentenceTransformer(modules=[transformer, models.Pooling(16, pooling_mode=pooling)])
    library.save(str(tmp_path / pooling))
    texts = ["lens", "cell force lens " * 5, "", "force"]
    expected = library.encode(texts, normalize_embeddings=True)
    retriever = SentenceRetriever("tiny", tmp_path / pooling)
    np.testing.assert_allclose(retriever.encode_passages(texts), expected, atol=1e-5)


def test_a_pooling_that_is_not_understood_is_refused(sentence_folder: Path) -> None:
    transformer = models.Transformer(str(sentence_folder))
    other = SentenceTransformer(modules=[transformer, models.Pooling(16, pooling_mode="max")])
    other.save(str(sentence_folder))
    with pytest.raises(BadInput, match="only mean and"):
        SentenceRetriever("tiny", sentence_folder)


def test_a_folder_without_a_text_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a sentence-transformers model"):
        SentenceRetriever("none", tmp_path)
