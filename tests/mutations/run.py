#!/usr/bin/env python3
"""Takes protections out of the programs, one at a time, and sees that a test misses each: a fence check, an fsync,
the comparison of a hash. A mutation that no test misses survives, and the run ends with status 1.

Usage: run.py [--only NAME ...] [--work FOLDER] [--jobs N]
       run.py --list
       run.py --check       only that each text is where the table says, once, and that its test exists (in CTest)

What is committed (HEAD) is built in FOLDER, build/mutations unless it is named: a git worktree in FOLDER/source and
the preset `dev` in FOLDER/build, both kept for the next run. First the tests run on the programs as they are, and must
be green. Then, for each mutation: the text is replaced, its targets are built, its test must fail and say what is
expected, the text is put back. That takes as long as building the project once, and then some minutes a mutation;
Ctrl-C leaves nothing of a mutation behind. One that does not compile is a mistake of the table, and counts as survivor.
"""
import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SYNC_TEST = "nothing_counts_before_it_is_synced"
# All of them each time: the mutation before may still be in one.
SYNC_TARGETS = ["sink-coordinator", "sink-worker", "sink-trainer", "sinkctl", "sink-data", "sink-backup",
                "sink_sync_watch"]


@dataclasses.dataclass
class Mutation:
    name: str
    file: str
    text: str          # occurs once in the file
    replacement: str
    targets: list      # what is built
    test: str          # "Suite.Name" of the first target, or the name of a test of CTest
    says: str = ""     # what the test must say, a regular expression

    def command(self, build):
        if "." not in self.test:
            return ["ctest", "--test-dir", build, "--no-tests=error", "--output-on-failure", "-R", f"^{self.test}$"]
        return [build / "tests-bin" / self.targets[0], f"--gtest_filter={self.test}"]


def core(name, file, text, replacement, test):
    return Mutation(name, f"coordinator/core/{file}", text, replacement, ["test_coordinator_core"], test)


def sync(name, file, text, says, replacement=""):
    return Mutation(name, file, text, replacement, SYNC_TARGETS, SYNC_TEST, says)


