// Failures of proto/files as the exceptions that data programs go on with: each caller says as whose fault they count.
//   const std::string text = OrThrow<DataError>(files::ReadFile(path, kMaxBytes));
// Stateless; any thread.
#pragma once

#include <utility>

#include "proto/files/file_error.h"

namespace sink {

template <typename Error, typename T>
T OrThrow(files::FileResult<T> result) {
  if (!result.ok()) throw Error(result.error().message());
  return *std::move(result);
}

template <typename Error>
void OrThrow(const files::FileError& error) {
  if (error) throw Error(error.message());
}

}  // namespace sink
