#!/usr/bin/env python3
"""Training speed of sink-trainer's step against PyTorch eager: same weights, same batches, same machine, same threads.

Usage: bench_trainer.py TRAINER_BENCH [--shapes 128,768] [--threads 1,2] [--peers plain,tuned] [--rounds 5]

TRAINER_BENCH is the program built from trainer_bench.cc (preset `bench`). The interpreter that runs this script must have
torch; nothing else is needed. Both sides train the same LLaMA from the same initial weights and take turns, A B A B, a few
steps each, so that a machine that slows down slows both; every step's loss must agree within 2e-3. Two peers:
  plain  the model as transformers' LlamaForCausalLM writes it, torch.optim.AdamW as it comes
  tuned  F.rms_norm and fused AdamW: the fastest that eager mode offers without compiling
Prints one line per shape, thread count and peer: tokens/s of both sides and the ratio ours / theirs (median, min, max).
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
import time

# layers, feed-forward, vocabulary, heads; batch and length; steps of one turn
SHAPES = {
    128: dict(layers=4, ffn=352, vocab=4096, heads=4, batch=8, length=256, steps=4),
    768: dict(layers=2, ffn=1536, vocab=4096, heads=8, batch=2, length=512, steps=2),
}
LEARNING_RATE, WEIGHT_DECAY, BETAS, EPSILON, CLIP = 1e-3, 0.1, (0.9, 0.95), 1e-8, 1.0
TOLERANCE = 2e-3


def job_config(hidden, shape, threads):
    """The same settings as a job of ours: constant rate from the first step."""
    return {
        "model": {"hidden_size": hidden, "intermediate_size": shape["ffn"], "num_hidden_layers": shape["layers"],
                  "num_attention_heads": shape["heads"], "vocab_size": shape["vocab"],
                  "max_position_embeddings": shape["length"]},
        "train": {"learning_rate": LEARNING_RATE, "warmup_steps": 0, "weight_decay": WEIGHT_DECAY, "beta1": BETAS[0],
                  "beta2": BETAS[1], "epsilon": EPSILON, "max_gradient_norm": CLIP, "seed": 42, "precision": "fp32",
                  "global_batch_size": shape["batch"], "micro_batch_size": shape["batch"],
                  "sequence_length": shape["length"], "threads": threads},
    }


def write_tokens(path, shape, steps):
    """Batches of [batch, length + 1] int32, skewed like text so that the loss falls."""
    rng = random.Random(7)
    count = steps * shape["batch"] * (shape["length"] + 1)
    tokens = [min(int(rng.paretovariate(0.7)), shape["vocab"]) - 1 for _ in range(count)]
    path.write_bytes(struct.pack(f"<{count}i", *tokens))


# --- the peer ---------------------------------------------------------------------------------------------------------

def serve_peer(config_file, model_dir, tokens_file, flavour):
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    config = json.loads(pathlib.Path(config_file).read_text())
    m, t = config["model"], config["train"]
    torch.set_num_threads(t["threads"])
    hidden, heads, length = m["hidden_size"], m["num_attention_heads"], t["sequence_length"]
    head_dim = hidden // heads

    class RMSNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(hidden))

        def forward(self, x):
            if flavour == "tuned":
                return F.rms_norm(x, (hidden,), self.weight, 1e-5)
            variance = x.pow(2).mean(-1, keepdim=True)
            return self.weight * (x * torch.rsqrt(variance + 1e-5))

    def linear(fan_in, fan_out):
        return nn.Linear(fan_in, fan_out, bias=False)

    angles = torch.outer(torch.arange(length).float(), 1e4 ** (-torch.arange(0, head_dim, 2).float() / head_dim))
    cos, sin = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()

    def rotate(x):
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat([-second, first], -1) * sin

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj, self.k_proj, self.v_proj, self.o_proj = (linear(hidden, hidden) for _ in range(4))

        def forward(self, x):
            q, k, v = (p(x).view(x.shape[0], length, heads, head_dim).transpose(1, 2)
                       for p in (self.q_proj, self.k_proj, self.v_proj))
            out = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
            return self.o_proj(out.transpose(1, 2).reshape(x.shape))

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate_proj, self.up_proj = (linear(hidden, m["intermediate_size"]) for _ in range(2))
            self.down_proj = linear(m["intermediate_size"], hidden)

        def forward(self, x):
            return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.input_layernorm, self.post_attention_layernorm = RMSNorm(), RMSNorm()
            self.self_attn, self.mlp = Attention(), MLP()

        def forward(self, x):
            x = x + self.self_attn(self.input_layernorm(x))
            return x + self.mlp(self.post_attention_layernorm(x))

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed_tokens = nn.Embedding(m["vocab_size"], hidden)
            self.layers = nn.ModuleList(Layer() for _ in range(m["num_hidden_layers"]))
            self.norm = RMSNorm()

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.lm_head = Body(), linear(hidden, m["vocab_size"])

        def forward(self, tokens):
            x = self.model.embed_tokens(tokens)
            for layer in self.model.layers:
                x = layer(x)
            return self.lm_head(self.model.norm(x))

    model = Model()
    raw = bytearray((pathlib.Path(model_dir) / "model.safetensors").read_bytes())
    size, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    model.load_state_dict({name: torch.frombuffer(raw, dtype=torch.float32, offset=8 + size + e["data_offsets"][0],
                                                  count=(e["data_offsets"][1] - e["data_offsets"][0]) // 4)
                           .reshape(e["shape"]) for name, e in header.items()})
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=BETAS, eps=EPSILON,
                                  weight_decay=WEIGHT_DECAY, fused=True if flavour == "tuned" else None)
    tokens = torch.frombuffer(bytearray(pathlib.Path(tokens_file).read_bytes()), dtype=torch.int32)
    batches = iter(tokens.view(-1, t["micro_batch_size"], length + 1).long())

    print("ready", flush=True)
    for line in sys.stdin:
        losses, start = [], time.perf_counter()
        for _ in range(int(line)):
            batch = next(batches)
            loss = F.cross_entropy(model(batch[:, :-1]).view(-1, m["vocab_size"]), batch[:, 1:].reshape(-1))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        print(json.dumps({"seconds": time.perf_counter() - start, "losses": losses}), flush=True)


# --- the comparison ---------------------------------------------------------------------------------------------------

class Side:
    """One program that waits for a number of steps on stdin and answers with its time and losses."""

    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)
        self.losses = []
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"did not start: {command}")

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.losses += answer["losses"]
        return answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(program, hidden, threads, flavour, rounds):
    shape = SHAPES[hidden]
    with tempfile.TemporaryDirectory(prefix="sink-bench-") as folder:
        folder = pathlib.Path(folder)
        config, model, tokens = folder / "config.json", folder / "model", folder / "tokens.bin"
        config.write_text(json.dumps(job_config(hidden, shape, threads)))
        write_tokens(tokens, shape, (rounds + 1) * shape["steps"])
        ours = Side([program, config, model, tokens], threads)  # also writes the initial weights
        theirs = Side([sys.executable, __file__, "--serve", config, model, tokens, flavour], threads)
        times = [(ours.run(shape["steps"]), theirs.run(shape["steps"])) for _ in range(rounds + 1)][1:]  # first: warm-up
        ours.close()
        theirs.close()
    difference = max(abs(a - b) for a, b in zip(ours.losses, theirs.losses))
    if not difference < TOLERANCE:
        sys.exit(f"hidden {hidden}: losses differ by {difference:.1e}; a comparison of speed would mean nothing")
    count = shape["steps"] * shape["batch"] * shape["length"]
    ratios = [b / a for a, b in times]
    print(f"hidden {hidden:<4} threads {threads}  peer {flavour:<6} "
          f"ours {count / statistics.median(a for a, _ in times):8,.0f} tokens/s  "
          f"theirs {count / statistics.median(b for _, b in times):8,.0f} tokens/s  "
          f"ratio {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, {rounds} rounds)  "
          f"losses agree to {difference:.0e}", flush=True)


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve_peer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--shapes", default="128,768")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--peers", default="plain,tuned")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for hidden in map(int, options.shapes.split(",")):
        for threads in map(int, options.threads.split(",")):
            for flavour in options.peers.split(","):
                compare(options.program.resolve(), hidden, threads, flavour, options.rounds)


if __name__ == "__main__":
    main()
