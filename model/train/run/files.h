// Files that must survive a power cut: write, sync, hash. Every failure is a std::system_error that names the path.
// Stateless functions; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sink::train {

// The whole file; std::system_error, EFBIG when it is larger than max_bytes.
std::string ReadFile(const std::filesystem::path& path, size_t max_bytes);

// Creates or overwrites the file; its bytes are on disk on return (the folder entry is not: SyncFolder).
void WriteFile(const std::filesystem::path& path, std::string_view bytes);

// Forces what others wrote, or the entries of a folder, to disk.
void SyncFile(const std::filesystem::path& path);
void SyncFolder(const std::filesystem::path& path);

// XXH3-128 of the content, 32 hex digits, and the size it was taken over.
struct Digest {
  uint64_t size = 0;
  std::string xxh3;

  bool operator==(const Digest&) const = default;
};
Digest HashFile(const std::filesystem::path& path);

// Keeps a second trainer out of a run folder for as long as the object lives.
class FolderLock {
 public:
  // Waits up to `wait_ms` for the file `folder`/lock: the trainer of a dead worker needs a moment to notice. InfraError
  // when somebody still holds it.
  FolderLock(const std::filesystem::path& folder, int wait_ms);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

}  // namespace sink::train
