// How long training jobs take on machines whose speed is known from jobs that have ended there: `sinkctl calibrate`
// fits it, `sinkctl plan --speed` applies it. Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/config/job_config.h"

namespace sink::cli {

// What a training job does, measurements included.
struct Work {
  double flops = 0;   // of matrix products: TrainingFlops a token trained, a third of it a token measured
  double passes = 0;  // layers x micro-batches, forward and backward: what costs the same however small it is
};
Work WorkOf(const JobConfig& config);

// seconds = start_s + s_per_flop * flops + s_per_pass * passes. No part is negative.
struct Speed {
  double start_s = 0;
  double s_per_flop = 0;
  double s_per_pass = 0;
  int jobs = 0;             // that it was learned from
  double typical_miss = 0;  // root mean square of (predicted - measured) / measured over them
};

double Seconds(const Speed& speed, const Work& work);

struct Timed {
  Work work;
  double seconds = 0;  // from the grant to the end; above 0
};

// Of all lines without a negative part, by which more work takes longer, the one whose predictions are the least off,
// as shares of what was measured. Jobs that are all of one size tell one part only: then that of the products.
// INVALID_ARGUMENT: no jobs.
absl::StatusOr<Speed> FitSpeed(const std::vector<Timed>& jobs);

// As a JSON document, and back. INVALID_ARGUMENT: not one that PrintSpeed made.
std::string PrintSpeed(const Speed& speed);
absl::StatusOr<Speed> ParseSpeed(const std::string& text);

// How long `slots` devices like those need for jobs of so many seconds that begin in this order, each on the device
// that is free first.
double Makespan(const std::vector<double>& seconds, int slots);

}  // namespace sink::cli
