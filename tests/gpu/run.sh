#!/usr/bin/env bash
# Checks and times the programs of .gpu/ on this machine's GPU (SINK_DEVICE, default cuda:0). Usage: see README.md.
set -uo pipefail
cd "$(dirname "$0")"
export OUT=${OUT:-$PWD} PYTHONUNBUFFERED=1 SINK_DEVICE=${SINK_DEVICE:-cuda:0}
python=${PYTHON:-python3}
[ $# -gt 0 ] || set -- correctness
torch=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))') || exit 1
wheels=$(ls -d "$(dirname "$torch")"/nvidia/*/lib 2>/dev/null | tr '\n' ':')
export LD_LIBRARY_PATH=$torch/lib:$wheels$PWD/bin:$PWD/lib:/usr/local/cuda/lib64
printf 'commit %s on ' "$(cat commit)"
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null || echo "no NVIDIA GPU"
opened=; [ "$SINK_DEVICE" = cpu ] || opened=$(ls bin/*.so)  # by a program that is given a GPU
ldd -r bin/sink-trainer $opened | grep -E 'not found|undefined symbol' && exit 1
status=0
for step in "$@"; do
  case $step in
    correctness) timeout 400 "$python" correctness.py || status=1 ;;
    speed | large) timeout 500 "$python" speed.py "$step" || status=1 ;;
    parts) timeout 200 "$python" parts.py || status=1 ;;
    memory) timeout 500 "$python" memory.py || status=1 ;;
    study) "$python" study.py || status=1 ;;  # as long as STUDY_SECONDS says
    *) echo "run: unknown step $step; correctness, speed, large, parts, memory or study" >&2; exit 2 ;;
  esac
done
exit $status
