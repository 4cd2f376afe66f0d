// See data_folder.h.
#include "worker/data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "coordinator/files/file_status.h"
#include "coordinator/identity/credential.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink::worker {
namespace {

constexpr size_t kIdDigits = 32, kBeganDigits = 16;

// The file worker.id: a line with the worker's id, and one with when its newest daemon began.
struct Identity {
  std::string worker_id;
  uint64_t began = 0;  // ms since 1970, or one more than the daemon before
};

bool IsHex(absl::string_view text) { return std::all_of(text.begin(), text.end(), absl::ascii_isxdigit); }

absl::Status DamagedIdentity(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat(
      path, " is damaged: its first line is not the id of a worker, ", kIdDigits,
      " hex digits. Write the id there that `sinkctl workers --json` has for this worker; or remove the file to begin ",
      "as a new worker, which gives up the jobs that this one holds and what it has still to deliver"));
}

// Of a daemon that begins now: what the file says, or a new id where there is no file.
absl::StatusOr<Identity> TakeUpIdentity(const std::string& path) {
  const auto text = files::ReadFile(path, 4096);
  if (!text.ok() && text.error().code() == EFBIG) return DamagedIdentity(path);
  if (!text.ok() && text.error().code() != ENOENT) return ToStatus(text.error());
  Identity identity;
  if (text.ok()) {
    const std::vector<std::string> lines = absl::StrSplit(*text, '\n');
    if (lines[0].size() != kIdDigits || !IsHex(lines[0])) return DamagedIdentity(path);
    identity.worker_id = lines[0];
    if (lines.size() > 1 && !absl::SimpleHexAtoi(lines[1], &identity.began)) identity.began = 0;
  } else {
    identity.worker_id = files::RandomId();
  }
  const auto now = static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMillis(absl::Now())));
  identity.began = std::max(identity.began + 1, now);
  const std::string written = absl::StrCat(identity.worker_id, "\n", absl::Hex(identity.began, absl::kZeroPad16), "\n");
  if (const auto failed = files::ReplaceFile(path, written)) return ToStatus(failed);
  return identity;
}

}  // namespace

absl::StatusOr<DataFolder> DataFolder::Open(const std::string& path) {
  DataFolder folder;
  if (const auto failed = files::MakeFolders(path)) return ToStatus(failed);
  std::error_code error;
  folder.path_ = std::filesystem::canonical(path, error).string();
  if (error) return SystemStatus(error.value(), "open", path);

  // In a folder that somebody else made, in /tmp say, that user could read leases and change what jobs are.
  if (absl::Status status = identity::CloseFolder(folder.path_); !status.ok()) return status;

  const std::string lock_path = absl::StrCat(folder.path_, "/lock");
  auto lock = files::Open(lock_path, O_RDWR | O_CREAT);
  if (!lock.ok()) return ToStatus(lock.error());
  const auto locked = files::TryLock(*lock, lock_path);
  if (!locked.ok()) return ToStatus(locked.error());
  if (!*locked) {
    const auto read = files::ReadFile(lock_path, 64);
    const std::string holder = read.ok() ? *read : "";
    return absl::FailedPreconditionError(absl::StrCat(folder.path_, " is in use by another sink-worker (pid ", holder,
                                                      "); give each worker its own --data folder"));
  }
  const std::string pid = absl::StrCat(getpid());
  if (ftruncate(lock->get(), 0) != 0) return SystemStatus(errno, "write", lock_path);
  if (const auto failed = files::WriteAll(*lock, lock_path, pid)) return ToStatus(failed);
  folder.lock_ = *std::move(lock);

  // Where no attempt could have a folder each job would fail here.
  if (const auto failed = files::MakeFolders(absl::StrCat(folder.path_, "/jobs"))) return ToStatus(failed);

  auto identity = TakeUpIdentity(absl::StrCat(folder.path_, "/worker.id"));
  if (!identity.ok()) return identity.status();
  folder.worker_id_ = std::move(identity->worker_id);
  folder.session_ = absl::StrCat(absl::Hex(identity->began, absl::kZeroPad16), files::RandomId().substr(kBeganDigits));
  return folder;
}

}  // namespace sink::worker
