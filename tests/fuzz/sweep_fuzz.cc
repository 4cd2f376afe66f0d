// Any bytes as a sweep file, a base and a profile (split at NUL): an answer or an error with a place, no crash, no long
// run.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "sweeps/expand.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string parts[3];
  size_t part = 0;
  for (size_t i = 0; i < size; ++i) {
    if (data[i] == 0 && part < 2) {
      ++part;
    } else {
      parts[part] += static_cast<char>(data[i]);
    }
  }
  sink::SweepInput input{"s.yaml", {}, [&](const std::string& path) -> absl::StatusOr<std::string> {
                           if (path == "s.yaml") return parts[0];
                           if (path == "base.yaml") return parts[1];
                           if (path == "profile.yaml") return parts[2];
                           return absl::NotFoundError(absl::StrCat("no file ", path));
                         }};
  if (part == 2) input.profiles.push_back("profile.yaml");
  const auto sweep = sink::ExpandSweep(input);
  if (sweep.ok()) {
    if (sweep->jobs.empty() || sweep->jobs.size() > static_cast<size_t>(sweep->max_jobs)) std::abort();
    for (const sink::ExpandedJob& job : sweep->jobs) {
      // What is stored must be readable by whoever runs it.
      const sink::JobConfigResult again = sink::ParseJobConfig(job.config_json);
      if (!again.config || sink::JobId(*again.config) != job.id || job.label.empty()) std::abort();
    }
  } else if (sweep.status().code() != absl::StatusCode::kInvalidArgument) {
    std::abort();
  }
  return 0;
}
