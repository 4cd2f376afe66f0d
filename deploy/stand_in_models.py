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
import math
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


def like_llama(model_type, more=None, layer=None, drop=(), rename=None, tied=False):
    """LLaMA's folder with what a family adds: fields of config.json, tensors of a layer by name, other names."""
    def make(vocab):
        config, tensors = llama(vocab, model_type)
        config |= (more or {}) | {"tie_word_embeddings": tied}
        if tied:
            del tensors["lm_head.weight"]
        for n in range(LAYERS):
            at = f"model.layers.{n}."
            for name in drop:
                del tensors[at + name]
            for old, new in (rename or {}).items():
                tensors[at + new] = tensors.pop(at + old)
            tensors |= {at + name: shape for name, shape in (layer or {}).items()}
        return config, tensors
    return make


def layer_norms(make, final=True):
    """The same family with LayerNorm: a bias beside every norm's weight, and its epsilon."""
    def made(vocab):
        config, tensors = make(vocab)
        config["layer_norm_eps"] = config.pop("rms_norm_eps")
        tensors |= {name.replace(".weight", ".bias"): shape for name, shape in tensors.items()
                    if name.endswith("layernorm.weight") or (final and name == "model.norm.weight")}
        return config, tensors
    return made


def gptj(vocab):
    config = {"model_type": "gptj", "n_embd": WIDTH, "n_head": HEADS, "n_layer": LAYERS, "n_positions": POSITIONS,
              "rotary_dim": 4, "vocab_size": vocab, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
              "tie_word_embeddings": False}
    tensors = {"transformer.wte.weight": [vocab, WIDTH]} | norm("transformer.ln_f") | linear("lm_head", vocab, WIDTH)
    for n in range(LAYERS):
        at = f"transformer.h.{n}."
        tensors |= norm(at + "ln_1") | {at + f"attn.{m}_proj.weight": [WIDTH, WIDTH] for m in ("q", "k", "v", "out")}
        tensors |= linear(at + "mlp.fc_in", 4 * WIDTH, WIDTH) | linear(at + "mlp.fc_out", WIDTH, 4 * WIDTH)
    return config, tensors


