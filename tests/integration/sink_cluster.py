"""A coordinator, workers and a Prometheus of this machine for the tests in Python: real programs, a temporary folder,
ports that the kernel chose. Everything that was started is killed when the `with` ends; when it failed, the logs are
printed.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

SKIPPED = 77  # what ctest takes for "skipped" (SKIP_RETURN_CODE)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def wait_for(what, seconds, condition):
    """The condition's first true value; an error that says what was waited for when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.2)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Cluster:
    def __init__(self, bin_dir):
        self.bin = pathlib.Path(bin_dir).resolve()
        self._folder = tempfile.TemporaryDirectory(prefix="sink-test-", ignore_cleanup_errors=True)
        self.path = pathlib.Path(self._folder.name)
        self._processes = {}
        self.address = None
        self.enter = ()  # comes before sinkctl, to run it where the coordinator can be reached

    def __enter__(self):
        (self.path / "logs").mkdir()
        os.environ["XDG_CONFIG_HOME"] = str(self.path / "config")  # where the programs leave and find credentials
        return self

    def __exit__(self, kind, *_):
        for name in reversed(list(self._processes)):
            self.kill(name)
        if kind is not None:
            for log in sorted((self.path / "logs").iterdir()):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
        self._folder.cleanup()

    def start(self, name, command, **options):
        with open(self.path / "logs" / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log,
                                                     stderr=log, preexec_fn=die_with_parent, **options)
        return self._processes[name]

    def kill(self, name):
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name):
        """As systemctl stop does: the program saves what it must and ends well."""
        process = self._processes.pop(name)
        process.terminate()
        assert process.wait(timeout=60) == 0, f"{name} ended with {process.returncode}"

    def wait_for_end(self, name, seconds):
        """The status with which it ends by itself."""
        return self._processes.pop(name).wait(timeout=seconds)

    def running(self):
        return list(self._processes)

    def pid(self, name):
        return self._processes[name].pid

    def pack_corpus(self):
        """data/tiny: bytes of a small corpus with some structure."""
        for split, count in (("train", 6000), ("valid", 600)):
            (self.path / "corpus" / split).mkdir(parents=True)
            lines = [json.dumps({"text": f"In the beginning line {i * 7919 % 6000} was written, "
                                         f"and line {i * 104729 % 997} followed it."}) for i in range(count)]
            (self.path / "corpus" / split / "tiny.jsonl").write_text("\n".join(lines) + "\n")
        subprocess.run([self.bin / "sink-data", "pack", "--in", self.path / "corpus", "--out", self.path / "data/tiny",
                        "--tokenizer", "bytes", "--block", "257", "--chunk-blocks", "64", "--valid-chunk-blocks", "16"],
                       check=True, capture_output=True)

    def start_coordinator(self, wrapper=(), listen="127.0.0.1:0", own_files=True, options=()):
        """`wrapper` comes before the command, to run it in namespaces, of which one is a mount namespace unless it shares
        our files. The addresses are read from its log."""
        log = self.path / "logs/coordinator.log"
        before = log.stat().st_size if log.exists() else 0  # what an earlier one said
        self.start("coordinator", [*wrapper, self.bin / "sink-coordinator", "--data", self.path / "coordinator",
                                   "--listen", listen, "--metrics-listen", "127.0.0.1:0",
                                   "--heartbeat-interval", "500ms", "--lease-duration", "5s", *options])

        def listening():
            for line in log.read_bytes()[before:].decode().splitlines():
                if "listening on" in line:
                    words = line.replace(",", " ").split()
                    return words[words.index("on") + 1], words[words.index("metrics") + 2]
            return None
        self.address, self.metrics_url = wait_for("the coordinator listens", 30, listening)
        if wrapper and own_files:
            # Its folder, where the admin's credential is a link to, is in another mount namespace.
            link = self.path / "config/sink" / self.address.replace(":", "_")
            wait_for("the credential is published", 30, link.is_symlink)
            link.unlink()
            shutil.copytree(pathlib.Path(f"/proc/{self.pid('coordinator')}/root") /
                            (self.path / "coordinator/tls/admin").relative_to("/"), link)

    def start_worker(self, name, devices="cpu:1", options=()):
        self.start(name, [self.bin / "sink-worker", "--coordinator", self.address, "--data", self.path / name,
                          "--name", name, "--devices", devices, "--data-root", self.path / "data", "--grace", "10s",
                          *options])

    def trainers(self):
        """Process ids of this cluster's trainers."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit():
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    if words[0].endswith("sink-trainer") and any(str(self.path) in word for word in words):
                        found.append(int(entry.name))
        return found

    def sinkctl(self, *arguments):
        environment = dict(os.environ, SINK_COORDINATOR=self.address, NO_COLOR="1")
        result = subprocess.run([*self.enter, self.bin / "sinkctl", *map(str, arguments)], env=environment, text=True,
                                capture_output=True)
        assert result.returncode == 0, f"sinkctl {' '.join(map(str, arguments))}: {result.stderr}"
        return result.stdout

    def submit(self, name, steps, rates, data="tiny", extra="", batch=8, save_every=25):
        """A sweep over learning rates of a model so small that a step takes some milliseconds for a batch of 8."""
        (self.path / "sweeps").mkdir(exist_ok=True)
        sweep = self.path / "sweeps" / f"{name}.yaml"
        sweep.write_text(f"""schema: sink/v1
name: {name}
model: {{hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 257,
        max_position_embeddings: 64}}
train: {{max_steps: {steps}, warmup_steps: 10, global_batch_size: {batch}, micro_batch_size: 4, sequence_length: 64,
        log_every: 1}}
data: {{set: {data}}}
eval: {{every: 50, sequences: 8, tokens: 32, validation_sequences: 8{extra}}}
checkpoint: {{every: {save_every}}}
experiments:
  - name: learning_rate
    grid: {{train.learning_rate: [{', '.join(rates)}]}}
retry: {{infra: 100}}
resources: {{devices: 1}}
""")
        self.sinkctl("submit", sweep)

    def jobs(self, sweep):
        return json.loads(self.sinkctl("status", sweep, "--json"))["jobs"]

    def wait_until_final(self, sweep, seconds):
        final = {"SUCCEEDED", "FAILED", "CANCELLED"}

        def ended():
            jobs = self.jobs(sweep)
            return jobs if all(job["state"] in final for job in jobs) else None
        return wait_for(f"sweep {sweep} ends", seconds, ended)


class Prometheus:
    def __init__(self, cluster, config):
        """`config` is the text of prometheus.yml, written to the cluster's folder."""
        self.url = f"http://127.0.0.1:{free_port()}"
        (cluster.path / "prometheus.yml").write_text(config)
        cluster.start("prometheus", ["prometheus", "--config.file", cluster.path / "prometheus.yml",
                                     "--storage.tsdb.path", cluster.path / "tsdb",
                                     "--web.listen-address", self.url.removeprefix("http://")])
        wait_for("Prometheus is ready", 30, self._ready)

    def _ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=10).status == 200
        except OSError:
            return False

    def get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def query_range(self, expression, seconds, step=1):
        now = int(time.time())
        return self.get("query_range", query=expression, start=now - seconds, end=now, step=step)["result"]

    def label_values(self, label, selector):
        return self.get(f"label/{label}/values", **{"match[]": selector})

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}
