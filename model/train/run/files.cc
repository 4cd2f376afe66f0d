#include "model/train/run/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "model/train/link/train_error.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(int error, const char* what, const fs::path& path) {
  throw std::system_error(error, std::generic_category(), std::string("cannot ") + what + " " + path.string());
}

// An open descriptor; closing can fail only after a failed write, which Sync has then reported.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, const char* what) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) Fail(errno, what, path);
  }
  ~Descriptor() { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

  // Fills the buffer as far as the file goes.
  size_t Read(char* buffer, size_t size, const fs::path& path) const {
    size_t done = 0;
    while (done < size) {
      const ssize_t n = read(fd_, buffer + done, size - done);
      if (n == 0) break;
      if (n > 0) done += static_cast<size_t>(n);
      if (n < 0 && errno != EINTR) Fail(errno, "read", path);
    }
    return done;
  }

 private:
  int fd_;
};

void Sync(const fs::path& path, int flags) {
  const Descriptor file(path, flags, "open");
  if (fsync(file.get()) != 0) Fail(errno, "sync", path);
}

}  // namespace

std::string ReadFile(const fs::path& path, size_t max_bytes) {
  const Descriptor file(path, O_RDONLY, "open");
  std::string bytes(max_bytes + 1, '\0');
  bytes.resize(file.Read(bytes.data(), bytes.size(), path));
  if (bytes.size() > max_bytes) Fail(EFBIG, "read", path);
  return bytes;
}

void WriteFile(const fs::path& path, std::string_view bytes) {
  const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC, "create");
  while (!bytes.empty()) {
    const ssize_t n = write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) Fail(errno, "write", path);
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(file.get()) != 0) Fail(errno, "sync", path);
}

void SyncFile(const fs::path& path) { Sync(path, O_RDONLY); }

void SyncFolder(const fs::path& path) { Sync(path, O_RDONLY | O_DIRECTORY); }

Digest HashFile(const fs::path& path) {
  const Descriptor file(path, O_RDONLY, "open");
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(1 << 20);
  Digest digest;
  while (const size_t n = file.Read(buffer.data(), buffer.size(), path)) {
    XXH3_128bits_update(state.get(), buffer.data(), n);
    digest.size += n;
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  char hex[33];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  digest.xxh3 = hex;
  return digest;
}

FolderLock::FolderLock(const fs::path& folder, int wait_ms) {
  const fs::path path = folder / "lock";
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) Fail(errno, "create", path);
  constexpr int kPollMs = 50;
  for (int waited = 0; flock(fd_, LOCK_EX | LOCK_NB) != 0; waited += kPollMs) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EWOULDBLOCK && waited < wait_ms) {
      usleep(kPollMs * 1000);
      continue;
    }
    close(fd_);
    if (error != EWOULDBLOCK) Fail(error, "lock", path);
    throw InfraError("another sink-trainer is running in " + folder.string() + "; stop it or use another folder");
  }
}

FolderLock::~FolderLock() { close(fd_); }

}  // namespace sink::train
