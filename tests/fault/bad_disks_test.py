#!/usr/bin/env python3
"""Disks that are full or read-only under real workers and a real coordinator, and a machine that can train nothing: a
fault of the machine is no fault of the job.

In the end every job is SUCCEEDED with every point there once. What is wrong, and where, is told in the worker's log and
by sinkctl; no log floods; and what was put right works again. Full disks are small tmpfs in a mount namespace of the
user. Read-only ones are made by a library for LD_PRELOAD (read_only_disk/): by command, a kernel makes no file system
read-only of which files are open for writing, as a worker's and a coordinator's always are.

Usage: bad_disks_test.py BIN_DIR READ_ONLY_LIBRARY [--all | --case NAME] [--seed 1]
Status 77: this machine gives its users no mount namespaces.
"""
import argparse
import collections
import contextlib
import errno
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from sink_cluster import Cluster, skip, wait_for  # noqa: E402

DISK_BYTES = 24 << 20
REPEATS_A_SECOND = 5  # of one line in a log
FAULTS_A_SECOND = 25  # lines of warnings and errors in a log
FULL, READ_ONLY = "No space left on device", "Read-only file system"


class FullDisk:
    """A small disk that the test fills to the last byte. Only what is started with `enter` sees it."""

    says, environment = FULL, {}

    def __init__(self, cluster):
        self.path = cluster.path / "disk"
        self.path.mkdir()
        users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        holder = cluster.start("disk", ["unshare", *users, "--mount", "sleep", "infinity"])
        namespace = f"/proc/{holder.pid}/ns/mnt"

        def apart():
            if holder.poll() is not None:
                log = (cluster.path / "logs/disk.log").read_text().strip()
                skip(f"this machine has no mount namespaces for its users: {log}")
            return os.path.exists(namespace) and os.readlink(namespace) != os.readlink("/proc/self/ns/mnt")
        wait_for("a mount namespace", 10, apart)
        users = ["--user", "--preserve-credentials"] if users else []
        self.enter = ["nsenter", "--target", str(holder.pid), *users, "--mount"]
        mounted = subprocess.run([*self.enter, "mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", self.path],
                                 text=True, capture_output=True)
        if mounted.returncode != 0:
            skip(f"no tmpfs in a mount namespace: {mounted.stderr.strip()}")
        self.ballast = pathlib.Path(f"/proc/{holder.pid}/root") / self.path.relative_to("/") / "ballast"

    def spoil(self):
        size = 1 << 20
        with open(self.ballast, "ab", buffering=0) as ballast:
            while size > 0:
                try:
                    ballast.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error
                    size //= 2

    def mend(self):
        self.ballast.unlink()


class ReadOnlyDisk:
    """A folder in which what is started with `environment` can change nothing while a flag is there."""

    says, enter = READ_ONLY, ()

    def __init__(self, cluster, name, library):
        self.path, self.flag = cluster.path / name, cluster.path / f"{name}.read-only"
        self.path.mkdir()
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.environment = {"LD_PRELOAD": str(library), "READ_ONLY_FOLDER": f"{self.path}/",
                            "READ_ONLY_WHILE": str(self.flag), "ASAN_OPTIONS": sanitizer}

    def spoil(self):
        self.flag.touch()

    def mend(self):
        self.flag.unlink()


