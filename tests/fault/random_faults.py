#!/usr/bin/env python3
"""Random faults in a whole Sink, and a checker of what survived them.

kill -9, SIGSTOP and cuts of the network hit trainers, workers, the coordinator and several of them at once, at random
moments, while single jobs, a gang over both workers and new submissions go on. The machines are three network
namespaces on a bridge; a cut takes a worker's wire down, so that nothing arrives and nobody is told.

What must hold, or the run ends with status 1 and the logs:
- every job SUCCEEDED at its last step; a gang as well;
- every point is there once, with the digits of a run that nothing disturbed, and every weight file of the last
  checkpoint has its hash;
- what was seen to be stored (points, the newest checkpoint) at any moment is there later;
- every submission that was acknowledged is there, and has run to its end;
- no daemon has ended by itself.

Usage: random_faults.py SOURCE_DIR BIN_DIR [--count 1000] [--seed 7]     a fault takes some seconds
Work comes in waves of the same sweeps, which are deleted when they have been looked at. Status 77: this machine gives
its users no network namespaces.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from second_machine_test import Machine  # noqa: E402
from sink_cluster import Cluster, skip, wait_for  # noqa: E402

HEAD, NODES = "10.78.0.1", ("10.78.0.11", "10.78.0.12")
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}
SWEEPS = {"single": ("1e-3, 4e-3", "{devices: 1}"), "gang": ("2e-3", "{devices: 2, per_worker: 1}")}
EXTRA_STEPS = 20  # of a submission that comes between


def sweep_text(name, steps, rates, resources):
    return f"""schema: sink/v1
name: {name}
model: {{hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 257,
        max_position_embeddings: 64}}
train: {{max_steps: {steps}, warmup_steps: 10, global_batch_size: 8, micro_batch_size: 4, sequence_length: 64,
        log_every: 1}}
data: {{set: tiny}}
eval: {{every: 50, sequences: 8, tokens: 32, validation_sequences: 8}}
checkpoint: {{every: 25}}
experiments:
  - name: learning_rate
    grid: {{train.learning_rate: [{rates}]}}
retry: {{infra: 100}}
resources: {resources}
"""


class Scene:
    """A coordinator and two workers, each on a machine of its own."""

    def __init__(self, cluster, steps):
        self.cluster, self.steps = cluster, steps
        self.head = Machine(cluster, "head")
        self.nodes = [Machine(cluster, f"node-{n}", within=self.head.enter) for n in range(len(NODES))]
        self._lay_wires()
        cluster.pack_corpus()
        (cluster.path / "sweeps").mkdir()
        cluster.start_coordinator(self.head.enter, listen=f"{HEAD}:0", own_files=False)
        cluster.enter = self.head.enter
        for n in range(len(NODES)):
            self.start_worker(n)

    def _lay_wires(self):
        self.head.run("ip", "link", "add", "bridge0", "type", "bridge")
        self.head.run("ip", "address", "add", f"{HEAD}/24", "dev", "bridge0")
        for device in ("lo", "bridge0"):
            self.head.run("ip", "link", "set", device, "up")
        for n, node in enumerate(self.nodes):
            self.head.run("ip", "link", "add", f"wire{n}", "type", "veth", "peer", "name", f"far{n}")
            self.head.run("ip", "link", "set", f"far{n}", "netns", str(node.pid))
            self.head.run("ip", "link", "set", f"wire{n}", "master", "bridge0")
            self.head.run("ip", "link", "set", f"wire{n}", "up")
            node.run("ip", "address", "add", f"{NODES[n]}/24", "dev", f"far{n}")
            for device in ("lo", f"far{n}"):
                node.run("ip", "link", "set", device, "up")

    # What is hit.

    def start_coordinator(self):
        self.cluster.start_coordinator(self.head.enter, listen=self.cluster.address, own_files=False)

    def start_worker(self, n):
        cluster, name = self.cluster, f"worker-{n}"
        cluster.start(name, [*self.nodes[n].enter, cluster.bin / "sink-worker", "--coordinator", cluster.address,
                             "--data", cluster.path / name, "--name", name, "--devices", "cpu:2",
                             "--data-root", cluster.path / "data", "--grace", "10s"])

    def wire(self, n, state):
        self.head.run("ip", "link", "set", f"wire{n}", state)

    def check_daemons(self):
        for name in ("coordinator", "worker-0", "worker-1"):
            try:
                os.kill(self.cluster.pid(name), 0)
                state = pathlib.Path(f"/proc/{self.cluster.pid(name)}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                state = "Z"
            assert state != "Z", f"{name} has ended by itself"

    # What is asked.

    def ask(self, *arguments):
        """sinkctl, which may fail."""
        environment = dict(os.environ, SINK_COORDINATOR=self.cluster.address, NO_COLOR="1")
        return subprocess.Popen([*self.head.enter, self.cluster.bin / "sinkctl", *map(str, arguments)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)

    def write(self, name, steps, rates, resources):
        path = self.cluster.path / "sweeps" / f"{name}.yaml"
        path.write_text(sweep_text(name, steps, rates, resources))
        return path

    def submit_wave(self):
        for name, (rates, resources) in SWEEPS.items():
            self.cluster.sinkctl("submit", self.write(name, self.steps, rates, resources))

    def wave(self):
        """The wave's jobs, by sweep and label."""
        return {f"{sweep} {job['label']}": job for sweep in SWEEPS for job in self.cluster.jobs(sweep)}

    def ended(self):
        return all(job["state"] in FINAL for job in self.wave().values())

    def wait_until_all_train(self):
        """Each job that has not ended is seen to make a step: none meets the limit of restarts without one."""
        before, moved = {}, set()

        def all_moved():
            for name, job in self.wave().items():
                if job["state"] in FINAL or (name in before and job["step"] > before[name]):
                    moved.add(name)
                before[name] = job["step"]
            return moved == set(before)
        wait_for("every job makes a step", 180, all_moved)

    def points(self, job):
        """(name, step) -> value, as it is written."""
        found = {}
        for line in self.cluster.sinkctl("metrics", job, "--csv").splitlines()[1:]:
            name, step, value, _ = line.split(",")
            assert (name, int(step)) not in found, f"job {job}: a point is stored twice: {line}"
            found[name, int(step)] = value
        return found

    def checkpoints(self, job, command="list"):
        return json.loads(self.cluster.sinkctl("checkpoint", command, job, "--json"))["checkpoints"]

    def result(self, job):
        """What a job leaves that has ended: its points and the hashes of its last weights, all read again."""
        newest = max(self.checkpoints(job["id"], "verify"), key=lambda checkpoint: checkpoint["step"])
        weights = {file["name"]: file["xxh3"] for file in newest["files"] if file["name"].endswith(".safetensors")}
        return {"points": self.points(job["id"]), "step": newest["step"], "weights": weights}

    def delete(self, sweep):
        self.cluster.sinkctl("delete", sweep, "--yes")


