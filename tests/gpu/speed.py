#!/usr/bin/env python3
"""Times our step beside PyTorch's on the device of $SINK_DEVICE, in turns; run.sh calls it.

speed  the study's 60M model against PyTorch eager and compiled; sink-trainer itself; every variant against plain softmax and
       against the materialised form; attention by a library in place of ours, and that it was that which ran
large  the 1B model against the compiled one
Both sides of a comparison start from the same weights and read the same tokens; their losses must agree. Ours always computes
with deterministic algorithms. Prints a table, then what of the targets is met; only a step that fails or a loss that differs
makes the exit status 1. On a CPU a tiny model, to see that all of this runs.
"""
import array
import concurrent.futures
import functools
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

from correctness import losses, train, warnings
from kit import DEVICE, ENVIRONMENT, HERE, ON_CPU, check, results, run_all

TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320,
        "max_position_embeddings": 128}
MODELS = {
    "60M": {"hidden_size": 768, "intermediate_size": 1536, "num_hidden_layers": 10, "num_attention_heads": 8,
            "vocab_size": 50432, "max_position_embeddings": 2048},
    "1B": {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 16,
           "vocab_size": 50432, "max_position_embeddings": 2048},
}
# Of attention; peer.py has each in a form that holds a T x T array.
VARIANTS = {
    "sigmoid": {"similarity": "sigmoid"}, "sigmoid raw": {"similarity": "sigmoid", "normalize": False},
    "elu": {"similarity": "elu_plus_one"}, "elu raw": {"similarity": "elu_plus_one", "normalize": False},
    "identity raw": {"similarity": "identity", "normalize": False},
    "mlp raw": {"similarity": "identity", "feature_map": "mlp", "normalize": False}, "softpick": {"similarity": "softpick"},
    "key bias": {"key_bias": "per_head"}, "key and value bias": {"key_bias": "per_head", "value_bias": "per_head"},
    "sink logit": {"sink_logit": "learned"}, "alibi": {"position_embedding": "alibi"},
    "relative": {"position_embedding": "relative"}, "t5": {"position_embedding": "t5"}, "prefix": {"prefix_length": 64},
    "window": {"window": 256},
}
LOSS_TOLERANCE = 2e-3 if ON_CPU else 0.01  # of a loss: bf16 against bf16 on a GPU
MICRO_BATCH, MATERIALISED_MICRO_BATCH, LARGE_MICRO_BATCH = (2, 2, 2) if ON_CPU else (16, 4, 4)
WARM_UP, TURN, TURNS = (6, 2, 2) if ON_CPU else (8, 10, 3)  # steps; ours is recorded in the first


@functools.cache
def some_tokens(count, vocabulary):
    """Skewed as in text, so that losses fall."""
    draw = random.Random(7)
    skewed = [min(int(draw.paretovariate(0.7)), vocabulary) - 1 for _ in range(1 << 16)]
    return array.array("i", draw.choices(skewed, k=count)).tobytes()


class Case:
    """A model's settings and tokens in a folder, for any number of sides."""

    def __init__(self, model, micro_batch, variant=None):
        model = TINY if ON_CPU else MODELS[model]
        self.micro_batch, self.length = micro_batch, model["max_position_embeddings"]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sink-kit-"))
        self.config = {"model": dict(model, variant=variant or {}),
                       "train": {"learning_rate": 4e-4, "warmup_steps": 0, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95,
                                 "epsilon": 1e-8, "max_gradient_norm": 1.0, "precision": "auto", "threads": 2,
                                 "global_batch_size": micro_batch, "micro_batch_size": micro_batch,
                                 "sequence_length": self.length}}
        (self.folder / "config.json").write_text(json.dumps(self.config))
        count = (WARM_UP + TURNS * TURN) * micro_batch * (self.length + 1)
        (self.folder / "tokens.bin").write_bytes(some_tokens(count, model["vocab_size"]))

    def arguments(self):
        return [str(self.folder / name) for name in ("config.json", "model", "tokens.bin")]


