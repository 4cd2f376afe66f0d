"""Reads what sync_watch.c wrote down, and finds each name that was promised before it was safe from a power cut.

A file or folder counts from when it gets its final name by a rename. The rules:
1. Before that, every byte of it was synced, and every name in it by a sync of the folder that has the name.
2. After that, the thread that renamed it syncs the folder around it, and does nothing else before: it tells nobody, and
   touches no other file. Whoever it then wakes, answers or returns to has the name for good.
3. By then the names of the folders around it are safe as well, up to the one that is watched.
4. A lease.json that goes, goes for good in the same way: as in 2.
5. What is uploaded to the coordinator is synced twice: by the call that wrote it, so that a commit need not wait for
   all of it, and by the commit, as an earlier process may have written it.

"Before" is the order of lines; a sync covers what was done before it was called. Names that nobody takes for whole, and
those of EXEMPT, are let go. SQLite looks after its own files (tests/simulator has a disk that forgets for them).
"""
import collections
import os
import re

EXEMPT = {
    r"/upload/step-\d+$": "links to synced files, and counts only with its .seq, which syncs the folder; what a power "
                          "cut leaves of it is read against its manifest before it is sent",
    r"\.(tmp-\d+|corrupt-\d+|part)$": "goes, was damaged, or is to be repaired: nobody takes it for whole",
    r"\.db(\.replaced(-\d+)?)?-commits$": "its commit was synced before it; it may be behind, and be gone",
    r"/config/sink/[^/]+$": "a link to the credential, made anew by each start",
}
SQLITE = re.compile(r"\.db(\.part)?(-wal|-shm|-journal)?$")
UPLOADED = re.compile(r"/checkpoints/[0-9a-f]{32}/\d+/step-\d+$")  # at the coordinator
LEASE = re.compile(r"/lease\.json$")

Event = collections.namedtuple("Event", "pid thread what inode path to")


def read_events(text):
    events = []
    for line in text.splitlines():
        pid, thread, what, inode, path, *to = line.split("\t")
        path, to = os.path.normpath(path), os.path.normpath(to[0]) if to else None
        if to or not SQLITE.search(path):
            events.append(Event(int(pid), int(thread), what, int(inode), path, to))
    return events


def without_sync(events, number):
    """The events without this sync, and without those of the same folder or file that the thread makes right before and
    after it, of which any alone would do."""
    sync = events[number]
    of_thread = [at for at, event in enumerate(events) if event.thread == sync.thread]
    place = of_thread.index(number)
    gone = {number}
    for steps in (of_thread[place::-1], of_thread[place:]):
        for at in steps:
            if events[at].path != sync.path or events[at].what not in ("sync", "sync-begin"):
                break
            gone.add(at)
    return [event for at, event in enumerate(events) if at not in gone]


