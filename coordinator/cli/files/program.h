// Another program, run to its end on behalf of a command. Any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sink::cli {

// Where the program's standard output goes; its errors go where ours go.
enum class ProgramOutput { kCaptured, kToStderr };

struct ProgramEnd {
  int code = 0;        // exit status, or 128 + the signal that ended it
  std::string output;  // where it was captured
};

// `words` are the program, found in PATH, and its arguments; `environment` is added before ours. No signal is blocked
// in it, so that Ctrl-C, which sinkctl itself takes in a thread of its own, ends it. NOT_FOUND: it cannot be started,
// with the reason alone.
absl::StatusOr<ProgramEnd> RunProgram(std::vector<std::string> words, ProgramOutput output,
                                      const std::vector<std::string>& environment = {});

}  // namespace sink::cli
