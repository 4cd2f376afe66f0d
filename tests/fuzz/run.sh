#!/usr/bin/env bash
# Builds the fuzz targets and runs them, as many at once as there are processors. What a target learned stays in
# build/fuzz/corpus, the input of a failure in build/fuzz/crashes.
# Usage: tests/fuzz/run.sh [SECONDS [TARGET...]], e.g. `tests/fuzz/run.sh 600 sweep litpkds`. A minute each without it.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
[ $# -gt 0 ] && shift
case $seconds in
  "" | *[!0-9]*) echo "tests/fuzz/run.sh: SECONDS must be a number, not $seconds" >&2; exit 2 ;;
esac
deploy/bootstrap.sh --control --fuzz
cmake --preset fuzz >/dev/null
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls ./*_fuzz.cc | sed 's|^./||; s|_fuzz.cc$||')
cmake --build --preset fuzz --target $(printf 'fuzz_%s ' "$@")

run_target() {
  local name=$1 seeds=() limits=()
  local program=build/fuzz/fuzz-bin/fuzz_$name corpus=build/fuzz/corpus/$name log=build/fuzz/$name.log
  [ -x "$program" ] || { echo "$name: no such target" >&2; return 1; }
  mkdir -p "$corpus" build/fuzz/crashes
  case $name in
    byte_source) limits=(-malloc_limit_mb=4096) ;;  # a frame may ask for a window of 2 GiB, which it then does not touch
    sweep) seeds=(tests/sweeps/fixtures/errors sweeps) ;;
    open_model) seeds=(tests/golden/open_models/*/) ;;
    gguf) seeds=(tests/golden/gguf) ;;
    tokenizer_json) seeds=(tests/golden/tokenizers) ;;
  esac
  if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 "${limits[@]}" -artifact_prefix=build/fuzz/crashes/"$name"- \
    "$corpus" "${seeds[@]}" >"$log" 2>&1; then
    printf '%-16s no finding: %s\n' "$name" "$(grep -E '^Done' "$log")"
  else
    printf '%-16s FAILED, see %s\n' "$name" "$log" >&2
    return 1
  fi
}
export -f run_target
export seconds
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c 'run_target {}'
