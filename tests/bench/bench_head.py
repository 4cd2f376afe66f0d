#!/usr/bin/env python3
"""Speed and memory of the output head with its loss (forward and both gradients) against PyTorch eager, in turns.

Usage: bench_head.py HEAD_BENCH [--rows 4096] [--hidden 768] [--vocabulary 50432] [--threads 1,2] [--rounds 5]

HEAD_BENCH is the program built from head_bench.cc (preset `bench`). Eager is F.linear, F.cross_entropy, backward. Memory
is what the computation adds to the peak of its process; both sides draw the same tensors, so that the losses agree.
A third side computes nothing but the three matrix products: theirs by it is the ratio that no exact head can pass.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time


def serve(side, rows, hidden, vocabulary, threads):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    x = torch.randn(rows, hidden).requires_grad_()
    targets = torch.randint(vocabulary, (rows,))
    head = torch.randn(vocabulary, hidden).mul_(0.02).requires_grad_()
    head.grad, x.grad = torch.zeros_like(head), torch.zeros_like(x)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def eager():
        loss = F.cross_entropy(F.linear(x, head), targets)
        loss.backward()
        return loss.item()

    logits = torch.empty(rows, vocabulary) if side == "products" else None

    def products():
        with torch.no_grad():
            torch.mm(x, head.t(), out=logits)
            torch.mm(logits, head, out=x.grad)
            head.grad.addmm_(logits.t(), x)
        return 0

    before = peak()
    print("ready", flush=True)
    for _ in sys.stdin:
        head.grad.zero_(), x.grad.zero_()
        start = time.perf_counter()
        loss = products() if side == "products" else eager()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "loss": loss, "peak_bytes": peak() - before}), flush=True)


def compare(program, options, threads):
    shape = [str(options.rows), str(options.hidden), str(options.vocabulary), str(threads)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    sides = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
             for command in ([str(program), *shape], [sys.executable, __file__, "--serve", "eager", *shape],
                             [sys.executable, __file__, "--serve", "products", *shape])]
    for side in sides:
        if side.stdout.readline().strip() != "ready":
            sys.exit(f"did not start: {side.args}")

    def turn(side):
        side.stdin.write("\n")
        side.stdin.flush()
        return json.loads(side.stdout.readline())

    rounds = [[turn(side) for side in sides] for _ in range(options.rounds + 1)][1:]  # first: warm-up
    for side in sides:
        side.stdin.close()
        side.wait()
    ours, theirs, products = zip(*rounds)
    if abs(ours[0]["loss"] - theirs[0]["loss"]) > 1e-4:
        sys.exit(f"losses differ: {ours[0]['loss']} and {theirs[0]['loss']}")
    ratios = [b["seconds"] / a["seconds"] for a, b, _ in rounds]
    bounds = [b["seconds"] / c["seconds"] for _, b, c in rounds]
    peaks = ours[-1]["peak_bytes"], theirs[-1]["peak_bytes"]
    print(f"head {options.rows} x {options.hidden} x {options.vocabulary}  threads {threads}  "
          f"ours {statistics.median(a['seconds'] for a in ours):.2f} s  "
          f"theirs {statistics.median(b['seconds'] for b in theirs):.2f} s  "
          f"ratio {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, {options.rounds} rounds)  "
          f"products alone {statistics.median(c['seconds'] for c in products):.2f} s: at most {statistics.median(bounds):.2f}  "
          f"peak MiB {peaks[0] >> 20} / {peaks[1] >> 20} = {peaks[0] / peaks[1]:.3f}  loss {ours[0]['loss']:.4f}",
          flush=True)


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(sys.argv[2], *map(int, sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--vocabulary", type=int, default=50432)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for threads in map(int, options.threads.split(",")):
        compare(options.program.resolve(), options, threads)


if __name__ == "__main__":
    main()
