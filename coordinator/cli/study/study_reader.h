// Reads what a report, a plot or an export needs of a sweep from the coordinator. Main thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/base/command.h"
#include "coordinator/report/study.h"

namespace sink::cli {

struct StudyFilter {
  std::vector<std::string> metrics;  // empty: all; a trailing '*' matches any ending
  bool curves = true;
  bool heat_maps = true;
  std::string experiment;  // empty: all; NOT_FOUND when the sweep has no such one
  std::string job;         // empty: all; a job's id or the first four or more digits of it; NOT_FOUND
};

// With `reported_ms` from the world's clock. The errors of the calls; CANCELLED after Ctrl-C.
absl::StatusOr<report::Study> ReadStudy(Session& session, const std::string& sweep, const StudyFilter& filter);

}  // namespace sink::cli
