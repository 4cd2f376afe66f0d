"""Every query of the shipped dashboards and alerts, on a real Prometheus that scrapes a live sweep: panels must return
finite data, alerts must fire when their fault is planted and be silent before.

Usage: dashboards_test.py SOURCE_DIR BIN_DIR. The files are read as they are shipped; only spans of time are shortened
(15m and 1h in rules, "for"), and Grafana's variables are replaced by what its own queries for them return.
"""
import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import yaml

from sink_cluster import Cluster, Prometheus, skip, wait_for

SPANS = {"15m": "10s", "1h": "60s"}
DISK = "size=192m"
FAULTS = {"SinkCoordinatorDown", "SinkNoWorker", "SinkWorkerQuarantined", "SinkJobStalled", "SinkFailures",
          "SinkDiskNearlyFull", "SinkCheckpointsWaiting", "SinkCheckpointsAway", "SinkCallsRefused",
          "SinkConnectionsRefused", "SinkPortDeaf",
          "SinkDescriptorsShort"}
FILES = 1024  # that the coordinator may have open; half of what is left for connections is one address's


def short_rules(source):
    rules = yaml.safe_load((source / "deploy/prometheus/sink-alerts.yml").read_text())
    for group in rules["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\b\d+[smhd]\b", lambda span: SPANS[span.group()], rule["expr"])
            rule["for"] = "0s"
    assert FAULTS == {rule["alert"] for group in rules["groups"] for rule in group["rules"]}, "an alert without a fault"
    return rules