class Disk:
    """What is known of the files and folders below `root` after some events. Times are numbers of events."""

    def __init__(self, root):
        self.root = str(root)
        self.programs = {}  # pid -> name
        self.inodes = {}    # path -> inode, of files
        self.written = {}   # inode -> when its bytes last changed
        self.synced = {}    # inode -> up to when they are safe
        self.syncs = collections.defaultdict(list)  # inode -> its syncs since its bytes last changed
        self.names = collections.defaultdict(dict)  # folder -> {name: when it last came or went}
        self.folder_synced = {}  # folder -> up to when its names are safe
        self.folder_syncs = collections.defaultdict(list)  # folder -> (when each sync of it was called, when it ended)
        self.begun = {}     # (thread, inode) -> when the sync that runs was called
        self.owed = {}      # thread -> (path, its folder): a name that came or went, whose folder is to be synced next
        self.seen = set()   # (program, "came" or "went", path) of every name that was checked
        self.needed = set()  # syncs by which a promise holds
        self.faults = []    # what was promised too early

    def fault(self, event, text):
        self.faults.append(f"{self.programs.get(event.pid, event.pid)}: {text}")

    def short(self, path):
        return os.path.relpath(path, self.root)

    def note(self, event, what, path):
        self.seen.add((self.programs.get(event.pid), what, self.short(path)))

    def run(self, events):
        for now, event in enumerate(events):
            self.settle(now, event)
            getattr(self, "on_" + event.what.replace("-", "_"))(now, event)
        for path, folder in self.owed.values():
            self.faults.append(f"{self.short(path)}: its folder was never synced after the name came or went")
        return self

    def settle(self, now, event):
        """Rule 2: the next thing that a thread does which owes a sync is that sync."""
        if event.thread not in self.owed:
            return
        path, folder = self.owed[event.thread]
        if event.what in ("sync-begin", "sync") and event.path == folder:
            if event.what == "sync":
                del self.owed[event.thread]
                self.needed.add(now)
                self.check_above(event, path)
            return
        del self.owed[event.thread]
        self.fault(event, f"{self.short(path)}: its folder is not synced next: before comes "
                          f"{event.what} {self.short(event.path)}")

    def on_start(self, now, event):
        self.programs[event.pid] = os.path.basename(event.path)

    def on_tell(self, now, event):
        pass

    def changed(self, now, path):
        folder, name = os.path.split(path)
        self.names[folder][name] = now

    def on_write(self, now, event):
        self.written[event.inode] = now
        self.syncs[event.inode] = []

    def on_truncate(self, now, event):
        self.on_write(now, event)
        self.inodes[event.path] = event.inode

    def on_create(self, now, event):
        self.synced.pop(event.inode, None)  # the number may have been another file's
        self.on_truncate(now, event)
        self.changed(now, event.path)

    def on_mkdir(self, now, event):
        for table in (self.names, self.folder_synced, self.folder_syncs):
            table.pop(event.path, None)
        self.changed(now, event.path)

    def on_link(self, now, event):
        self.inodes[event.to] = event.inode
        self.changed(now, event.to)

    def on_unlink(self, now, event):
        self.inodes.pop(event.path, None)
        self.changed(now, event.path)
        if LEASE.search(event.path):
            self.owed[event.thread] = event.path, os.path.dirname(event.path)
            self.note(event, "went", event.path)

    def on_rmdir(self, now, event):
        self.names.pop(event.path, None)
        self.changed(now, event.path)

    def on_sync_begin(self, now, event):
        self.begun[event.thread, event.inode] = now

    def on_sync(self, now, event):
        begun = self.begun.get((event.thread, event.inode), -1)
        self.synced[event.inode] = self.folder_synced[event.path] = begun
        self.syncs[event.inode].append(now)
        self.folder_syncs[event.path].append((begun, now))

    def on_rename(self, now, event):
        if not any(re.search(pattern, event.to) for pattern in EXEMPT):
            self.check_renamed(event)
            self.owed[event.thread] = event.to, os.path.dirname(event.to)
            self.note(event, "came", event.to)
        for table in (self.inodes, self.names, self.folder_synced, self.folder_syncs):
            for path in [path for path in table if path == event.to or path.startswith(event.to + "/")]:
                del table[path]
            for path in [path for path in table if path == event.path or path.startswith(event.path + "/")]:
                table[event.to + path[len(event.path):]] = table.pop(path)
        self.changed(now, event.path)
        self.changed(now, event.to)

    def is_safe(self, folder, name):
        return self.names.get(folder, {}).get(name, -1) <= self.folder_synced.get(folder, -1)

    def check_renamed(self, event):
        """Rules 1 and 5."""
        is_upload = self.programs.get(event.pid) == "sink-coordinator" and UPLOADED.search(event.to)
        below = event.path + "/"
        for path, inode in self.inodes.items():
            if path != event.path and not path.startswith(below):
                continue
            final = self.short(event.to + path[len(event.path):])
            if self.written.get(inode, -1) > self.synced.get(inode, -1):
                self.fault(event, f"{final}: its bytes were not synced when it got this name")
            needed = 2 if is_upload and not path.endswith("/.files") else 1
            self.needed.update(self.syncs[inode][-needed:])
            if len(self.syncs[inode]) == 1 < needed:
                self.fault(event, f"{final}: its bytes were synced once, and not by the upload and by the commit")
        for folder in self.names:
            if folder == event.path or folder.startswith(below):
                # Of two that came after the last change each alone would do.
                changed = max(self.names[folder].values(), default=-1)
                enough = [ended for begun, ended in self.folder_syncs[folder] if begun >= changed]
                self.needed.update(enough if len(enough) == 1 else [])
                for name in self.names[folder]:
                    if not self.is_safe(folder, name):
                        final = self.short(event.to + folder[len(event.path):])
                        self.fault(event, f"{final}: the folder was not synced after {name} came or went there")

    def check_above(self, event, path):
        """Rule 3."""
        folder = os.path.dirname(path)
        while folder != self.root:
            above, name = os.path.split(folder)
            if not self.is_safe(above, name):
                self.fault(event, f"{self.short(path)}: its folder {self.short(folder)} has no safe name: "
                                  f"{self.short(above)} was not synced after it was made")
            folder = above
