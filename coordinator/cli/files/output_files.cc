// See output_files.h.
#include "coordinator/cli/files/output_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sink::cli {
namespace {

namespace fs = std::filesystem;

absl::Status CannotWrite(const std::string& path, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", why));
}

absl::Status WriteAll(int fd, const std::string& path, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = write(fd, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return CannotWrite(path, std::strerror(errno));
    done += static_cast<size_t>(wrote);
  }
  return absl::OkStatus();
}

bool SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced;
}

}  // namespace

absl::Status WriteFile(const std::string& path, const std::string& bytes) {
  std::error_code error;
  const fs::path folder = fs::absolute(path, error).parent_path();
  fs::create_directories(folder, error);
  if (error) return CannotWrite(path, error.message());
  std::string partial = fs::absolute(path, error).string() + ".XXXXXX";
  const int fd = mkostemp(partial.data(), O_CLOEXEC);
  if (fd < 0) return CannotWrite(path, std::strerror(errno));
  absl::Status status = WriteAll(fd, path, bytes);
  if (status.ok() && (fchmod(fd, 0644) != 0 || fsync(fd) != 0)) status = CannotWrite(path, std::strerror(errno));
  if (close(fd) != 0 && status.ok()) status = CannotWrite(path, std::strerror(errno));
  if (status.ok() && std::rename(partial.c_str(), path.c_str()) != 0) status = CannotWrite(path, std::strerror(errno));
  if (!status.ok()) unlink(partial.c_str());
  return status;
}

absl::StatusOr<PartialFolder> PartialFolder::Create(const std::string& folder) {
  std::error_code error;
  fs::path target = fs::absolute(folder, error).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "runs/"
  if (fs::exists(target, error) && !(fs::is_directory(target, error) && fs::is_empty(target, error)))
    return absl::InvalidArgumentError(absl::StrCat(folder, " exists already; name a new folder"));
  fs::create_directories(target.parent_path(), error);
  if (error) return CannotWrite(folder, error.message());
  std::string path = target.string() + ".partial-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return CannotWrite(folder, std::strerror(errno));
  chmod(path.c_str(), 0755);
  return PartialFolder(target.string(), std::move(path));
}

PartialFolder::PartialFolder(PartialFolder&& other) noexcept
    : target_(std::move(other.target_)), path_(std::exchange(other.path_, "")) {}

PartialFolder::~PartialFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

absl::Status PartialFolder::Commit() {
  if (!SyncFolder(path_) || std::rename(path_.c_str(), target_.c_str()) != 0)
    return CannotWrite(target_, std::strerror(errno));
  path_.clear();
  return SyncFolder(fs::path(target_).parent_path()) ? absl::OkStatus() : CannotWrite(target_, std::strerror(errno));
}

absl::Status WriteFolder(const std::string& folder, const std::vector<exports::OutputFile>& files) {
  auto partial = PartialFolder::Create(folder);
  if (!partial.ok()) return partial.status();
  std::set<fs::path> made;
  for (const exports::OutputFile& file : files) {
    const fs::path path = fs::path(partial->path()) / file.path;
    std::error_code error;
    if (made.insert(path.parent_path()).second) fs::create_directories(path.parent_path(), error);
    // No fsync and no rename a file: the folder's rename is what counts, and there may be thousands.
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return CannotWrite(folder + "/" + file.path, std::strerror(errno));
    absl::Status status = WriteAll(fd, folder + "/" + file.path, file.bytes);
    if (close(fd) != 0 && status.ok()) status = CannotWrite(folder + "/" + file.path, std::strerror(errno));
    if (!status.ok()) return status;
  }
  return partial->Commit();
}

}  // namespace sink::cli
