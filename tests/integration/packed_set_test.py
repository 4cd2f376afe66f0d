#!/usr/bin/env python3
"""Packed sets against a reader and a writer of their own, made of numpy and the format's description alone: what
sink-data packs numpy reads, and what numpy writes (without set.json, as TinyLlama's script leaves it) sink-data reads.

Usage: packed_set_test.py BIN_DIR

Format: magic LITPKDS (7 bytes), version u64 = 1, type u8 (8 = uint16, 4 = int32), tokens u64, then the tokens; all
little-endian. Documents are concatenated, each with its EOS.
"""
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file

TYPES = {8: np.dtype("<u2"), 4: np.dtype("<i4")}
EOS = 256  # of bytes


def read_file(path):
    data = path.read_bytes()
    assert data[:7] == b"LITPKDS"
    version, kind, tokens = struct.unpack("<QBQ", data[7:24])
    assert version == 1
    array = np.frombuffer(data, TYPES[kind], offset=24)
    assert len(array) == tokens
    return array.astype(np.int64)


def write_file(path, array, kind):
    path.write_bytes(b"LITPKDS" + struct.pack("<QBQ", 1, kind, len(array)) + array.astype(TYPES[kind]).tobytes())


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def packed_by_us(program, folder):
    rng = random.Random(3)
    texts = {split: {domain: ["".join(rng.choices("abc dé東\n", k=rng.randint(0, 300))) for _ in range(200)]
                     for domain in ("web", "pile_cc")} for split in ("train", "valid")}
    for split, domains in texts.items():
        (folder / "corpus" / split).mkdir(parents=True)
        for domain, documents in domains.items():
            (folder / "corpus" / split / f"{domain}.jsonl").write_text(
                "".join(json.dumps({"text": document}) + "\n" for document in documents))
    run(program, "pack", "--in", folder / "corpus", "--out", folder / "set", "--block", 33, "--chunk-blocks", 16,
        "--valid-chunk-blocks", 4)
    for split, domains in texts.items():
        chunk = 33 * (16 if split == "train" else 4)
        for domain, documents in domains.items():
            wanted = np.array([token for text in documents for token in [*text.encode(), EOS]])
            files = sorted((folder / "set").glob(f"{split}_{domain}_0_*.bin"))
            assert [path.name for path in files] == [f"{split}_{domain}_0_{i:010}.bin" for i in range(len(files))]
            got = np.concatenate([read_file(path) for path in files])
            assert len(got) % chunk == 0
            whole = len(wanted) // 33 * 33  # what follows the last whole block may be in no file
            assert (got[:whole] == wanted[:whole]).all(), (split, domain)
            tail = wanted[whole:len(got)]
            assert (got[whole:whole + len(tail)] == tail).all() and (got[whole + len(tail):] == EOS).all()
    run(program, "probe", "--in", folder / "set", "--out", folder / "probe.safetensors", "--sequences", 20, "--tokens", 16)
    probe = load_file(folder / "probe.safetensors")["probe"]
    assert probe.dtype == np.int64 and probe.shape == (20, 17)
    blocks = {tuple(row[:17]) for path in (folder / "set").glob("valid_*.bin") for row in read_file(path).reshape(-1, 33)}
    assert len({tuple(row) for row in probe}) == 20 and all(tuple(row) in blocks for row in probe)


def read_by_the_study(program, folder):
    """The study's reader finds files by `{prefix}*`, believes the first one's chunk size of all and reads every file to
    its end: with --drop-tail all that it sees is text."""
    rng = random.Random(5)
    texts = {}
    for split in ("train", "valid"):
        (folder / "pile" / split).mkdir(parents=True)
        for shard in ("arxiv-1", "arxiv-2", "github-1"):
            texts[split, shard] = ["".join(rng.choices("abc \n", k=rng.randint(0, 300))) for _ in range(100)]
            (folder / "pile" / split / f"{shard}.jsonl").write_text(
                "".join(json.dumps({"text": text}) + "\n" for text in texts[split, shard]))
    run(program, "pack", "--in", folder / "pile", "--out", folder / "study", "--block", 33, "--chunk-blocks", 16,
        "--valid-chunk-blocks", 4, "--drop-tail", "--short-name", "the_pile")
    for split, blocks in (("train", 16), ("valid", 4)):
        for domain in ("arxiv", "github"):
            files = sorted((folder / "study").glob(f"{split}_the_pile_{domain}*"))
            shards = {}
            for path in files:
                shard = path.name[len(f"{split}_the_pile_"):].split("_")[0]
                shards.setdefault(shard, []).append(read_file(path))
            assert sorted(shards) == [name for kind, name in texts if kind == split and name.startswith(domain)]
            for shard, chunks in shards.items():
                wanted = [token for text in texts[split, shard] for token in [*text.encode(), EOS]]
                assert all(len(chunk) == 33 * blocks for chunk in chunks)
                got = np.concatenate(chunks).tolist()
                assert got == wanted[:len(got)] and len(wanted) - len(got) < 33 * blocks, (split, shard)


def packed_by_numpy(program, folder):
    rng = np.random.default_rng(4)
    for kind, top in ((8, 65500), (4, 100_000)):
        foreign = folder / f"foreign{kind}"
        foreign.mkdir()
        arrays = {}
        for name in ("train_a_0_0000000000.bin", "train_a_0_0000000001.bin", "valid_a_0_0000000000.bin"):
            arrays[name] = rng.integers(0, top, 2049 * 4)
            write_file(foreign / name, arrays[name], kind)
        run(program, "verify", foreign)
        summary = run(program, "inspect", foreign)
        assert "train/a" in summary and "8 blocks" in summary, summary
        for name, array in arrays.items():
            lines = run(program, "inspect", foreign / name, "--blocks", 4).splitlines()
            assert f"{len(array)} tokens = 4 blocks of 2049" in lines[0], lines[0]
            got = [int(word) for line in lines[1:] if not line.startswith("---") for word in line.split()]
            assert got == array.tolist(), name
        run(program, "probe", "--in", foreign, "--out", folder / "p.safetensors", "--sequences", 4, "--tokens", 2048)
        rows = sorted(map(tuple, load_file(folder / "p.safetensors")["probe"]))
        assert rows == sorted(map(tuple, arrays["valid_a_0_0000000000.bin"].reshape(4, 2049))), kind


def main():
    program = pathlib.Path(sys.argv[1]) / "sink-data"
    with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
        packed_by_us(program, pathlib.Path(folder))
        read_by_the_study(program, pathlib.Path(folder))
        packed_by_numpy(program, pathlib.Path(folder))


if __name__ == "__main__":
    main()
