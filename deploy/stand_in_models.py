#!/usr/bin/env python3
"""Stand-ins for open models: tiny folders of random weights under the names that sweep files ask for.

Usage: stand_in_models.py --tokenizer TOKENIZER.json --out MODELS SWEEP.yaml...

For every owner/name that the sweep files list: MODELS/owner/name with config.json, model.safetensors and the tokenizer,
of the family's architecture, two layers of width 32. They let a sweep over open models run end to end on a machine that
has none; what is measured on them means nothing. Folders that are there already are left alone. Standard library only.
"""
import argparse
import array
import json
import pathlib
import random
import re
import shutil
import struct
import sys

WIDTH, HEADS, LAYERS, POSITIONS = 32, 4, 2, 128


def norm(name, bias=True):
    return {f"{name}.weight": [WIDTH]} | ({f"{name}.bias": [WIDTH]} if bias else {})


def linear(name, out, into):
    return {f"{name}.weight": [out, into], f"{name}.bias": [out]}


def gpt2(vocab):
    config = {"model_type": "gpt2", "n_embd": WIDTH, "n_head": HEADS, "n_layer": LAYERS, "n_positions": POSITIONS,
              "vocab_size": vocab, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}
    tensors = {"wte.weight": [vocab, WIDTH], "wpe.weight": [POSITIONS, WIDTH]} | norm("ln_f")
    for n in range(LAYERS):
        at = f"h.{n}."
        tensors |= norm(at + "ln_1") | norm(at + "ln_2")
        for name, into, out in (("attn.c_attn", WIDTH, 3 * WIDTH), ("attn.c_proj", WIDTH, WIDTH),
                                ("mlp.c_fc", WIDTH, 4 * WIDTH), ("mlp.c_proj", 4 * WIDTH, WIDTH)):
            tensors |= {f"{at}{name}.weight": [into, out], f"{at}{name}.bias": [out]}  # stored transposed
    return config, tensors


def llama(vocab, model_type="llama"):
    config = {"model_type": model_type, "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "hidden_act": "silu",
              "num_attention_heads": HEADS, "num_key_value_heads": HEADS // 2, "num_hidden_layers": LAYERS,
              "vocab_size": vocab, "max_position_embeddings": POSITIONS, "rms_norm_eps": 1e-5, "rope_theta": 1e4,
              "tie_word_embeddings": False}
    tensors = {"model.embed_tokens.weight": [vocab, WIDTH], "lm_head.weight": [vocab, WIDTH]} | norm("model.norm", False)
    for n in range(LAYERS):
        at = f"model.layers.{n}."
        tensors |= norm(at + "input_layernorm", False) | norm(at + "post_attention_layernorm", False)
        tensors |= {at + f"self_attn.{m}_proj.weight": [WIDTH, WIDTH] for m in "qo"}
        tensors |= {at + f"self_attn.{m}_proj.weight": [WIDTH // 2, WIDTH] for m in "kv"}
        tensors |= {at + f"mlp.{m}_proj.weight": [2 * WIDTH, WIDTH] for m in ("gate", "up")}
        tensors |= {at + "mlp.down_proj.weight": [WIDTH, 2 * WIDTH]}
    return config, tensors


def gpt_neox(vocab):
    config = {"model_type": "gpt_neox", "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "hidden_act": "gelu",
              "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "vocab_size": vocab, "rotary_pct": 0.25,
              "max_position_embeddings": POSITIONS, "layer_norm_eps": 1e-5, "use_parallel_residual": True,
              "tie_word_embeddings": False}
    tensors = {"gpt_neox.embed_in.weight": [vocab, WIDTH], "embed_out.weight": [vocab, WIDTH]}
    tensors |= norm("gpt_neox.final_layer_norm")
    for n in range(LAYERS):
        at = f"gpt_neox.layers.{n}."
        tensors |= norm(at + "input_layernorm") | norm(at + "post_attention_layernorm")
        tensors |= linear(at + "attention.query_key_value", 3 * WIDTH, WIDTH)
        tensors |= linear(at + "attention.dense", WIDTH, WIDTH)
        tensors |= linear(at + "mlp.dense_h_to_4h", 4 * WIDTH, WIDTH) | linear(at + "mlp.dense_4h_to_h", WIDTH, 4 * WIDTH)
    return config, tensors


def opt(vocab):
    config = {"model_type": "opt", "hidden_size": WIDTH, "ffn_dim": 2 * WIDTH, "num_attention_heads": HEADS,
              "num_hidden_layers": LAYERS, "vocab_size": vocab, "max_position_embeddings": POSITIONS,
              "activation_function": "relu", "do_layer_norm_before": True, "word_embed_proj_dim": WIDTH}
    tensors = {"model.decoder.embed_tokens.weight": [vocab, WIDTH]} | norm("model.decoder.final_layer_norm")
    tensors |= {"model.decoder.embed_positions.weight": [POSITIONS + 2, WIDTH]}  # positions are counted from 2
    for n in range(LAYERS):
        at = f"model.decoder.layers.{n}."
        tensors |= norm(at + "self_attn_layer_norm") | norm(at + "final_layer_norm")
        for m in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= linear(at + "self_attn." + m, WIDTH, WIDTH)
        tensors |= linear(at + "fc1", 2 * WIDTH, WIDTH) | linear(at + "fc2", WIDTH, 2 * WIDTH)
    return config, tensors


FAMILIES = {"openai-community": gpt2, "meta-llama": llama, "mistralai": lambda vocab: llama(vocab, "mistral"),
            "EleutherAI": gpt_neox, "facebook": opt}


def write(folder, name, tokenizer, vocab):
    config, tensors = FAMILIES[name.split("/")[0]](vocab)
    draw = random.Random(name)
    header, data = {}, array.array("f")
    for tensor, shape in tensors.items():
        size = shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[tensor] = {"dtype": "F32", "shape": shape, "data_offsets": [4 * len(data), 4 * (len(data) + size)]}
        is_gain = len(shape) == 1 and tensor.endswith(".weight")
        data.extend([1.0] * size if is_gain else [draw.gauss(0, 0.1) for _ in range(size)])
    if sys.byteorder == "big":
        data.byteswap()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    (partial / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data.tobytes())
    (partial / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copy(tokenizer, partial / "tokenizer.json")
    partial.rename(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("sweeps", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    vocab = len(json.loads(options.tokenizer.read_text())["model"]["vocab"]) + 8  # room for added tokens
    owners = "|".join(FAMILIES)
    names = sorted({name for file in options.sweeps for name in re.findall(rf"\b(?:{owners})/[\w.-]+", file.read_text())})
    for name in names:
        if not (options.out / name).exists():
            write(options.out / name, name, options.tokenizer, vocab)
    print(f"{len(names)} stand-ins of random weights in {options.out}")


if __name__ == "__main__":
    main()
