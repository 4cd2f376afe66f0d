#!/usr/bin/env bash
# tokenizers 0.23.3 follows two versions of Unicode at once: \p{L} of its regular expressions knows the letters of Unicode 16
# (2024), while its NFC normaliser knows only what composes in Unicode 9 (2016). A text of a script that came later is
# split as letters and not normalised as text, so a program with one Unicode library, whichever version, gives other ids.
#
# Seen on 2026-11-28, with Python's own unicodedata (14.0 or later) beside it:
#   U+10D50 (Garay, Unicode 16)                 a letter
#   U+105C0 (Todhri, Unicode 16)                a letter
#   NFC of U+11935 U+11930 (Unicode 13)         left as two; Unicode composes them to U+11938
#   NFC of U+0041 U+030A (Unicode 1)            composed to U+00C5
# Exits with 1 when it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers


def names(text):
    return " ".join(f"U+{ord(c):04X}" for c in text)


print("tokenizers", tokenizers.__version__, "- unicodedata", unicodedata.unidata_version)
changed = False


def show(what, seen, expected):
    global changed
    changed |= seen != expected
    print(f"{what:44} {seen}{'' if seen == expected else f'   CHANGED, was {expected}'}")


letters = pre_tokenizers.Split(Regex(r"\p{L}+"), "isolated")
for script, code in (("Garay", 0x10D50), ("Todhri", 0x105C0)):
    pieces = [piece for piece, _ in letters.pre_tokenize_str("!" + chr(code) + "!")]
    show(f"U+{code:04X} ({script}) is a letter", pieces == ["!", chr(code), "!"], True)

nfc = normalizers.NFC()
young, old = "\U00011935\U00011930", "A\u030a"
show(f"NFC of {names(young)}", names(nfc.normalize_str(young)), names(young))
show("  by unicodedata", names(unicodedata.normalize("NFC", young)), "U+11938")
show(f"NFC of {names(old)}", names(nfc.normalize_str(old)), "U+00C5")
sys.exit(changed)
PYTHON