# Each returns how many processes it has hit; a try that has hit none is no fault.

def kill_trainer(scene, rng):
    trainers = scene.cluster.trainers()
    with contextlib.suppress(ProcessLookupError):
        if trainers:
            os.kill(rng.choice(trainers), signal.SIGKILL)
            return 1
    return 0


def stopped(pid, seconds):
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    return 1


def stop_trainer(scene, rng):
    trainers = scene.cluster.trainers()
    with contextlib.suppress(ProcessLookupError):
        if trainers:
            return stopped(rng.choice(trainers), rng.uniform(0.1, 3))
    return 0


def kill_worker(scene, rng):
    n = rng.randrange(len(NODES))
    scene.cluster.kill(f"worker-{n}")
    time.sleep(rng.uniform(0, 1))
    scene.start_worker(n)
    return 1


def stop_worker(scene, rng):
    return stopped(scene.cluster.pid(f"worker-{rng.randrange(len(NODES))}"), rng.uniform(0.1, 8))


def kill_coordinator(scene, rng):
    scene.cluster.kill("coordinator")
    time.sleep(rng.uniform(0, 1.5))
    scene.start_coordinator()
    return 1


def stop_coordinator(scene, rng):
    return stopped(scene.cluster.pid("coordinator"), rng.uniform(0.1, 8))


def kill_all(scene, rng):
    trainers = scene.cluster.trainers()
    for name in ("coordinator", "worker-0", "worker-1"):
        scene.cluster.kill(name)
    for trainer in trainers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(trainer, signal.SIGKILL)
    scene.start_coordinator()
    for n in range(len(NODES)):
        scene.start_worker(n)
    return 3 + len(trainers)


def cut(scene, nodes, seconds):
    for n in nodes:
        scene.wire(n, "down")
    time.sleep(seconds)
    for n in nodes:
        scene.wire(n, "up")
    return len(nodes)


def cut_worker(scene, rng):
    return cut(scene, [rng.randrange(len(NODES))], rng.uniform(0.1, 9))  # up to longer than a lease


def cut_workers(scene, rng):
    return cut(scene, range(len(NODES)), rng.uniform(0.1, 9))


def cut_and_kill_coordinator(scene, rng):
    n = rng.randrange(len(NODES))
    scene.wire(n, "down")
    kill_coordinator(scene, rng)
    time.sleep(rng.uniform(0, 3))
    scene.wire(n, "up")
    return 2


FAULTS = {kill_trainer: 3, stop_trainer: 1, kill_worker: 2, stop_worker: 1, kill_coordinator: 2, stop_coordinator: 1,
          kill_all: 1, cut_worker: 2, cut_workers: 1, cut_and_kill_coordinator: 1}


