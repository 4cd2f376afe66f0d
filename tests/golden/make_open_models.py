#!/usr/bin/env python3
"""Makes the small golden folders of open_models/ and open_configs.json: what transformers computes on tiny models.

Usage: make_open_models.py [NAME...]      without names: all of them

Needs transformers 5.24.0 and PyTorch 2.11 (deploy/bootstrap.sh --golden puts both into python-open-5). Each family is a
model of random weights, rounded to bfloat16 so that a folder is small, and measured in fp32 with eager attention. A
folder has the files that save_pretrained writes and, as the folders of 2026-11-25 do,
  expected.safetensors  probe [N, T + 1], logits [N, T, V], importance [N, L, H, K] (with learned sinks the sink first, as
                        "bias", and K = T + 1), hidden_norm [L + 1, T] as transformers reports hidden states
  expected.json         the loss and the sink rates
open_configs.json is a list of config.json files that older programs or hands have written: a golden folder, its
config.json changed, maybe a tensor changed, and the loss and mean alpha of position 1 that transformers then gives.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent / "open_models"
SEQUENCES, TOKENS, EPSILON, POSITIONS = 2, 20, 0.3, 10

# What all the models have unless a family says otherwise.
SHAPE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24,
             vocab_size=48, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=None)
FOUR = dict(SHAPE, num_hidden_layers=4)

# name: (class of the configuration, its arguments)
FAMILIES = {
    "qwen2": ("Qwen2Config", dict(SHAPE, rope_theta=1e6, tie_word_embeddings=True)),
    "qwen2_window": ("Qwen2Config", dict(FOUR, use_sliding_window=True, sliding_window=6, max_window_layers=2)),
    "qwen3": ("Qwen3Config", dict(SHAPE, head_dim=8)),
    "smollm3": ("SmolLM3Config", dict(FOUR, no_rope_layer_interval=2)),
    "olmo2": ("Olmo2Config", dict(SHAPE)),
    "phi3": ("Phi3Config", dict(SHAPE, partial_rotary_factor=0.5)),
    "granite": ("GraniteConfig", dict(SHAPE, embedding_multiplier=3.0, attention_multiplier=0.4, residual_multiplier=0.7,
                                      logits_scaling=2.5, tie_word_embeddings=True)),
    "stablelm": ("StableLmConfig", dict(SHAPE, use_qkv_bias=True, partial_rotary_factor=0.5)),
    "stablelm_2": ("StableLmConfig", dict(SHAPE, qk_layernorm=True, use_parallel_residual=True, partial_rotary_factor=0.5)),
    "gemma2": ("Gemma2Config", dict(FOUR, head_dim=8, sliding_window=6, query_pre_attn_scalar=12,
                                    attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "gemma3": ("Gemma3TextConfig", dict(FOUR, head_dim=8, sliding_window=6, query_pre_attn_scalar=12,
                                        layer_types=["sliding_attention", "sliding_attention", "full_attention",
                                                     "sliding_attention"])),
    "gptj": ("GPTJConfig", dict(n_embd=16, n_layer=2, n_head=2, n_positions=64, rotary_dim=4, vocab_size=48,
                                bos_token_id=1, eos_token_id=2)),
    "falcon_7b_style": ("FalconConfig", dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, vocab_size=48,
                                             bos_token_id=1, eos_token_id=2)),
    "falcon_40b_style": ("FalconConfig", dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, vocab_size=48,
                                              new_decoder_architecture=True, num_kv_heads=2, bos_token_id=1,
                                              eos_token_id=2)),
    "bloom": ("BloomConfig", dict(hidden_size=24, n_layer=2, n_head=6, vocab_size=48, bos_token_id=1, eos_token_id=2)),
    "cohere": ("CohereConfig", dict(SHAPE, logit_scale=0.3)),
    "cohere_plus": ("CohereConfig", dict(SHAPE, use_qk_norm=True)),
    "mixtral": ("MixtralConfig", dict(SHAPE, num_local_experts=4, num_experts_per_tok=2)),
    "gpt_oss": ("GptOssConfig", dict(SHAPE, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=6)),
    "gpt_oss_mxfp4": ("GptOssConfig", dict(SHAPE, hidden_size=64, intermediate_size=32, head_dim=8, num_local_experts=4,
                                           num_experts_per_tok=2, sliding_window=6)),
    "llama_biases": ("LlamaConfig", dict(SHAPE, attention_bias=True, mlp_bias=True)),
}


def randomise(model, seed):
    """Weights of a size at which heads differ; norms about their neutral value; all of them exact in bfloat16."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        neutral = weight.detach().clone() if weight.dim() == 1 and "sinks" not in name else torch.zeros_like(weight)
        size = 0.3 if weight.dim() < 2 else 0.8 if "embed" in name else 1.2 / weight.shape[-1] ** 0.5
        weight.data = (neutral + size * noise).to(torch.bfloat16).to(torch.float32)


