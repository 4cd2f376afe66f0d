// Files that a command leaves behind: whole or not at all, also when it is killed. Main thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/export/export.h"

namespace sink::cli {

// Writes beside `path` and renames; makes missing folders; replaces a file that is there. INVALID_ARGUMENT with the
// path and the reason.
absl::Status WriteFile(const std::string& path, const std::string& bytes);

// Writes the files into a new folder beside `folder` and renames it. INVALID_ARGUMENT when `folder` exists and is not
// an empty folder, or cannot be written.
absl::Status WriteFolder(const std::string& folder, const std::vector<exports::OutputFile>& files);

// A new folder beside `folder` that goes away with this object unless Commit() has renamed it.
class PartialFolder {
 public:
  static absl::StatusOr<PartialFolder> Create(const std::string& folder);
  PartialFolder(PartialFolder&& other) noexcept;
  ~PartialFolder();

  const std::string& path() const { return path_; }
  absl::Status Commit();

 private:
  PartialFolder(std::string target, std::string path) : target_(std::move(target)), path_(std::move(path)) {}

  std::string target_;
  std::string path_;  // empty once moved from or renamed
};

}  // namespace sink::cli
