// The names of what a sweep has measured, for a command that is given one. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

// Each once, in order.
std::vector<std::string> MetricNames(const v1::GetSweepResponse& status);

// NOT_FOUND, with the name that may have been meant, when other metrics of these jobs were measured and this one was
// not. OK while nothing has been measured at all.
absl::Status ExpectMetric(const v1::GetSweepResponse& status, const std::string& metric);

}  // namespace sink::cli
