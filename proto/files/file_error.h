// How the functions of this folder say that they failed: as values, because one family of programs goes on with
// absl::Status (coordinator/files/file_status.h) and the other one with exceptions (model/base/or_throw.h). Plain
// values; any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace sink::files {

// A FileError's code for content that is not what it should be; all others are errnos.
inline constexpr int kDamaged = -1;

// Why an operation failed; as a condition true when it did: if (FileError error = ReplaceFile(...)) return error;
class [[nodiscard]] FileError {
 public:
  FileError() = default;  // it did not
  // `message` is a whole sentence that names the path. `code` is an errno, such as EFBIG for a file over a limit, or
  // kDamaged.
  FileError(int code, std::string message) : code_(code), message_(std::move(message)) {}

  explicit operator bool() const { return code_ != 0; }
  int code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  int code_ = 0;
  std::string message_;
};

// "cannot open /x/y: No such file or directory".
FileError SystemError(int code, const std::string& doing, const std::string& path);

// A value, or why there is none.
template <typename T>
class [[nodiscard]] FileResult {
 public:
  FileResult(T value) : value_(std::move(value)) {}
  FileResult(FileError error) : error_(std::move(error)) {}

  bool ok() const { return value_.has_value(); }
  const FileError& error() const { return error_; }
  // Only of one that is ok.
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  FileError error_;
};

}  // namespace sink::files
