"""What checkpoints hold opens where people open it: models that are not LLaMA's, tokenizers, the end of a text.

Usage: variant_checkpoint_test.py BIN_DIR GOLDEN_VARIANTS. Trains a variant for a few steps with sink-trainer and opens
its checkpoint with AutoModelForCausalLM(trust_remote_code=True), AutoTokenizer and generate(). Then the Python file of
that checkpoint computes every golden variant of the study's own code, and random models of every other option, which
sink-eval measures: logits, and importance made of the attentions.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HOME = tempfile.TemporaryDirectory(prefix="sink-test-")
os.environ.update(HF_HOME=HOME.name, HF_HUB_OFFLINE="1")

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # noqa: E402

TOLERANCE = 1e-4
LENGTH = 16
SMALL = {"model_type": "sink", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 30, "max_position_embeddings": LENGTH,
         "rms_norm_eps": 1e-5, "rope_theta": 1e4, "hidden_act": "silu", "tie_word_embeddings": False}
# What the golden vectors lack, and options that meet in the code.
VARIANTS = [
    {"position_embedding": "t5"},
    {"position_embedding": "alibi", "norm_placement": "post", "key_bias": "per_head", "prefix_length": 3},
    {"position_embedding": "sinusoidal", "sink_token": True},
    {"position_embedding": "learnable", "sink_token": True, "prefix_length": 2, "window": 4},
    {"position_embedding": "t5", "sink_token": True, "similarity": "sigmoid"},
    {"position_embedding": "relative", "ffn": "none", "norm_placement": "post"},
    {"ffn": "none"},
    {"norm_placement": "sandwich", "ffn": "none"},
    {"norm_placement": "sandwich"},
    {"norm_placement": "sandwich", "qk_norm": True, "attention_gate": "elementwise", "similarity": "identity",
     "feature_map": "mlp", "ffn": "gelu"},
    {"similarity": "softpick"},
    {"similarity": "elu_plus_one", "normalize": False, "window": 5},
    {"similarity": "identity", "feature_map": "elu_plus_one", "prefix_length": 4},
    {"sink_logit": "zero"},
    {"sink_logit": "learned", "value_bias": "shared"},
    {"sink_logit": "zero", "value_bias": "per_head", "window": 3},
    {"key_bias": "shared", "value_bias": "unit", "value_bias_scale": 5.0},
    {"key_bias": "per_head", "value_bias": "uniform", "value_bias_scale": 5.0, "attention_sum": 0.5},
    {"value_bias": "per_head", "attention_sum": 0.2},
    {"attention_gate": "headwise"},
    {"qk_norm": True, "attention_sum": 0.2},
]


def train(bin_dir, folder, variant):
    for split in ("train", "valid"):
        (folder / "corpus" / split).mkdir(parents=True)
        lines = [json.dumps({"text": f"line {i} and its number {i * 7919 % 1000}, naïve"}) for i in range(2000)]
        (folder / "corpus" / split / "tiny.jsonl").write_text("\n".join(lines) + "\n")
    subprocess.run([bin_dir / "sink-data", "pack", "--in", folder / "corpus", "--out", folder / "data/tiny",
                    "--tokenizer", "bytes", "--block", "257", "--chunk-blocks", "16", "--valid-chunk-blocks", "16"],
                   check=True)
    run = folder / "run"
    run.mkdir()
    config = {"model": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
                        "vocab_size": 257, "max_position_embeddings": 128, "variant": variant},
              "train": {"max_steps": 10, "warmup_steps": 2, "learning_rate": 3e-3, "global_batch_size": 4,
                        "micro_batch_size": 4, "sequence_length": 128},
              "data": {"set": "tiny"}, "eval": {"sequences": 4, "validation_sequences": 4}}
    (run / "job.json").write_text(json.dumps(
        {"job": "0" * 32, "attempt": 1, "config": config, "data_root": str(folder / "data"), "device": "cpu"}))
    subprocess.run([bin_dir / "sink-trainer", run], check=True, stdout=subprocess.DEVNULL)
    return sorted((run / "checkpoints").glob("step-*"))[-1]


def evaluate(bin_dir, folder, probe, *more):
    """What sink-eval says of a folder's model, and what it dumps."""
    with tempfile.TemporaryDirectory(prefix="sink-test-") as place:
        place = pathlib.Path(place)
        save_file({"probe": probe}, place / "probe.safetensors")
        tokens = probe.shape[1] - 1
        run = subprocess.run([bin_dir / "sink-eval", folder, "--probe", place / "probe.safetensors", "--tokens",
                              str(tokens), "--json", "--dump", place / "dump.safetensors", *more],
                             check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(run.stdout), load_file(place / "dump.safetensors")


def importance(model, attentions):
    """model/eval/sink_metric.h: [batch, layers, heads, keys]. A column that is no position gets a query of zeros."""
    every = []
    for weights in attentions:
        if model.config.option("similarity") != "softmax":
            weights = weights.abs() / (weights.abs().sum(-1, keepdim=True) + 1e-8)
        sums = weights.sum(2)
        if weights.shape[3] > weights.shape[2]:
            sums[..., 0] += 1
        every.append(sums / torch.arange(sums.shape[-1], 0, -1))
    return torch.stack(every, dim=1)


def compare(name, model, tokens, logits, alphas):
    with torch.no_grad():
        ours = model(tokens, output_attentions=True)
    apart = [(ours.logits - logits).abs().max().item(), (importance(model, ours.attentions) - alphas).abs().max().item()]
    print(f"  {name}: logits off by {apart[0]:.1e}, importance by {apart[1]:.1e}")
    assert max(apart) < TOLERANCE, name


def golden_variants(golden, checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    probe = load_file(golden / "tokens.safetensors")["probe"][:, :64].long()
    seen = 0
    for source in sorted(p for p in golden.iterdir() if (p / "config.json").exists()):
        own = json.loads((source / "config.json").read_text())
        if own["model_type"] != "sink":
            continue
        with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
            folder = pathlib.Path(folder)
            (folder / "config.json").write_text(json.dumps(own | {"auto_map": config["auto_map"]}))
            for file in (source / "model.safetensors", checkpoint / "modeling_sink.py"):
                shutil.copy(file, folder)
            model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
        expected = load_file(source / "expected.safetensors")
        compare(source.name, model, probe, expected["logits"], expected["importance"])
        seen += 1
    assert seen == 31, f"{seen} golden variants"


def other_variants(bin_dir, checkpoint):
    torch.manual_seed(7)
    auto_map = json.loads((checkpoint / "config.json").read_text())["auto_map"]
    probe = torch.randint(0, SMALL["vocab_size"], (3, LENGTH + 1), dtype=torch.int32)
    for variant in VARIANTS:
        with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
            folder = pathlib.Path(folder)
            (folder / "config.json").write_text(json.dumps(SMALL | {"variant": variant, "auto_map": auto_map}))
            shutil.copy(checkpoint / "modeling_sink.py", folder)
            config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=True).eval()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.3)
            save_file({name: value.contiguous() for name, value in model.state_dict().items()},
                      folder / "model.safetensors")
            _, dump = evaluate(bin_dir, folder, probe)
            loaded = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
            compare(json.dumps(variant), loaded, probe[:, :-1].long(), dump["logits"], dump["importance"])


