#!/usr/bin/env python3
"""sink-data tokenize against the libraries it stands in for: `tokenizers` on every golden tokenizer, and sentencepiece on
models trained here. Random Unicode, no difference allowed.

Usage: tokenizers_test.py BIN_DIR GOLDEN_DIR [COUNT]

GOLDEN_DIR is tests/golden/tokenizers. SINK_GPT_NEOX_TOKENIZER, where it is set, names one more tokenizer.json.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import sentencepiece
import tokenizers

SCRIPTS = [(0x20, 0x7e), (0xa0, 0x24f), (0x370, 0x3ff), (0x400, 0x52f), (0x590, 0x5ff), (0x600, 0x6ff), (0x900, 0x97f),
           (0xe00, 0xe7f), (0x1100, 0x11ff), (0x3040, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0x10000, 0x1ffff)]
MARKS = [(0x300, 0x36f), (0x483, 0x487), (0x591, 0x5bd), (0x64b, 0x65f), (0x8d0, 0x8ff), (0x93c, 0x94d),
         (0x1ab0, 0x1acf), (0x1dc0, 0x1dff), (0x20d0, 0x20f0), (0x1e000, 0x1e02a)]
EMOJI = ["\U0001f600", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1fa\U0001f1f8", "\u2764\ufe0f", "1\ufe0f\u20e3",
         "\U0001f44d\U0001f3fd"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u2003", "\u3000", "\u0085", "\u180e", "\u2581", "\u200b"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'Re", "'\u017f", "'l", "'", "\u2019s"]
WORDS = ["the", "Hello", "world", "attention", "sink", "naïve", "don", "can", "WE", "x", "ion", "ing", "東京", "привет"]


def random_char(rng):
    kind = rng.random()
    if kind < 0.75:
        first, last = rng.choice(SCRIPTS)
    elif kind < 0.95:
        first, last = rng.choice(MARKS)
    else:
        first, last = 0, 0x10ffff
    code = rng.randint(first, last)
    return "?" if 0xd800 <= code < 0xe000 else chr(code)


def random_text(rng, added):
    pieces = []
    for _ in range(rng.randint(0, 9)):
        kind = rng.randrange(12)
        if kind < 3:
            pieces.append("".join(random_char(rng) for _ in range(rng.randint(1, 4))))
        elif kind < 5:
            pieces.append(rng.choice(SPACES) * rng.choice([1, 1, 1, 1, 2, 2, 3, 12]))
        elif kind < 8:
            pieces.append(rng.choice(WORDS))
        elif kind == 8:
            pieces.append(rng.choice(CONTRACTIONS))
        elif kind == 9:
            pieces.append(str(rng.randrange(10 ** rng.randint(1, 9))))
        elif kind == 10:
            pieces.append(rng.choice(EMOJI) if rng.random() < 0.6 else chr(rng.randrange(0x20)) + "?!"[:rng.randint(0, 2)])
        else:
            pieces.append(rng.choice(added))
    return "".join(pieces)


def ours(program, tokenizer, texts):
    """The ids that sink-data gives for every text."""
    with tempfile.TemporaryDirectory() as folder:
        lines = pathlib.Path(folder) / "texts.jsonl"
        lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        done = subprocess.run([program, "tokenize", "--tokenizer", str(tokenizer), str(lines)], capture_output=True,
                              text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(name, texts, got, wanted):
    """Prints the first differences; true when there is none."""
    if len(got) != len(wanted):
        print(f"{name}: {len(got)} answers to {len(wanted)} texts")
        return False
    different = [i for i in range(len(texts)) if got[i] != wanted[i]]
    print(f"{name}: {len(texts)} texts, {sum(map(len, wanted))} tokens, {len(different)} differences")
    for i in different[:5]:
        print(f"  {ascii(texts[i])}\n    ours   {got[i]}\n    theirs {wanted[i]}")
    return not different


def every_character(rng):
    """Texts in which every code point stands once, between neighbours that show its class and its place among marks."""
    codes = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000 and not 0xe100 <= c < 0xf900 and c < 0xe0200]
    templates = ["a{0}1", "'{0} {0}b", "q\u0301{0}\u0334\u0316"]
    return ["\n".join(rng.choice(templates).format(chr(c)) for c in codes[i:i + 40]) for i in range(0, len(codes), 40)]


def check_json(program, name, path, count, every=True):
    rng = random.Random(name)
    library = tokenizers.Tokenizer.from_file(str(path))
    added = [token["content"] for token in json.loads(pathlib.Path(path).read_text())["added_tokens"]]
    added = added[:3] + rng.sample(added, min(8, len(added))) + ["<|endoftext|", "<s"]
    texts = [random_text(rng, added) for _ in range(count)] + (every_character(rng) if every else [])
    wanted = [each.ids for each in library.encode_batch_fast(texts, add_special_tokens=False)]
    return compare(name, texts, ours(program, path, texts), wanted)


def check_pretokenized_variants(program, folder, golden, count):
    """LLaMA-2's vocabulary with the Metaspace that newer files have in the place of a normaliser."""
    good = True
    for scheme, split in [("first", False), ("always", True), ("never", False)]:
        spec = json.loads((golden / "llama2_style/tokenizer.json").read_text())
        spec["normalizer"] = None
        spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(spec))
        good &= check_json(program, f"metaspace {scheme} split={split}", path, count, every=False)
    return good


