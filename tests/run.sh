#!/usr/bin/env bash
# Passes the tests on a fresh Debian 12: sets the machine up, builds everything, runs every test that needs no GPU.
# Usage: tests/run.sh [ctest arguments], e.g. `tests/run.sh -R store` or `tests/run.sh -L unit`.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/bootstrap.sh --tests
jobs=$(nproc)
log=$(mktemp)
cmake --preset dev >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
grep '^-- Sink' "$log"
rm -f "$log"
cmake --build --preset dev -- -j "$jobs"
ctest --preset dev -j "$jobs" --no-tests=error "$@"
