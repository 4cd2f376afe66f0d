// See output_files.h.
#include "coordinator/cli/files/output_files.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "proto/files/files.h"
#include "proto/files/staged_folder.h"

namespace sink::cli {
namespace {

// Whether a file of this relative path lies inside the folder: names of sweeps, settings and metrics are parts of it.
bool StaysInside(const std::string& path) {
  const std::filesystem::path names(path);
  const bool plain = std::none_of(names.begin(), names.end(),
                                  [](const std::filesystem::path& name) { return name == "." || name == ".."; });
  return plain && names.is_relative() && names.has_filename() && path.find('\0') == std::string::npos;
}

}  // namespace

absl::Status ToUserError(const files::FileError& error) {
  return error ? absl::InvalidArgumentError(error.message()) : absl::OkStatus();
}

absl::Status WriteFile(const std::string& path, const std::string& bytes) {
  if (!files::IsStandardOutput(path)) {
    if (const auto error = files::MakeFolders(files::FolderOf(path)))
      return ToUserError(files::SystemError(error.code(), "write", path));
  }
  return ToUserError(files::WriteOutput(path, bytes));
}

absl::Status WriteFolder(const std::string& folder, const std::vector<exports::OutputFile>& files) {
  for (const exports::OutputFile& file : files) {
    if (!StaysInside(file.path))
      return absl::InvalidArgumentError("cannot write \"" + file.path + "\": it does not lie inside " + folder);
  }
  auto staged = files::StagedFolder::Create(folder);
  if (!staged.ok()) return ToUserError(staged.error());
  std::set<std::string> made;
  for (const exports::OutputFile& file : files) {
    const std::string path = staged->path() + "/" + file.path;
    if (made.insert(files::FolderOf(path)).second) {
      if (const auto error = files::MakeFolders(files::FolderOf(path))) return ToUserError(error);
    }
    // Not synced, each by itself: there may be thousands, and what counts is that a killed command leaves no half.
    if (const auto error = files::WriteFile(path, file.bytes, /*sync=*/false)) return ToUserError(error);
  }
  return ToUserError(staged->Commit());
}

}  // namespace sink::cli
