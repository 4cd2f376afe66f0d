// Failures of proto/files as the statuses that control programs go on with. Pure; any thread.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/files/file_error.h"

namespace sink {

// OK where nothing failed. NOT_FOUND; RESOURCE_EXHAUSTED "disk full: ..."; PERMISSION_DENIED; OUT_OF_RANGE for a file
// over a limit; DATA_LOSS for content that is not what it should be; FAILED_PRECONDITION where something else is in the
// way; else INTERNAL. Never INVALID_ARGUMENT, which stands for a user's mistake.
absl::Status ToStatus(const files::FileError& error);

template <typename T>
absl::StatusOr<T> ToStatusOr(files::FileResult<T> result) {
  if (!result.ok()) return ToStatus(result.error());
  return *std::move(result);
}

// Of a system call that is not in proto/files: "cannot start /x/y: No such file or directory".
absl::Status SystemStatus(int code, const std::string& doing, const std::string& what);

}  // namespace sink
