#!/usr/bin/env bash
# Sets up a Debian 12 machine to build and run Sink: Debian packages, LibTorch in a private folder and, with --tests, a
# Python environment that holds the oracles of the tests. Idempotent: a second run takes a second and changes nothing.
# Needs root (or sudo) only while a Debian package is missing.
set -euo pipefail

usage() {
  cat <<'EOF'
Usage: deploy/bootstrap.sh [--control] [--tests] [--golden] [--fuzz]

  --control   only what the control programs need (no LibTorch)
  --tests     also what the tests compare against and run on: PyTorch, transformers, tokenizers, Prometheus, Slurm,
              systemd, Chromium, Kubernetes' schemas, TensorBoard, MLflow, Weights & Biases, Debian's packaging tools, tmux,
              shells
  --golden    also what tests/golden/make_*.py make the committed vectors with: the newest transformers, tokenizers, gguf
              (part of --tests)
  --fuzz      also clang with libFuzzer
  --help      this text

LibTorch and the Python environment go to $SINK_DEPS (default: ${XDG_CACHE_HOME:-~/.cache}/sink).
EOF
}

torch=yes tests=no golden=no fuzz=no
for argument in "$@"; do
  case "$argument" in
    --control) torch=no ;;
    --tests) tests=yes ;;
    --golden) golden=yes ;;
    --fuzz) fuzz=yes ;;
    --help | -h) usage; exit 0 ;;
    *) echo "bootstrap: unknown option $argument; see --help" >&2; exit 2 ;;
  esac
done

deps=$(realpath -m -- "${SINK_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/sink}")
torch_version=2.11.0
prefix=$deps/libtorch-$torch_version
say() { printf 'bootstrap: %s\n' "$*"; }

# --- Debian packages ------------------------------------------------------------------------------------------------
packages=(g++ cmake ninja-build ccache git pkg-config ca-certificates
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev libabsl-dev libsqlite3-dev prometheus-cpp-dev
  libcivetweb-dev libjemalloc-dev
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libspdlog-dev libpcre2-dev libutf8proc-dev libzstd-dev zlib1g-dev
  libxxhash-dev libssl-dev libgtest-dev libgmock-dev libbenchmark-dev libc-ares-dev libre2-dev libcurl4-openssl-dev
  dict-gcide bible-kjv bible-kjv-text)
[ "$torch" = yes ] && packages+=(python3 python3-pip python3-venv libgomp1 libgloo-dev)
[ "$tests" = yes ] && packages+=(python3-venv prometheus curl sqlite3 procps iproute2 systemd slurm-wlm munge chromium
  dpkg-dev file man-db debootstrap tmux zsh fish)
[ "$fuzz" = yes ] && packages+=(clang libclang-rt-dev)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "bootstrap: run as root, or install sudo" >&2; exit 1; }
    as_root=(sudo)
  fi
  # Debian starts a packaged server when it is installed; the tests run their own Prometheus and Slurm.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
  fi
  log=$(mktemp)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >"$log" 2>&1 || { tail -n 20 "$log" >&2; echo "bootstrap: apt-get failed" >&2; exit 1; }
  rm -f "$log"
fi

# install_wheels MARKER DESTINATION REQUIREMENT...: unpacks wheels once, without their dependencies. By way of a folder of
# its own, because pip --target replaces a folder (nvidia/) that an earlier call filled.
install_wheels() {
  local marker=$1 destination=$2
  shift 2
  [ -e "$marker" ] && return
  say "installing $* into $destination"
  mkdir -p "$destination"
  rm -rf "$destination.incoming"
  /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --target "$destination.incoming" "$@"
  cp -alf "$destination.incoming/." "$destination/"
  rm -rf "$destination.incoming"
  touch "$marker"
}

# --- LibTorch -------------------------------------------------------------------------------------------------------
if [ "$torch" = yes ]; then
  # libtorch_cpu.so itself needs the CUDA runtime and CUPTI, GPU or not.
  install_wheels "$prefix/.complete" "$prefix" torch==$torch_version \
    nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
  if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then
    say "CUDA toolkit found: GPU kernels can be built"
    install_wheels "$prefix/.complete-cuda" "$prefix" nvidia-cusparselt-cu13==0.8.0 nvidia-nvshmem-cu13==3.4.5 \
      nvidia-cufile==1.15.1.6
    install_wheels "$deps/cudnn-frontend-1.32.0/.complete" "$deps/cudnn-frontend-1.32.0" nvidia-cudnn-frontend==1.32.0
    if [ "$tests" = yes ] && ! command -v cuobjdump >/dev/null; then
      install_wheels "$deps/cuobjdump-13.2.78/.complete" "$deps/cuobjdump-13.2.78" nvidia-cuda-cuobjdump==13.2.78 \
        nvidia-cuda-nvdisasm==13.2.78
    fi
  else
    say "no CUDA toolkit: CPU-only build"
  fi
