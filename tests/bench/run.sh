#!/usr/bin/env bash
# Runs every benchmark, one after the other, and prints its figures and ratios: sets up, builds the preset `bench`, then
# the store at 100,000 jobs against 1,000, the coordinator under a fleet of simulated workers, the tokenizer against
# Hugging Face's, packing, the loader, the loss head and the trainer against PyTorch, ranks, the hours of a plan
# against the clock, open models against transformers. Wants an otherwise idle machine.
# Usage: tests/bench/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

deploy/bootstrap.sh --tests
python=${SINK_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/sink}/python-tests-1/bin/python
log=$(mktemp)
cmake --preset bench >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
rm -f "$log"
cmake --build --preset bench --target store_bench fleet_bench trainer_bench head_bench loader_bench tokenizer_bench sink-data sink-eval \
  sink-trainer sink-coordinator sink-worker sinkctl

say() { printf '\n==> %s\n' "$*"; }
say "Store: durable state changes, status of everything"
build/bench/bin/store_bench
say "Coordinator under a fleet: 1,000 simulated workers, 100,000 queued and a million finished jobs"
build/bench/bin/fleet_bench --bin-dir build/bench/bin
say "Tokenizer against Hugging Face tokenizers: one thread each, in turns; then packing with it, and the loader"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build/bench/bin/sink-data sample-corpus --out "$work/corpus"
build/bench/bin/sink-data train-tokenizer --in "$work/corpus" --out "$work/tokenizer.json" --vocab-size 8192
"$python" tests/bench/bench_tokenizer.py build/bench/bin/tokenizer_bench "$work/tokenizer.json" "$work/corpus/train/gcide.jsonl"
for threads in 1 2; do
  bytes=$(cat "$work"/corpus/*/*.jsonl | wc -c)
  start=$(date +%s.%N)
  build/bench/bin/sink-data pack --in "$work/corpus" --out "$work/set-$threads" --tokenizer "$work/tokenizer.json" \
    --threads "$threads" >/dev/null
  awk -v b="$bytes" -v s="$start" -v e="$(date +%s.%N)" -v t="$threads" \
    'BEGIN { printf "pack, %d threads: %.1f MB/s\n", t, b / 1e6 / (e - s) }'
done
build/bench/bin/loader_bench
say "Output head with its loss against PyTorch eager: time and memory"
"$python" tests/bench/bench_head.py build/bench/bin/head_bench
say "Trainer against PyTorch, eager and compiled: same model, data, threads and machine, in turns"
"$python" tests/bench/bench_trainer.py build/bench/bin/trainer_bench
say "Two ranks of one thread against one rank of two, and the bytes they send"
"$python" tests/bench/bench_ranks.py build/bench/bin/sink-trainer
"$python" tests/bench/bench_ranks.py build/bench/bin/sink-trainer --rounds 1 --shard
say "The hours of sinkctl plan against what every sweep of the study then takes, under the profile ci"
"$python" tests/bench/bench_plan.py . build/bench/bin || echo "the plan was further off than that"
say "Open models: the memory of large ones, then time and memory beside transformers"
"$python" tests/bench/bench_open_models.py memory build/bench/bin/sink-eval
for shape in mixtral-8x7b gpt-oss-20b; do
  "$python" tests/bench/bench_open_models.py memory build/bench/bin/sink-eval --shape "$shape" --layers 4
done
"$python" tests/bench/bench_open_models.py speed build/bench/bin/sink-eval
deps=${SINK_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/sink}
for smollm2 in "$deps"/smollm2/*.gguf; do  # which the test sinks_of_a_real_model downloads
  [ -e "$smollm2" ] || continue
  "$deps/python-open-5/bin/python" tests/bench/bench_open_models.py speed build/bench/bin/sink-eval --model "$smollm2"
done