class Side:
    """A program that waits for a number of steps on stdin and answers with its time and losses."""

    def __init__(self, case, command, environment=None):
        self.case, self.losses, self.seconds, self.warnings = case, [], [], []
        self.peak_bytes = self.reserved_bytes = 0
        self.words = open(case.folder / f"{len(list(case.folder.iterdir()))}.log", "w+")
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.words, text=True, env=dict(ENVIRONMENT, **(environment or {})))
        self.read("ready")

    def read(self, expected=None):
        line = self.process.stdout.readline().strip()
        if not line or (expected and line != expected):
            self.words.seek(0)
            raise RuntimeError(f"{self.process.args[:2]}: {self.words.read().strip()[-300:]}")
        return line

    def ask(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def run(self, steps, counts=True):
        answer = self.ask(steps)
        self.losses += answer["losses"]
        self.warnings += answer.get("warnings", [])
        self.peak_bytes, self.reserved_bytes = answer["peak_bytes"], answer["reserved_bytes"]
        if counts:
            self.seconds.append(answer["seconds"] / steps)

    def tokens_per_s(self):
        return self.case.micro_batch * self.case.length / statistics.median(self.seconds)

    def attention(self):
        """What the program said of it, once each."""
        self.words.seek(0)
        return re.findall(r"attention: (.*)", self.words.read())

    def found(self):
        return {"tokens_per_s": round(self.tokens_per_s()), "peak_GiB": round(self.peak_bytes / 2**30, 2),
                "reserved_GiB": round(self.reserved_bytes / 2**30, 2), "loss": round(self.losses[-1], 3),
                "attention": self.attention()}

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.words.close()


def ours(case, environment=None, write_model=True):
    config, model, tokens = case.arguments()
    return Side(case, [HERE / "bin/trainer_bench", config, model if write_model else "-", tokens, DEVICE], environment)


def pytorch(case, flavour):
    return Side(case, [sys.executable, HERE / "torch_peer.py", *case.arguments(), flavour, DEVICE])


def record(name, side):
    results.setdefault("speed", {})[name] = side.found()
    check(f"speed: {name}", not side.warnings, f"{side.found()} {' '.join(side.warnings)}")


def in_turns(sides, turns=TURNS):
    for counts in [False] + [True] * turns:
        for side in sides.values():
            side.run(TURN if counts else WARM_UP, counts)
    for name, side in sides.items():
        record(name, side)


def same_losses(name, side, other):
    worst = max(abs(a - b) / b for a, b in zip(side.losses, other.losses))
    check(f"losses of {name} agree", worst < LOSS_TOLERANCE, f"largest difference {worst:.1e} of a loss")


def ran(name, side, library):
    """That a library's attention ran, both passes, or that our own kernels alone did. A CPU's says nothing."""
    words = side.attention()
    both = {"forward", "backward"} == {w.rpartition(", ")[2] for w in words if "cuDNN" in w and ", " in w}
    right = both and not any("refuses" in w or w == "tiles" for w in words) if library else words == ["tiles"]
    check(f"attention of {name} is {'the library' if library else 'our own'}'s", ON_CPU or right, "; ".join(words))


def target(name, value, at_least=None, at_most=None):
    """A target is for a GPU; on a CPU the number says nothing."""
    met = value >= at_least if at_least is not None else value <= at_most
    bound = f">= {at_least}" if at_least is not None else f"<= {at_most}"
    results.setdefault("targets", {})[name] = {"value": round(value, 3), "bound": bound, "met": met}


def against_pytorch():
    case = Case("60M", MICRO_BATCH)
    first = ours(case)  # writes the weights
    sides = {"ours 60M": first, "PyTorch eager 60M": pytorch(case, "tuned"), "PyTorch compiled 60M": pytorch(case, "compiled")}
    in_turns(sides)
    eager, compiled = sides["PyTorch eager 60M"], sides["PyTorch compiled 60M"]
    same_losses("ours and eager", first, eager)
    same_losses("ours and compiled", first, compiled)
    stall, saved = first.ask("checkpoint")["seconds"], eager.ask("checkpoint")["seconds"]
    target("60M / eager", first.tokens_per_s() / eager.tokens_per_s(), at_least=1)
    target("60M, deterministic, / compiled", first.tokens_per_s() / compiled.tokens_per_s(), at_least=1.1)
    target("peak memory / compiled's", first.peak_bytes / compiled.peak_bytes, at_most=1)
    target("peak memory held / compiled's", first.reserved_bytes / compiled.reserved_bytes, at_most=1)
    target("a checkpoint's stall / torch.save", stall / saved, at_most=0.1)
    for side in sides.values():
        side.close()


def against_softmax():
    """Ours alone: what each variant and a library's attention make of the speed of plain softmax."""
    library = {"SINK_ATTENTION": "library"}
    jobs = {"softmax": ({}, {}), "softmax by a library": ({}, library), "key bias by a library": (VARIANTS["key bias"], library),
            "window by a library": (VARIANTS["window"], library), **{name: (v, {}) for name, v in VARIANTS.items()}}

    def start(item):
        variant, environment = item
        return ours(Case("60M", MICRO_BATCH, variant), environment, write_model=False)

    rates, names = {}, list(jobs)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for begin in range(0, len(names), 4):  # set up side by side, timed one by one
            chunk = names[begin:begin + 4]
            for name, side in zip(chunk, list(pool.map(start, [jobs[name] for name in chunk]))):
                in_turns({f"ours {name}": side}, turns=1)
                rates[name] = side.tokens_per_s()
                if name.startswith("softmax"):
                    ran(name, side, library=name != "softmax")
                side.close()
    for name in VARIANTS:
        target(f"{name} / softmax", rates[name] / rates["softmax"], at_least=0.85)
    for name in ("softmax", "key bias", "window"):
        target(f"{name}: a library's attention / ours", rates[f"{name} by a library"] / rates[name], at_most=1)


def against_materialised():
    def start(name):
        case = Case("60M", MATERIALISED_MICRO_BATCH, VARIANTS[name])
        return ours(case), pytorch(case, "tuned")

    names = list(VARIANTS)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for begin in range(0, len(names), 3):  # set up side by side, timed pair by pair
            chunk = names[begin:begin + 3]
            for name, (first, second) in zip(chunk, list(pool.map(start, chunk))):
                in_turns({f"ours {name}, small micro-batch": first, f"PyTorch {name}, materialised": second}, turns=1)
                same_losses(f"ours and PyTorch's {name}", first, second)
                target(f"{name} / materialised", first.tokens_per_s() / second.tokens_per_s(), at_least=2)
                for side in (first, second):
                    side.close()


def program():
    """sink-trainer on packed data: what the step's speed is worth with loader, records and measurements around it."""
    sizes, steps = TINY if ON_CPU else MODELS["60M"], 25
    config = {"model": sizes, "data": {"set": "bytes"}, "checkpoint": {"every": 100000},
              "eval": {"every": 100000, "sequences": 4, "tokens": 64, "validation_sequences": 1},
              "train": {"learning_rate": 4e-4, "warmup_steps": 10, "max_steps": steps, "global_batch_size": MICRO_BATCH,
                        "micro_batch_size": MICRO_BATCH, "sequence_length": sizes["max_position_embeddings"], "log_every": 1}}
    run = train(config, timeout=120)
    rates = [r["tokens_per_second"] for r in run["records"] if r.get("tokens_per_second")]
    check("speed: sink-trainer 60M", run["code"] == 0 and not warnings(run) and len(losses(run)) == steps,
          f"{round(max(rates)) if rates else 'no'} tokens/s in its best second; {run['words'] if run['code'] else ''}")


def large():
    case = Case("1B", LARGE_MICRO_BATCH)
    first = ours(case)
    sides = {"ours 1B": first, "PyTorch compiled 1B": pytorch(case, "compiled")}
    in_turns(sides, turns=2)
    compiled = sides["PyTorch compiled 1B"]
    same_losses("ours and compiled 1B", first, compiled)
    target("1B, deterministic, / compiled", first.tokens_per_s() / compiled.tokens_per_s(), at_least=1.02)
    target("peak memory of 1B / compiled's", first.peak_bytes / compiled.peak_bytes, at_most=1)
    target("peak memory held by 1B / compiled's", first.reserved_bytes / compiled.reserved_bytes, at_most=1)
    for side in sides.values():
        side.close()


def report():
    print("\n| case | tokens/s | peak memory given out | held | last loss | attention |\n|---|---|---|---|---|---|")
    for name, found in results.get("speed", {}).items():
        print(f"| {name} | {found['tokens_per_s']:,} | {found['peak_GiB']} GiB | {found['reserved_GiB']} GiB | {found['loss']} | "
              f"{'; '.join(found['attention'])} |")
    for name, found in results.get("targets", {}).items():
        met = "a CPU has none" if ON_CPU else "met" if found["met"] else "MISSED"
        print(f"target {name}: {found['value']:.2f} ({found['bound']}) {met}")


if __name__ == "__main__":
    steps = {"speed": (against_pytorch, program, against_softmax, against_materialised, report), "large": (large, report)}
    run_all(sys.argv[1], steps[sys.argv[1]])
