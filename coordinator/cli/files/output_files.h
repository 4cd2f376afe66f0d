// Files that a command leaves behind: whole or not at all, also when it is killed. What the disk refuses is the user's
// to put right: INVALID_ARGUMENT with the path and the reason. Main thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/export/export.h"
#include "proto/files/file_error.h"

namespace sink::cli {

absl::Status ToUserError(const files::FileError& error);

// Writes what --out names as what it is (files::WriteOutput), and makes missing folders.
absl::Status WriteFile(const std::string& path, const std::string& bytes);

// Writes the files into a new folder, which must not be there yet, or be empty. Nothing is written when a file's path
// leads out of it.
absl::Status WriteFolder(const std::string& folder, const std::vector<exports::OutputFile>& files);

}  // namespace sink::cli