def start_prometheus(cluster, source):
    """The shipped configuration with this cluster's port, a scrape a second and the shortened rules."""
    config = yaml.safe_load((source / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [scrape] = config["scrape_configs"]
    scrape["static_configs"] = [{"targets": [cluster.metrics_url.removeprefix("http://").removesuffix("/metrics")]}]
    (cluster.path / "sink-alerts.yml").write_text(yaml.safe_dump(short_rules(source)))
    return Prometheus(cluster, yaml.safe_dump(config))


def variables(board, prometheus):
    """What Grafana would fill in: each variable's first value, "all" where that is offered."""
    values = {"$__rate_interval": "15s"}
    for variable in board["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        query = variable["query"]
        for name, value in values.items():
            query = query.replace(name, value)
        selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        found = prometheus.label_values(label, selector)
        assert found, f"{board['title']}: no values for ${variable['name']} ({query})"
        first = sorted(found, key=lambda text: (len(text), text))[0]
        values[f"${variable['name']}"] = variable.get("allValue", first)
    return values


def finite(series):
    return any(math.isfinite(float(value)) for _, value in series["values"])


def check_panel(panel, values, prometheus):
    """The number of series of each query; an error text when a query returns nothing finite."""
    frames = []
    for target in panel["targets"]:
        expression = target["expr"]
        for name, value in sorted(values.items(), key=lambda item: -len(item[0])):
            expression = expression.replace(name, value)
        assert "$" not in expression, f"a variable without a value: {expression}"
        series = [one for one in prometheus.query_range(expression, 60) if finite(one)]
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            if any(label not in one["metric"] for one in series):
                return f"legend {{{{{label}}}}} names a label that {expression} does not have"
        if not series:
            return f"no data for {expression}"
        frames.append(series)
    if panel["type"] == "xychart":  # its two queries are merged by labels and time
        (x, y) = ({(json.dumps(one["metric"], sort_keys=True), at) for one in frame for at, _ in one["values"]}
                  for frame in frames)
        if not x & y:
            return "its x and y have no point in common"
    return None


def check_dashboards(source, prometheus):
    checked = 0
    for path in sorted((source / "deploy/grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        values = variables(board, prometheus)
        for panel in board["panels"]:
            if panel["type"] == "row":
                continue
            assert panel["fieldConfig"]["defaults"].get("unit"), f"{path.name}: {panel['title']} has no unit"
            problem = check_panel(panel, values, prometheus)
            if problem:
                return f"{path.name}: {panel['title']}: {problem}"
            checked += len(panel["targets"])
    print(f"{checked} panel queries return data")
    return None


def check_files(source, cluster):
    rules = source / "deploy/prometheus/sink-alerts.yml"
    subprocess.run(["promtool", "check", "rules", rules], check=True)
    subprocess.run(["promtool", "check", "config", source / "deploy/prometheus/prometheus.yml"], check=True)
    page = subprocess.run(["curl", "-sf", cluster.metrics_url], check=True, capture_output=True).stdout
    subprocess.run(["promtool", "check", "metrics"], input=page, check=True)


def check_no_worker(source, cluster):
    """SinkNoWorker, as it is shipped, for what the coordinator may say of its workers."""
    rules = source / "deploy/prometheus/sink-alerts.yml"
    [expression] = [rule["expr"] for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]
                    if rule["alert"] == "SinkNoWorker"]

    def case(queued, connected, cordoned=0, draining=0, quarantined=0, *, fires):
        series = {'sink_jobs{state="QUEUED"}': queued, 'sink_jobs{state="RUNNING"}': 5,
                  'sink_workers{state="connected"}': connected, 'sink_workers{state="gone"}': 4,
                  'sink_workers_held{hold="cordoned"}': cordoned, 'sink_workers_held{hold="draining"}': draining,
                  'sink_workers_held{hold="quarantined"}': quarantined}
        return {"input_series": [{"series": name, "values": str(value)} for name, value in series.items()],
                "promql_expr_test": [{"expr": expression, "eval_time": "0m",
                                      "exp_samples": [{"labels": "{}", "value": queued}] if fires else []}]}

    cases = [case(3, 0, fires=True), case(0, 0, fires=False), case(3, 2, fires=False),
             case(3, 2, draining=2, fires=True), case(3, 3, 1, 1, 1, fires=True),
             case(3, 3, cordoned=1, quarantined=1, fires=False), case(0, 2, cordoned=2, fires=False)]
    (cluster.path / "no-worker.yml").write_text(yaml.safe_dump({"rule_files": [str(rules)], "tests": cases}))
    subprocess.run(["promtool", "test", "rules", cluster.path / "no-worker.yml"], check=True)


def namespace_with_small_disk(folder):
    """What to put before a command that it sees a small disk at `folder`; empty where that is not allowed."""
    folder.mkdir()
    wrapper = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
               f'mount -t tmpfs -o {DISK} tmpfs {folder} && exec "$@"', "sh"]
    allowed = subprocess.run([*wrapper, "true"], capture_output=True).returncode == 0
    if not allowed:
        print("no mount namespaces here: SinkDiskNearlyFull's fault, and SinkCheckpointsWaiting's, cannot be planted")
    return wrapper if allowed else []


def fill_disk(root):
    """Leaves a twentieth of the disk."""
    disk = os.statvfs(root)
    with open(root / "filler", "wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, disk.f_frsize * (disk.f_bavail - disk.f_blocks // 20))


def try_doors(cluster):
    """A viewer asks, again and again, for what is an admin's."""
    token = cluster.path / "token"
    cluster.sinkctl("user", "add", "eve", "--role", "viewer", "--out", token)
    environment = dict(os.environ, XDG_CONFIG_HOME=str(cluster.path / "eve"), SINK_COORDINATOR=cluster.address)
    subprocess.run([cluster.bin / "sinkctl", "login", token], env=environment, check=True, capture_output=True)
    for _ in range(30):
        refused = subprocess.run([cluster.bin / "sinkctl", "user", "list"], env=environment, capture_output=True)
        assert refused.returncode == 6, refused.stderr


def use_up_descriptors(cluster):
    """Leaves a tenth of what the coordinator has open."""
    pid = cluster.pid("coordinator")
    limit = len(os.listdir(f"/proc/{pid}/fd")) * 11 // 10
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={limit}:{FILES}"], check=True)


def give_descriptors_back(cluster):
    subprocess.run(["prlimit", f"--pid={cluster.pid('coordinator')}", f"--nofile={FILES}:{FILES}"], check=True)


def knock(cluster, enough):
    """Opens connections and says nothing, from the one address that all of this test has."""
    host, port = cluster.address.rsplit(":", 1)
    held = []
    while not enough.is_set():
        with contextlib.suppress(OSError):
            held.append(socket.create_connection((host, int(port)), timeout=1))
        del held[:-2 * FILES]
        time.sleep(0.005)


def main():
    source, bin_dir = map(pathlib.Path, sys.argv[1:3])
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        skip("no prometheus on this machine; deploy/bootstrap.sh --tests installs it")
    with Cluster(bin_dir) as cluster:
        cluster.pack_corpus()
        small_disk = namespace_with_small_disk(cluster.path / "coordinator")
        cluster.start_coordinator(wrapper=["prlimit", f"--nofile={FILES}:{FILES}", *small_disk])
        prometheus = start_prometheus(cluster, source)

        def fires(alert):
            wait_for(f"{alert} fires", 60, lambda: alert in prometheus.firing())
            print(f"{alert} fires")

        cluster.submit("live", 1000000, ["1e-3", "4e-3"],
                       extra=", metrics: [key_norm_ratio, value_norm_ratio, max_activation]")
        fires("SinkNoWorker")
        for name in ("worker-1", "worker-2"):
            cluster.start_worker(name, devices="cpu:2")
        problem = "nothing checked yet"

        def all_panels():
            nonlocal problem
            try:
                problem = check_dashboards(source, prometheus)
            except AssertionError as error:
                problem = str(error)
            return problem is None
        try:
            wait_for("every panel has data", 120, all_panels)
        except AssertionError as error:
            raise AssertionError(f"{error}: {problem}") from None
        check_files(source, cluster)
        quiet = prometheus.firing()
        assert not quiet, f"alerts of a healthy sweep: {quiet}"
        check_no_worker(source, cluster)

        cluster.sinkctl("cordon", "worker-1", "worker-2")
        cluster.submit("waiting", 10, ["9e-3"])
        fires("SinkNoWorker")
        cluster.sinkctl("cancel", "waiting")  # before it runs: one more that succeeds would hide failures
        cluster.sinkctl("uncordon", "worker-1", "worker-2")

        stopped = cluster.trainers()[0]
        os.kill(stopped, signal.SIGSTOP)
        cluster.submit("broken", 10, ["1e-3", "2e-3", "3e-3", "4e-3"], data="nowhere")
        cluster.start_worker("worker-3", options=["--trainer", shutil.which("false")])
        wait_for("worker-3 takes jobs", 60, lambda: any(
            worker["name"] == "worker-3" and worker["sets"]
            for worker in json.loads(cluster.sinkctl("workers", "--json"))["workers"]))
        # Three fail before it is in quarantine, and end well elsewhere: more than a quarter of all attempts.
        cluster.submit("unlucky", 10, [f"{n}e-3" for n in range(1, 8)])
        try_doors(cluster)
        fires("SinkCallsRefused")
        fires("SinkFailures")
        fires("SinkWorkerQuarantined")  # whose trainer is broken
        fires("SinkJobStalled")
        data = pathlib.Path(f"/proc/{cluster.pid('coordinator')}/root") / (cluster.path / "coordinator").relative_to("/")
        (data / "checkpoints/folder-id").rename(data / "folder-id")
        fires("SinkCheckpointsAway")
        (data / "folder-id").rename(data / "checkpoints/folder-id")
        if small_disk:  # last of those that last: it starts no job any more
            fill_disk(data)
            fires("SinkDiskNearlyFull")
            fires("SinkCheckpointsWaiting")  # of the live job that nobody has stopped
        time.sleep(12)  # longer than the shortened span: these faults last
        lasting = {"SinkJobStalled", "SinkFailures"} | ({"SinkDiskNearlyFull", "SinkCheckpointsWaiting"} if small_disk else set())
        assert lasting <= prometheus.firing(), f"of {lasting}, only {prometheus.firing()} still fire"
        use_up_descriptors(cluster)
        fires("SinkDescriptorsShort")
        give_descriptors_back(cluster)
        enough = threading.Event()
        knocking = threading.Thread(target=knock, args=(cluster, enough))
        knocking.start()
        try:
            fires("SinkConnectionsRefused")
            fires("SinkPortDeaf")
        finally:
            enough.set()
            knocking.join()
        cluster.kill("coordinator")
        fires("SinkCoordinatorDown")


if __name__ == "__main__":
    main()
