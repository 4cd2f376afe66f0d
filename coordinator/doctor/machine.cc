#include "coordinator/doctor/machine.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "coordinator/doctor/set_bytes.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/commit_witness.h"
#include "coordinator/store/wal_check.h"
#include "proto/files/control_group.h"
#include "proto/files/shell_word.h"
#include "proto/run/set_gap.h"
#include "proto/run/set_hashes.h"

namespace sink::doctor {
namespace {

namespace fs = std::filesystem;

constexpr int kLeastDriver = 580;  // CUDA 13's, by the table of NVIDIA's release notes
constexpr int64_t kLeastOpenFiles = 4096;
constexpr int64_t kLeastSharedMemory = int64_t{64} << 20;
constexpr int64_t kLeastRoom = int64_t{1} << 30;
constexpr uint64_t kBytesASecond = 1'000'000'000;  // that a disk may read

std::string MiB(int64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); }

class MachineDoctor {
 public:
  explicit MachineDoctor(const Machine& machine) : machine_(machine) {}

  void Limits() {
    if (machine_.open_files < kLeastOpenFiles)
      Fault("this machine", absl::StrCat("a process may open ", machine_.open_files, " files"),
            absl::StrCat("raise it to ", kLeastOpenFiles, " or more (ulimit -n, LimitNOFILE= of the unit)"));
  }

  void Gpus() {
    if (machine_.gpus > 0 && machine_.driver.empty()) {
      Fault("GPU", absl::StrCat(machine_.gpus, " device files, but no driver of NVIDIA's is loaded"),
            "load it (modprobe nvidia), or install it again for this kernel");
    } else if (!machine_.driver.empty() && std::atoi(machine_.driver.c_str()) < kLeastDriver) {
      Fault("GPU", absl::StrCat("NVIDIA's driver is ", machine_.driver, ", and CUDA 13 needs ", kLeastDriver),
            absl::StrCat("install driver ", kLeastDriver, " or newer"));
    } else if (!machine_.driver.empty() && machine_.gpus == 0) {
      Fault("GPU", "NVIDIA's driver is loaded, but there is no device file",
            "in a container: start it with --gpus all; else run nvidia-smi once as root");
    } else if (machine_.gpus == 0) {
      Good("GPU", "none: jobs run on processors");
    } else {
      Good("GPU", absl::StrCat(machine_.gpus, ", driver ", machine_.driver));
    }
    if (machine_.gpus > 0 && !machine_.nvml)
      Hint("GPU", "libnvidia-ml.so.1 cannot be opened: utilisation and memory stay unknown",
           "install the driver's utilities (package nvidia-utils or libnvidia-ml1)");
    if (machine_.gpus > 1 && machine_.shared_memory < kLeastSharedMemory)
      Fault("GPU", absl::StrCat("/dev/shm has ", MiB(machine_.shared_memory), " free, which NCCL may find too small"),
            "in a container: --shm-size=1g");
  }

  void ControlGroups() {
    if (machine_.no_groups.empty()) {
      Good("control groups", "a worker that is started as this program makes one for each trainer");
    } else {
      Hint("control groups",
           absl::StrCat(machine_.no_groups,
                        ": a worker that is started as this program finds what a trainer has "
                        "started by its mark alone, and cannot bound a trainer's memory"),
           "start it by the unit in deploy/systemd, or systemd-run --scope -p Delegate=yes");
    }
  }

  // A folder that the daemon writes into.
  bool Folder(const std::string& subject, const fs::path& folder, bool secret) {
    std::error_code error;
    fs::path place = folder;  // or what it will be made in
    while (!fs::exists(place, error) && place.has_parent_path() && place != place.parent_path())
      place = place.parent_path();
    if (!fs::is_directory(place, error)) {
      Fault(subject, absl::StrCat(place.string(), " is no folder"), "name another --data");
      return false;
    }
    if (access(place.c_str(), W_OK | X_OK) != 0) {
      Fault(subject, absl::StrCat(place.string(), " cannot be written by this user"),
            "chown it, or mount it writable (a disk that failed comes back read-only: look at dmesg)");
      return false;
    }
    if (const int64_t room = machine_.bytes_free(place); room >= 0 && room < kLeastRoom)
      Fault(subject, absl::StrCat(MiB(room), " free at ", place.string()),
            "free space, or name a --data on a larger disk");
    struct stat status {};
    if (secret && place == folder && stat(folder.c_str(), &status) == 0 && (status.st_mode & 0022) != 0)
      Fault(subject, absl::StrCat("others may write into ", folder.string()),
            absl::StrCat("chmod go-w ", folder.string()));
    return place == folder;
  }

