"""A job is trained, kept, fetched and backed up under sync_watch.c, and nothing is promised that a power cut would
take: what is renamed into place was synced before, and its folder is synced next (sync_events.py has the rules).

Then each sync by which a promise holds is taken out of what was written down, one after the other, and must be missed.
tests/mutations/run.py takes them out of the programs.

Usage: sync_test.py BIN_DIR LIBRARY
"""
import contextlib
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from sink_cluster import Cluster  # noqa: E402
from sync_events import Disk, read_events, without_sync  # noqa: E402

STEPS = 60  # checkpoints at 25, 50 and the end
RUN = r"worker/jobs/[0-9a-f]{32}/1-\d+"
STORED = r"checkpoints/[0-9a-f]{32}/\d+/step-60"
# What must have been seen: a test that no longer looks is green, too.
SEEN = [("sink-data", "came", r"data/tiny"),
        ("sink-coordinator", "came", r"coordinator/tls/ca\.key\.pem"),
        ("sink-coordinator", "came", rf"coordinator/{STORED}\.part/\.files"),
        ("sink-coordinator", "came", rf"coordinator/{STORED}"),
        ("sink-worker", "came", r"worker/worker\.id"),
        ("sink-worker", "came", rf"{RUN}/lease\.json"),
        ("sink-worker", "came", rf"{RUN}/job\.json"),
        ("sink-worker", "came", rf"{RUN}/upload/step-0*60\.seq"),
        ("sink-worker", "came", rf"{RUN}/outcome\.json"),
        ("sink-worker", "went", rf"{RUN}/lease\.json"),
        ("sink-trainer", "came", rf"{RUN}/checkpoints/step-0*60"),
        ("sinkctl", "came", r"model"),
        ("sink-backup", "came", rf"copy/{STORED}"),
        ("sink-backup", "came", r"copy/sink\.db")]


@contextlib.contextmanager
def watched(cluster, library, log):
    """Programs that are started within are watched, and so are trainers for good (PASSED)."""
    names = {"LD_PRELOAD": library, "SYNC_WATCH_ROOT": cluster.path, "SYNC_WATCH_LOG": log}
    os.environ.update({name: str(value) for name, value in names.items()})
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


PASSED = ("--pass-env", "LD_PRELOAD", "--pass-env", "SYNC_WATCH_*")


def live(cluster):
    """A job from its data to its copies."""
    cluster.pack_corpus()
    cluster.start_coordinator()
    cluster.start_worker("worker", options=PASSED)
    cluster.submit("watched", steps=STEPS, rates=["1e-3"])
    job = cluster.wait_until_final("watched", 100)[0]
    assert job["state"] == "SUCCEEDED", job
    cluster.sinkctl("checkpoint", "get", job["id"], "--out", cluster.path / "model")
    subprocess.run([cluster.bin / "sink-backup", "make", "--data", cluster.path / "coordinator", "--to",
                    cluster.path / "copy"], check=True, capture_output=True)
    cluster.stop("worker")
    cluster.stop("coordinator")


def main():
    with Cluster(sys.argv[1]) as cluster:
        cluster.path = cluster.path.resolve()
        log = cluster.path / "sync-events"
        log.touch()
        with watched(cluster, pathlib.Path(sys.argv[2]).resolve(), log):
            live(cluster)
        events = read_events(log.read_text())
        disk = Disk(cluster.path).run(events)
        for program, what, path in SEEN:
            assert any(seen[:2] == (program, what) and re.fullmatch(path, seen[2]) for seen in disk.seen), \
                f"nobody saw that {path} {what}, by {program}"
        assert not disk.faults, "promised before it was safe:\n" + "\n".join(disk.faults)

        syncs = sum(event.what == "sync" for event in events)
        for number in sorted(disk.needed):
            left = Disk(cluster.path).run(without_sync(events, number))
            assert left.faults, f"nobody misses a sync of {disk.short(events[number].path)}"
        print(f"{len(disk.seen)} names were safe when they counted, by {len(disk.needed)} of {syncs} syncs; "
              "each of those is missed when it is taken out")


if __name__ == "__main__":
    main()
