#!/usr/bin/env python3
"""Data-parallel training on one machine: two ranks of one thread against one rank of two, and the bytes that ranks send.

Usage: bench_ranks.py SINK_TRAINER [--rounds 5] [--steps 12] [--hidden 256] [--shard]

Both sides train the same job (same global batch, so the same losses to rounding) and take turns, A B A B, so that a
machine that slows down slows both. Prints the time of a step of both, the ratio (median, min, max), the load of the
machine, and what a rank writes to its sockets per step beside what the algorithms should: with P parameters of 4 bytes
and W ranks, a ring's sum 2 (W - 1) / W x 4 P; with --shard, on top, the broadcast of its part, for two ranks 4 P / 2.
"""
import argparse
import json
import os
import pathlib
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

VOCABULARY, LENGTH, BATCH, MICRO_BATCH, LAYERS = 4096, 256, 8, 2, 4
BLOCK, BLOCKS = 2049, 64  # of a file
WARM_UP = 2  # steps that are not timed
TOLERANCE = 1e-4


def write_set(folder):
    """Packed files (LITPKDS) of tokens skewed like text."""
    folder.mkdir(parents=True)
    rng = random.Random(7)
    for split, counter in (("train", 0), ("valid", 0)):
        tokens = [min(int(rng.paretovariate(0.7)), VOCABULARY) - 1 for _ in range(BLOCK * BLOCKS)]
        header = b"LITPKDS" + struct.pack("<QBQ", 1, 8, len(tokens))
        (folder / f"{split}_words_0_{counter:010}.bin").write_bytes(header + struct.pack(f"<{len(tokens)}H", *tokens))


def job(data, hidden, threads, steps, shard):
    return {
        "job": "bench", "attempt": 1, "data_root": str(data), "device": "cpu",
        "config": {
            "model": {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": LAYERS,
                      "num_attention_heads": 8, "vocab_size": VOCABULARY, "max_position_embeddings": LENGTH},
            "train": {"learning_rate": 1e-3, "warmup_steps": 0, "max_steps": steps, "global_batch_size": BATCH,
                      "micro_batch_size": MICRO_BATCH, "sequence_length": LENGTH, "threads": threads, "log_every": 1,
                      "shard_optimizer": shard},
            "data": {"set": "set"},
            "eval": {"every": 1_000_000, "sequences": 1, "tokens": 32, "validation_sequences": 1},
            "checkpoint": {"every": 1_000_000, "keep": 2}}}


def written(pid):
    """Bytes that the process has given to write(), sockets included."""
    lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def train(program, folder, settings, ranks):
    """Seconds and bytes written a step (of the last rank, which writes little else), losses, number of parameters."""
    meeting = f"127.0.0.1:{free_port()}"
    processes = []
    for rank in range(ranks):
        run = folder / f"rank{rank}"
        run.mkdir(parents=True)
        (run / "job.json").write_text(json.dumps(settings))
        environment = dict(os.environ, SINK_EVENTS_FD="1")
        if ranks > 1:
            environment.update(SINK_RANK=str(rank), SINK_WORLD_SIZE=str(ranks), SINK_RENDEZVOUS=meeting,
                               SINK_RENDEZVOUS_TOKEN=str(folder))
        processes.append(subprocess.Popen([str(program), str(run)], env=environment, text=True,
                                          stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL))
    losses, parameters, start, last = [], 0, None, settings["config"]["train"]["max_steps"]
    for line in processes[0].stdout:
        record = json.loads(line)
        if record["type"] == "hello":
            parameters = record["parameters"]
        if record["type"] != "metrics" or "train_loss" not in record["values"]:
            continue
        losses.append(record["values"]["train_loss"])
        if record["step"] == WARM_UP:
            start = time.monotonic(), written(processes[-1].pid)
        if record["step"] == last - 1:  # during the last step all are sure to live
            count = last - 1 - WARM_UP
            seconds = (time.monotonic() - start[0]) / count
            sent = (written(processes[-1].pid) - start[1]) / count
    if any(process.wait() != 0 for process in processes):
        sys.exit("a trainer failed")
    return seconds, sent, losses, parameters


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--shard", action="store_true")
    options = parser.parse_args()
    program = options.program.resolve()
    one, two, loads = [], [], []
    with tempfile.TemporaryDirectory(prefix="sink-bench-") as folder:
        folder = pathlib.Path(folder)
        write_set(folder / "data" / "set")
        for turn in range(options.rounds):
            for ranks, results in ((1, one), (2, two)):
                settings = job(folder / "data", options.hidden, 2 // ranks, options.steps, options.shard)
                results.append(train(program, folder / f"{turn}-{ranks}", settings, ranks))
                loads.append(os.getloadavg()[0])
                print(f"round {turn}: {ranks} ranks, {results[-1][0] * 1e3:.0f} ms a step, load {loads[-1]:.1f}", flush=True)
    difference = max(abs(a - b) for x, y in zip(one, two) for a, b in zip(x[2], y[2]))
    if not difference < TOLERANCE:
        sys.exit(f"losses differ by {difference:.1e}; a comparison of speed would mean nothing")
    ratios = [x[0] / y[0] for x, y in zip(one, two)]
    tokens = BATCH * LENGTH
    parameters = one[0][3]
    expected = 4 * parameters * (1 + (0.5 if options.shard else 0))
    print(f"hidden {options.hidden}, {parameters:,} parameters, {tokens} tokens a step, losses agree to {difference:.0e}")
    for name, results in (("1 rank x 2 threads", one), ("2 ranks x 1 thread", two)):
        step = statistics.median(r[0] for r in results)
        print(f"{name}: {step * 1e3:.0f} ms a step, {tokens / step:,.0f} tokens/s (median of {options.rounds})")
    print(f"speed of 2 x 1 over 1 x 2: {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}); "
          f"load {min(loads):.1f} to {max(loads):.1f}")
    sent = statistics.median(r[1] for r in two)
    print(f"a rank sends {sent:,.0f} bytes a step; computed {expected:,.0f} ({sent / expected - 1:+.2%})")


if __name__ == "__main__":
    main()
