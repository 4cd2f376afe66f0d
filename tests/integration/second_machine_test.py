"""A second machine joins with one pasted command. The machines are two network namespaces with a wire between them: the
coordinator and its user's sinkctl on the one, a worker with an empty home on the other.

Usage: second_machine_test.py SOURCE_DIR BIN_DIR.
"""
import os
import shutil
import subprocess
import sys

from sink_cluster import Cluster, skip, wait_for

HEAD, NODE = "10.77.0.1", "10.77.0.2"


class Machine:
    """A network namespace, which lives as long as the process that holds it open."""

    def __init__(self, cluster, name, within=()):
        alone = ["--net"] if within or os.geteuid() == 0 else ["--net", "--user", "--map-root-user"]
        holder = cluster.start(name, [*within, "unshare", *alone, "sleep", "infinity"])
        link = f"/proc/{holder.pid}/ns/net"
        ours = os.readlink(f"/proc/{within[2]}/ns/net" if within else "/proc/self/ns/net")

        def apart():
            if holder.poll() is not None:
                log = (cluster.path / "logs" / f"{name}.log").read_text().strip()
                skip(f"this machine has no namespaces for its users: {log}")
            return os.path.exists(link) and os.readlink(link) != ours
        wait_for(f"{name} has a network of its own", 10, apart)
        users = ["--user", "--preserve-credentials"] if os.geteuid() != 0 else []
        self.pid = holder.pid
        self.enter = ["nsenter", "--target", str(holder.pid), *users, "--net"]

    def run(self, *command):
        done = subprocess.run([*self.enter, *command], text=True, capture_output=True)
        if done.returncode != 0:
            skip(f"{' '.join(command)}: {done.stderr.strip()}")


def connect(head, node):
    head.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "far")
    head.run("ip", "link", "set", "far", "netns", str(node.pid))
    for machine, wire, address in ((head, "wire", HEAD), (node, "far", NODE)):
        machine.run("ip", "address", "add", f"{address}/24", "dev", wire)
        machine.run("ip", "link", "set", wire, "up")
        machine.run("ip", "link", "set", "lo", "up")


def main():
    if missing := [tool for tool in ("ip", "unshare", "nsenter") if not shutil.which(tool)]:
        skip(f"no {', '.join(missing)} on this machine")
    with Cluster(sys.argv[2]) as cluster:
        head = Machine(cluster, "head")
        node = Machine(cluster, "node", within=head.enter)
        connect(head, node)
        cluster.pack_corpus()
        cluster.start_coordinator(head.enter, listen=f"{HEAD}:0", own_files=False)
        cluster.enter = head.enter

        # What the other machine's user sees, and does before anybody has let it in.
        home = cluster.path / "elsewhere"
        home.mkdir()
        there = {name: value for name, value in os.environ.items() if not name.startswith(("SINK_", "XDG_"))}
        there["HOME"] = str(home)
        outside = subprocess.run([*node.enter, cluster.bin / "sinkctl", "status"], text=True, capture_output=True,
                                 env=dict(there, SINK_COORDINATOR=cluster.address))
        assert outside.returncode != 0 and "no credential" in outside.stderr, (outside.returncode, outside.stderr)

        token = cluster.sinkctl("worker", "token").strip()
        command = f"exec {cluster.bin}/sink-worker --data {home}/worker --name node --devices cpu:1 " \
                  f"--data-root {cluster.path}/data --join - <<< {token}"
        log = cluster.path / "logs/worker.log"
        with open(log, "ab") as output:
            worker = subprocess.Popen([*node.enter, "bash", "-c", command], env=there, stdout=output, stderr=output)
        try:
            cluster.submit("study", 40, ["1e-3"])
            jobs = cluster.wait_until_final("study", 120)
            assert [job["state"] for job in jobs] == ["SUCCEEDED"], jobs
            assert [job["worker"] for job in jobs] == ["node"], jobs
            words = (f"/proc/{worker.pid}/cmdline", f"/proc/{worker.pid}/environ")
            assert not any(token[-40:].encode() in open(name, "rb").read() for name in words), "the token can be seen"
            assert token[-40:] not in log.read_text(), "the token is in the log"
            # It was good for one, whoever has seen it; a worker that is refused says why, and waits.
            again = subprocess.run([*node.enter, "timeout", "8", "bash", "-c",
                                    command.replace("/worker ", "/second ").replace("--name node", "--name second")],
                                   text=True, capture_output=True, env=there)
            assert "this token is used up" in again.stderr and "joined" not in again.stderr, again.stderr
        finally:
            worker.kill()
            worker.wait()
    print("a second machine joined with one command, once")


if __name__ == "__main__":
    main()
