"""sinkctl top at a real terminal: tmux with 80 and with 200 columns, while a sweep trains.

Usage: top_test.py SOURCE_DIR BIN_DIR. Looks at the screens as text, presses keys, changes the window's size, and finds
the terminal as it was after every way to end.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata

from sink_cluster import Cluster, skip, wait_for

BARS = re.compile("[▁▂▃▄▅▆▇█]{4,}")


class Terminal:
    """A terminal of tmux, by a server of its own, with a shell in it."""

    def __init__(self, cluster, columns, rows):
        self.tmux_command = ["tmux", "-L", f"sink-test-{os.getpid()}-{columns}", "-f", "/dev/null"]
        environment = dict(os.environ, LC_ALL="C.UTF-8", PS1="$ ", SHELL="/bin/sh", SINK_COORDINATOR=cluster.address,
                           PATH=f"{cluster.bin}:{os.environ['PATH']}")
        self.tmux("new-session", "-d", "-x", columns, "-y", rows, "env", "PS1=$ ", "sh", env=environment)
        wait_for("the shell's prompt", 10, lambda: "$" in self.screen())

    def tmux(self, *words, **options):
        return subprocess.run([*self.tmux_command, *map(str, words)], text=True, check=True, capture_output=True,
                              **options).stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def line(self, text):
        self.keys("-l", text)
        self.keys("Enter")

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def codes(self):
        return self.tmux("capture-pane", "-p", "-e")

    def wait_for(self, what, condition, seconds=30):
        def seen():
            text = self.screen()
            return text if condition(text) else None
        try:
            return wait_for(what, seconds, seen)
        except AssertionError:
            print(self.screen(), file=sys.stderr)
            raise

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def child(self):
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        found = subprocess.run(["ps", "--ppid", shell, "-o", "pid=,comm="], text=True, capture_output=True).stdout
        return [int(line.split()[0]) for line in found.splitlines() if "sinkctl" in line]

    def settings(self, mark):
        """What stty says of the terminal, when nothing but the shell uses it."""
        self.line(f"clear; stty -g; echo {mark}")
        text = self.wait_for("stty has answered", lambda text: re.search(f"^{mark}", text, re.M))
        return re.search("^[0-9a-f]+:[0-9a-f:]+$", text.replace("\n" + " ", ""), re.M).group(0)

    def close(self):
        subprocess.run([*self.tmux_command, "kill-server"], capture_output=True)


def width(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def look(text, columns, rows):
    lines = text.rstrip("\n").split("\n")
    assert len(lines) <= rows, text
    assert all(width(line) <= columns for line in lines), text
    assert "SWEEP" in text and "live" in text and "worker-1" in text and "q quit" in lines[-1], text


def live(text):
    """A job runs and both of its curves are drawn."""
    return any("running" in line and len(BARS.findall(line)) >= 2 for line in text.splitlines())


def try_at(cluster, columns, rows):
    terminal = Terminal(cluster, columns, rows)
    try:
        before = terminal.settings("before")
        terminal.line("sinkctl top")
        text = terminal.wait_for("curves of running jobs", live, seconds=60)
        look(text, columns, rows)
        print(f"--- {columns} columns\n{text}")
        assert ("WORKER" in text.split("jobs of")[1].splitlines()[1]) == (columns >= 200), text

        terminal.keys("j", "j")
        terminal.wait_for("a job is chosen", lambda text: re.search(r"^>[0-9a-f]{8}", text, re.M))
        terminal.keys("o", "o", "r")
        terminal.wait_for("an order", lambda text: "by step, the largest first" in text)
        terminal.keys("/")
        terminal.keys("-l", "0.004")
        terminal.keys("Enter")
        filtered = terminal.wait_for("a filter", lambda text: 'with "0.004"' in text)
        assert "0.004" in filtered.split("jobs of")[1] and " 0.001" not in filtered, filtered
        terminal.keys("Escape")
        terminal.keys("s")
        terminal.wait_for("a sweep is chosen", lambda text: "jobs of live" in text)
        terminal.keys("Enter")
        terminal.wait_for("a log", lambda text: "log of" in text and "Escape back" in text)
        terminal.keys("Escape")
        terminal.wait_for("the jobs again", lambda text: "jobs of live" in text)

        # tmux itself cuts the upper lines off before the program hears of the size: a drawn screen has its head again.
        terminal.resize(100, 30)
        look(terminal.wait_for("a screen of the new size", lambda text: text.rstrip("\n").count("\n") == 29 and
                               "q quit" in text and text.startswith("sink at")), 100, 30)
        terminal.resize(columns, rows)

        terminal.keys("q")
        terminal.wait_for("the shell again", lambda text: "SWEEP" not in text)
        wait_for("it ends", 10, lambda: not terminal.child())  # until then it may read what the shell is to read
        assert terminal.settings("quit") == before
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV):
            terminal.line("ulimit -c 0; sinkctl top")
            terminal.wait_for("top again", lambda text: "q quit" in text)
            [pid] = terminal.child()
            os.kill(pid, number)
            wait_for(f"it ends by {number.name}", 10, lambda: not terminal.child())
            assert terminal.settings(f"after-{int(number)}") == before, number.name

        terminal.line("clear; NO_COLOR=1 sinkctl top")
        terminal.wait_for("top without colours", lambda text: live(text) and "q quit" in text)
        assert not re.search(r"\x1b\[[0-9;]*m", terminal.codes().replace("\x1b[0m", "").replace("\x1b[39m", "")), \
            terminal.codes()
        terminal.keys("C-c")
    finally:
        terminal.close()


def main():
    if not shutil.which("tmux"):
        skip("no tmux on this machine; deploy/bootstrap.sh --tests installs it")
    with Cluster(sys.argv[2]) as cluster:
        cluster.pack_corpus()
        cluster.start_coordinator()
        cluster.start_worker("worker-1", "cpu:2")
        cluster.submit("live", steps=100000, rates=["1e-3", "4e-3", "2e-3"])
        for columns, rows in ((80, 24), (200, 50)):
            try_at(cluster, columns, rows)
        # Elsewhere it is a text, once.
        text = cluster.sinkctl("top")
        assert live(text) and "q quit" not in text and "\x1b" not in text, text


if __name__ == "__main__":
    main()
