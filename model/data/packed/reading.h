// Whose fault it is that a file of a set could not be read: DataError where the file is not what it should be, wherever
// it is copied to; MachineError for all else: it is not there or may not be read, a disk fails, there are no more
// descriptors. Stateless; any thread.
#pragma once

#include <string>

#include "proto/files/file_error.h"

namespace sink::data {

// `error` is an errno, or files::kDamaged. Where it is one of the file, the message ends in `fix`.
[[noreturn]] void ThrowReading(int error, const std::string& message, const std::string& fix = {});

template <typename T>
T OrThrowReading(files::FileResult<T> result) {
  if (!result.ok()) ThrowReading(result.error().code(), result.error().message());
  return *std::move(result);
}

}  // namespace sink::data
