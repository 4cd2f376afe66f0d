#!/usr/bin/env bash
# Makes .gpu/ in the checkout: stripped programs, their few Debian libraries, packed data and the scripts of this folder,
# so that a machine that can build and fetch nothing can check and time them.
# Usage: tests/gpu/pack.sh [BUILD_DIR]       (default build/cuda, of the preset cuda)
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/cuda}
bin=$build/bin
if ! [ -x "$bin/sink-trainer" ] || ! [ -x "$bin/trainer_bench" ] || ! [ -x "$bin/kernels_bench" ] || ! [ -e "$bin/libsink_cuda.so" ] ||
  ! [ -x "$build/tests-bin/test_model_backend_gpu" ]; then
  echo "pack: $build lacks sink-trainer, trainer_bench, kernels_bench, the CUDA kernels or their tests; build the preset cuda first" >&2
  exit 1
fi
out=.gpu
rm -rf "$out"
mkdir -p "$out/bin" "$out/lib" "$out/corpus/train" "$out/corpus/valid"
for program in "$bin"/sink-trainer "$bin"/sink-eval "$bin"/*_bench "$bin"/*.so "$build"/tests-bin/test_*gpu*; do
  [ -e "$program" ] && strip -o "$out/bin/$(basename "$program")" "$program"
done
chmod +x "$out"/bin/*
for program in "$out"/bin/*; do ldd "$program"; done | awk '$3 ~ /^\// {print $3}' | sort -u |
  grep -E 'pcre2|utf8proc|zstd|xxhash|libz\.|gtest|gmock' | xargs -I{} cp -L {} "$out/lib/"
python3 tests/gpu/make_corpus.py "$out/corpus"
"$bin/sink-data" pack --in "$out/corpus" --out "$out/data/bytes" --tokenizer bytes >/dev/null
rm -rf "$out/corpus"
cp tests/gpu/run.sh tests/gpu/*.py "$out/"
cp tests/bench/peer.py "$out/torch_peer.py"
cp sweeps/presets/llama-60m.yaml "$out/"
git describe --always --dirty=+ >"$out/commit" 2>/dev/null || echo unknown >"$out/commit"
echo "pack: $out, $(du -sh "$out" | cut -f1); copy the checkout with it, then: bash .gpu/run.sh correctness speed"