def trained_checkpoint(bin_dir, checkpoint):
    assert [p.name for p in checkpoint.glob("*.safetensors")] == ["model.safetensors"]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=True)
    texts = [f"A naïve text, number {i}: the fox jumps over the lazy dog" for i in range(3)]
    ids = [tokenizer(text)["input_ids"] for text in texts]
    assert ids == [list(text.encode()) for text in texts]
    assert tokenizer.decode(ids[0]) == texts[0]
    assert tokenizer.eos_token_id == 256 and tokenizer.eos_token

    model = AutoModelForCausalLM.from_pretrained(checkpoint, trust_remote_code=True)
    assert model.generation_config.eos_token_id == 256
    probe = torch.tensor([row[:33] for row in ids], dtype=torch.int32)
    found, dump = evaluate(bin_dir, checkpoint, probe)
    compare("the trained checkpoint", model, probe[:, :-1].long(), dump["logits"], dump["importance"])
    loss = model(probe.long(), labels=probe.long()).loss.item()
    assert abs(loss - found["loss"]) < TOLERANCE, (loss, found["loss"])

    with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
        file = pathlib.Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        run = subprocess.run([bin_dir / "sink-eval", checkpoint, "--texts", file, "--tokens", "32", "--json"], check=True,
                             stdout=subprocess.PIPE, text=True)
        read = json.loads(run.stdout)
        assert read["loss"] == found["loss"] and read["sink_rate_percent"] == found["sink_rate_percent"]

    prompt = torch.tensor([ids[0][:20]])
    made = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False, pad_token_id=0)
    assert made.shape[1] > 20
    with torch.no_grad():
        assert torch.equal(model(made[:, :-1]).logits.argmax(-1)[:, 19:], made[:, 20:])
        model.lm_head.weight[256] = model.lm_head.weight.sum(0) * 0 + model.model(prompt).last_hidden_state[0, -1] * 1e3
    ended = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False, pad_token_id=0)
    assert ended[0, 20:].tolist() == [256], "generate() goes on after the end of the text"


def main():
    bin_dir, golden = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    print(f"transformers {transformers.__version__}")
    with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
        variant = {"key_bias": "per_head", "value_bias": "shared", "ffn": "geglu"}
        checkpoint = train(bin_dir, pathlib.Path(folder), variant)
        trained_checkpoint(bin_dir, checkpoint)
        golden_variants(golden, checkpoint)
        other_variants(bin_dir, checkpoint)


if __name__ == "__main__":
    main()
