// See data_folder.h.
#include "worker/data_folder.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/identity/credential.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink::worker {
namespace {

constexpr size_t kIdDigits = 32;

// The id in the file, or a new one when the file is missing or damaged.
absl::StatusOr<std::string> LoadOrMakeId(const std::string& path) {
  const auto text = files::ReadFile(path, 4096);
  if (text.ok() && text->size() >= kIdDigits) {
    std::string id = text->substr(0, kIdDigits);
    if (std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isxdigit(c); })) return id;
  }
  if (!text.ok() && text.error().code() != ENOENT) return ToStatus(text.error());
  std::string id = files::RandomId();
  if (const auto failed = files::ReplaceFile(path, id + "\n")) return ToStatus(failed);
  return id;
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

  auto id = LoadOrMakeId(absl::StrCat(folder.path_, "/worker.id"));
  if (!id.ok()) return id.status();
  folder.worker_id_ = *std::move(id);
  return folder;
}

}  // namespace sink::worker