  void Good(std::string subject, std::string what) { Add(Level::kGood, std::move(subject), std::move(what), ""); }
  void Hint(std::string subject, std::string what, std::string fix) {
    Add(Level::kHint, std::move(subject), std::move(what), std::move(fix));
  }
  void Fault(std::string subject, std::string what, std::string fix) {
    Add(Level::kFault, std::move(subject), std::move(what), std::move(fix));
  }
  size_t count() const { return findings_.size(); }
  std::vector<Finding> Take() { return std::move(findings_); }

 private:
  void Add(Level level, std::string subject, std::string what, std::string fix) {
    findings_.push_back({level, std::move(subject), std::move(what), std::move(fix)});
  }

  const Machine& machine_;
  std::vector<Finding> findings_;
};

// How `program --version` ended: its exit status, or -1 when it could not be run or was killed.
int RunVersion(const fs::path& program) {
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_WRONLY);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0) _exit(126);
    execl(program.c_str(), program.c_str(), "--version", static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void Trainer(MachineDoctor& doctor, const fs::path& trainer) {
  std::error_code error;
  if (!fs::exists(trainer, error)) {
    doctor.Fault("trainer", absl::StrCat("there is no ", trainer.string()),
                 "build sink-trainer, or name it with --trainer");
  } else if (access(trainer.c_str(), X_OK) != 0) {
    doctor.Fault("trainer", absl::StrCat(trainer.string(), " is not executable"),
                 absl::StrCat("chmod +x ", trainer.string()));
  } else if (const int status = RunVersion(trainer); status != 0) {
    doctor.Fault("trainer", absl::StrCat("`", trainer.string(), " --version` ends with ", status),
                 "run it by hand: a library of LibTorch or CUDA that is missing is named there");
  } else {
    doctor.Good("trainer", absl::StrCat(trainer.string(), " runs"));
  }
}

// Compares the bytes of sets whose files have the right sizes, until on_bytes ends that; returns how many of them are
// known to be right.
int Bytes(MachineDoctor& doctor, const std::vector<std::string>& sets, uint64_t total, const WorkerPlace& place) {
  int right = 0;
  uint64_t before = 0;  // of the sets that are done
  bool ended = false;
  const auto go_on = [&](uint64_t read) {
    ended = !place.on_bytes(before + read, total);
    return !ended;
  };
  for (const std::string& set : sets) {
    const uint64_t bytes = HashedBytes(set);
    if (bytes == 0) {
      doctor.Hint(
          "data sets", absl::StrCat(set, " has no hashes: its bytes cannot be compared"),
          absl::StrCat("sink-data pack again; or, where it is known to be right: cd ", files::ShellWord(set),
                       " && printf '%s\\0' *.bin | xargs -0 xxh128sum > .hashes && mv .hashes ", run::kSetHashesFile));
      continue;
    }
    const files::FileError other = ended ? files::FileError() : FindOtherBytes(set, go_on);
    if (ended) {
      doctor.Hint("data sets", absl::StrCat(set, " was not compared to its end"),
                  absl::StrCat("run doctor again; or this set alone: sink-data verify ", files::ShellWord(set)));
    } else if (other) {
      doctor.Fault("data sets", other.message(), "copy the set anew, or re-run sink-data pack");
    } else {
      ++right;
    }
    before += bytes;
  }
  return right;
}

void Sets(MachineDoctor& doctor, const WorkerPlace& place) {
  const fs::path root = place.data_root.empty() ? place.data / "sets" : place.data_root;
  std::error_code error;
  if (!fs::is_directory(root, error)) {
    doctor.Fault("data sets", absl::StrCat("there is no folder ", root.string()),
                 "make it with sink-data pack --out, or name another --data-root");
    return;
  }
  std::vector<std::string> whole;  // as far as their sizes tell
  int incomplete = 0;
  uint64_t total = 0;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (!entry.is_directory(error)) continue;
    const std::string set = entry.path().string();
    if (const auto gap = run::FindSetGap(set)) {
      ++incomplete;
      doctor.Fault("data sets",
                   absl::StrCat("a copy is not whole, and the worker takes no jobs for it: ", gap.message()),
                   "copy the set anew, or re-run sink-data pack");
    } else if (fs::exists(entry.path() / "set.json", error)) {
      whole.push_back(set);
      total += HashedBytes(set);
    } else {
      doctor.Hint("data sets", absl::StrCat(set, " has no set.json: it was not packed to the end"),
                  absl::StrCat("sink-data pack again, or remove it"));
    }
  }
  std::sort(whole.begin(), whole.end());  // a folder has no order of its own
  if (whole.empty()) {
    if (incomplete == 0)
      doctor.Fault("data sets", absl::StrCat("no packed set in ", root.string()), "make one with sink-data pack");
  } else if (place.on_bytes) {
    const int right = Bytes(doctor, whole, total, place);
    if (right > 0) doctor.Good("data sets", absl::StrCat(right, " in ", root.string(), ", compared byte by byte"));
  } else {
    const absl::Duration reading = absl::Seconds(1 + static_cast<int64_t>(total / kBytesASecond));
    doctor.Good("data sets", absl::StrCat(whole.size(), " in ", root.string(),
                                          ", as far as the sizes of their files tell; --bytes, or sink-data verify "
                                          "FOLDER, compares every byte (about ",
                                          absl::FormatDuration(reading), " at 1 GB a second)"));
  }
}