class Checker:
    """What was seen to be acknowledged, which must be there later."""

    def __init__(self, scene, expected):
        self.scene, self.expected = scene, expected
        self.seen = collections.defaultdict(dict)  # job -> its points
        self.newest = {}                           # job -> step of its newest checkpoint
        self.submissions = []                      # acknowledged
        self.points = 0                            # compared

    def look(self, rng):
        """At one job of the wave, as it is stored now."""
        job = rng.choice(list(self.scene.wave().values()))["id"]
        self._compare(job, self.scene.points(job))
        self._follow(job, [checkpoint["step"] for checkpoint in self.scene.checkpoints(job)])

    def _compare(self, job, points):
        lost = [key for key, value in self.seen[job].items() if points.get(key) != value]
        assert not lost, f"job {job}: points that were stored are gone or others now: {lost[:5]} of {len(lost)}"
        self.seen[job] = points

    def _follow(self, job, steps):
        newest = max(steps, default=0)
        assert newest >= self.newest.get(job, 0), f"job {job}: the checkpoint of step {self.newest[job]} is gone"
        self.newest[job] = newest

    def close_wave(self):
        """The wave has ended: compares everything, and deletes it."""
        for name, job in self.scene.wave().items():
            assert job["state"] == "SUCCEEDED" and job["step"] == self.scene.steps, f"{name}: {job}"
            result, expected = self.scene.result(job), self.expected[name]
            self._compare(job["id"], result["points"])
            self._follow(job["id"], [result["step"]])
            differing = [key for key in expected["points"].keys() | result["points"].keys()
                         if expected["points"].get(key) != result["points"].get(key)]
            assert not differing, f"{name}: {len(differing)} points differ, such as " + str(
                [(key, expected["points"].get(key), result["points"].get(key)) for key in sorted(differing)[:3]])
            assert (result["step"], result["weights"]) == (expected["step"], expected["weights"]), f"{name}: weights"
            self.points += len(result["points"])
        for sweep in SWEEPS:
            self.scene.delete(sweep)
        self.seen.clear()
        self.newest.clear()

    def close_submissions(self, names):
        for name in names:
            jobs = self.scene.cluster.wait_until_final(name, 180)
            assert [job["state"] for job in jobs] == ["SUCCEEDED"], f"{name}, which was acknowledged: {jobs}"
            losses = [step for series, step in self.scene.points(jobs[0]["id"]) if series == "train_loss"]
            assert sorted(losses) == list(range(1, EXTRA_STEPS + 1)), f"{name}: losses of the steps {sorted(losses)}"
            self.scene.delete(name)
        self.submissions += names


def disturb(scene, checker, rng, budget, tally):
    """One wave under fire. Returns how many faults it took."""
    scene.submit_wave()
    faults, tries, acknowledged = 0, 0, []
    while faults < budget and not scene.ended():
        if tries % 2 == 0:
            scene.wait_until_all_train()
        tries += 1
        checker.look(rng)
        time.sleep(rng.uniform(0, 1.5))
        submission, name = None, f"extra-{len(checker.submissions) + len(acknowledged)}-{tries}"
        if rng.random() < 0.25:  # comes while the fault happens
            rate = f"{rng.randrange(1, 10**6)}e-9"
            submission = scene.ask("submit", scene.write(name, EXTRA_STEPS, rate, "{devices: 1}"))
        fault = rng.choices(list(FAULTS), weights=FAULTS.values())[0]
        hit = fault(scene, rng)
        if hit > 0:
            faults += 1
            tally[fault.__name__] += 1
            tally["processes"] += hit
        if submission is not None:
            _, said = submission.communicate(timeout=120)
            if submission.returncode == 0:
                acknowledged.append(name)
            else:
                print(f"{name} was not acknowledged: {said.strip()}")
        scene.check_daemons()
    wait_for("the wave ends", 900, scene.ended)
    checker.close_wave()
    checker.close_submissions(acknowledged)
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("bin")
    parser.add_argument("--count", type=int, default=8, help="faults (8)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and of what is hit (1)")
    parser.add_argument("--steps", type=int, default=1500, help="of a job (1500)")
    options = parser.parse_args()
    if missing := [tool for tool in ("ip", "unshare", "nsenter") if not shutil.which(tool)]:
        skip(f"no {', '.join(missing)} on this machine")
    rng, tally, begin = random.Random(options.seed), collections.Counter(), time.monotonic()
    with Cluster(options.bin) as cluster:
        scene = Scene(cluster, options.steps)
        scene.submit_wave()
        wait_for("the run that nothing disturbs ends", 600, scene.ended)
        expected = {name: scene.result(job) for name, job in scene.wave().items()}
        assert all(job["state"] == "SUCCEEDED" for job in scene.wave().values()), scene.wave()
        for sweep in SWEEPS:
            scene.delete(sweep)
        checker, faults, waves = Checker(scene, expected), 0, 0
        while faults < options.count:
            faults += disturb(scene, checker, rng, options.count - faults, tally)
            waves += 1
            print(f"{faults} faults in {waves} waves, {checker.points} points equal, "
                  f"{time.monotonic() - begin:.0f} s", flush=True)
    kinds = ", ".join(f"{name.replace('_', ' ')} {tally[name]}" for name in [f.__name__ for f in FAULTS] if tally[name])
    print(f"seed {options.seed}: {faults} faults hit {tally['processes']} processes and wires ({kinds}): nothing lost, "
          f"nothing doubled, {checker.points} points and every last weight as undisturbed, "
          f"{len(checker.submissions)} submissions acknowledged while they happened, all done")


if __name__ == "__main__":
    main()
