#!/usr/bin/env python3
"""Checks the packed programs on the device of $SINK_DEVICE; run.sh calls it. Golden vectors, in fp32 and the open models' in bf16,
training against the CPU and in bf16, also for 200 steps, resume, NCCL, the parity tests of the CUDA kernels. A line a check;
exits with 1 when one failed."""
import array
import concurrent.futures
import copy
import glob
import json
import pathlib
import shutil
import struct
import subprocess
import tempfile

from kit import DEVICE, ENVIRONMENT, HERE, ON_CPU, check, run_all

GOLDEN = HERE.parent / "tests" / "golden"
GOLDEN_TOLERANCE, SINK_RATE_TOLERANCE, LOSS_TOLERANCE = 2e-4, 1e-3, 2e-3
BF16_TOLERANCE = 0.01  # of a loss
BF16_GOLDEN_TOLERANCE, BF16_SINK_RATE_TOLERANCE = 0.1, 5.0  # of a logit or norm; percent
LONG_STEPS = 30 if ON_CPU else 200  # a CPU's bf16 is slow
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
def golden(kind, name, precision="fp32"):
    """Largest difference of any dumped tensor from the vectors, and of the sink rates."""
    model = GOLDEN / kind / name
    expected, numbers = read_safetensors(model / "expected.safetensors"), json.loads((model / "expected.json").read_text())
    probe = GOLDEN / kind / "tokens.safetensors" if kind == "variants" else model / "expected.safetensors"
    tokens = str(numbers["sink_rate_percent"]["tokens"])
    with tempfile.TemporaryDirectory() as folder:
        dump = f"{folder}/dump.safetensors"
        run = subprocess.run([HERE / "bin/sink-eval", model, "--probe", probe, "--tokens", tokens, "--device", DEVICE, "--json",
                              "--precision", precision, "--dump", dump], capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
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
    for kind, precision, limit, rate_limit in (("variants", "fp32", GOLDEN_TOLERANCE, SINK_RATE_TOLERANCE),
                                               ("open_models", "fp32", GOLDEN_TOLERANCE, SINK_RATE_TOLERANCE),
                                               ("open_models", "bf16", BF16_GOLDEN_TOLERANCE, BF16_SINK_RATE_TOLERANCE)):
        names = sorted(p.parent.name for p in (GOLDEN / kind).glob("*/expected.json"))
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            rows = list(pool.map(lambda name: golden(kind, name, precision), names))
        bad = [r for r in rows if not (r[1] < limit and r[2] < rate_limit)]
        rounds = max((r[1] for r in rows), default=0) > GOLDEN_TOLERANCE
        check(f"golden {kind} in {precision}", not bad and rows and rounds == (precision == "bf16"), f"{len(rows) - len(bad)} of {len(rows)}; worst {max(r[1] for r in rows):.1e}, "
              f"sink rate {max(r[2] for r in rows):.1e} % " + " ".join(f"{r[0]}: {r[3] or r[1:3]}" for r in bad))


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
    words += " ".join(record["message"] for record in records if record["type"] == "failed")
    return {"code": code, "words": words.strip()[-1000:], "records": records, "folder": folder}


def losses(run):
    return {r["step"]: r["values"]["train_loss"] for r in run["records"] if "train_loss" in (r.get("values") or {})}


def warnings(run):
    return [r["message"] for r in run["records"] if r.get("level") == "warning"]


def final_weights(run):
    return pathlib.Path(sorted(glob.glob(f"{run['folder']}/checkpoints/*/model.safetensors"))[-1]).read_bytes()


def tiny(**variant):
    config = copy.deepcopy(TINY)
    config["model"]["variant"] = variant
    return config


def difference(run, other, relative=False):
    """The largest of a step's losses, in nats or in shares of the other's."""
    a, b = losses(run), losses(other)
    if not b or a.keys() != b.keys():
        return float("inf")
    return max(abs(a[step] - b[step]) / (b[step] if relative else 1) for step in b)


def parity(item):
    """Of one job: fp32 against the CPU, bf16 against fp32, and what went wrong."""
    name, config = item
    rounded = copy.deepcopy(config)
    rounded["train"]["precision"] = "bf16"
    ours, cpu, bf16 = train(config), train(config, "cpu"), train(rounded)
    words = [run["words"] for run in (ours, cpu, bf16) if run["code"]] + warnings(ours) + warnings(bf16)
    return name, difference(ours, cpu), difference(bf16, ours, relative=True), " ".join(words)


def check_training():
    configs = {name: tiny(**variant) for name, variant in VARIANTS.items()}
    configs["muon"] = tiny()
    configs["muon"]["train"]["optimizer"] = "muon"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(parity, configs.items()))
    for title, column, limit in (("20 steps equal the CPU's", 1, LOSS_TOLERANCE), ("20 steps in bf16 follow", 2, BF16_TOLERANCE)):
        bad = [row for row in rows if not row[column] < limit]
        check(title, not bad, f"{len(rows) - len(bad)} of {len(rows)}; largest difference {max(r[column] for r in rows):.1e} "
              + " ".join(f"{r[0]}: {r[column]:.1e} {r[3]}" for r in bad))
    warned = [f"{r[0]}: {r[3]}" for r in rows if r[3]]
    check("no run warns, every micro-batch is recorded where the device can", not warned, " ".join(warned))


def check_long_bf16():
    """Many steps in bf16 beside fp32, with both optimizers."""
    def run(item):
        optimizer, precision = item
        config = tiny()
        config["train"].update(optimizer=optimizer, precision=precision, max_steps=LONG_STEPS)
        config["eval"]["every"] = config["checkpoint"]["every"] = LONG_STEPS
        return train(config)

    jobs = [(optimizer, precision) for optimizer in ("adamw", "muon") for precision in ("fp32", "bf16")]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = dict(zip(jobs, pool.map(run, jobs)))
    for optimizer in ("adamw", "muon"):
        full, rounded = runs[optimizer, "fp32"], runs[optimizer, "bf16"]
        worst = difference(rounded, full, relative=True)
        words = " ".join(r["words"] for r in (full, rounded) if r["code"])
        check(f"{LONG_STEPS} steps of {optimizer} in bf16 follow", worst < BF16_TOLERANCE and len(losses(full)) == LONG_STEPS,
              f"largest difference {worst:.1e} of a loss {words}")


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


if __name__ == "__main__":
    run_all("correctness", (check_kernels, check_golden, check_training, check_long_bf16, check_resume, check_ranks))