// For which the coordinator refuses to start; `why` says how to go on.
void RefusedStart(MachineDoctor& doctor, const absl::Status& why) {
  doctor.Fault("database", std::string(why.message()),
               "see to it before the coordinator is started again: until then it refuses to start here");
}

// SQLite says nothing of a write-ahead log that is damaged, and drops what stands behind the damage; nor does it miss a
// database that is gone.
bool LogIsWhole(MachineDoctor& doctor, const fs::path& database) {
  absl::Status status = store::CheckLog(database);
  const auto witness = store::ReadWitness(database);
  status.Update(witness.status());
  std::error_code ignored;
  if (status.ok() && *witness && !fs::exists(database, ignored)) {
    status = absl::DataLossError(absl::StrCat(database.string(), " is missing, and ", (*witness)->count.commits,
                                              " commits were acknowledged in it: put the file back, or ",
                                              store::HowToPutBack(database)));
  }
  if (absl::IsUnavailable(status)) {
    doctor.Hint("database", std::string(status.message()), "run doctor again, when less is written");
  } else if (!status.ok()) {
    RefusedStart(doctor, status);
  }
  return status.ok();
}

}  // namespace

int64_t BytesFree(const fs::path& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  return error ? -1 : static_cast<int64_t>(space.available);
}

Machine ThisMachine() {
  Machine out;
  std::ifstream version("/proc/driver/nvidia/version");
  if (std::string line; std::getline(version, line)) {
    for (const absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      if (std::count(word.begin(), word.end(), '.') < 1 || word[0] < '0' || word[0] > '9') continue;
      out.driver = std::string(word);
      break;
    }
  }
  std::error_code error;
  while (fs::exists(absl::StrCat("/dev/nvidia", out.gpus), error)) ++out.gpus;
  if (void* library = dlopen("libnvidia-ml.so.1", RTLD_LAZY)) {
    dlclose(library);
  } else {
    out.nvml = false;
  }
  struct rlimit limit {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    out.open_files = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_max, 1 << 30));
  out.shared_memory = std::max<int64_t>(0, BytesFree("/dev/shm"));
  out.no_groups = files::FindControlGroup().why_not;
  return out;
}

std::vector<Finding> ExamineWorker(const Machine& machine, const WorkerPlace& place) {
  MachineDoctor doctor(machine);
  doctor.Limits();
  doctor.Gpus();
  doctor.ControlGroups();
  if (doctor.Folder("worker's folder", place.data, /*secret=*/true))
    doctor.Good("worker's folder", place.data.string());
  Trainer(doctor, place.trainer);
  Sets(doctor, place);
  return doctor.Take();
}

std::vector<Finding> ExamineCoordinator(const Machine& machine, const fs::path& data) {
  MachineDoctor doctor(machine);
  doctor.Limits();
  if (!doctor.Folder("coordinator's folder", data, /*secret=*/true)) return doctor.Take();
  if (const absl::Status begun = store::RefuseBegunSalvage(data); !begun.ok()) {
    RefusedStart(doctor, begun);
    return doctor.Take();
  }
  const fs::path database = data / "sink.db";
  const bool whole = LogIsWhole(doctor, database);
  for (const char* beside : {"tls/identity.db", "tls/audit.db"}) LogIsWhole(doctor, data / beside);
  if (!whole) return doctor.Take();
  std::error_code error;
  if (!fs::exists(database, error)) {
    doctor.Hint("coordinator's folder", absl::StrCat("no database in ", data.string(), ": it was never started here"),
                absl::StrCat("sink-coordinator --data ", files::ShellWord(data.string()), " makes it"));
    return doctor.Take();
  }
  std::string magic(15, '\0');
  std::ifstream(database, std::ios::binary).read(magic.data(), static_cast<std::streamsize>(magic.size()));
  if (magic != "SQLite format 3") {
    doctor.Fault("database", absl::StrCat(database.string(), " is no SQLite database"),
                 "put the newest backup in its place; keep the damaged file");
  } else {
    doctor.Good("database", absl::StrCat(database.string(), ": its log is whole; whether it has all that it ",
                                         "acknowledged, the coordinator sees when it starts"));
  }
  return doctor.Take();
}

}  // namespace sink::doctor
