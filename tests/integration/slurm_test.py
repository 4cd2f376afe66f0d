"""A sweep on a real Slurm of two nodes, by way of `sinkctl slurm up`, whose workers join by the token in a file and find
no other credential: one node is pre-empted (its worker drains with a
checkpoint, and its job is requeued), the other loses its power; the sweep completes.

Usage: slurm_test.py SOURCE_DIR BIN_DIR.
"""
import os
import pathlib
import subprocess
import sys

from sink_cluster import Cluster, wait_for
from slurm_cluster import NODES, Slurm

STEPS = 600


def slurm_up(cluster, slurm, source):
    environment = dict(slurm.environment, SINK_COORDINATOR=cluster.address,
                       SINK_WORKER=str(cluster.bin / "sink-worker"), SINK_WORKER_DATA=str(cluster.path / "nodes"),
                       SINK_WORKER_OPTIONS=f"--devices cpu:1 --data-root {cluster.path / 'data'}")
    (cluster.path / "nodes").mkdir()
    token = cluster.sinkctl("worker", "token", "--uses", "8", "--ttl", "1h")
    join = cluster.path / "join"
    with open(os.open(join, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    environment["SINK_WORKER_JOIN"] = str(join)
    # Workers on other machines have no home with the admin's credential. sinkctl itself needs one.
    nowhere = cluster.path / "nowhere"
    script = cluster.path / "sink-worker.sbatch"
    text = (source / "deploy/slurm/sink-worker.sbatch").read_text()
    script.write_text(text.replace("\nset -uo pipefail\n", f"\nset -uo pipefail\nexport XDG_CONFIG_HOME={nowhere}\n"))
    assert str(nowhere) in script.read_text()
    command = [cluster.bin / "sinkctl", "slurm", "up", "--nodes", len(NODES), "--time", "20", "--script",
               script, "--", "--output", cluster.path / "logs/sbatch-%A-%a.log"]
    answer = subprocess.run(list(map(str, command)), env=environment, text=True, capture_output=True, cwd=cluster.path)
    assert answer.returncode == 0, answer.stderr
    secret = token.strip()[-40:]
    assert secret not in answer.stdout + answer.stderr, "the token is printed"
    print(answer.stdout.strip())
    return answer.stdout.split()[2].rstrip(":")


def main():
    source, bin_dir = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    with Cluster(bin_dir) as cluster:
        slurm = Slurm(cluster)
        cluster.pack_corpus()
        cluster.start_coordinator()
        cluster.submit("study", STEPS, ["1e-3", "2e-3", "3e-3"])
        job = slurm_up(cluster, slurm, source)

        def working():
            jobs = [one for one in cluster.jobs("study") if one["state"] == "RUNNING" and one["step"] > 30]
            return {one["worker"]: one for one in jobs} if len(jobs) == len(NODES) else None
        held = wait_for("a worker on each node trains", 90, working)
        assert set(held) == set(NODES), held
        tasks = slurm.tasks(job)
        assert set(tasks) == set(NODES), tasks

        # Pre-emption, as PreemptParameters=send_user_signal announces it; and the other node's power goes.
        slurm.run("scancel", "--signal=USR1", "--batch", tasks["n1"])
        slurm.kill_node("n2")
        wait_for("the pre-empted node's job is requeued", 60, lambda: slurm.restarts(tasks["n1"]) == 1)
        returned = next(one for one in cluster.jobs("study") if one["id"] == held["n1"]["id"])
        saved = cluster.sinkctl("checkpoint", "list", returned["id"])
        assert str(returned["step"]) in saved.split(), f"no checkpoint of step {returned['step']}:\n{saved}"
        print(f"n1 drained with a checkpoint at step {returned['step']}")
        wait_for("the requeued job runs again", 90, lambda: "n1" in slurm.tasks(job))
        wait_for("Slurm sees the node down", 60, lambda: any(state.startswith("down") for state in slurm.node_states()))
        wait_for("the lost node's job is requeued", 30, lambda: slurm.restarts(tasks["n2"]) == 1)
        jobs = cluster.wait_until_final("study", 300)
        assert all(one["state"] == "SUCCEEDED" and one["step"] == STEPS for one in jobs), jobs
        attempts = sum(one["attempt"] for one in jobs)
        assert attempts >= len(jobs) + 2, f"{attempts} attempts: neither the drain nor the loss cost one"
        print(f"{len(jobs)} jobs succeeded in {attempts} attempts; nodes: {slurm.node_states()}")
        slurm.run("scancel", "--state=PENDING", job)
        slurm.run("scancel", "--signal=TERM", "--batch", slurm.tasks(job)["n1"])
        wait_for("the worker goes when it is asked to", 60, lambda: not slurm.tasks(job))


if __name__ == "__main__":
    main()
