"""The Debian packages: what is in them, and that they work on a machine that has nothing else.

Usage: package_test.py SOURCE_DIR BIN_DIR [--bare]

Makes the packages of the build that BIN_DIR belongs to and looks into them. With --bare also makes a bare Debian 12 in a
folder (debootstrap, which downloads 60 MB, and needs root), installs them there with what apt says they need, runs a
sweep on the installed coordinator and worker as their services would, removes and purges them, and finds the data as it
was.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from sink_cluster import die_with_parent, skip, wait_for

PROGRAMS = {"sink-control": ["sink-coordinator", "sink-backup", "sinkctl", "sink-data"],
            "sink-worker": ["sink-worker", "sink-trainer", "sink-eval"]}
UNITS = {"sink-control": "sink-coordinator", "sink-worker": "sink-worker"}
SWEEP = """schema: sink/v1
name: bare
model: {hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 257,
        max_position_embeddings: 64}
train: {max_steps: 20, warmup_steps: 5, global_batch_size: 4, micro_batch_size: 4, sequence_length: 64, log_every: 1}
data: {set: tiny}
eval: {every: 10, sequences: 4, tokens: 32, validation_sequences: 4}
checkpoint: {every: 10}
experiments:
  - name: learning_rate
    grid: {train.learning_rate: [1e-3, 1e-4]}
