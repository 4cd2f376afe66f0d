#!/usr/bin/env bash
# transformers 5.24.0: for a folder with a tokenizer.json, `add_bos_token` of tokenizer_config.json decides nothing. The
# file's post_processor alone says whether a text begins with BOS, and the tokenizer's own attribute `add_bos_token` is
# False in every case, also while BOS is being added. transformers 4.57.1 did the reverse for the LLaMA classes: the field
# (or its default, True) decided, whatever the post_processor was. So one folder gives two sequences of tokens in the two
# versions, in three of the six cases below, without a warning in either; and whether a first token is there decides where a
# model's attention goes.
#
# Seen on 2026-11-28, ids of "a b" with tokenizer_class LlamaTokenizer (1 is BOS), and the attribute:
#   post_processor  add_bos_token   4.57.1             5.24.0
#   none            absent          1 3 4 True         3 4 False
#   none            true            1 3 4 True         3 4 False
#   none            false           3 4 False          3 4 False
#   adds BOS        absent          1 3 4 True         1 3 4 False
#   adds BOS        true            1 3 4 True         1 3 4 False
#   adds BOS        false           3 4 False          1 3 4 False
# Exits with 1 when it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/probe.py" <<'PYTHON'
import json
import pathlib
import sys
import tempfile

import transformers

BEGIN = {"SpecialToken": {"id": "<s>", "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
ADDS = {"type": "TemplateProcessing", "single": [BEGIN, TEXT], "pair": [BEGIN, TEXT, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
SPACE = "\u2581"
SPECIAL = ["<unk>", "<s>", "</s>"]
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "decoder": None,
    "added_tokens": [{"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                      "normalized": False, "special": True} for number, text in enumerate(SPECIAL)],
    "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True},
    "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
              "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": False,
              "vocab": {text: number for number, text in enumerate([*SPECIAL, SPACE + "a", SPACE + "b", "a", "b", SPACE])},
              "merges": [[SPACE, "a"], [SPACE, "b"]]}}
CONFIG = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}

print("transformers", transformers.__version__)
seen = []
for post_processor in (None, ADDS):
    for field in (None, True, False):
        with tempfile.TemporaryDirectory() as name:
            model = pathlib.Path(name)
            (model / "config.json").write_text(json.dumps({"model_type": "llama"}))
            (model / "tokenizer.json").write_text(json.dumps(TOKENIZER | {"post_processor": post_processor}))
            (model / "tokenizer_config.json").write_text(json.dumps(CONFIG | ({} if field is None else {"add_bos_token": field})))
            tokenizer = transformers.AutoTokenizer.from_pretrained(model)
            ids = tokenizer("a b").input_ids
            print("  post_processor", "adds BOS" if post_processor else "none", "- add_bos_token", field, "- ids", ids,
                  "- attribute", tokenizer.add_bos_token)
            seen.append((ids == [1, 3, 4], tokenizer.add_bos_token))
            if ids not in ([1, 3, 4], [3, 4]):
                sys.exit("other ids than ever seen")
EXPECTED = {"4.57.1": [(True, True), (True, True), (False, False)] * 2,
            "5.24.0": [(False, False)] * 3 + [(True, False)] * 3}
sys.exit(0 if seen == EXPECTED[transformers.__version__] else "it behaves otherwise now")
PYTHON
for version in 4.57.1 5.24.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version" numpy
  TRANSFORMERS_VERBOSITY=error "$folder/$version/bin/python" "$folder/probe.py"
done
