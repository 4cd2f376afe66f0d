#!/usr/bin/env python3
"""Checks (correctness) and times (speed) the packed programs on the device of $SINK_DEVICE. run.sh calls it.

correctness  golden vectors, training against the CPU, resume, NCCL, the parity tests of the CUDA kernels
speed        tokens a second of the study's 60M model beside PyTorch's on the same card, interleaved
Prints a line a check; writes result.json to $OUT; exits with 1 when a check failed.
"""
import array
import concurrent.futures
import copy
import glob
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "tests" / "golden"
DEVICE = os.environ.get("SINK_DEVICE", "cuda:0")
OUT = pathlib.Path(os.environ.get("OUT", HERE))
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="2")
GOLDEN_TOLERANCE, SINK_RATE_TOLERANCE, LOSS_TOLERANCE = 2e-4, 1e-3, 2e-3
DTYPES = {"F32": "f", "F64": "d", "I32": "i", "I64": "q"}

TINY = {
    "model": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
              "vocab_size": 320, "max_position_embeddings": 128},
    "train": {"learning_rate": 3e-3, "warmup_steps": 5, "max_steps": 20, "global_batch_size": 8, "micro_batch_size": 4,
              "sequence_length": 128, "log_every": 1, "precision": "fp32"},
    "data": {"set": "bytes"},
    "eval": {"every": 10, "sequences": 8, "tokens": 32, "validation_sequences": 4},
    "checkpoint": {"every": 10},
}
STUDY_60M = {"hidden_size": 768, "intermediate_size": 1536, "num_hidden_layers": 10, "num_attention_heads": 8,
             "vocab_size": 50432, "max_position_embeddings": 2048}
VARIANTS = {
    "base": {}, "nope": {"position_embedding": "nope"}, "sinusoidal": {"position_embedding": "sinusoidal"},
    "learnable": {"position_embedding": "learnable"}, "alibi": {"position_embedding": "alibi"},
    "relative": {"position_embedding": "relative"}, "t5": {"position_embedding": "t5"}, "geglu": {"ffn": "geglu"},
    "reglu": {"ffn": "reglu"}, "gelu": {"ffn": "gelu"}, "relu": {"ffn": "relu"}, "swish": {"ffn": "swish"},
    "no_ffn": {"ffn": "none"}, "post_norm": {"norm_placement": "post"}, "sandwich": {"norm_placement": "sandwich"},
    "sigmoid": {"similarity": "sigmoid"}, "sigmoid_raw": {"similarity": "sigmoid", "normalize": False},
    "elu": {"similarity": "elu_plus_one"}, "elu_raw": {"similarity": "elu_plus_one", "normalize": False},
    "identity_raw": {"similarity": "identity", "normalize": False},
    "mlp_raw": {"similarity": "identity", "feature_map": "mlp", "normalize": False},
    "softpick": {"similarity": "softpick"}, "key_bias": {"key_bias": "per_head"},
    "key_value_bias": {"key_bias": "shared", "value_bias": "shared"}, "value_bias": {"value_bias": "per_head"},
    "sink_logit": {"sink_logit": "learned"}, "softmax_off_by_one": {"sink_logit": "zero"},
    "sink_token": {"sink_token": True}, "gate": {"attention_gate": "elementwise"}, "qk_norm": {"qk_norm": True},
    "prefix": {"prefix_length": 5}, "window": {"window": 16},
}

results = {"device": DEVICE, "checks": {}, "speed": {}}


