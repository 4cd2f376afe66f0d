#!/usr/bin/env python3
"""Makes tokenizers/cases.json: parts of tokenizer.json files that people have, and the ids that `tokenizers` gives.

Usage: make_tokenizer_cases.py        (needs tokenizers 0.23.3)

A case is a golden folder's tokenizer.json with a JSON merge patch (RFC 7386) on it, texts and their ids without the
special tokens of a post_processor.
"""
import json
import pathlib

import tokenizers

HERE = pathlib.Path(__file__).parent / "tokenizers"
TEXTS = ["In 2024, 1234567 of them: the end.", "a\u0001b t\u0001h\u0002e t\u0003he", "caf\u00e9 \u0663\u0664 \u00bd\u00b2 x9y",
         "  two  spaces ", "\u4e2d\u6587\U0001f600", "A <|endoftext|> b<|endoftext|>\n\u3000 c", "x </s> y</s>", ""]


def patched(value, patch):
    if not isinstance(patch, dict):
        return patch
    out = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        if part is None:
            out.pop(key, None)
        else:
            out[key] = patched(out.get(key), part)
    return out


def main():
    base = {name: json.loads((HERE / name / "tokenizer.json").read_text()) for name in ("gpt2_style", "llama2_style")}
    used = {part for merge in base["gpt2_style"]["model"]["merges"] for part in merge}
    control = {chr(256 + byte): None for byte in (1, 2, 4, 0x0b) if chr(256 + byte) not in used}
    assert len(control) >= 3, control
    bytes_part = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}

    def cut(individual):
        return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": individual}, bytes_part]}}

    def added(name, **flags):
        tokens = [dict(token) for token in base[name]["added_tokens"]]
        for token in tokens:
            token.update(flags)
        return {"added_tokens": tokens}

    unk = base["gpt2_style"]["added_tokens"][0]["content"]
    cases = [("bytes_without_a_token_are_dropped", "gpt2_style", {"model": {"vocab": control}}),
             ("bytes_without_a_token_are_unknown", "gpt2_style",
              {"model": {"vocab": control, "unk_token": unk, "fuse_unk": False}}),
             ("unknown_bytes_in_a_row_are_one", "gpt2_style",
              {"model": {"vocab": control, "unk_token": unk, "fuse_unk": True}}),
             ("each_digit_is_a_word", "gpt2_style", cut(True)),
             ("digits_are_a_word", "gpt2_style", cut(False)),
             ("no_unk_token_with_byte_fallback", "llama2_style", {"model": {"unk_token": None}}),
             ("saved_padding", "gpt2_style",
              {"padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                           "pad_type_id": 0, "pad_token": unk}}),
             ("tokens_take_the_spaces_after_them", "gpt2_style", added("gpt2_style", rstrip=True)),
             ("tokens_take_the_spaces_before_them", "gpt2_style", added("gpt2_style", lstrip=True)),
             ("tokens_take_spaces_on_both_sides", "llama2_style", added("llama2_style", lstrip=True, rstrip=True))]
    out = []
    for name, folder, patch in cases:
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(patched(base[folder], patch)))
        texts = [dict(text=text, ids=tokenizer.encode(text, add_special_tokens=False).ids) for text in TEXTS]
        out.append(dict(name=name, folder=folder, patch=patch, texts=texts))
    (HERE / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in out) + "\n]\n")


if __name__ == "__main__":
    main()