MUTATIONS = [
    # Who may act for a job.
    core("fence", "current_lease.cc", "job.lease() == lease &&",
         "job.lease().id == lease.id && job.lease().attempt == lease.attempt &&",
         "LeaseTest.EveryPartOfTheLeaseIsChecked"),
    core("lease", "current_lease.cc", "job.lease() == lease && ", "", "LeaseTest.EveryPartOfTheLeaseIsChecked"),
    core("holder", "current_lease.cc", " && job.holder.worker_id == worker_id", "",
         "LeaseTest.EveryPartOfTheLeaseIsChecked"),
    core("member", "current_lease.cc", "if (member.lease(job.attempt) == lease) return", "return",
         "GangTest.EveryPartOfAMembersLeaseIsChecked"),
    core("session", "current_lease.cc", "if (worker.session == session) return worker;", "if (true) return worker;",
         "LeaseTest.UnknownWorkersAndOlderSessionsAreRefused"),
    core("late-registration", "worker_calls.cc",
         "    if (before.ok() && IsEarlierSession(request.session, before->session)) return StaleSession(*before);\n",
         "",
         "LeaseTest.TheRegistrationOfADaemonThatIsGoneIsRefusedHoweverLateItComes"),
    core("epoch", "job_manager.cc", "rows.SetEpoch(++epoch)", "rows.SetEpoch(epoch)",
         "LeaseTest.FencesGrowAcrossRestarts"),
    # A database that has not all that it acknowledged would give its fences again.
    Mutation("lost-commits", "coordinator/store/lost_commits.cc",
             "  SINK_RETURN_IF_ERROR(CheckCommits(database, Use::kAlone));\n", "",
             ["test_coordinator_store"], "LostCommitsTest.ALostOrShortenedLogIsRefusedAndNothingIsChanged"),
    Mutation("count-of-commits", "coordinator/store/sqlite_db.cc", "    ++count.commits;\n", "",
             ["test_coordinator_store"], "LostCommitsTest.ALostOrShortenedLogIsRefusedAndNothingIsChanged"),
    # Each event once, in order, and before what rests on it.
    core("event-gap", "event_effects.cc", "    if (event.seq > cursor + 1) return false;\n", "",
         "JobTest.EveryEventTakesEffectOnce"),
    core("event-repeated", "event_effects.cc", "if (event.seq > job->event_cursor) applier", "applier",
         "JobTest.EveryEventTakesEffectOnce"),
    core("events-before-checkpoint", "worker_calls.cc", "if (job.event_cursor < commit.events_seq) {", "if (false) {",
         "JobTest.ACheckpointIsCommittedOnlyAfterItsEvents"),
    core("events-before-end", "worker_calls.cc",
         "    if (job.event_cursor < request.last_seq) return MissingEvents(job.event_cursor + 1);\n", "",
         "JobTest.FinishWaitsForTheEventsAndAnswersARepetitionAlike"),
    # Wrong bytes are never taken for a checkpoint.
    Mutation("hash-of-upload", "coordinator/service/checkpoint_repository.cc",
             "if (*digest != files::FileDigest{file.size, file.xxh3}) {", "if (digest->size != file.size) {",
             ["test_coordinator_service"], "WorkerServiceTest.CorruptedBytesAreRefusedAtCommitAndSentAgain"),
    Mutation("hash-of-stored", "coordinator/service/checkpoint_repository.cc", "if (hasher.Digest() != file.xxh3)",
             "if (hasher.Digest().empty())", ["test_coordinator_service"],
             "CheckpointRepository.NoDamagePassesForWhole"),
    Mutation("hash-of-fetched", "worker/resume.cc", "return ToStatus(run::VerifyCheckpoint(folder, *manifest));",
             "return absl::OkStatus();", ["test_worker"], "DaemonTest.DamagedCheckpointIsNeverHandedToATrainer"),
    Mutation("manifest-of-fetched", "worker/resume.cc", "manifest->hash != checkpoint.manifest_hash() || ", "",
             ["test_worker"], "DaemonTest.DamagedCheckpointIsNeverHandedToATrainer"),
    Mutation("hash-of-loaded", "model/train/run/saved_checkpoints.cc",
             "  if (files::FileError error = run::VerifyCheckpoint(folder, *manifest)) return error;\n", "",
             ["test_model_train_run"], "SavedCheckpointsTest.AnyFlippedByteIsFoundAndThePreviousOneUsed"),
    # Nothing counts before it is on the disk.
    sync("sync-of-replaced-file", "proto/files/files.cc",
         "    if (FileError error = Sync(*fd, path)) return error;\n    // Some network",
         r"lease\.json: its bytes were not synced", "    // Some network"),
    sync("sync-around-replaced-file", "proto/files/files.cc", "return SyncFolder(folder);",
         r"lease\.json: its folder", "return {};"),
    sync("sync-around-made-folder", "proto/files/files.cc", "return SyncFolder(parent);", r"has no safe name",
         "return {};"),
    sync("sync-around-renamed-folder", "proto/files/files.cc", "return SyncFolder(FolderOf(to));",
         r"worker/.*/checkpoints/step-\d+: its folder", "return {};"),
    sync("sync-of-coordinators-folder", "coordinator/server.cc", "files::MakeFolders(options.data)",
         r"its folder coordinator has no safe name", "files::FileError()"),
    sync("sync-of-saved-files", "proto/run/manifest.cc",
         "    if (FileError failed = files::SyncFile(path)) return failed;\n",
         r"worker/.*/optimizer\.state: its bytes were not synced"),
    sync("sync-of-manifest", "proto/run/manifest.cc", "/*sync=*/true", r"worker/.*/manifest\.json: its bytes were not",
         "/*sync=*/false"),
    sync("sync-of-saved-folder", "model/train/run/saved_checkpoints.cc",
         "    OrThrow<InfraError>(files::SyncFolder(temporary));\n",
         r"worker/.*/step-\d+: the folder was not synced"),
    sync("sync-of-upload", "coordinator/service/checkpoint_repository.cc",
         "return ToStatus(fd.ok() ? files::Sync(*fd, path) : fd.error());",
         r"coordinator/.*: its bytes were synced once",
         "return ToStatus(fd.ok() ? files::FileError() : fd.error());"),
    sync("sync-of-commit", "coordinator/service/checkpoint_repository.cc", "return ToStatus(files::Sync(*fd, path));",
         r"coordinator/.*: its bytes were synced once", "return absl::OkStatus();"),
    sync("sync-of-stored-folder", "coordinator/service/checkpoint_repository.cc",
         "    if (absl::Status status = ToStatus(files::SyncFolder(folder)); !status.ok()) return status;\n",
         r"coordinator/.*/step-\d+: the folder was not synced"),
    sync("sync-around-stored-folder", "coordinator/service/checkpoint_repository.cc",
         "  if (absl::Status status = ToStatus(files::SyncFolder(FencePath(key))); !status.ok()) return status;\n",
         r"coordinator/.*/step-\d+: its folder"),
    sync("sync-around-closed-lease", "worker/run_folder.cc", "return ToStatus(files::SyncFolder(path_));",
         r"lease\.json: its folder", "return absl::OkStatus();"),
    sync("sync-of-staged-folder", "proto/files/staged_folder.cc",
         "  if (FileError failed = SyncFolder(path_)) return failed;\n", r"model: the folder was not synced"),
    sync("sync-around-staged-folder", "proto/files/staged_folder.cc", "return SyncFolder(FolderOf(target_));",
         r"data/tiny: its folder", "return {};"),
    sync("sync-of-backup", "coordinator/backup/backup.cc", "return ToStatus(files::Sync(*target, to));",
         r"copy/.*: its bytes were not synced", "return absl::OkStatus();"),
    sync("sync-of-backups-folder", "coordinator/backup/backup.cc", "return ToStatus(files::SyncFolder(to));",
         r"copy/.*/step-\d+: the folder was not synced", "return absl::OkStatus();"),
]


