// What all jobs of a sweep were submitted with and have measured, in a few calls however many jobs there are. A
// coordinator of before answers for one job at a time; it is asked so. Main thread.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cli/base/command.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

// The sweep and all its jobs in expansion order, as GetSweep gives them, but read in pages: of many jobs with many
// series it would be too large for one message. Errors: those of the calls; CANCELLED after Ctrl-C.
absl::StatusOr<v1::GetSweepResponse> ReadSweep(Session& session, const std::string& sweep);

// Errors: those of the calls; CANCELLED after Ctrl-C.
absl::Status VisitConfigs(Session& session, const std::string& sweep,
                          absl::FunctionRef<void(const v1::Job& job)> visit);

// Of the jobs in `ids`: all of the sweep's at once where that is most of them. Points and maps come job by job.
absl::Status VisitMetrics(Session& session, const std::string& sweep, size_t jobs_in_sweep,
                          const std::set<std::string>& ids, const std::vector<std::string>& names,
                          absl::FunctionRef<void(const std::string& id, const v1::MetricPoint& point)> visit);
absl::Status VisitHeatmaps(Session& session, const std::string& sweep, size_t jobs_in_sweep,
                           const std::set<std::string>& ids,
                           absl::FunctionRef<void(const std::string& id, const v1::Heatmap& map)> visit);

}  // namespace sink::cli
