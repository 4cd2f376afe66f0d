#!/usr/bin/env bash
# From nothing to a finished sweep on one machine: sets up, builds, prepares the sample corpus, starts a coordinator and
# two workers on loopback, submits sweeps/quickstart.yaml (or others), follows it to the end, prints the sink table and
# writes the report. Safe to interrupt and to run again: finished work is kept, a running coordinator and running workers
# are reused.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."

usage() {
  cat <<'EOF'
Usage: deploy/quickstart.sh [--home DIR] [--sweep FILE]... [--all] [--profile NAME] [--models DIR] | --stop | --status

  --home DIR      where data, checkpoints, reports and logs go (default: $SINK_HOME or ./sink-data)
  --sweep FILE    another sweep than sweeps/quickstart.yaml; may be given several times
  --all           every sweep of the study, and a page of all its takeaways: with --profile ci each of its experiments
                  within minutes, to test the system; with --profile minutes the study itself, judged, within hours
  --profile NAME  lay a profile over them, e.g. laptop
  --models DIR    open models for sweeps/open_model*.yaml, e.g. ~/.cache/huggingface/hub. Without it, --profile ci makes
                  tiny stand-ins of random weights, to test the system; with other profiles --all leaves those sweeps
                  out, and one that is named reports its models as missing
  --stop          stop the coordinator and the workers (running jobs save and are resumed by the next run)
  --status        say what is running
EOF
}