def faults_of_table():
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*_test.cc"))
    entries = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("CMakeLists.txt"))
    for mutation in MUTATIONS:
        found = (ROOT / mutation.file).read_text().count(mutation.text)
        if found != 1:
            yield f"{mutation.name}: {mutation.file} has its text {found} times, not once"
        suite, _, name = mutation.test.partition(".")
        known = re.search(rf"\bTEST(_F)?\({suite}, {name}\)", tests) if name else f"NAME {suite} " in entries
        if not known:
            yield f"{mutation.name}: there is no test {mutation.test}"
    names = [mutation.name for mutation in MUTATIONS]
    yield from (f"{name}: named twice" for name in sorted(set(names)) if names.count(name) > 1)


class Tree:
    """The worktree and its build folder."""

    def __init__(self, work, jobs):
        self.source, self.build, self.jobs = work / "source", work / "build", jobs
        head = self.git(ROOT, "rev-parse", "HEAD").strip()
        if not self.source.exists():
            work.mkdir(parents=True, exist_ok=True)
            self.git(ROOT, "worktree", "prune")
            self.git(ROOT, "worktree", "add", "--detach", self.source, head)
        self.git(self.source, "checkout", "--detach", "--force", head)
        subprocess.run(["cmake", "--preset", "dev", "-B", self.build], cwd=self.source, check=True, capture_output=True)

    @staticmethod
    def git(folder, *arguments):
        return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout

    def make(self, targets):
        """Empty, or what the compiler said."""
        result = subprocess.run(["cmake", "--build", self.build, "-j", str(self.jobs), "--target", *targets], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.stdout if result.returncode else ""

    def run(self, mutation):
        """The exit status of its test, and what it said."""
        environment = dict(os.environ, SINK_BIN_DIR=str(self.build / "bin"), SINK_SOURCE_DIR=str(self.source),
                           XDG_CONFIG_HOME=str(self.build / "tests-config"))
        result = subprocess.run(mutation.command(self.build), text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, errors="replace", env=environment)
        return result.returncode, result.stdout

    def try_without(self, mutation):
        """How the mutation is missed; None when it survives."""
        path = self.source / mutation.file
        whole = path.read_text()
        path.write_text(whole.replace(mutation.text, mutation.replacement))
        try:
            if said := self.make(mutation.targets):
                print(said[-3000:])
                return None
            status, said = self.run(mutation)
        finally:
            path.write_text(whole)
        if status == 0 or not re.search(mutation.says, said):
            print(said[-3000:])
            return None
        missed = re.search(rf".*(?:{mutation.says}).*", said) if mutation.says else None
        return missed.group().strip() if missed else f"{mutation.test} fails"


def check_green(tree, mutations):
    targets = dict.fromkeys(target for mutation in mutations for target in mutation.targets)
    if said := tree.make(targets):
        sys.exit(f"the project as it is does not build:\n{said[-3000:]}")
    for mutation in {mutation.test: mutation for mutation in mutations}.values():
        status, said = tree.run(mutation)
        if status != 0 or "." in mutation.test and "[  PASSED  ] 1 test." not in said:
            sys.exit(f"{mutation.test} is not green on the project as it is:\n{said[-3000:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/mutations", metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    faults = list(faults_of_table())
    if faults:
        sys.exit("\n".join(faults))
    if options.check:
        return
    mutations = [mutation for mutation in MUTATIONS if not options.only or mutation.name in options.only]
    unknown = set(options.only or []) - {mutation.name for mutation in mutations}
    if unknown:
        parser.error(f"no mutation is called {', '.join(sorted(unknown))}; --list has them")
    if options.list:
        for mutation in mutations:
            print(f"{mutation.name:32} {mutation.file:48} {mutation.test}")
        return

    tree = Tree(options.work.resolve(), options.jobs)
    check_green(tree, mutations)
    survivors = []
    for mutation in mutations:
        began = time.monotonic()
        missed = tree.try_without(mutation)
        if missed is None:
            survivors.append(mutation.name)
        print(f"{'missed' if missed else 'SURVIVES':10} {mutation.name:32} {time.monotonic() - began:5.0f} s  "
              f"{missed or mutation.test}", flush=True)
    print(f"{len(mutations) - len(survivors)} of {len(mutations)} mutations are missed")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