def check(name, passed, detail=""):
    results["checks"][name] = {"passed": bool(passed), "detail": detail}
    print(f"{'ok  ' if passed else 'FAIL'} {name}  {detail}", flush=True)


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body, tensors = json.loads(data[8:8 + length]), data[8 + length:], {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = array.array(DTYPES[entry["dtype"]])
            tensors[name].frombytes(body[begin:end])
    return tensors


# --- golden vectors -------------------------------------------------------------------------------------------------
def golden(kind, name):
    """Largest difference of any dumped tensor from the vectors, and of the sink rates."""
    model = GOLDEN / kind / name
    expected, numbers = read_safetensors(model / "expected.safetensors"), json.loads((model / "expected.json").read_text())
    probe = GOLDEN / kind / "tokens.safetensors" if kind == "variants" else model / "expected.safetensors"
    with tempfile.TemporaryDirectory() as folder:
        dump = f"{folder}/dump.safetensors"
        run = subprocess.run([HERE / "bin/sink-eval", model, "--probe", probe, "--device", DEVICE, "--json", "--dump", dump],
                             capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        if run.returncode:
            return name, float("inf"), float("inf"), run.stderr.strip()[-300:]
        found, report = read_safetensors(dump), json.loads(run.stdout)
    worst = 0.0
    for tensor in ("logits", "importance", "hidden_norm", "key_norm", "value_norm"):
        if tensor in expected:
            scale = max(1.0, max(map(abs, expected[tensor])))
            worst = max(worst, max(abs(a - b) for a, b in zip(found[tensor], expected[tensor])) / scale)
    rates = zip(report["sink_rate_percent"], numbers["sink_rate_percent"]["positions_from_1"])
    return name, worst, max(abs(a - b) for a, b in rates), ""


def check_golden():
    for kind in ("variants", "open_models"):
        names = sorted(p.parent.name for p in (GOLDEN / kind).glob("*/expected.json"))
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            rows = list(pool.map(lambda name: golden(kind, name), names))
        bad = [r for r in rows if not (r[1] < GOLDEN_TOLERANCE and r[2] < SINK_RATE_TOLERANCE)]
        check(f"golden {kind}", not bad and rows, f"{len(rows) - len(bad)} of {len(rows)}; worst {max(r[1] for r in rows):.1e} "
              + " ".join(f"{r[0]}: {r[3] or r[1]}" for r in bad))


# --- training -------------------------------------------------------------------------------------------------------
def train(config, device=DEVICE, folder=None, environment=None, timeout=200):
    """Runs sink-trainer; returns its exit code, its words and its events."""
    folder = pathlib.Path(folder or tempfile.mkdtemp())
    command = [HERE / "bin/sink-trainer", folder]
    if not (folder / "job.json").exists():
        (folder / "config.json").write_text(json.dumps(config))
        command += ["--config", folder / "config.json", "--data-root", HERE / "data", "--device", device]
    with open(folder / "events.jsonl", "ab") as events:
        try:
            run = subprocess.run(command, capture_output=True, text=True, pass_fds=(events.fileno(),), timeout=timeout,
                                 env=dict(ENVIRONMENT, SINK_EVENTS_FD=str(events.fileno()), **(environment or {})))
            code, words = run.returncode, run.stderr + run.stdout
        except subprocess.TimeoutExpired:
            code, words = -1, f"no end within {timeout} s"
    records = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines() if line]
    return {"code": code, "words": words.strip()[-1000:], "records": records, "folder": folder}


def losses(run):
    return {r["step"]: r["values"]["train_loss"] for r in run["records"] if "train_loss" in (r.get("values") or {})}


def final_weights(run):
    return pathlib.Path(sorted(glob.glob(f"{run['folder']}/checkpoints/*/model.safetensors"))[-1]).read_bytes()


def tiny(**variant):
    config = copy.deepcopy(TINY)
    config["model"]["variant"] = variant
    return config


def parity(item):
    name, config = item
    ours, cpu = train(config), train(config, "cpu")
    if ours["code"] or cpu["code"]:
        return name, float("inf"), ours["words"] or cpu["words"]
    a, b = losses(ours), losses(cpu)
    return name, max(abs(a[s] - b[s]) for s in b) if a.keys() == b.keys() and b else float("inf"), ""


def check_training():
    configs = {name: tiny(**variant) for name, variant in VARIANTS.items()}
    configs["muon"] = tiny()
    configs["muon"]["train"]["optimizer"] = "muon"
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        rows = list(pool.map(parity, configs.items()))
    bad = [r for r in rows if not r[1] < LOSS_TOLERANCE]
    check("20 steps equal the CPU's", not bad, f"{len(rows) - len(bad)} of {len(rows)}; largest difference of a loss "
          f"{max(r[1] for r in rows):.1e} " + " ".join(f"{r[0]}: {r[2] or r[1]}" for r in bad))


def check_resume():
    first, second = train(tiny()), train(tiny())
    check("two runs give the same bits", first["code"] == 0 and losses(first) == losses(second)
          and final_weights(first) == final_weights(second), first["words"] if first["code"] else "")
    shutil.rmtree(sorted(glob.glob(f"{second['folder']}/checkpoints/*"))[-1])
    resumed = train(None, folder=second["folder"])
    check("a run resumed from step 10 ends with the same bits", resumed["code"] == 0
          and final_weights(first) == final_weights(resumed), resumed["words"] if resumed["code"] else "")


def check_ranks():
    plain = losses(train(tiny()))
    for sharded in (False, True):
        config = tiny()
        config["train"]["shard_optimizer"] = sharded
        run = train(config, environment={"SINK_RANK": "0", "SINK_WORLD_SIZE": "1", "SINK_RENDEZVOUS": f"127.0.0.1:{29511 + sharded}",
                                         "SINK_RENDEZVOUS_TOKEN": "kit"})
        check(f"one rank of a process group{', sharded' if sharded else ''}, has the same losses",
              run["code"] == 0 and losses(run) == plain, run["words"])


def check_kernels():
    for program in sorted(glob.glob(f"{HERE}/bin/test_*")):
        run = subprocess.run([program, "--gtest_brief=1"], capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        check(f"kernels: {pathlib.Path(program).name}", run.returncode == 0, run.stdout.strip().splitlines()[-1][:200])


# --- speed ----------------------------------------------------------------------------------------------------------
class MemoryWatch(threading.Thread):
    """The largest memory of the GPU in use, in MiB, as nvidia-smi tells it twice a second."""

    def __enter__(self):
        self.largest, self.done = 0, threading.Event()
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()

    def run(self):
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while not self.done.wait(0.5):
            try:
                self.largest = max(self.largest, int(subprocess.run(query, capture_output=True, text=True).stdout.split()[0]))
            except (OSError, ValueError, IndexError):
                return


def our_speed(name, micro_batch, steps, environment=None, **variant):
    sizes = TINY["model"] if DEVICE == "cpu" else STUDY_60M
    config = {"model": dict(sizes, variant=variant), "data": {"set": "bytes"}, "checkpoint": {"every": 100000},
              "eval": {"every": 100000, "sequences": 4, "tokens": 64, "validation_sequences": 1},
              "train": {"learning_rate": 4e-4, "warmup_steps": 10, "max_steps": steps, "global_batch_size": micro_batch,
                        "micro_batch_size": micro_batch, "sequence_length": sizes["max_position_embeddings"], "log_every": 1, "precision": "auto"}}
    with MemoryWatch() as memory:
        run = train(config, environment=environment, timeout=150)
    rates = sorted(r["tokens_per_second"] for r in run["records"] if r.get("tokens_per_second"))
    found = {"tokens_per_s": round(rates[len(rates) // 2]) if rates else 0, "MiB": memory.largest,
             "loss": (list(losses(run).values()) or [None])[-1],
             "attention": re.findall(r"attention: (.*)", run["words"])}
    results["speed"][f"ours {name}"] = found
    check(f"speed: ours {name}", run["code"] == 0 and rates, f"{found} {run['words'] if run['code'] else ''}")
    return found["tokens_per_s"]


def peer_speed(name, *arguments):
    found, words = {"tokens_per_s": 0}, ""
    try:
        run = subprocess.run([sys.executable, HERE / "peer.py", "speed", *arguments], capture_output=True, text=True,
                             env=ENVIRONMENT, timeout=200)
        if run.returncode == 0:
            found = json.loads(run.stdout.splitlines()[-1])
        else:
            words = run.stderr.strip()[-200:]
    except subprocess.TimeoutExpired:  # a compiler on a busy machine; what follows still has its turn
        words = "no end within 200 s"
    results["speed"][f"PyTorch {name}"] = found
    check(f"speed: PyTorch {name}", not words, f"{found} {words}")
    return found["tokens_per_s"]


def speed():
    eager = peer_speed("eager 60M", "16", "eager", "15", "softmax")
    ours = [our_speed("60M", 16, 25)]
    compiled = peer_speed("compiled 60M", "16", "compiled", "15", "softmax")
    ours.append(our_speed("60M again", 16, 25))
    materialised = peer_speed("eager 60M sigmoid", "4", "eager", "8", "sigmoid")
    sigmoid = our_speed("60M sigmoid", 16, 8, similarity="sigmoid", normalize=False)
    key_bias = our_speed("60M key bias", 16, 8, key_bias="per_head")
    library = our_speed("60M, library's attention", 16, 15, environment={"SINK_ATTENTION": "library"})
    library_bias = our_speed("60M key bias, library's attention", 16, 8, environment={"SINK_ATTENTION": "library"}, key_bias="per_head")
    middle = sum(ours) / 2
    print_speeds()
    for label, value, base in (("60M / eager", middle, eager), ("60M / compiled", middle, compiled),
                               ("sigmoid / materialised", sigmoid, materialised), ("sigmoid / softmax", sigmoid, middle),
                               ("key bias / softmax", key_bias, middle), ("library's attention / ours", library, middle),
                               ("the same with a key bias", library_bias, key_bias)):
        results["speed"][label] = value / base if base else None
        print(f"     {label}: {value / base:.2f}" if base else f"     {label}: -", flush=True)


def print_speeds():
    print("\n| case | tokens/s | memory | loss | attention |\n|---|---|---|---|---|")
    for name, found in results["speed"].items():
        memory = f"{found['MiB']} MiB" if found.get("MiB") else f"{found['peak_GiB']} GiB" if found.get("peak_GiB") else ""
        print(f"| {name} | {found['tokens_per_s']:,} | {memory} | {found.get('loss')} | {'; '.join(found.get('attention', []))} |")
    print(flush=True)


def main():
    for step in sys.argv[1:]:
        for run in {"correctness": (check_kernels, check_golden, check_training, check_resume, check_ranks),
                    "speed": (speed,)}[step]:
            started = time.time()
            try:
                run()
            except Exception as error:  # the next check still runs: a lease is short
                check(run.__name__, False, repr(error)[:400])
            print(f"     [{run.__name__}: {time.time() - started:.0f} s]", flush=True)
    (OUT / "result.json").write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(0 if all(c["passed"] for c in results["checks"].values()) else 1)


if __name__ == "__main__":
    main()
