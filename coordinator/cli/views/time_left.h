// When a sweep will be over, judged by what its jobs have taken so far. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sink/v1/client.pb.h"

namespace sink::cli {

struct TimeLeft {
  double seconds = 0;  // the estimate
  double least = 0;    // when all that nobody has measured goes as fast as the fastest that somebody has,
  double most = 0;     // and as slow as the slowest
};

// A step of a job takes what the steps of its setting took on average, its seeds together: from the start of the job to
// its end, or to now. A setting that has not run is taken to be like the others of its experiment, or of the sweep.
// What is left is shared by as many jobs as run now. Where a job was tried again, or has only begun, the rate that its
// trainer tells stands in. Nothing while no job runs or none has made a step.
std::optional<TimeLeft> EstimateTimeLeft(const v1::GetSweepResponse& status, int64_t now_ms);

// "ETA 12m", "ETA 9m to 14m" where the bounds lie a fifth or more apart.
std::string FormatTimeLeft(const TimeLeft& left);

}  // namespace sink::cli
