#!/usr/bin/env bash
# transformers 5.24.0: a config.json that has both `rope_parameters` (the name since 5.0) and `rope_scaling` (the old one)
# loses its rope_theta without a word. `rope_scaling` does not add to `rope_parameters`: it replaces the whole of it, and
# where theta stood only inside `rope_parameters`, it falls back to the default of 10,000. With theta at the top level it
# is kept, and a `rope_scaling: null` changes nothing. Folders that tools edited by adding `rope_scaling`, as guides for
# longer contexts say, have both.
#
# Seen on 2026-11-28:
#   parameters alone                       theta 1000000.0
#   parameters and rope_scaling            theta 10000.0, rope_type linear
#   theta at the top and rope_scaling      theta 1000000.0, rope_type linear
#   parameters and rope_scaling null       theta 1000000.0
# Exits with 1 when it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 numpy
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import pathlib
import sys

import transformers

folder = pathlib.Path(sys.argv[1])
SHAPE = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2,
         "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 4096}
NEW, OLD = {"rope_type": "default", "rope_theta": 1e6}, {"rope_type": "linear", "factor": 2.0}
CASES = {
    "parameters alone": ({"rope_parameters": NEW}, (1e6, "default")),
    "parameters and rope_scaling": ({"rope_parameters": NEW, "rope_scaling": OLD}, (1e4, "linear")),
    "theta at the top and rope_scaling": ({"rope_theta": 1e6, "rope_scaling": OLD}, (1e6, "linear")),
    "parameters and rope_scaling null": ({"rope_parameters": NEW, "rope_scaling": None}, (1e6, "default")),
}

print("transformers", transformers.__version__)
changed = False
for name, (fields, expected) in CASES.items():
    (folder / "config.json").write_text(json.dumps(SHAPE | fields))
    rope = transformers.AutoConfig.from_pretrained(folder).rope_parameters
    seen = (rope["rope_theta"], rope["rope_type"])
    changed |= seen != expected
    print(f"{name:38} theta {seen[0]}, rope_type {seen[1]}{'' if seen == expected else f'   CHANGED, was {expected}'}")
sys.exit(changed)
PYTHON
