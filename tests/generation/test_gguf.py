"""GGUF conversion of a small Llama with random weights in 8-bit blocks."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import quantize
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from data.errors import BadInput
from generation.gguf import convert_gguf

WIDTH, HIDDEN, HEADS, KV_HEADS, LAYERS = 64, 96, 4, 2, 2
TEMPLATE = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"
# bf16 rounds each weight by up to 2**-9 of it (0.2 %); a few such roundings in a row reach a logit.
RELATIVE_ERROR = 0.02


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return the path of a GGUF file with a byte-level BPE tokeniser and two merges."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    random = np.random.default_rng(0)
    tokens = ["<s>", "</s>", *_byte_alphabet(), "ab", "cd"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["a b", "c d"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(1)
    writer.add_chat_template(TEMPLATE)

    def put(name: str, *shape: int) -> None:
        value = random.normal(0, 0.3, shape).astype(np.float32)
        packed = quantize(value, gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    put("token_embd.weight", len(tokens), WIDTH)
    kv_width = WIDTH // HEADS * KV_HEADS
    for n in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{n}.{norm}.weight", np.ones(WIDTH, dtype=np.float32))
        put(f"blk.{n}.attn_q.weight", WIDTH, WIDTH)
        put(f"blk.{n}.attn_k.weight", kv_width, WIDTH)
        put(f"blk.{n}.attn_v.weight", kv_width, WIDTH)
        put(f"blk.{n}.attn_output.weight", WIDTH, WIDTH)
        put(f"blk.{n}.ffn_gate.weight", HIDDEN, WIDTH)
        put(f"blk.{n}.ffn_up.weight", HIDDEN, WIDTH)
        put(f"blk.{n}.ffn_down.weight", WIDTH, HIDDEN)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def converted(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    convert_gguf(tiny, folder)
    return folder


def _byte_alphabet() -> list[str]:
    """Return the printable characters that GPT-2 uses for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [256 + n for n in range(256 - len(printable))]
    return [chr(code) for code in printable + rest]


def test_the_folder_is_bf16_safetensors_without_a_quantisation(converted):
    assert not list(converted.glob("*.gguf"))
    with safe_open(converted / "model.safetensors", "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.bfloat16}  # noqa: SIM118
    model = AutoModelForCausalLM.from_pretrained(converted, use_safetensors=True)
    assert model.dtype == torch.bfloat16
    assert not hasattr(model.config, "quantization_config")


@torch.inference_mode()
def test_logits_equal_those_of_the_gguf_within_bf16(tiny, converted):
    ids = torch.arange(2, 40).view(2, 19)
    before = AutoModelForCausalLM.from_pretrained(
        tiny.parent, gguf_file=tiny.name, quantization_config=GgufConfig(dequantize=True)
    ).float()
    after = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
    full, found = before(ids).logits, after(ids).logits
    error = (found - full).square().mean().sqrt() / full.square().mean().sqrt()
    assert 0 < error < RELATIVE_ERROR
    # Nothing else has changed: the logits are equal once the reference is rounded as well.
    for weight in before.parameters():
        weight.copy_(weight.bfloat16())
    torch.testing.assert_close(found, before(ids).logits, atol=1e-4, rtol=1e-4)


def test_generation_and_chat_template_survive(tiny, converted):
    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert tokenizer.chat_template == TEMPLATE
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], return_tensors="pt")
    ids = ids["input_ids"] if not torch.is_tensor(ids) else ids
    assert tokenizer.decode(ids[0]) == "<s>hi</s>"
    model = AutoModelForCausalLM.from_pretrained(converted)
    out = model.generate(ids, max_new_tokens=5, min_new_tokens=5, do_sample=False)
    assert out.shape == (1, ids.shape[1] + 5)


def test_no_progress_bar_is_drawn(tiny, tmp_path, capfd):
    convert_gguf(tiny, tmp_path)
    captured = capfd.readouterr()
    assert "%|" not in captured.out + captured.err


@pytest.mark.parametrize("content", [b"", b"PK no gguf", b"GGUF", b"GGUF" + b"\xff" * 64])
def test_another_file_is_bad_input(tmp_path, content):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"x\.gguf"):
        convert_gguf(path, tmp_path / "out")
