#!/usr/bin/env bash
# Runs every benchmark, one after the other, and prints its figures and ratios: sets up, builds the preset `bench`, then
# the store at 100,000 jobs against 1,000, the loss head and the trainer against PyTorch. Wants an otherwise idle machine.
# Usage: tests/bench/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

deploy/bootstrap.sh --tests
python=${SINK_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/sink}/python-tests-1/bin/python
log=$(mktemp)
cmake --preset bench >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
rm -f "$log"
cmake --build --preset bench --target store_bench trainer_bench head_bench

say() { printf '\n==> %s\n' "$*"; }
say "Store: durable state changes, status of everything"
build/bench/bin/store_bench
say "Output head with its loss against PyTorch eager: time and memory"
"$python" tests/bench/bench_head.py build/bench/bin/head_bench
say "Trainer against PyTorch, eager and compiled: same model, data, threads and machine, in turns"
"$python" tests/bench/bench_trainer.py build/bench/bin/trainer_bench