@contextlib.contextmanager
def environment_of(disk):
    """For what is started within."""
    before = dict(os.environ)
    os.environ.update(disk.environment if disk else {})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Scene:
    """A coordinator and its workers, of which "bad" is on the bad machine."""

    def __init__(self, cluster, coordinator_disk=None):
        self.cluster, self.coordinator_disk = cluster, coordinator_disk
        cluster.pack_corpus()
        self.start_coordinator()

    def start_coordinator(self):
        with environment_of(self.coordinator_disk):
            self.cluster.start_coordinator(listen=self.cluster.address or "127.0.0.1:0")

    def start_worker(self, name, disk=None, devices="cpu:1", options=()):
        cluster = self.cluster
        with environment_of(disk):
            return cluster.start(name, [*(disk.enter if disk else ()), cluster.bin / "sink-worker", "--coordinator",
                                        cluster.address, "--data", (disk or cluster).path / name, "--name", name,
                                        "--devices", devices, "--data-root", cluster.path / "data", "--grace", "10s",
                                        "--pass-env", "LD_PRELOAD", "--pass-env", "READ_ONLY_*", *options])

    def submit(self, jobs, steps, sweep="study", first_rate=1, **more):
        self.steps = steps
        self.cluster.submit(sweep, steps, [f"{first_rate + n}e-4" for n in range(jobs)], **more)

    def log(self, name="bad"):
        return (self.cluster.path / "logs" / f"{name}.log").read_text(errors="replace")

    def worker(self, name="bad"):
        listed = json.loads(self.cluster.sinkctl("workers", "--json"))["workers"]
        return next((worker for worker in listed if worker["name"] == name), None)

    def wait_until_trains(self, step, worker="bad"):
        wait_for(f"{worker} trains", 60, lambda: any(
            job["state"] == "RUNNING" and job["worker"] == worker and job["step"] >= step
            for job in self.cluster.jobs("study")))

    def wait_until_quarantined(self, *words):
        """The worker is, and says why; so does a job that waits."""
        # It has joined before it registers, and is listed from then on.
        wait_for("quarantine", 60, lambda: (self.worker() or {}).get("hold") == "quarantined")
        for text in (self.worker()["hold_reason"], self.cluster.sinkctl("workers")):
            assert all(word in text for word in words), text
        waits = next(job for job in self.cluster.jobs("study") if job["state"] == "QUEUED")
        why = self.cluster.sinkctl("why", waits["id"])
        assert "bad is quarantined" in why and all(word in why for word in words), why

    def attempts(self, job):
        return json.loads(self.cluster.sinkctl("job", job["id"], "--json"))["attempts"]

    def points(self, job):
        points = collections.Counter()
        for line in self.cluster.sinkctl("metrics", job["id"], "--csv").splitlines()[1:]:
            name, step, value, _ = line.split(",")
            points[name, int(step), value] += 1
        return points

    def check_points(self, job):
        points = self.points(job)
        losses = collections.Counter(step for name, step, _ in points.elements() if name == "train_loss")
        missing = sorted(set(range(1, self.steps + 1)) - set(losses))
        assert not missing, f"job {job['id'][:8]}: {len(missing)} points are missing: {missing[0]} to {missing[-1]}"
        assert max(losses.values()) == 1, f"job {job['id'][:8]}: a point is there twice"

    def check_jobs(self, sweep="study"):
        """All have succeeded, with every point once. Returns the attempts that failed."""
        failed = []
        for job in self.cluster.wait_until_final(sweep, 300):
            assert job["state"] == "SUCCEEDED" and job["step"] == self.steps, (job, self.attempts(job))
            self.check_points(job)
            failed += [attempt for attempt in self.attempts(job) if attempt["state"] != "SUCCEEDED"]
        return failed

    def check_logs(self):
        for log in (self.cluster.path / "logs").iterdir():
            lines, faults = collections.Counter(), collections.Counter()
            for line in log.read_text(errors="replace").splitlines():
                if match := re.match(r"\S*T(\d\d:\d\d:\d\d)\S* (\w+) (.*)", line):
                    lines[match.group(1), match.group(3)] += 1
                    faults[match.group(1)] += match.group(2) in ("warning", "error", "critical")
            worst, count = max(lines.items(), key=lambda entry: entry[1], default=(None, 0))
            assert count <= REPEATS_A_SECOND, f"{log.name}: {count} times in a second: {worst}"
            worst, count = max(faults.items(), key=lambda entry: entry[1], default=(None, 0))
            assert count <= FAULTS_A_SECOND, f"{log.name}: {count} warnings and errors at {worst}"

    def check_trains_again(self):
        """The machine that was put right, alone."""
        if "good" in self.cluster.running():
            self.cluster.kill("good")
        self.cluster.sinkctl("uncordon", "bad")
        self.submit(1, 40, "afterwards", first_rate=50)  # no job that the study has done
        self.check_jobs("afterwards")
        assert [job["worker"] for job in self.cluster.jobs("afterwards")] == ["bad"]


def spoiled_while_jobs_run(cluster, options, disk):
    scene = Scene(cluster)
    scene.start_worker("bad", disk, "cpu:2")
    scene.start_worker("good")
    scene.submit(7, 120)
    scene.wait_until_trains(30)
    time.sleep(options.random.uniform(0, 0.5))
    disk.spoil()
    failed = scene.check_jobs()
    print(f"  {len(failed)} attempts failed, {scene.worker()['hold'] or 'no quarantine'}")
    assert failed, "the disk was bad after all was done"
    for attempt in failed:
        assert attempt["worker"] == "bad" and attempt["failure_class"] == "infra", attempt
        assert disk.says in attempt["message"] and str(disk.path) in attempt["message"], attempt["message"]
    assert f"failed here: {failed[0]['message']}" in scene.log(), "the worker's log does not say why"
    disk.mend()
    scene.check_trains_again()
    scene.check_logs()


