#!/usr/bin/env bash
# Passes the tests on a fresh Debian 12: sets the machine up, builds everything, runs every test that needs no GPU.
# Usage: tests/run.sh [ctest arguments], e.g. `tests/run.sh -R store` or `tests/run.sh -L unit`.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/bootstrap.sh --tests
jobs=$(nproc)
cmake --preset dev >build-dev.log 2>&1 || { cat build-dev.log >&2; exit 1; }
grep -h '^-- Sink' build-dev.log && rm -f build-dev.log
cmake --build --preset dev -- -j "$jobs"
ctest --preset dev -j "$jobs" --no-tests=error "$@"
