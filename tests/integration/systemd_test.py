"""The systemd units pass `systemd-analyze verify` without a word, and its audit finds little exposed.

Usage: systemd_test.py SOURCE_DIR BIN_DIR. The installed programs' folder is replaced by BIN_DIR, because verify looks
them up.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from sink_cluster import skip

# systemd-analyze security: 0 (nothing exposed) to 10; a unit without any of these settings has 9.6.
MOST_EXPOSED = {"sink-coordinator": 2.0, "sink-worker": 4.0}
# What keeps secrets where they are, and the coordinator reachable: S4, S9 and S19 of tests/security/README.md. And what
# brings a daemon back, however long the cause lasts for which it cannot start.
SETTINGS = {"LimitNOFILE": "65536", "LimitCORE": "0", "UMask": "0077", "StateDirectoryMode": "0700",
            "Restart": "on-failure", "StartLimitIntervalSec": "0", "RestartPreventExitStatus": "2"}


def setting_problems(units):
    """`units`: {name: text}."""
    problems = []
    users = {}
    for name, text in units.items():
        values = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
        problems += [f"{name}: {key} is {values.get(key)}, not {wanted}"
                     for key, wanted in SETTINGS.items() if values.get(key) != wanted]
        users.setdefault(values.get("User", "root"), []).append(name)
    problems += [f"{' and '.join(names)} share the user {user}" for user, names in users.items() if len(names) > 1]
    return problems + (["a unit runs as root"] if "root" in users else [])


def main():
    source, bin_dir = map(pathlib.Path, sys.argv[1:3])
    if not shutil.which("systemd-analyze"):
        skip("no systemd-analyze on this machine; deploy/bootstrap.sh --tests installs systemd")
    units = {path.stem: path.read_text() for path in (source / "deploy/systemd").glob("*.service")}
    problems = setting_problems(units)
    print("\n".join(problems) or "limits, umask, folders and users are as they must be")
    failed = bool(problems)
    for path in sorted((source / "deploy/systemd").glob("*.service")):
        with tempfile.TemporaryDirectory(prefix="sink-test-") as folder:
            unit = pathlib.Path(folder) / path.name
            text = path.read_text()
            assert "/usr/local/bin/sink-" in text
            unit.write_text(text.replace("/usr/local/bin", str(bin_dir.resolve())))
            verify = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
            words = verify.stdout + verify.stderr
            audit = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
                                   capture_output=True, text=True)
            exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", audit.stdout).group(1))
            print(f"{path.name}: verify {'passes' if verify.returncode == 0 else 'fails'}, exposure {exposure}")
            if verify.returncode != 0 or words.strip() or exposure > MOST_EXPOSED[path.stem]:
                failed = True
                print(words, audit.stdout)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
