// Where something stands in a sweep file, and errors that say so. Values only; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sink::sweeps {

struct Location {
  std::string file;
  int line = 0;  // 1-based; 0: the file as a whole
  int column = 0;
};

// INVALID_ARGUMENT "file:line:column: message".
absl::Status ErrorAt(const Location& place, absl::string_view message);

// The mistakes of a sweep's files, told together: a reader that can go on after one adds it and goes on.
class Mistakes {
 public:
  // OK adds nothing, and what is there already is not added again.
  void Add(const absl::Status& status);
  // OK while there are none; else INVALID_ARGUMENT with a line for each, as they were added.
  absl::Status status() const;

 private:
  std::vector<std::string> lines_;
};

// The first twenty lines of a message, and how many more there are.
absl::Status FirstOf(const absl::Status& mistakes);

// The end of an "unknown name" message: "; did you mean \"x\"?" when a candidate is near by edit distance, else
// "; expected one of: a, b, c".
std::string Suggestion(absl::string_view name, const std::vector<std::string>& candidates);

// What a sweep, an experiment or a label may be called, which becomes a folder's name where results are exported.
inline constexpr char kSweepNameRule[] =
    "must be 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter, a digit or _ and without \"..\"";
bool IsSweepName(absl::string_view name);

// Text of a file for a message: cut at 64 bytes, control characters and invalid UTF-8 made visible.
std::string Quoted(absl::string_view text);

}  // namespace sink::sweeps
