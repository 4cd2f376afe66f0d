"""A Slurm of two nodes on this machine: munged, slurmctld and two slurmd, all of the test's own user, in the cluster's
temporary folder, with short times. Ends with the Cluster it belongs to.
"""
import contextlib
import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess

from sink_cluster import free_port, skip, wait_for

NODES = ("n1", "n2")


class Slurm:
    def __init__(self, cluster):
        self.programs = {name: shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
                         for name in ("munged", "slurmctld", "slurmd", "sbatch")}
        missing = [name for name, path in self.programs.items() if path is None]
        if missing:
            skip(f"no {', '.join(missing)} on this machine; deploy/bootstrap.sh --tests installs slurm-wlm and munge")
        self.cluster = cluster
        self.folder = cluster.path / "slurm"
        for name in ("state", *(f"spool_{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        self._start_munge()
        self._write_configuration()
        self.environment = dict(os.environ, SLURM_CONF=str(self.folder / "slurm.conf"))
        cluster.start("slurmctld", [self.programs["slurmctld"], "-D", "-i", "-f", self.folder / "slurm.conf"],
                      env=self.environment)
        for node in NODES:
            cluster.start(f"slurmd-{node}", [self.programs["slurmd"], "-D", "-f", self.folder / "slurm.conf",
                                             "-N", node], env=self.environment)
        wait_for("both nodes are idle", 60, lambda: self.node_states().count("idle") == len(NODES))

    def _start_munge(self):
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o400)
        self.socket = self.folder / "munge.socket"
        self.cluster.start("munged", [self.programs["munged"], "--foreground", "--force", "--key-file",
                                      self.folder / "munge.key", "--socket", self.socket, "--pid-file",
                                      self.folder / "munge.pid", "--seed-file", self.folder / "munge.seed",
                                      "--log-file", self.folder / "munged.log", "--num-threads", "2"])
        wait_for("munged listens", 20, self.socket.exists)

    def _write_configuration(self):
        user, host = getpass.getuser(), socket.gethostname().split(".")[0]
        nodes = "\n".join(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=1"
                          for node in NODES)
        # cred_expire is also how long a requeued job waits.
        (self.folder / "slurm.conf").write_text(f"""ClusterName=sink
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={self.socket},cred_expire=5
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout=10
KillWait=30
MinJobAge=300
SchedulerParameters=sched_interval=2,batch_sched_delay=1,defer
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool_%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd_%n.pid
{nodes}
PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP
""")

    def run(self, *command):
        return subprocess.run(list(map(str, command)), env=self.environment, check=True, text=True,
                              capture_output=True).stdout

    def node_states(self):
        try:
            return [line.strip() for line in self.run("sinfo", "--noheader", "--Node", "--format=%T").splitlines()]
        except subprocess.CalledProcessError:  # slurmctld is not up yet
            return []

    def tasks(self, job):
        """{node: array task, as JOB_INDEX} of the job's running tasks."""
        lines = self.run("squeue", "--noheader", "--job", job, "--states=RUNNING", "--format=%N %i").splitlines()
        return dict(line.split() for line in lines)

    def restarts(self, task):
        words = self.run("scontrol", "show", "job", task).split()
        return int(next(word for word in words if word.startswith("Restarts=")).removeprefix("Restarts="))

    def kill_node(self, node):
        """As if its power had gone: its slurmd and all that it has started, at once, and nothing reports the end."""
        self.cluster.kill(f"slurmd-{node}")
        processes = self._processes_of(node)
        for stop in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, stop)

    def _processes_of(self, node):
        """What carries the node's name in its environment, and the slurmstepd above it."""
        found = set()
        ours = {b"SLURM_CONF=" + str(self.folder / "slurm.conf").encode(), b"SLURMD_NODENAME=" + node.encode()}
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and ours <= set((entry / "environ").read_bytes().split(b"\0")):
                    found.add(int(entry.name))
                    parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                    if "slurmstepd" in pathlib.Path(f"/proc/{parent}/comm").read_text():
                        found.add(int(parent))
        return found
