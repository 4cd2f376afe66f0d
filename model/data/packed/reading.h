// Whose fault it is that a file of a set could not be read: DataError where the file is not there, may not be read or
// is not what it should be; MachineError for all else, a disk that fails or no more descriptors. Stateless; any thread.
#pragma once

#include <string>

#include "proto/files/file_error.h"

namespace sink::data {

// `error` is an errno, or files::kDamaged. Of a DataError the message ends in `fix`.
[[noreturn]] void ThrowReading(int error, const std::string& message, const std::string& fix = {});

template <typename T>
T OrThrowReading(files::FileResult<T> result) {
  if (!result.ok()) ThrowReading(result.error().code(), result.error().message());
  return *std::move(result);
}

}  // namespace sink::data