# from_here PATH: as the caller means it, where the caller stands.
from_here() { case "$1" in /*) echo "$1" ;; *) echo "$here/$1" ;; esac; }

home=$PWD/sink-data sweeps=() all=no profile=() models= action=run
[ -z "${SINK_HOME:-}" ] || home=$(from_here "$SINK_HOME")
while [ $# -gt 0 ]; do
  case "$1" in
    --home) home=$(from_here "${2:?--home needs a folder}"); shift ;;
    --sweep)
      file=${2:?--sweep needs a file}
      # One of ours may be named from anywhere.
      [ "$here" = "$PWD" ] || ! [ -e "$(from_here "$file")" ] || file=$(from_here "$file")
      sweeps+=("$file"); shift ;;
    --all) all=yes ;;
    --profile) profile=(--profile "${2:?--profile needs a name}"); shift ;;
    --models) models=$(cd "$(from_here "${2:?--models needs a folder}")" && pwd); shift ;;
    --stop) action=stop ;;
    --status) action=status ;;
    --help | -h) usage; exit 0 ;;
    *) echo "quickstart: unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
is_open_models() { grep -q '^base: presets/open-model.yaml' "$1"; }
if [ $all = yes ]; then
  sweeps=()
  for sweep in sweeps/*.yaml; do
    if [ -z "$models" ] && [ "${profile[*]}" != "--profile ci" ] && is_open_models "$sweep"; then continue; fi
    sweeps+=("$sweep")
  done
fi
[ ${#sweeps[@]} -gt 0 ] || sweeps=(sweeps/quickstart.yaml)
mkdir -p "$home"
home=$(cd "$home" && pwd)
bin=$PWD/build/dev/bin  # the build that tests/run.sh uses too
started=$SECONDS
say() { printf '\n==> [%d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }

# alive NAME: is the process of $home/NAME.pid running, and is it ours?
alive() {
  local pid
  pid=$(cat "$home/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$home/$1"
}

# start NAME PROGRAM ARGUMENT...: a daemon that outlives this script, with its log in $home/logs. One that runs already is
# kept if it was started so, from this build; else it is stopped first, and its jobs go on.
start() {
  local name=$1 command
  shift
  command="$* (built $(stat -c %Y "$1"))"
  if alive "$name"; then
    [ "$(cat "$home/$name.command" 2>/dev/null)" = "$command" ] && return
    echo "$name runs with other options, or from another build: starting it anew"
    stop "$name"
  fi
  mkdir -p "$home/logs"
  setsid "$@" >>"$home/logs/$name.log" 2>&1 </dev/null &
  echo $! >"$home/$name.pid"
  echo "$command" >"$home/$name.command"
}

stop() {
  local name=$1 pid
  if alive "$name"; then
    pid=$(cat "$home/$name.pid")
    kill "$pid"
    for _ in $(seq 600); do alive "$name" || break; sleep 0.1; done
    alive "$name" && { echo "quickstart: $name (process $pid) did not stop within a minute" >&2; exit 1; }
    echo "stopped $name"
  fi
  rm -f "$home/$name.pid"
}

case $action in
  stop) for name in worker-1 worker-2 coordinator; do stop "$name"; done; exit 0 ;;
  status)
    for name in coordinator worker-1 worker-2; do
      if alive "$name"; then echo "$name runs (process $(cat "$home/$name.pid"))"; else echo "$name is stopped"; fi
    done
    exit 0 ;;
esac

say "Setting up this machine (deploy/bootstrap.sh)"
deploy/bootstrap.sh

say "Building (the first time takes a few minutes)"
cmake --preset dev >"$home/configure.log" 2>&1 || { tail -n 20 "$home/configure.log" >&2; exit 1; }
grep '^-- Sink' "$home/configure.log"
cmake --build --preset dev --target sink-coordinator sink-backup sink-worker sinkctl sink-data sink-trainer sink-eval

say "Preparing the sample corpus: Webster's 1913 dictionary and the King James Bible, as bytes"
"$bin/sink-data" sample-corpus --out "$home/corpus"
"$bin/sink-data" pack --in "$home/corpus" --out "$home/data/sample-bytes" --tokenizer bytes

cat "$home"/corpus/valid/*.jsonl >"$home/data/texts.jsonl"
if [ -z "$models" ]; then
  models=$home/models
  mkdir -p "$models"
  if [ "${profile[*]}" = "--profile ci" ] && grep -q '^base: presets/open-model.yaml' "${sweeps[@]}"; then
    "$bin/sink-data" train-tokenizer --in "$home/corpus" --out "$home/tokenizer.json" --vocab-size 1024
    deploy/stand_in_models.py --tokenizer "$home/tokenizer.json" --out "$models" sweeps/open_model*.yaml
  fi
fi

say "Starting a coordinator and two workers on 127.0.0.1"
alive coordinator || rm -f "$home/coordinator/coordinator.addr"
start coordinator "$bin/sink-coordinator" --data "$home/coordinator" --listen "127.0.0.1:${SINK_PORT:-7070}" \
  --metrics-listen "127.0.0.1:${SINK_METRICS_PORT:-7071}"
for _ in $(seq 100); do
  [ -s "$home/coordinator/coordinator.addr" ] && break
  alive coordinator || break
  sleep 0.1
done
if ! [ -s "$home/coordinator/coordinator.addr" ] || ! alive coordinator; then
  echo "quickstart: the coordinator did not start; the end of its log:" >&2
  tail -n 5 "$home/logs/coordinator.log" >&2
  echo "quickstart: set SINK_PORT and SINK_METRICS_PORT if another program has the ports" >&2
  exit 1
fi
export SINK_COORDINATOR
SINK_COORDINATOR=$(cat "$home/coordinator/coordinator.addr")
for n in 1 2; do
  start "worker-$n" "$bin/sink-worker" --coordinator "$SINK_COORDINATOR" --data "$home/worker-$n" --name "worker-$n" \
    --devices cpu:1 --data-root "$home/data" --models "$models" --trainer "$bin/sink-trainer"
done

where() {
  local page="(none: its port was taken)"
  [ -s "$home/coordinator/page.addr" ] && page="http://$(cat "$home/coordinator/page.addr")/"
  cat <<EOF

Coordinator   $SINK_COORDINATOR (export SINK_COORDINATOR=$SINK_COORDINATOR)
Page          $page
              $bin/sinkctl page                (prints a link that logs a browser in: curves, heads and logs, live)
Metrics       http://$(cat "$home/coordinator/metrics.addr")/metrics
Everything    $home: jobs and checkpoints in coordinator/, packed data in data/, reports/, logs/
Look around   $bin/sinkctl status | results NAME | report NAME | why JOB | logs JOB | checkpoint get JOB --out DIR
Stop          deploy/quickstart.sh --stop      (running jobs save first)
Resume        deploy/quickstart.sh             (finished jobs are kept, stopped ones go on where they were)
EOF
}
trap 'echo; echo "Interrupted; the jobs go on in the background."; where; exit 130' INT

say "Submitting ${sweeps[*]} and following to the end (Ctrl-C leaves it running)"
code=0
"$bin/sinkctl" submit "${sweeps[@]}" "${profile[@]}" --follow || code=$?

say "Results"
# For the reports to say: what ran, without the folders of this machine, and on what.
ran=deploy/quickstart.sh
if [ $all = yes ]; then ran+=" --all"; else for sweep in "${sweeps[@]}"; do ran+=" --sweep ${sweep#"$PWD/"}"; done; fi
ran+="${profile[*]:+ ${profile[*]}}"
machine="$(nproc) cores of $(sed -n '/^model name/ { s/^[^:]*: //p; q }' /proc/cpuinfo)"
machine+=", $(awk '/^MemTotal:/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB of memory"
said=(--command "$ran" --machine "$machine")
names=()
for sweep in "${sweeps[@]}"; do
  names+=("$(sed -n 's/^name:[[:space:]]*\([A-Za-z0-9._-]*\).*/\1/p' "$sweep" | head -n 1)")
done
if [ ${#names[@]} -eq 1 ]; then
  "$bin/sinkctl" results "${names[0]}"
  echo
  "$bin/sinkctl" curves "${names[0]}"
  "$bin/sinkctl" report "${names[0]}" --out "$home/reports/${names[0]}" "${said[@]}"
else
  "$bin/sinkctl" report "${names[@]}" --out "$home/reports" "${said[@]}"  # a folder each, and takeaways.html beside them
fi
where
exit "$code"