fi

# --- the tests' oracles ---------------------------------------------------------------------------------------------
# PyTorch's Python module loads its CUDA half whatever the machine.
if [ "$torch" = yes ] && { [ "$golden" = yes ] || [ "$tests" = yes ]; }; then
  if [ -z "$(/sbin/ldconfig -p | grep 'libcudnn\.so\.9' || true)" ]; then
    install_wheels "$prefix/.complete-python" "$prefix" nvidia-cusparselt-cu13==0.8.0 nvidia-nvshmem-cu13==3.4.5 \
      nvidia-cufile==1.15.1.6 nvidia-cublas==13.1.0.3 nvidia-cufft==12.0.0.61 nvidia-curand==10.4.0.35 \
      nvidia-cusolver==12.0.4.66 nvidia-cusparse==12.6.3.3 \
      nvidia-nvjitlink==13.0.88 nvidia-cuda-nvrtc==13.0.88 nvidia-nvtx==13.0.85 nvidia-cudnn-cu13==9.19.0.56 nvidia-nccl-cu13==2.28.9
  fi
fi
if [ "$tests" = yes ] && [ "$torch" = yes ]; then
  environment=$deps/python-tests-1
  if [ ! -e "$environment/.complete" ]; then
    say "installing PyTorch's Python side, transformers, tokenizers and numpy into $environment"
    /usr/bin/python3 -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check numpy==2.2.6 transformers==4.57.1 \
      tokenizers==0.22.1 safetensors==0.6.2 typing_extensions sympy networkx jinja2 filelock fsspec 'setuptools<82'
    echo "$prefix" >"$environment/lib/python3.11/site-packages/libtorch.pth"
    "$environment/bin/python" -c 'import torch, transformers'
    touch "$environment/.complete"
  fi
  if [ ! -e "$environment/.complete-sentencepiece" ]; then
    "$environment/bin/pip" install --quiet --disable-pip-version-check sentencepiece==0.2.1
    touch "$environment/.complete-sentencepiece"
  fi
  if [ ! -e "$environment/.complete-kubernetes" ]; then
    "$environment/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
    touch "$environment/.complete-kubernetes"
  fi
  if [ ! -e "$environment/.complete-client" ]; then
    say "installing what deploy/python and its notebook need into $environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1 grpcio-tools==1.85.1 \
      xxhash==4.1.0 pyyaml==6.0.4 pandas==3.1.1 matplotlib==3.11.2 nbclient==0.11.0 ipykernel==7.4.0 'setuptools<82'
    touch "$environment/.complete-client"
  fi
  if [ ! -e "$environment/.complete-axe" ]; then
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps axe-playwright-python==0.1.8
    touch "$environment/.complete-axe"
  fi
fi
# What the vectors of tests/golden come from, and the newest programs that open what we write.
if [ "$torch" = yes ] && { [ "$golden" = yes ] || [ "$tests" = yes ]; }; then
  environment=$deps/python-open-5
  if [ ! -e "$environment/.complete" ]; then
    say "installing transformers 5 and gguf into $environment"
    /usr/bin/python3 -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check numpy==2.2.6 transformers==5.24.0 \
      tokenizers==0.23.3 safetensors==0.8.0 gguf==0.19.0 accelerate==1.15.0 sentencepiece==0.2.1 protobuf \
      typing_extensions sympy networkx jinja2 filelock fsspec setuptools
    echo "$prefix" >"$environment/lib/python3.11/site-packages/libtorch.pth"
    "$environment/bin/python" -c 'import torch, transformers'
    touch "$environment/.complete"
  fi
fi
# The readers of `sinkctl export`, the newest of each: TensorBoard, MLflow with what its database needs, Weights & Biases.
if [ "$tests" = yes ]; then
  environment=$deps/python-trackers-2
  if [ ! -e "$environment/.complete" ]; then
    say "installing TensorBoard, MLflow and wandb into $environment"
    /usr/bin/python3 -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0 mlflow-skinny==3.17.2 \
      sqlalchemy==2.1.9 alembic==1.20.1 wandb==0.31.0 'setuptools<82'
    touch "$environment/.complete"
  fi
fi
say "ready ($deps)"
