#!/usr/bin/env python3
"""Tokenising speed against Hugging Face's `tokenizers`: same text, same tokenizer, one thread each, in turns.

Usage: bench_tokenizer.py TOKENIZER_BENCH TOKENIZER_JSON JSON_LINES [--rounds 5]

TOKENIZER_BENCH is the program built from tokenizer_bench.cc (preset `bench`). The library encodes document by document
(encode_batch_fast on one thread, which leaves offsets out and is its fastest way). Token counts must agree. Prints MB/s
of both and the ratio ours / theirs: median (min, max).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402  (reads the variable above)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("tokenizer")
    parser.add_argument("text")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with open(arguments.text) as lines:
        documents = [json.loads(line)["text"] for line in lines]
    megabytes = sum(len(document.encode()) for document in documents) / 1e6
    library = tokenizers.Tokenizer.from_file(arguments.tokenizer)
    ours = subprocess.Popen([arguments.program, arguments.tokenizer, arguments.text], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    if ours.stdout.readline().strip() != "ready":
        sys.exit("tokenizer_bench did not start")
    speeds = {"ours": [], "theirs": []}
    ratios = []
    for turn in range(arguments.rounds):
        ours.stdin.write("\n")
        ours.stdin.flush()
        answer = json.loads(ours.stdout.readline())
        start = time.perf_counter()
        tokens = 0
        for begin in range(0, len(documents), 100):
            batch = library.encode_batch_fast(documents[begin:begin + 100], add_special_tokens=False)
            tokens += sum(len(each.ids) for each in batch)
        seconds = time.perf_counter() - start
        if tokens != answer["tokens"]:
            sys.exit(f"{answer['tokens']} tokens of ours, {tokens} of theirs")
        speeds["ours"].append(megabytes / answer["seconds"])
        speeds["theirs"].append(megabytes / seconds)
        ratios.append(seconds / answer["seconds"])
        print(f"turn {turn}: ours {speeds['ours'][-1]:.1f} MB/s, theirs {speeds['theirs'][-1]:.2f} MB/s", flush=True)

    def summary(values):
        return f"{statistics.median(values):.2f} ({min(values):.2f}, {max(values):.2f})"

    print(f"{megabytes:.1f} MB: ours {summary(speeds['ours'])} MB/s, theirs {summary(speeds['theirs'])} MB/s, "
          f"ratio {summary(ratios)}")


if __name__ == "__main__":
    main()
