#!/usr/bin/env python3
"""LibTorch's default generator starts from a random seed, in C++ and in Python alike: two fresh processes that never
call manual_seed draw different numbers. So a test whose tensors come from it is another test in every run, and one
that fails once in a thousand runs cannot be repeated. Ours draw from tests/model/helpers/random_tensors.h.

Usage: torch_default_seed.py, with a Python that has torch. Seen with 2.11.0.
"""
import subprocess
import sys

SHOW = "import torch; print(torch.initial_seed(), torch.rand(1).item())"

runs = [subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)]
print("seed and first number of two fresh processes:", *runs, sep="\n")
sys.exit(0 if runs[0] != runs[1] else "they agree: this is no longer so")
