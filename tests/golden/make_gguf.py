#!/usr/bin/env python3
"""Makes gguf/: blocks of every quantised type with their values, and a tiny LLaMA as a GGUF file.

Usage: make_gguf.py        (needs gguf 0.19.0, transformers 5.24.0 and PyTorch: python-open-5 of deploy/bootstrap.sh --golden)

blocks.json: by type the bytes of two blocks in hexadecimal and the values that gguf.dequantize gives. tiny.gguf: the
golden folder llama3's model with rows of queries and keys in GGUF's order and tensors of many types; tiny.json: the
loss and mean alpha of position 1 that transformers gives on it, dequantised, for llama3's first two probes of 20
tokens, and its tokenizer's texts with the ids of `tokenizers`.
"""
import json
import pathlib

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file

from make_open_models import HERE as OPEN, SEQUENCES, TOKENS, importance_of

HERE = pathlib.Path(__file__).parent / "gguf"
Q = gguf.GGMLQuantizationType
TYPES = [Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q8_0, Q.Q4_K, Q.Q6_K]


def blocks():
    """Random bytes, but for the halves that are scales: those are ordinary numbers."""
    generator = np.random.default_rng(5)
    scales = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q6_K: [208]}
    out = {}
    for kind in TYPES:
        values, size = gguf.GGML_QUANT_SIZES[kind]
        count = 2 if values > 1 else 16
        data = generator.integers(0, 256, (count, size), dtype=np.uint8)
        for row in data:
            for at in scales.get(kind, []):
                row[at:at + 2] = np.array([generator.normal() / 8], dtype=np.float16).view(np.uint8)
        if kind in (Q.F16, Q.BF16):
            data[:, 1] &= 0xBF  # no infinities
        found = gguf.dequantize(data.reshape(1, -1), kind).astype(np.float32)
        out[kind.name] = dict(bytes=data.tobytes().hex(), values=[float(v) for v in found.flatten()])
    (HERE / "blocks.json").write_text(json.dumps(out) + "\n")


def in_pairs(weight, heads):
    """transformers' order of a head's rows to GGUF's, in which neighbours are a pair."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).transpose(1, 2).reshape(weight.shape)


def write_tiny():
    config = json.loads((OPEN / "llama3/config.json").read_text())
    weights = load_file(OPEN / "llama3/model.safetensors")
    writer = gguf.GGUFWriter(HERE / "tiny.gguf", "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(5e5)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(config["vocab_size"])
    # A tokenizer of GPT-2's kind without all bytes: letters, digits, a few merges.
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + list("0123456789.") + ["\u0120"]
    merges = ["t h", "th e", "\u0120 the", "a n", "an d", "\u0120 and", "1 2"]
    tokens = ["<|endoftext|>", "<|im_start|>"] + letters + [m.replace(" ", "") for m in merges]
    tokens += [f"<unused{i}>" for i in range(config["vocab_size"] - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
             "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
             "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    kinds = {"token_embd": Q.Q8_0, "output": Q.F16, "attn_q": Q.Q8_0, "attn_k": Q.Q8_0, "attn_v": Q.Q4_1,
             "attn_output": Q.Q4_0, "ffn_gate": Q.BF16, "ffn_up": Q.Q8_0, "ffn_down": Q.Q4_1}
    for name, weight in weights.items():
        module = name.removesuffix(".weight")
        layer = ""
        if module.startswith("model.layers."):
            number, module = module.removeprefix("model.layers.").split(".", 1)
            layer = f"blk.{number}."
        short = names[module]
        if short in ("attn_q", "attn_k"):
            weight = in_pairs(weight, config["num_attention_heads" if short == "attn_q" else "num_key_value_heads"])
        kind = kinds.get(short, Q.F32)
        data = weight.float().numpy()
        writer.add_tensor(f"{layer}{short}.weight", data if kind == Q.F32 else gguf.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tokens, merges


def ids_of(tokens, merges, texts):
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    pairs = [tuple(m.split(" ")) for m in merges]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


def main():
    HERE.mkdir(exist_ok=True)
    blocks()
    tokens, merges = write_tiny()
    model = transformers.AutoModelForCausalLM.from_pretrained(HERE, gguf_file="tiny.gguf", dtype=torch.float32,
                                                              attn_implementation="eager").eval()
    probe = load_file(OPEN / "llama3/expected.safetensors")["probe"].long()[:SEQUENCES, :TOKENS + 1]
    with torch.no_grad():
        out = model(probe[:, :-1], output_attentions=True)
    loss = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), probe[:, 1:].flatten())
    alpha = importance_of(out.attentions, False)[..., 0].mean(0)
    texts = ["the 12 and 1212 of the", "An \u00e9t\u00e9, THE END.", "a<|endoftext|>b", "\u4e2d\u6587 x\ty"]
    (HERE / "tiny.json").write_text(json.dumps(dict(
        loss=loss.item(), alpha_1=[[round(a, 6) for a in row] for row in alpha.tolist()],
        texts=[dict(text=t, ids=i) for t, i in zip(texts, ids_of(tokens, merges, texts))],
        reference=f"transformers {transformers.__version__}, gguf 0.19.0"), indent=1) + "\n")
    print(loss.item())


if __name__ == "__main__":
    main()
