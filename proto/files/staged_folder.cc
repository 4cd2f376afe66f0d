#include "proto/files/staged_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink::files {
namespace {

namespace fs = std::filesystem;

// The path to rename to, if what is there may be replaced; `what_else` says what to do where it may not.
FileResult<std::string> CheckTarget(const std::string& wanted, const std::string& what_else) {
  if (IsStandardOutput(wanted)) return FileError(EINVAL, "cannot write a folder to standard output; name one");
  std::error_code error;
  fs::path path = fs::absolute(wanted, error).lexically_normal();
  if (error) return SystemError(error.value(), "create", wanted);
  if (!path.has_filename()) path = path.parent_path();  // "runs/"
  const FileResult<std::string> target = FollowLinks(path.string());
  if (!target.ok()) return target;
  if (fs::exists(*target, error) && !(fs::is_directory(*target, error) && fs::is_empty(*target, error)))
    return FileError(EEXIST, wanted + what_else);
  return target;
}

}  // namespace

FileResult<StagedFolder> StagedFolder::Create(const std::string& wanted) {
  const FileResult<std::string> target = CheckTarget(wanted, " exists already; name a new folder");
  if (!target.ok()) return target.error();
  if (FileError error = MakeFolders(FolderOf(*target))) return error;
  std::string path = *target + ".partial-" + RandomId();
  if (mkdir(path.c_str(), 0777) != 0) return SystemError(errno, "write", wanted);
  return StagedFolder(*target, std::move(path));
}

FileResult<StagedFolder> StagedFolder::Resume(const std::string& wanted) {
  const FileResult<std::string> target =
      CheckTarget(wanted, " exists and is not an unfinished result of this command; remove it or choose another --out");
  if (!target.ok()) return target.error();
  const std::string path = *target + ".partial";
  if (FileError error = MakeFolders(path)) return error;
  FileResult<Fd> lock = Open(path, O_RDONLY | O_DIRECTORY);
  if (!lock.ok()) return lock.error();
  const FileResult<bool> locked = TryLock(*lock, path);
  if (!locked.ok()) return locked.error();
  if (!*locked) return FileError(EBUSY, *target + ": another process is writing it (" + path + ")");
  StagedFolder folder(*target, path);
  folder.lock_ = *std::move(lock);
  return folder;
}

StagedFolder::StagedFolder(StagedFolder&& other) noexcept
    : target_(std::move(other.target_)),
      path_(std::move(other.path_)),
      remove_(std::exchange(other.remove_, false)),
      lock_(std::move(other.lock_)) {}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (remove_) fs::remove_all(path_, ignored);
}

FileError StagedFolder::Clear() {
  std::error_code error;
  for (fs::directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
    fs::remove_all(it->path(), error);
    if (error) break;
  }
  return error ? SystemError(error.value(), "clear", path_) : FileError();
}

void StagedFolder::KeepUnfinished() { remove_ = false; }

FileError StagedFolder::Commit() {
  std::error_code error;
  for (fs::recursive_directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_directory(error)) continue;
    if (FileError failed = SyncFolder(it->path().string())) return failed;
  }
  if (error) return SystemError(error.value(), "sync", path_);
  if (FileError failed = SyncFolder(path_)) return failed;
  if (FileError failed = Rename(path_, target_)) return failed;
  remove_ = false;
  return SyncFolder(FolderOf(target_));
}

}  // namespace sink::files
