// See data_folder.h.
#include "worker/data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sink::worker {
namespace {

constexpr size_t kIdDigits = 32;

// The id in the file, or a new one when the file is missing or damaged.
absl::StatusOr<std::string> LoadOrMakeId(const std::string& path) {
  auto text = ReadFile(path, 4096);
  if (text.ok() && text->size() >= kIdDigits) {
    std::string id = text->substr(0, kIdDigits);
    if (std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isxdigit(c); })) return id;
  }
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  std::string id = RandomId();
  if (auto status = WriteFileDurably(path, id + "\n"); !status.ok()) return status;
  return id;
}

}  // namespace

absl::StatusOr<DataFolder> DataFolder::Open(const std::string& path) {
  DataFolder folder;
  if (auto status = MakeFolders(path); !status.ok()) return status;
  std::error_code error;
  folder.path_ = std::filesystem::canonical(path, error).string();
  if (error) return ErrnoStatus(absl::StrCat("open ", path), error.value());

  const std::string lock_path = absl::StrCat(folder.path_, "/lock");
  folder.lock_ = Fd(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!folder.lock_.valid()) return ErrnoStatus(absl::StrCat("open ", lock_path), errno);
  if (flock(folder.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(absl::StrCat("lock ", lock_path), errno);
    const std::string holder = ReadFile(lock_path, 64).value_or("");
    return absl::FailedPreconditionError(absl::StrCat(folder.path_, " is in use by another sink-worker (pid ", holder,
                                                      "); give each worker its own --data folder"));
  }
  const std::string pid = absl::StrCat(getpid());
  if (ftruncate(folder.lock_.get(), 0) != 0) return ErrnoStatus(absl::StrCat("write ", lock_path), errno);
  if (auto status = WriteAll(folder.lock_.get(), pid); !status.ok()) return status;

  auto id = LoadOrMakeId(absl::StrCat(folder.path_, "/worker.id"));
  if (!id.ok()) return id.status();
  folder.worker_id_ = *std::move(id);
  return folder;
}

std::string RandomId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&id, "%08x", random());
  return id;
}

}  // namespace sink::worker
