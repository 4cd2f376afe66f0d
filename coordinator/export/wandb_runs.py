"""Makes offline runs for Weights & Biases with the official client: wandb_runs.py INPUT.json FOLDER (export.h).

The client stamps what it is given with the time at which it is given: afterwards the run's own times are put into the
file that it wrote (LevelDB's log format with zlib's CRC-32). Exits with 86 when there is no client.
"""

import glob
import importlib.util
import json
import os
import pathlib
import struct
import sys
import warnings
import zlib

if importlib.util.find_spec("wandb") is None:
    sys.exit(86)
source, folder = sys.argv[1:]
os.environ.update(
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    WANDB_DIR=folder,
    WANDB_DISABLE_GIT="true",
    WANDB_DISABLE_CODE="true",
    WANDB_CONSOLE="off",
)
warnings.filterwarnings("ignore")  # of the client's own libraries
import wandb  # noqa: E402
from wandb.proto import wandb_internal_pb2  # noqa: E402

FILE_HEADER, BLOCK, HEADER = 7, 32768, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def number(value):
    return float(value) if isinstance(value, str) else value


def unframed(data):
    at, part = FILE_HEADER, b""
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        part += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (WHOLE, LAST):
            yield part
            part = b""


def framed(header, records):
    out = bytearray(header)
    for record in records:
        begun, rest = False, record
        while not begun or rest:
            left = BLOCK - len(out) % BLOCK
            if left < HEADER:
                out += bytes(left)
                continue
            part, rest = rest[: left - HEADER], rest[left - HEADER :]
            kind = (MIDDLE if rest else LAST) if begun else (FIRST if rest else WHOLE)
            out += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part
            begun = True
    return bytes(out)


def name_of(item):
    return "/".join(item.nested_key) or item.key


def give_own_times(record, job):
    """Returns the record with the job's start, duration and end, and its points' times since the start."""
    kind = record.WhichOneof("record_type")
    if kind == "run":
        record.run.start_time.FromMilliseconds(round(job["started"] * 1000))
    elif kind == "history":
        items = {name_of(item): item for item in record.history.item}
        if "_runtime" in items and "_timestamp" in items:
            passed = json.loads(items["_timestamp"].value_json) - job["started"]
            items["_runtime"].value_json = json.dumps(passed)
    elif kind == "summary":
        for item in record.summary.update:
            if name_of(item) == "_runtime":
                item.value_json = json.dumps(job["duration"])
            elif name_of(item) in ("_wandb", "_wandb/runtime"):
                whole = int(job["duration"])
                item.value_json = json.dumps({"runtime": whole} if name_of(item) == "_wandb" else whole)
    elif kind == "exit":
        record.exit.runtime = int(job["duration"])
    return record


with open(source) as file:
    study = json.load(file)
for job in study["runs"]:
    run = wandb.init(
        project=study["project"],
        id=job["id"],
        name=job["name"],
        group=job["group"],
        tags=job["tags"],
        config=job["config"],
        dir=folder,
        mode="offline",
        reinit="finish_previous",
        settings=wandb.Settings(x_disable_stats=True, x_disable_meta=True),
    )
    for step, at, values in job["history"]:
        run.log({name: number(value) for name, value in values.items()} | {"_timestamp": at}, step=step)
    run.finish(exit_code=1 if job["failed"] else 0)
wandb.teardown()  # only then are the files whole
for job in study["runs"]:
    pattern = os.path.join(glob.escape(folder), "wandb", f"offline-run-*-{glob.escape(job['id'])}", "*.wandb")
    for path in map(pathlib.Path, glob.glob(pattern)):
        data = path.read_bytes()
        records = map(wandb_internal_pb2.Record.FromString, unframed(data))
        path.write_bytes(framed(data[:FILE_HEADER], (give_own_times(r, job).SerializeToString() for r in records)))
