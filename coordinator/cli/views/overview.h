// What the whole system is doing: sweeps, workers, the jobs that run now. Shown by status without a sweep.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/base/command.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

struct Overview {
  v1::ListSweepsResponse sweeps;
  v1::ListWorkersResponse workers;
  v1::ListJobsResponse active;  // leased to a worker, first 1000
};

absl::StatusOr<Overview> FetchOverview(Session& session);

// Jobs that are not final yet.
int Outstanding(const Overview& overview);

// {"sweeps", "workers", "active_jobs"}, as two tables and a line about the workers. `coordinator` is named in the
// advice for when there is none.
Page OverviewPage(const Overview& overview, const std::string& coordinator, size_t max_rows = SIZE_MAX);

// The counts in one line, without anything that changes every second.
std::vector<Cell> OverviewLine(const Overview& overview);

}  // namespace sink::cli
