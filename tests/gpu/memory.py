#!/usr/bin/env python3
"""What a run does with the memory of the device of $SINK_DEVICE; run.sh calls it. The size of micro-batches that is found to be
the most that fit must train and be recorded without a warning; twice that must be cut in two, told once, with the same losses;
and a run that was cut and is resumed must end as the one that was not stopped. A CPU refuses no size, so there only the first
is checked."""
import copy
import pathlib
import re
import shutil
import tempfile

from correctness import TINY, difference, final_weights, losses, train, warnings
from kit import ON_CPU, check, run_all
from speed import MODELS

AUTO = "auto"
STEPS, LARGEST = 6, 8 if ON_CPU else 1024  # steps to take; sequences of a step, more than fit a GPU at once
TOLERANCE = 2e-3  # of a loss: bf16 sums of other parts


def configuration(micro_batch, global_batch):
    config = copy.deepcopy(TINY)
    if not ON_CPU:
        config["model"] = MODELS["60M"]
        config["train"].update(sequence_length=2048, precision="auto", learning_rate=4e-4)
    config["train"].update(max_steps=STEPS, global_batch_size=global_batch, micro_batch_size=micro_batch)
    config["eval"]["every"], config["checkpoint"]["every"] = STEPS // 2, STEPS // 2
    return config


def chosen(run):
    for record in run["records"]:
        if found := re.match(r"train.micro_batch_size auto: (\d+) sequences", record.get("message", "")):
            return int(found[1])
    return 0


def memory():
    probe = train(configuration(AUTO, LARGEST), timeout=280)
    size = chosen(probe)
    complete = probe["code"] == 0 and len(losses(probe)) == STEPS
    check("memory: the largest micro-batch is found, trains and measures", complete and size > 0,
          f"{size} sequences; {probe['words'] if probe['code'] else ''}")
    check("memory: and is recorded where the device can", not warnings(probe), " ".join(warnings(probe)))
    if ON_CPU or not complete:
        return
    too_large = configuration(2 * size, 2 * size)
    cut, fits = train(too_large, timeout=200), train(configuration(size, 2 * size), timeout=200)
    told = [w for w in warnings(cut) if w.startswith("out of memory with micro-batches of")]
    check("memory: twice that is cut in two, told once", cut["code"] == 0 and len(told) == 1,
          f"{' '.join(warnings(cut))} {cut['words'] if cut['code'] else ''}")
    worst = difference(cut, fits, relative=True)
    check("memory: with the losses of the size that fits", worst < TOLERANCE, f"largest difference {worst:.1e} of a loss")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sink-memory-"))
    shutil.copytree(cut["folder"], folder, dirs_exist_ok=True)
    shutil.rmtree(sorted(folder.glob("checkpoints/*"))[-1])
    resumed = train(None, folder=folder, timeout=200)
    check("memory: resumed, it ends with the same bits", resumed["code"] == 0 and final_weights(resumed) == final_weights(cut),
          resumed["words"] if resumed["code"] else "")


if __name__ == "__main__":
    run_all("memory", (memory,))
