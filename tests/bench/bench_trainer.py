#!/usr/bin/env python3
"""Training speed of sink-trainer's step against PyTorch: same weights, same batches, same machine, same threads.

Usage: bench_trainer.py TRAINER_BENCH [--cases NAME,...] [--threads 1,2] [--peers plain,tuned,compiled] [--rounds 5]
                        [--baseline OTHER_TRAINER_BENCH]

TRAINER_BENCH is the program built from trainer_bench.cc (preset `bench`); peer.py, beside this file, is the other side
and says what the flavours are. The interpreter that runs this script must have torch. Both sides start from the same
weights and take turns, A B A B, a few steps each, so that a machine that slows down slows both; every step's loss must
agree within 2e-3. With --baseline the other side is another build of trainer_bench instead, which shows whether a change
of the code made the step slower. Prints one line per case, thread count and peer: tokens/s of both, the ratio ours / theirs
(median, min, max) and the peak memory of both.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile

# Steps of one turn, and a job's settings where they differ from COMMON.
COMMON = {"heads": 8, "layers": 2, "vocab": 4096, "batch": 1, "length": 2048, "steps": 1, "peers": ["plain"]}
LONG = {**COMMON, "hidden": 256, "ffn": 512}  # where the scores of a head are far larger than a cache
CASES = {
    "hidden128": {**COMMON, "hidden": 128, "layers": 4, "ffn": 352, "heads": 4, "batch": 8, "length": 256, "steps": 4,
                  "peers": ["plain", "tuned", "compiled"]},
    "hidden768": {**COMMON, "hidden": 768, "ffn": 1536, "batch": 2, "length": 512, "steps": 2,
                  "peers": ["plain", "tuned", "compiled"]},
    # The recipe of sweeps/quickstart.yaml, and below it that of sweeps/profiles/minutes.yaml, which is wider: attention
    # alone, absolute positions.
    "minutes": {**COMMON, "hidden": 64, "layers": 6, "ffn": 128, "heads": 8, "vocab": 320, "batch": 4, "length": 64,
                "steps": 40, "weight_decay": 0, "peers": ["plain", "tuned", "compiled"],
                "variant": {"ffn": "none", "position_embedding": "sinusoidal"}},
    "minutes96": {**COMMON, "hidden": 96, "layers": 6, "ffn": 192, "heads": 8, "vocab": 320, "batch": 4, "length": 64,
                  "steps": 40, "weight_decay": 0, "peers": ["plain", "tuned", "compiled"],
                  "variant": {"ffn": "none", "position_embedding": "sinusoidal"}},
    "softmax": LONG,
    "key_bias": {**LONG, "variant": {"key_bias": "per_head"}},
    "sigmoid": {**LONG, "variant": {"similarity": "sigmoid", "normalize": False}},
    "sigmoid_norm": {**LONG, "variant": {"similarity": "sigmoid"}},
    "elu": {**LONG, "variant": {"similarity": "elu_plus_one", "normalize": False}},
    "identity": {**LONG, "variant": {"similarity": "identity", "normalize": False}},
}
TOLERANCE = 2e-3


def job_config(case, threads):
    """The settings of one case as a job of ours: constant rate from the first step."""
    return {
        "model": {"hidden_size": case["hidden"], "intermediate_size": case["ffn"], "num_hidden_layers": case["layers"],
                  "num_attention_heads": case["heads"], "vocab_size": case["vocab"],
                  "max_position_embeddings": case["length"], "variant": case.get("variant", {})},
        "train": {"learning_rate": 1e-3, "warmup_steps": 0, "weight_decay": case.get("weight_decay", 0.1), "beta1": 0.9, "beta2": 0.95,
                  "epsilon": 1e-8, "max_gradient_norm": 1.0, "seed": 42, "precision": "fp32",
                  "global_batch_size": case["batch"], "micro_batch_size": case["batch"],
                  "sequence_length": case["length"], "threads": threads},
    }


def write_tokens(path, case, steps):
    """Batches of [batch, length + 1] int32, skewed like text so that the loss falls."""
    rng = random.Random(7)
    count = steps * case["batch"] * (case["length"] + 1)
    tokens = [min(int(rng.paretovariate(0.7)), case["vocab"]) - 1 for _ in range(count)]
    path.write_bytes(struct.pack(f"<{count}i", *tokens))


class Side:
    """One program that waits for a number of steps on stdin and answers with its time and losses."""

    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)
        self.losses, self.peak_bytes = [], 0
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"did not start: {command}")

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.losses += answer["losses"]
        self.peak_bytes = answer["peak_bytes"]
        return answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(program, name, threads, flavour, rounds, baseline):
    case = CASES[name]
    with tempfile.TemporaryDirectory(prefix="sink-bench-") as folder:
        folder = pathlib.Path(folder)
        config, model, tokens = folder / "config.json", folder / "model", folder / "tokens.bin"
        config.write_text(json.dumps(job_config(case, threads)))
        write_tokens(tokens, case, (rounds + 1) * case["steps"])
        ours = Side([program, config, model, tokens], threads)  # also writes the initial weights
        if baseline:
            theirs = Side([baseline, config, folder / "baseline", tokens], threads)
        else:
            peer = pathlib.Path(__file__).with_name("peer.py")
            theirs = Side([sys.executable, peer, config, model, tokens, flavour], threads)
        times = [(ours.run(case["steps"]), theirs.run(case["steps"])) for _ in range(rounds + 1)][1:]  # first: warm-up
        ours.close()
        theirs.close()
    difference = max(abs(a - b) for a, b in zip(ours.losses, theirs.losses))
    if not difference < TOLERANCE:
        sys.exit(f"{name}: losses differ by {difference:.1e}; a comparison of speed would mean nothing")
    count = case["steps"] * case["batch"] * case["length"]
    ratios = [b / a for a, b in times]
    print(f"{name:<12} threads {threads}  peer {flavour:<8} "
          f"ours {count / statistics.median(a for a, _ in times):7,.0f} tokens/s  "
          f"theirs {count / statistics.median(b for _, b in times):7,.0f}  "
          f"ratio {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, {rounds} rounds)  "
          f"peak MiB {ours.peak_bytes >> 20} / {theirs.peak_bytes >> 20}  "
          f"losses agree to {difference:.0e}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--peers", help="of every case; without it, those that the case names")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--baseline", type=pathlib.Path)
    options = parser.parse_args()
    for name in options.cases.split(","):
        for threads in map(int, options.threads.split(",")):
            peers = options.peers.split(",") if options.peers else CASES[name]["peers"]
            for flavour in ["baseline"] if options.baseline else peers:
                compare(options.program.resolve(), name, threads, flavour, options.rounds,
                        options.baseline and options.baseline.resolve())


if __name__ == "__main__":
    main()
