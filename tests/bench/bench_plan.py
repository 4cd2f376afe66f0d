#!/usr/bin/env python3
"""How far the hours of `sinkctl plan --speed` are from what then happens: two workers of one CPU slot are calibrated with
sweeps/searches/calibration.yaml, every sweep of the study that trains is planned, then run.

Usage: bench_plan.py SOURCE_DIR BIN_DIR [--profile ci] [--within 0.25]

Prints what was predicted, what was measured from submission to the last job's end, and their ratio; ends with 1 when
that is further from 1 than --within allows. Besides, of how many jobs the time was predicted so well, one by one, how
long a job takes from its grant to its end, and how long a slot then waits for the next one.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from sink_cluster import Cluster, wait_for  # noqa: E402

SLOTS = 2


def training_sweeps(source):
    files = sorted((source / "sweeps").glob("*.yaml"))
    return [file for file in files if "base: presets/open-model.yaml" not in file.read_text()]


def name_of(file):
    return next(line.split(":")[1].split("#")[0].strip() for line in file.read_text().splitlines()
                if line.startswith("name:"))


def ended(cluster, names):
    """The jobs of these sweeps by id, once all have succeeded; nothing before."""
    jobs = {job["id"]: job for name in names for job in cluster.jobs(name)}
    failed = [job for job in jobs.values() if job["state"] in ("FAILED", "CANCELLED")]
    assert not failed, failed[0]
    return jobs if all(job["state"] == "SUCCEEDED" for job in jobs.values()) else None


def seconds_of(job):
    return (job["finished_ms"] - job["started_ms"]) / 1000


def pauses(jobs):
    """From the end of a slot's job to the grant of its next one: below 0 where that came while the end was delivered."""
    found = []
    for worker in {job["worker"] for job in jobs}:
        mine = sorted((job for job in jobs if job["worker"] == worker), key=lambda job: job["started_ms"])
        found += [(after["started_ms"] - before["finished_ms"]) / 1000 for before, after in zip(mine, mine[1:])]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("bin_dir")
    parser.add_argument("--profile", default="ci")
    parser.add_argument("--within", type=float, default=0.25)
    options = parser.parse_args()
    sweeps = training_sweeps(options.source)
    names = [name_of(file) for file in sweeps]
    with Cluster(options.bin_dir) as cluster:
        for words in (["sample-corpus", "--out", cluster.path / "corpus"],
                      ["pack", "--in", cluster.path / "corpus", "--out", cluster.path / "data/sample-bytes",
                       "--tokenizer", "bytes"]):
            subprocess.run([cluster.bin / "sink-data", *words], check=True, capture_output=True)
        cluster.start_coordinator()
        for slot in range(SLOTS):
            cluster.start_worker(f"worker-{slot + 1}")

        begun = time.monotonic()
        cluster.sinkctl("submit", options.source / "sweeps/searches/calibration.yaml")
        wait_for("the calibration ends", 1200, lambda: ended(cluster, ["calibration"]))
        speed = cluster.path / "speed.json"
        cluster.sinkctl("calibrate", "calibration", "--out", speed)
        calibration = time.monotonic() - begun

        plans = {}
        for file in sweeps:
            for job in json.loads(cluster.sinkctl("plan", file, "--profile", options.profile, "--speed", speed,
                                                  "--json"))["jobs"]:
                plans[job["id"]] = job["seconds"]
        together = json.loads(cluster.sinkctl("plan", *sweeps, "--profile", options.profile, "--speed", speed,
                                              "--slots", SLOTS, "--json"))["together"]
        assert together["different"] == len(plans), (together["different"], len(plans))

        begun = time.monotonic()
        cluster.sinkctl("submit", *sweeps, "--profile", options.profile)
        jobs = wait_for("the sweeps end", 6 * 3600, lambda: ended(cluster, names))
        measured = time.monotonic() - begun

    ratio = together["seconds"] / measured
    times = [seconds_of(job) for job in jobs.values()]
    good = sum(abs(plans[job["id"]] / seconds_of(job) - 1) <= options.within for job in jobs.values())
    print(f"calibration: {calibration:.0f} s; {json.dumps(together)}")
    print(f"{len(jobs)} jobs on {SLOTS} slots: planned {together['seconds']:.1f} s, took {measured:.1f} s: "
          f"ratio {ratio:.2f} (wanted within {options.within:.0%})")
    print(f"single jobs within that: {good} of {len(jobs)}; from grant to end {statistics.median(times):.2f} s "
          f"({min(times):.2f} to {max(times):.2f}), from there to the slot's next grant "
          f"{statistics.median(pauses(jobs.values())):.3f} s")
    sys.exit(abs(ratio - 1) > options.within)


if __name__ == "__main__":
    main()
