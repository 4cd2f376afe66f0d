// Reading and writing whole files so that a crash leaves either the old state or the new one, never half of one.
// Functions are independent of each other; a StagedFolder belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sink::data {

// The file's bytes. DataError when it cannot be read or is larger than max_bytes.
std::string ReadWholeFile(const std::filesystem::path& path, uint64_t max_bytes);

// Writes path + ".tmp", syncs it, renames it over path and syncs the folder. DataError with the system's reason (disk
// full, no permission); path is then untouched.
void WriteFileDurably(const std::filesystem::path& path, std::string_view bytes);

// A folder that appears complete or not at all: files are written under staging(), and Commit() renames it to target.
// A run that was killed leaves target.partial behind; the next one finds it in staging() and uses or clears it.
class StagedFolder {
 public:
  // DataError when target exists with something in it, or another process is writing it.
  explicit StagedFolder(const std::filesystem::path& target);
  ~StagedFolder();  // removes what was not committed, unless KeepUnfinished was called
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::filesystem::path& staging() const { return staging_; }
  void Clear();           // removes what staging() holds
  void KeepUnfinished();  // what is there serves a next run
  void Commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path staging_;
  int lock_ = -1;  // the staging folder, locked against a second writer
  bool keep_ = false;
};

}  // namespace sink::data
