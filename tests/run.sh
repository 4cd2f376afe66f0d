#!/usr/bin/env bash
# Passes the tests on a fresh Debian 12: sets the machine up, builds everything, runs every test that needs no GPU.
# Usage: tests/run.sh [--preset NAME] [ctest arguments], e.g. `tests/run.sh -R store`; `--preset asan` and `--preset tsan`
# are the sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=dev
if [ "${1:-}" = --preset ]; then
  preset=${2:?tests/run.sh: --preset needs a name}
  shift 2
fi
deploy/bootstrap.sh --tests
jobs=$(nproc)
log=$(mktemp)
cmake --preset "$preset" -DSINK_REQUIRE_ORACLES=ON >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
grep '^-- Sink' "$log"
rm -f "$log"
cmake --build --preset "$preset" -- -j "$jobs"
ctest --preset "$preset" -j "$jobs" --no-tests=error "$@"