def train_sentencepiece(folder, name, **options):
    rng = random.Random(5)
    lines = [" ".join(rng.choice(WORDS) + rng.choice(["", "s", "ing", "tion", "ed", ",", "."]) for _ in range(12))
             for _ in range(3000)]
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(lines))
    settings = {"model_type": "bpe", "normalization_rule_name": "identity", "byte_fallback": True,
                "remove_extra_whitespaces": False, "vocab_size": 420, "character_coverage": 0.9995, "minloglevel": 2, **options}
    sentencepiece.SentencePieceTrainer.train(input=str(corpus), model_prefix=str(folder / name), **settings)
    return folder / f"{name}.model"


def check_sentencepiece(program, folder, count):
    models = {
        "llama": {},
        "digits": {"split_digits": True, "allow_whitespace_only_pieces": True, "vocab_size": 450},
        "unknown": {"byte_fallback": False, "vocab_size": 160},
        "trimmed": {"remove_extra_whitespaces": True},
        "bare": {"add_dummy_prefix": False},
        "user_defined": {"user_defined_symbols": ["<mask>", "\u2581\u2581", "ing"]},
    }
    good = True
    for name, options in models.items():
        path = train_sentencepiece(folder, name, **options)
        rng = random.Random(name)
        texts = [random_text(rng, ["<s>", "</s>", "<unk>", "<0x41>", "<mask>", "x<mas"]) for _ in range(count)]
        texts = [text.replace("\0", "0") for text in texts]  # where sentencepiece's own wrapper ends a text
        wanted = sentencepiece.SentencePieceProcessor(model_file=str(path)).encode(texts)
        good &= compare(f"sentencepiece {name}", texts, ours(program, path, texts), wanted)
    for name, options, reason in [("unigram", {"model_type": "unigram", "vocab_size": 300}, "unigram"),
                                  ("nfkc", {"normalization_rule_name": "nfkc"}, "nfkc")]:
        path = train_sentencepiece(folder, name, **options)
        done = subprocess.run([program, "tokenize", "--tokenizer", str(path)], input="", capture_output=True, text=True)
        if done.returncode != 1 or reason not in done.stderr:
            print(f"{name}: not refused by name: {done.stderr}")
            good = False
    return good


def check_pair(program, folder, count):
    """vocab.json and merges.txt, as the library itself reads the two."""
    reference = tokenizers.ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    reference.add_special_tokens(["</s>", "<pad>"])  # those that its tokenizer_config.json names
    rng = random.Random("pair")
    texts = [random_text(rng, ["</s>", "<pad>", "<s>", "<unk>", "</s"]) for _ in range(count)]
    wanted = [encoding.ids for encoding in reference.encode_batch(texts)]
    return compare("vocab.json and merges.txt", texts, ours(program, folder / "vocab.json", texts), wanted)


def main():
    program = os.path.join(sys.argv[1], "sink-data")
    golden = pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
    paths = {name: golden / name / "tokenizer.json" for name in ("gpt2_style", "llama3_style", "llama2_style")}
    if os.environ.get("SINK_GPT_NEOX_TOKENIZER"):
        paths["gpt_neox"] = os.environ["SINK_GPT_NEOX_TOKENIZER"]
    good = True
    for name, path in paths.items():
        good &= check_json(program, name, path, count)
    good &= check_pair(program, golden / "opt_style", count // 10)
    with tempfile.TemporaryDirectory() as folder:
        good &= check_pretokenized_variants(program, pathlib.Path(folder), golden, count // 10)
        good &= check_sentencepiece(program, pathlib.Path(folder), count // 10)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