def worker_disk_fills(cluster, options):
    spoiled_while_jobs_run(cluster, options, FullDisk(cluster))


def worker_disk_becomes_read_only(cluster, options):
    spoiled_while_jobs_run(cluster, options, ReadOnlyDisk(cluster, "disk", options.library))


def worker_disk_is_full_for_a_while(cluster, options):
    """Between two checkpoints, where only the events meet it: none is lost."""
    disk = FullDisk(cluster)
    scene = Scene(cluster)
    scene.start_worker("bad", disk)
    scene.submit(1, 2000, save_every=1500)
    scene.wait_until_trains(30)
    disk.spoil()
    time.sleep(options.random.uniform(2, 4))
    disk.mend()
    scene.check_jobs()
    scene.check_logs()


def worker_disk_is_full_from_the_start(cluster, _):
    disk = FullDisk(cluster)
    scene = Scene(cluster)
    disk.spoil()
    first = scene.start_worker("bad", disk, "cpu:2")
    assert first.wait(timeout=30) == 1 and FULL in scene.log() and str(disk.path) in scene.log(), scene.log()
    disk.mend()
    cluster.kill("bad")
    scene.start_worker("bad", disk, "cpu:2")
    wait_for("the worker is there", 30, scene.worker)
    disk.spoil()
    scene.submit(6, 40)
    scene.wait_until_quarantined("disk full", str(disk.path), FULL)
    scene.start_worker("good")
    failed = scene.check_jobs()
    assert failed and all(attempt["worker"] == "bad" for attempt in failed), failed
    assert f"failed here: {failed[0]['message']}" in scene.log(), "the worker's log does not say why"
    disk.mend()
    scene.check_trains_again()
    scene.check_logs()


def machine_trains_nothing(cluster, _):
    scene = Scene(cluster)
    scene.start_worker("bad", devices="cpu:2", options=["--trainer", "/bin/false"])
    scene.submit(6, 40)
    scene.wait_until_quarantined("exit code 1")
    scene.start_worker("good")
    failed = scene.check_jobs()
    assert failed and all(attempt["worker"] == "bad" for attempt in failed), failed
    scene.check_logs()


def coordinator_disk_becomes_read_only(cluster, options):
    disk = ReadOnlyDisk(cluster, "coordinator", options.library)
    scene = Scene(cluster, disk)
    scene.start_worker("bad")
    scene.start_worker("good")
    scene.submit(3, 150)
    scene.wait_until_trains(30)
    time.sleep(options.random.uniform(0, 0.5))
    jobs = cluster.jobs("study")
    before = [scene.points(job) for job in jobs]
    disk.spoil()
    status = cluster.wait_for_end("coordinator", 30)
    database = str(disk.path / "sink.db")
    assert status == 1 and "read-only" in scene.log("coordinator") and database in scene.log("coordinator"), status
    with environment_of(disk):
        again = subprocess.run([cluster.bin / "sink-coordinator", "--data", disk.path, "--listen", cluster.address],
                               text=True, capture_output=True, timeout=30)
    assert again.returncode == 1 and READ_ONLY in again.stderr and str(disk.path) in again.stderr, again
    disk.mend()
    scene.start_coordinator()
    failed = scene.check_jobs()
    for job, points in zip(jobs, before):
        assert points <= scene.points(job), f"job {job['id'][:8]}: points that were stored are gone or others now"
    scene.check_logs()
    assert not failed, f"training did not go on meanwhile: {failed}"


SHORT = [worker_disk_becomes_read_only, worker_disk_is_full_from_the_start, machine_trains_nothing,
         coordinator_disk_becomes_read_only]
ALL = [*SHORT, worker_disk_fills, worker_disk_is_full_for_a_while]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("library", type=pathlib.Path)
    parser.add_argument("--all", action="store_true", help="the two longer cases as well")
    parser.add_argument("--case", choices=[case.__name__ for case in ALL])
    parser.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    options = parser.parse_args()
    options.library, options.random = options.library.resolve(), random.Random(options.seed)
    if missing := [tool for tool in ("mount", "unshare", "nsenter") if not shutil.which(tool)]:
        skip(f"no {', '.join(missing)} on this machine")
    for case in ALL if options.all or options.case else SHORT:
        if options.case not in (None, case.__name__):
            continue
        begin = time.monotonic()
        with Cluster(options.bin) as cluster:
            case(cluster, options)
        print(f"{case.__name__}: {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