resources: {devices: 1}
"""


def output_of(*command, **options):
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def make_packages(build, folder):
    """{name: path} of the packages of that build."""
    output_of("cpack", "--config", build / "CPackConfig.cmake", "-B", folder / "made", cwd=folder)
    made = sorted((folder / "made").glob("*.deb"))
    return {output_of("dpkg-deb", "-f", path, "Package").strip(): path for path in made}


def look_into(name, package, folder, build, source):
    tree = folder / name
    output_of("dpkg-deb", "-R", package, tree)
    unit = UNITS[name]
    for program in PROGRAMS[name]:
        path = tree / "usr/bin" / program
        assert os.access(path, os.X_OK), f"{package.name} has no {program}"
        dynamic = output_of("readelf", "-d", path)
        for run_path in re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic):
            assert all(part.startswith("$ORIGIN/") for part in run_path.split(":")), f"{program}: {run_path}"
        assert "not stripped" not in output_of("file", path), f"{program} has its symbols"
        page = tree / f"usr/share/man/man1/{program}.1.gz"
        words = subprocess.run(["man", "--warnings", "--encoding=UTF-8", "--local-file", page], text=True,
                               capture_output=True, env=dict(os.environ, MANWIDTH="100"))
        assert words.returncode == 0 and not words.stderr, f"man {program}: {words.stderr}"
        assert f"{program} - " in " ".join(words.stdout.split()), words.stdout[:300]
    text = (tree / f"usr/lib/systemd/system/{unit}.service").read_text()
    assert f"ExecStart=/usr/bin/{unit} " in text and "/usr/local" not in text
    assert (tree / f"usr/lib/sysusers.d/{unit}.conf").exists()
    environment = unit.removeprefix("sink-") + ".env"
    assert (tree / "DEBIAN/conffiles").read_text() == f"/etc/sink/{environment}\n"
    assert (tree / "etc/sink" / environment).exists()
    for script in ("postinst", "prerm", "postrm"):
        output_of("sh", "-n", tree / "DEBIAN" / script)
        assert "@" not in (tree / "DEBIAN" / script).read_text()
    depends = output_of("dpkg-deb", "-f", package, "Depends")
    assert "systemd-standalone-sysusers | systemd-sysusers" in depends and "libc6 (>=" in depends, depends
    here = str(build).encode(), str(source).encode()
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink() and "/lib/sink/" not in str(path):
            content = path.read_bytes()
            found = [place.decode() for place in here if place in content]
            assert not found, f"{path.relative_to(tree)} names {found}"
    print(f"{package.name}: {package.stat().st_size / 1e6:.1f} MB, depends on {depends.strip()}")


class BareDebian:
    """A bare Debian 12 in a folder, and what runs there: in namespaces of its own, so that nothing outlives it."""

    def __init__(self, root):
        self.root = root
        mirror = output_of("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()[0]
        made = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root, mirror], text=True,
                              capture_output=True)
        if made.returncode != 0:
            skip(f"debootstrap cannot make a bare Debian here: {(made.stdout + made.stderr)[-500:]}")
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        for path in pathlib.Path("/etc/apt/apt.conf.d").iterdir():
            shutil.copy(path, root / "etc/apt/apt.conf.d" / path.name)

    def command(self, *words):
        mounted = 'mount -t proc proc "$0/proc" && root=$0 && exec chroot "$root" "$@"'
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mounted, str(self.root),
                "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
                *map(str, words)]

    def run(self, *words):
        return output_of(*self.command(*words))

    def as_service(self, unit, log, **environment):
        """Starts what the unit starts, as its user, with its folder. Returns the process."""
        text = (self.root / f"usr/lib/systemd/system/{unit}.service").read_text()
        user = re.search(r"^User=(\S+)", text, re.M).group(1)
        folder = "/var/lib/" + re.search(r"^StateDirectory=(\S+)", text, re.M).group(1)
        words = re.search(r"^ExecStart=(.+)", text, re.M).group(1).split()
        environment = dict(re.findall(r"^Environment=(\w+)=(\S*)$", text, re.M)) | environment
        for name, value in environment.items():  # ${NAME} is one word, $NAME as many as its value has
            words = [part.replace("${%s}" % name, value) for word in words
                     for part in (value.split() if word == f"${name}" else [word])]
        self.run("install", "-d", "-o", user, "-m", "700", folder)
        capabilities = re.search(r"^AmbientCapabilities=(.*)", text, re.M).group(1).lower().split()
        allowed = ",".join("+" + name.removeprefix("cap_") for name in capabilities)
        allow = ["--inh-caps", allowed, "--ambient-caps", allowed] if allowed else []
        with open(log, "wb") as out:
            return subprocess.Popen(
                self.command("HOME=" + folder, *(f"{n}={v}" for n, v in environment.items()), "setpriv", "--reuid", user,
                             "--regid", user, "--init-groups", *allow, *words),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent)


def stop(process):
    """What unshare forked is the first process of its namespace, which ends with it. The signal that unshare has left for
    the case of its own end is lost where a program takes another user."""
    for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.wait()


def run_a_sweep(debian, packages, folder):
    for package in packages.values():
        shutil.copy(package, debian.root / "root" / package.name)
    started = time.monotonic()
    debian.run("apt-get", "update", "-q")
    debian.run("apt-get", "install", "-q", "-y", "--no-install-recommends",
               *(f"/root/{package.name}" for package in packages.values()))
    print(f"installed with apt-get in {time.monotonic() - started:.0f} s")
    for user in ("sink", "sink-worker", "sink-trainer"):
        debian.run("id", user)

    corpus = debian.root / "root/corpus"
    for split, count in (("train", 3000), ("valid", 300)):
        (corpus / split).mkdir(parents=True)
        (corpus / split / "tiny.jsonl").write_text("".join(f'{{"text": "line {i * 7919 % 997}"}}\n' for i in range(count)))
    (debian.root / "root/bare.yaml").write_text(SWEEP)
    debian.run("sink-data", "pack", "--in", "/root/corpus", "--out", "/srv/sets/tiny", "--tokenizer", "bytes", "--block",
               "65", "--chunk-blocks", "64", "--valid-chunk-blocks", "16")

    coordinator = debian.as_service("sink-coordinator", folder / "coordinator.log",
                                    SINK_COORDINATOR_OPTIONS="--listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0")
    data = debian.root / "var/lib/sink/coordinator"
    address_file = data / "coordinator.addr"
    wait_for("the coordinator's address", 30, lambda: address_file.exists() and (data / "tls/admin").exists())
    address = address_file.read_text().strip()
    ctl = ["SINK_CREDENTIALS=/var/lib/sink/coordinator/tls/admin", "SINK_COORDINATOR=" + address, "sinkctl"]
    debian.run(*ctl, "worker", "token", "--out", "/etc/sink/join")
    debian.run("chown", "sink-worker", "/etc/sink/join")
    worker = debian.as_service("sink-worker", folder / "worker.log", SINK_COORDINATOR=address,
                               SINK_WORKER_OPTIONS="--devices cpu:1 --data-root /srv/sets --join @/etc/sink/join")
    try:
        debian.run(*ctl, "submit", "/root/bare.yaml")
        print(debian.run("timeout", "180", "env", *ctl, "wait", "bare"))
        assert debian.run(*ctl, "status", "bare", "--json").count('"SUCCEEDED"') >= 2
    except AssertionError:
        for log in ("coordinator.log", "worker.log"):
            print(f"--- {log}\n{(folder / log).read_text()[-3000:]}", file=sys.stderr)
        for job in sorted(set(re.findall(r"job (\w{32}):", (folder / "worker.log").read_text()))):
            print(debian.run(*ctl, "logs", job)[-3000:], file=sys.stderr)
        raise
    finally:
        stop(worker)
        stop(coordinator)


def remove(debian):
    data = debian.root / "var/lib/sink/coordinator"
    before = {path.relative_to(data): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert pathlib.Path("sink.db") in before and len(before) > 5, sorted(before)
    debian.run("dpkg", "--remove", "sink-control", "sink-worker")
    assert not (debian.root / "usr/bin/sink-coordinator").exists() and not (debian.root / "usr/lib/sink").exists()
    assert (debian.root / "etc/sink/coordinator.env").exists()
    debian.run("dpkg", "--purge", "sink-control", "sink-worker")
    assert not (debian.root / "etc/sink/coordinator.env").exists()
    after = {path.relative_to(data): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert before == after, "removing changed the data"
    assert list((debian.root / "var/lib/sink-worker").iterdir())
    print(f"removed and purged; {len(after)} files of the coordinator and the worker's folder are as they were")


def main():
    source, bin_dir = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    if missing := [tool for tool in ("cpack", "dpkg-deb", "dpkg-shlibdeps", "file", "man") if not shutil.which(tool)]:
        skip(f"no {', '.join(missing)} on this machine; deploy/bootstrap.sh --tests installs them")
    bare = "--bare" in sys.argv
    if bare and os.geteuid() != 0:
        skip("a bare Debian is made as root")
    if bare and not shutil.which("debootstrap"):
        skip("no debootstrap on this machine; deploy/bootstrap.sh --tests installs it")
    with tempfile.TemporaryDirectory(prefix="sink-test-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        packages = make_packages(bin_dir.parent, folder)
        assert set(packages) == set(PROGRAMS), packages
        for package, path in packages.items():
            look_into(package, path, folder, bin_dir.parent, source)
        if not bare:
            return
        folder.chmod(0o755)  # for the services' users
        started = time.monotonic()
        debian = BareDebian(folder / "root")
        print(f"bare Debian in {time.monotonic() - started:.0f} s")
        run_a_sweep(debian, packages, folder)
        remove(debian)


if __name__ == "__main__":
    main()
