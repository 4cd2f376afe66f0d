// See file_io.h.
#include "model/base/file_io.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "model/base/data_error.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw DataError(path.string() + ": " + what + ": " + std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void SyncFolder(const fs::path& folder) {
  Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0 || ::fsync(descriptor.get()) != 0) Fail(folder, "cannot sync the folder");
}

fs::path ParentOf(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

fs::path WithoutTrailingSlash(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }

}  // namespace

std::string ReadWholeFile(const fs::path& path, uint64_t max_bytes) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &status) != 0) Fail(path, "cannot open");
  if (!S_ISREG(status.st_mode)) throw DataError(path.string() + ": not a regular file");
  if (static_cast<uint64_t>(status.st_size) > max_bytes) {
    throw DataError(path.string() + ": " + std::to_string(status.st_size) + " bytes, more than the limit of " +
                    std::to_string(max_bytes));
  }
  std::string bytes(status.st_size, '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::read(descriptor.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Fail(path, "cannot read");
    if (n == 0) throw DataError(path.string() + ": became shorter while it was read");
    done += n;
  }
  return bytes;
}

void WriteFileDurably(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = path.string() + ".tmp";
  try {
    Descriptor descriptor(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (descriptor.get() < 0) Fail(temporary, "cannot create");
    while (!bytes.empty()) {
      const ssize_t n = ::write(descriptor.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) Fail(temporary, "cannot write");
      bytes.remove_prefix(n);
    }
    if (::fsync(descriptor.get()) != 0) Fail(temporary, "cannot sync");
    if (::rename(temporary.c_str(), path.c_str()) != 0) Fail(path, "cannot rename into place");
  } catch (const DataError&) {
    ::unlink(temporary.c_str());
    throw;
  }
  SyncFolder(ParentOf(path));
}

StagedFolder::StagedFolder(const fs::path& target)
    : target_(WithoutTrailingSlash(target)), staging_(target_.string() + ".partial") {
  std::error_code error;
  if (fs::exists(target_, error) && !(fs::is_directory(target_, error) && fs::is_empty(target_, error))) {
    throw DataError(target_.string() + " exists and is not an unfinished result of this command; remove it or choose " +
                    "another --out");
  }
  fs::create_directories(staging_, error);
  if (error) throw DataError(staging_.string() + ": cannot create: " + error.message());
  lock_ = ::open(staging_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) Fail(staging_, "cannot open");
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(std::exchange(lock_, -1));
    throw DataError(target_.string() + ": another process is writing it (" + staging_.string() + ")");
  }
}

void StagedFolder::Clear() {
  for (const fs::directory_entry& leftover : fs::directory_iterator(staging_)) fs::remove_all(leftover.path());
}

void StagedFolder::KeepUnfinished() { keep_ = true; }

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (!keep_) fs::remove_all(staging_, ignored);
  ::close(lock_);
}

void StagedFolder::Commit() {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(staging_)) {
    if (entry.is_directory()) SyncFolder(entry.path());
  }
  SyncFolder(staging_);
  if (::rename(staging_.c_str(), target_.c_str()) != 0) Fail(target_, "cannot rename into place");
  keep_ = true;
  SyncFolder(ParentOf(target_));
}

}  // namespace sink::data
