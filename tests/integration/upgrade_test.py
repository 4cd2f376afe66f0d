"""A running fleet is upgraded, and no step is lost: the coordinator first, then one worker after the other, each stopped as
its service is and started again from other programs, while a sweep trains.

Usage: upgrade_test.py SOURCE_DIR BIN_DIR [OLDER_BIN_DIR]. Without programs of an older release the same ones are put in
their place, which is an upgrade all the same: processes end, a database is opened anew, jobs move.
"""
import json
import os
import pathlib
import sys

from sink_cluster import Cluster, wait_for

STEPS = 400


JSON_LOG = ("--log-format", "json")


def stop(cluster, name):
    cluster.stop(name)
    os.rename(cluster.path / f"logs/{name}.log", cluster.path / f"logs/{name}-before.log")


def progress(cluster):
    return sum(job["step"] for job in cluster.jobs("fleet"))


def wait_for_progress(cluster, what):
    before = progress(cluster)
    wait_for(f"jobs go on after {what}", 60, lambda: progress(cluster) > before + 10)


def check_logs(cluster, jobs):
    """Every line of the new programs is a JSON object, and what a worker says of a job names it and its lease."""
    ids, told = {job["id"] for job in jobs}, set()
    for name in ("coordinator", "worker-1", "worker-2"):
        lines = (cluster.path / f"logs/{name}.log").read_text().splitlines()
        assert lines, name
        for line in lines:
            entry = json.loads(line)
            assert {"time", "level", "logger", "message"} <= entry.keys(), line
            if "job" in entry:
                assert entry["job"] in ids and len(entry["lease"]) == 32, line
                told.add(entry["job"])
    assert told, "no line is about a job"


def main():
    older = sys.argv[3] if len(sys.argv) > 3 else sys.argv[2]
    with Cluster(older) as cluster:
        cluster.pack_corpus()
        cluster.start_coordinator()
        for name in ("worker-1", "worker-2"):
            cluster.start_worker(name)
        cluster.submit("fleet", steps=STEPS, rates=["1e-3", "2e-3", "3e-3"])
        wait_for("two jobs train", 60, lambda: sum(job["state"] == "RUNNING" for job in cluster.jobs("fleet")) == 2)
        wait_for_progress(cluster, "their start")

        cluster.bin = pathlib.Path(sys.argv[2]).resolve()
        stop(cluster, "coordinator")
        address = cluster.address
        cluster.start_coordinator(listen=address, options=JSON_LOG)
        assert cluster.address == address
        wait_for_progress(cluster, "the coordinator's upgrade")
        stopped = []  # job, attempt, a step that was done by then
        for name in ("worker-1", "worker-2"):
            stopped += [(job["id"], job["attempt"], job["step"]) for job in cluster.jobs("fleet")
                        if job["worker"] == name and job["state"] == "RUNNING"]
            stop(cluster, name)
            cluster.start_worker(name, options=JSON_LOG)
            wait_for_progress(cluster, f"the upgrade of {name}")

        jobs = cluster.wait_until_final("fleet", 300)
        check_logs(cluster, jobs)
        assert [job["state"] for job in jobs] == ["SUCCEEDED"] * 3, jobs
        firsts = {}
        for job in jobs:
            # Every step was logged (log_every: 1): nothing is missing.
            points = json.loads(cluster.sinkctl("metrics", job["id"], "--name", "train_loss", "--json"))["points"]
            steps = [point["step"] for point in points]
            assert steps == list(range(1, STEPS + 1)), f"{job['id']}: {len(steps)} steps"
            by_attempt = {}
            for point in points:
                by_attempt.setdefault(point["attempt"], []).append(point["step"])
            ends = [(attempt, steps[0], steps[-1]) for attempt, steps in sorted(by_attempt.items())]
            print(f"{job['id'][:8]}: attempt, first and last step: {ends}")
            firsts.update({(job["id"], attempt): first for attempt, first, _ in ends})
        # And nothing was trained again: of a repeated step the later attempt's point takes the place of the earlier one's.
        assert len(stopped) >= 2, "no job was upgraded under way"
        for job, attempt, step in stopped:
            assert firsts[job, attempt + 1] > step, f"{job}: step {step} was done, attempt {attempt + 1} begins before"


if __name__ == "__main__":
    main()