def importance_of(attentions, sinks):
    """alpha_k = the sum of column k over the queries that see it, [N, L, H, K]."""
    a = torch.stack(attentions, 1)  # [N, L, H, T, T]
    if sinks:
        rest = 1 - a.sum(-1, keepdim=True)
        a = torch.cat([rest, a], -1)
        extra = torch.zeros_like(a[..., :1, :])
        extra[..., 0] = 1  # the query of the sink sees nothing else
        a = torch.cat([extra, a], -2)
    return a.sum(-2) / torch.arange(a.shape[-1], 0, -1)


def measure(folder, probe, sinks=False):
    """What transformers computes on the folder, and what it says about it."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    with torch.no_grad():
        out = model(probe[:, :-1], output_attentions=True, output_hidden_states=True)
    loss = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), probe[:, 1:].flatten())
    return dict(logits=out.logits, importance=importance_of(out.attentions, sinks),
                hidden_norm=torch.stack([h.norm(dim=-1).mean(0) for h in out.hidden_states]), loss=loss)


def probe_of(vocabulary, seed):
    return torch.randint(3, vocabulary, (SEQUENCES, TOKENS + 1), generator=torch.Generator().manual_seed(seed))


def pack_experts(folder, seed):
    """Experts in MXFP4, as gpt-oss is published: random blocks, and scales that give weights an ordinary size."""
    generator = torch.Generator().manual_seed(seed)
    packed = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            packed[name] = weight
            continue
        experts, inputs, outputs = weight.shape
        shape = (experts, outputs, inputs // 32)
        packed[name + "_blocks"] = torch.randint(0, 256, (*shape, 16), generator=generator, dtype=torch.uint8)
        packed[name + "_scales"] = torch.randint(121, 125, shape, generator=generator, dtype=torch.uint8)
    save_file(packed, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = dict(quant_method="mxfp4", modules_to_not_convert=[
        "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def make_family(name):
    kind, arguments = FAMILIES[name]
    config = getattr(transformers, kind)(**arguments)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    randomise(model, seed=len(name))
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name.endswith("_mxfp4"):
        pack_experts(folder, seed=len(name))
    probe = probe_of(config.vocab_size, seed=7)
    sinks = name.startswith("gpt_oss")
    found = measure(folder, probe, sinks)
    rate = 100 * (found["importance"] > EPSILON).float().mean((0, 1, 2))[:POSITIONS]
    save_file(dict(probe=probe.int(), **{k: found[k].contiguous() for k in ("logits", "importance", "hidden_norm")}),
              folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps(
        dict(loss=found["loss"].item(), bias_first=sinks,
             sink_rate_percent=dict(epsilon=EPSILON, tokens=TOKENS, positions_from_1=rate.tolist()),
             reference=f"transformers {transformers.__version__}, eager attention, fp32"), indent=1) + "\n")
    print(f"{name}: loss {found['loss']:.4f}, alpha_1 {found['importance'][..., int(sinks)].mean():.3f}")


LONG_ROPE = dict(rope_parameters=None, partial_rotary_factor=0.5, max_position_embeddings=64,
                 rope_scaling=dict(type="longrope", short_factor=[1.5], long_factor=[3.0]))
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0)

# name, golden folder, what config.json gets (None: the field goes), what tensors get ("flip": another's rows, last first)
CONFIGS = [
    ("rope_scaling_replaces_rope_parameters", "llama3",
     dict(rope_scaling=dict(rope_type="linear", factor=2.0), rope_parameters=dict(rope_type="default", rope_theta=5e5)), {}),
    ("rope_scaling_beside_a_theta_at_the_top", "llama3",
     dict(rope_scaling=dict(rope_type="linear", factor=2.0), rope_theta=5e4,
          rope_parameters=dict(rope_type="default", rope_theta=5e5)), {}),
    ("theta_at_the_top_beside_rope_parameters", "llama3", dict(rope_theta=5e4), {}),
    ("theta_only_at_the_top", "llama3", dict(rope_theta=5e4, rope_parameters=None), {}),
    ("no_theta_at_all", "llama3", dict(rope_parameters=None), {}),
    ("llama3_scaling_without_original_positions", "llama3", dict(rope_parameters=None, rope_scaling=LLAMA3), {}),
    ("llama3_scaling_with_original_positions_at_the_top", "llama3",
     dict(rope_parameters=None, rope_scaling=dict(LLAMA3, original_max_position_embeddings=32),
          original_max_position_embeddings=16), {}),
    ("linear_scaling", "llama3", dict(rope_parameters=None, rope_scaling=dict(type="linear", factor=4.0)), {}),
    ("dynamic_scaling_within_the_positions", "llama3",
     dict(rope_parameters=None, rope_scaling=dict(type="dynamic", factor=4.0)), {}),
    ("dynamic_scaling_beyond_the_positions", "llama3",
     dict(rope_parameters=None, max_position_embeddings=16, rope_scaling=dict(type="dynamic", factor=4.0)), {}),
    ("yarn_scaling", "llama3",
     dict(rope_parameters=None, rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)), {}),
    ("yarn_scaling_of_deepseek", "llama3",
     dict(rope_parameters=None, rope_scaling=dict(rope_type="yarn", factor=40.0, beta_fast=16, beta_slow=2, mscale=1.0,
                                                  mscale_all_dim=0.8, original_max_position_embeddings=32)), {}),
    ("yarn_scaling_without_original_positions", "llama3",
     dict(rope_parameters=None, rope_scaling=dict(rope_type="yarn", factor=4.0, attention_factor=1.3, truncate=False)), {}),
    ("partial_rotary_factor_on_llama", "llama3", dict(partial_rotary_factor=0.5), {}),
    ("beyond_max_position_embeddings", "llama3", dict(max_position_embeddings=12), {}),
    ("tied_with_another_head", "llama3", dict(tie_word_embeddings=True), {}),
    ("neox_theta_at_the_top_alone", "pythia", dict(rope_parameters=None, rope_theta=500.0), {}),
    ("neox_rotary_pct", "pythia", dict(rope_parameters=None, rotary_pct=0.5, rotary_emb_base=700), {}),
    ("neox_sequential", "pythia", dict(use_parallel_residual=False), {}),
    ("mistral_without_a_window_of_its_own", "mistral", dict(sliding_window=None), {}),
    ("mistral_window", "mistral", dict(sliding_window=5), {}),
    ("mistral_layer_types", "mistral",
     dict(sliding_window=5, layer_types=["full_attention", "sliding_attention", "full_attention"]), {}),
    ("gpt2_not_tied_with_a_head", "gpt2", dict(tie_word_embeddings=False), {"lm_head.weight": "transformer.wte.weight"}),
    ("gpt2_tie_not_said_with_a_head", "gpt2", dict(tie_word_embeddings="absent"),
     {"lm_head.weight": "transformer.wte.weight"}),
    ("gpt2_tie_not_said", "gpt2", dict(tie_word_embeddings="absent"), {}),
    ("opt_tie_not_said_with_a_head", "opt", dict(tie_word_embeddings="absent"),
     {"lm_head.weight": "model.decoder.embed_tokens.weight"}),
    ("phi3_longrope_within_the_original_positions", "phi3",
     dict(LONG_ROPE, original_max_position_embeddings=32), {}),
    ("phi3_longrope_beyond_the_original_positions", "phi3",
     dict(LONG_ROPE, original_max_position_embeddings=16), {}),
    ("phi3_longrope_with_a_factor", "phi3",
     dict(LONG_ROPE, rope_scaling=dict(LONG_ROPE["rope_scaling"], factor=2.0)), {}),
    ("stablelm_share_at_the_top", "stablelm", dict(rope_parameters=None, partial_rotary_factor=1.0), {}),
    ("gemma3_as_version_4_wrote_it", "gemma3",
     dict(rope_parameters=None, rope_theta=5e5, rope_local_base_freq=500.0, rope_scaling=dict(rope_type="linear", factor=8.0)),
     {}),
    ("gemma3_windows_by_a_pattern", "gemma3", dict(layer_types="absent", sliding_window_pattern=2), {}),
    ("gemma2_without_caps", "gemma2", dict(attn_logit_softcapping=None, final_logit_softcapping=None), {}),
    ("qwen2_window_that_is_not_used", "qwen2_window", dict(use_sliding_window=False, layer_types="absent"), {}),
    ("qwen3_yarn", "qwen3",
     dict(rope_parameters=None, rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)), {}),
    ("smollm3_layers_without_positions_by_an_interval", "smollm3", dict(no_rope_layers=None, no_rope_layer_interval=3), {}),
    ("mixtral_window", "mixtral", dict(sliding_window=5), {}),
    ("gpt_oss_as_version_4_wrote_it", "gpt_oss",
     dict(rope_parameters=None, rope_theta=1000.0,
          rope_scaling=dict(rope_type="yarn", factor=32.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                            original_max_position_embeddings=16)), {}),
    ("gpt2_scaled_by_layer", "gpt2", dict(scale_attn_by_inverse_layer_idx=True), {}),
    ("gpt2_not_scaled", "gpt2", dict(scale_attn_weights=False), {}),
]


def make_config(name, golden, changes, tensors):
    config = json.loads((HERE / golden / "config.json").read_text())
    for field, value in changes.items():
        if value == "absent":
            config.pop(field, None)
        else:
            config[field] = value
    weights = load_file(HERE / golden / "model.safetensors")
    for tensor, other in tensors.items():
        weights[tensor] = weights[other].flip(0).contiguous()
    probe = load_file(HERE / golden / "expected.safetensors")["probe"].long()[:SEQUENCES, :TOKENS + 1]
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
        save_file(weights, pathlib.Path(folder) / "model.safetensors", metadata={"format": "pt"})
        try:
            found = measure(folder, probe)
        except Exception as error:  # what transformers does not load, no test asks for
            print(f"{name}: {type(error).__name__}: {error}")
            return None
    alpha = found["importance"][..., 0].mean(0)
    print(f"{name}: loss {found['loss']:.4f}")
    return dict(name=name, golden=golden, config=config, flipped=tensors, loss=found["loss"].item(),
                alpha_1=[[round(a, 6) for a in row] for row in alpha.tolist()])


def main():
    names = sys.argv[1:] or [*FAMILIES, "open_configs.json"]
    for name in names:
        if name != "open_configs.json":
            make_family(name)
            continue
        cases = [case for case in (make_config(*each) for each in CONFIGS) if case is not None]
        lines = ",\n".join(json.dumps(case) for case in cases)
        (HERE.parent / name).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