def falcon(vocab):
    config = {"model_type": "falcon", "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
              "vocab_size": vocab, "multi_query": True, "parallel_attn": True, "bias": False, "alibi": False,
              "new_decoder_architecture": False, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}
    tensors = {"transformer.word_embeddings.weight": [vocab, WIDTH]} | norm("transformer.ln_f")
    for n in range(LAYERS):
        at = f"transformer.h.{n}."
        tensors |= norm(at + "input_layernorm")
        tensors |= {at + "self_attention.query_key_value.weight": [WIDTH + 2 * WIDTH // HEADS, WIDTH],
                    at + "self_attention.dense.weight": [WIDTH, WIDTH],
                    at + "mlp.dense_h_to_4h.weight": [4 * WIDTH, WIDTH], at + "mlp.dense_4h_to_h.weight": [WIDTH, 4 * WIDTH]}
    return config, tensors


def bloom(vocab):
    config = {"model_type": "bloom", "hidden_size": WIDTH, "n_head": HEADS, "n_layer": LAYERS, "vocab_size": vocab,
              "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}
    tensors = {"transformer.word_embeddings.weight": [vocab, WIDTH]}
    tensors |= norm("transformer.word_embeddings_layernorm") | norm("transformer.ln_f")
    for n in range(LAYERS):
        at = f"transformer.h.{n}."
        tensors |= norm(at + "input_layernorm") | norm(at + "post_attention_layernorm")
        tensors |= linear(at + "self_attention.query_key_value", 3 * WIDTH, WIDTH)
        tensors |= linear(at + "self_attention.dense", WIDTH, WIDTH)
        tensors |= linear(at + "mlp.dense_h_to_4h", 4 * WIDTH, WIDTH) | linear(at + "mlp.dense_4h_to_h", WIDTH, 4 * WIDTH)
    return config, tensors


HEAD, KEYS, EXPERTS = WIDTH // HEADS, WIDTH // 2, 4
GATED = ("mlp.gate_proj.weight", "mlp.up_proj.weight")
FEED_FORWARD = GATED + ("mlp.down_proj.weight",)
QKV_BIASES = {"self_attn.q_proj.bias": [WIDTH], "self_attn.k_proj.bias": [KEYS], "self_attn.v_proj.bias": [KEYS]}
BOTH_SIDES = {"pre_feedforward_layernorm.weight": [WIDTH], "post_feedforward_layernorm.weight": [WIDTH]}
GEMMA = {"head_dim": HEAD, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": HEAD, "sliding_window": 32,
         "layer_types": ["sliding_attention", "full_attention"]}
HEAD_NORMS = {"self_attn.q_norm.weight": [HEAD], "self_attn.k_norm.weight": [HEAD]}

FAMILIES = {  # by how an owner/name begins; the first that fits
    "openai-community/": gpt2,
    "meta-llama/": llama,
    "mistralai/Mixtral": like_llama("mixtral", {"num_local_experts": EXPERTS, "num_experts_per_tok": 2},
                                    {"block_sparse_moe.gate.weight": [EXPERTS, WIDTH]} |
                                    {f"block_sparse_moe.experts.{n}.{w}.weight": shape for n in range(EXPERTS)
                                     for w, shape in (("w1", [2 * WIDTH, WIDTH]), ("w2", [WIDTH, 2 * WIDTH]),
                                                      ("w3", [2 * WIDTH, WIDTH]))}, drop=FEED_FORWARD),
    "mistralai/": lambda vocab: llama(vocab, "mistral"),
    "EleutherAI/gpt-j": gptj,
    "EleutherAI/": gpt_neox,
    "facebook/": opt,
    "HuggingFaceTB/SmolLM3": like_llama("smollm3", {"no_rope_layers": [1, 0]}, tied=True),
    "HuggingFaceTB/": llama,
    "Qwen/Qwen2": like_llama("qwen2", layer=QKV_BIASES),
    "Qwen/": like_llama("qwen3", {"head_dim": HEAD}, HEAD_NORMS),
    "google/gemma-2": like_llama("gemma2", GEMMA | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
                                 BOTH_SIDES, tied=True),
    "google/": like_llama("gemma3_text", GEMMA, BOTH_SIDES | HEAD_NORMS, tied=True),
    "allenai/": like_llama("olmo2", layer={"self_attn.q_norm.weight": [WIDTH], "self_attn.k_norm.weight": [KEYS],
                                           "post_feedforward_layernorm.weight": [WIDTH]},
                           drop=("input_layernorm.weight",)),
    "microsoft/": like_llama("phi3", layer={"self_attn.qkv_proj.weight": [WIDTH + 2 * KEYS, WIDTH],
                                            "mlp.gate_up_proj.weight": [4 * WIDTH, WIDTH]},
                             drop=GATED + tuple(f"self_attn.{m}_proj.weight" for m in "qkv")),
    "stabilityai/": layer_norms(like_llama("stablelm", {"partial_rotary_factor": 0.5, "use_qkv_bias": False})),
    "tiiuae/": falcon,
    "bigscience/": bloom,
    "ibm-granite/": like_llama("granite", {"embedding_multiplier": 3.0, "attention_multiplier": 0.2,
                                           "residual_multiplier": 0.7, "logits_scaling": 2.0}, tied=True),
    "CohereLabs/": like_llama("cohere", {"logit_scale": 0.1, "layer_norm_eps": 1e-5},
                              drop=("post_attention_layernorm.weight",), tied=True),
    "unsloth/gpt-oss": like_llama(
        "gpt_oss", {"head_dim": HEAD, "num_local_experts": EXPERTS, "num_experts_per_tok": 2, "sliding_window": 32,
                    "layer_types": ["sliding_attention", "full_attention"],
                    "rope_parameters": {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 4.0, "beta_fast": 32.0,
                                        "beta_slow": 1.0, "original_max_position_embeddings": 32, "truncate": False}},
        QKV_BIASES | {"self_attn.o_proj.bias": [WIDTH], "self_attn.sinks": [HEADS],
                      "mlp.router.weight": [EXPERTS, WIDTH], "mlp.router.bias": [EXPERTS],
                      "mlp.experts.gate_up_proj": [EXPERTS, WIDTH, 4 * WIDTH],
                      "mlp.experts.gate_up_proj_bias": [EXPERTS, 4 * WIDTH],
                      "mlp.experts.down_proj": [EXPERTS, 2 * WIDTH, WIDTH],
                      "mlp.experts.down_proj_bias": [EXPERTS, WIDTH]}, drop=FEED_FORWARD),
}


def family(name):
    return next(make for begin, make in FAMILIES.items() if name.startswith(begin))


def write(folder, name, tokenizer, vocab):
    config, tensors = family(name)(vocab)
    draw = random.Random(name)
    header, data = {}, array.array("f")
    for tensor, shape in tensors.items():
        size = math.prod(shape)
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
    begins = "|".join(map(re.escape, FAMILIES))
    names = sorted({name for file in options.sweeps for name in re.findall(rf"\b(?:{begins})[\w.-]*", file.read_text())})
    for name in names:
        if not (options.out / name).exists():
            write(options.out / name, name, options.tokenizer, vocab)
    print(f"{len(names)} stand-ins of random weights in {options.out}")


if __name__ == "__main__":
    main()
