#!/usr/bin/env python3
"""A corpus of made-up words with a skewed distribution, the same at every call: make_corpus.py FOLDER."""
import json
import pathlib
import random
import sys

WORDS_A_DOCUMENT = 900
DOCUMENTS = {"train": 900, "valid": 60}


def main():
    folder = pathlib.Path(sys.argv[1])
    draw = random.Random(1)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(4000)]
    for split, documents in DOCUMENTS.items():
        with open(folder / split / "made_up.jsonl", "w") as out:
            for _ in range(documents):
                ranks = (min(int(draw.paretovariate(0.6)), len(words)) - 1 for _ in range(WORDS_A_DOCUMENT))
                out.write(json.dumps({"text": " ".join(words[r] for r in ranks)}) + "\n")


if __name__ == "__main__":
    main()
