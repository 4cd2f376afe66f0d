// What `submit` and `plan` say of a sweep beyond its files (--set, --name, --priority), as a profile that is laid over
// it last: the coordinator expands the same text and needs no other way to be told. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sink::cli {

inline constexpr char kCommandLineProfile[] = "command-line";  // the profile's path, as errors show it

struct SweepChanges {
  std::vector<std::string> sets;  // "train.max_steps=100", each once
  std::string name;               // empty: as the file has it
  std::optional<int64_t> priority;
};

// The profile's text, a line for each change in the order of the members; empty when nothing is changed. Whether keys
// and values are right is for the expansion to say. Errors: INVALID_ARGUMENT for a change that is not KEY=VALUE, or a
// second one of the same key.
absl::StatusOr<std::string> CommandLineProfile(const SweepChanges& changes);

}  // namespace sink::cli
