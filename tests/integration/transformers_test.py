"""A checkpoint of ours opens in transformers unchanged and gives the same logits (1e-4, absolute), with its tokenizer.

Usage: transformers_test.py BIN_DIR. Trains a small model for a few steps with sink-trainer, lets sink-eval write its
logits for a probe, and compares them with AutoModelForCausalLM on the same checkpoint folder.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 1e-4


def main():
    bin_dir = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
        folder = pathlib.Path(folder)
        random.seed(1)
        for split in ("train", "valid"):
            (folder / "corpus" / split).mkdir(parents=True)
            lines = [json.dumps({"text": f"line {random.random()} and {random.random()}"}) for _ in range(2000)]
            (folder / "corpus" / split / "tiny.jsonl").write_text("\n".join(lines) + "\n")
        subprocess.run([bin_dir / "sink-data", "pack", "--in", folder / "corpus", "--out", folder / "data/tiny",
                        "--tokenizer", "bytes", "--block", "257", "--chunk-blocks", "16", "--valid-chunk-blocks", "16"],
                       check=True)
        run = folder / "run"
        run.mkdir()
        config = {
            "model": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
                      "num_key_value_heads": 2, "vocab_size": 257, "max_position_embeddings": 128},
            "train": {"max_steps": 30, "warmup_steps": 5, "learning_rate": 3e-3, "global_batch_size": 4,
                      "micro_batch_size": 4, "sequence_length": 128},
            "data": {"set": "tiny"},
            "eval": {"sequences": 8, "validation_sequences": 4},
        }
        (run / "job.json").write_text(json.dumps(
            {"job": "0" * 32, "attempt": 1, "config": config, "data_root": str(folder / "data"), "device": "cpu"}))
        subprocess.run([bin_dir / "sink-trainer", run], check=True)
        checkpoint = sorted((run / "checkpoints").glob("step-*"))[-1]

        probe = torch.randint(0, 257, (4, 65), dtype=torch.int32)
        save_file({"probe": probe}, folder / "probe.safetensors")
        subprocess.run([bin_dir / "sink-eval", checkpoint, "--probe", folder / "probe.safetensors", "--json",
                        "--dump", folder / "ours.safetensors"], check=True)
        ours = load_file(folder / "ours.safetensors")["logits"]
        model = AutoModelForCausalLM.from_pretrained(checkpoint, torch_dtype=torch.float32)
        assert model.generation_config.eos_token_id == 256 and model.generation_config.bos_token_id is None
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        assert tokenizer("naïve")["input_ids"] == list("naïve".encode()) and tokenizer.eos_token_id == 256
        with torch.no_grad():
            theirs = model(probe[:, :-1].long()).logits
        difference = (ours - theirs).abs().max().item()
        print(f"largest difference of logits: {difference:.2e} (scale {theirs.abs().max().item():.1f})")
        assert theirs.abs().max() > 0.5, "the model has not learned anything; the comparison would be empty"
        sys.exit(0 if difference < TOLERANCE else 1)


if __name__ == "__main__":
    main()
