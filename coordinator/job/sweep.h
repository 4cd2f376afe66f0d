// A sweep's row, and what holds for its jobs together. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/job/job_state.h"

namespace sink {

// What holds for the jobs of a sweep together; told in sweeps/expand.h.
struct SweepPolicy {
  std::string stop_metric;  // of early stopping; empty: none
  bool stop_maximize = false;
  int64_t stop_first_rung = 0;  // steps
  int stop_eta = 3;
  bool canary = false;
  int max_failed = -1;  // jobs; -1: no limit

  bool operator==(const SweepPolicy&) const = default;
};

struct Sweep {
  std::string name;
  int64_t created_ms = 0;
  int max_parallel = 0;  // live jobs at once; 0: no limit
  SweepPolicy policy = {};
  // Another, larger one whenever somebody submits the sweep or has its jobs tried again; no two sweeps have had the
  // same.
  int64_t generation = 0;
  int jobs = 0;
  std::vector<std::pair<JobState, int>> jobs_by_state = {};  // states that have jobs, in enum order
};

// How a job stood at a rung of early stopping when it got there. Written once, never changed.
struct RungResult {
  std::string sweep;
  int64_t step = 0;  // of the rung
  std::string job_id;
  double value = 0;  // of the metric, at the first measurement at or after the step
  int place = 0;     // among those at the rung by then, from 1; equals share the better place
  int peers = 0;     // how many there were, this job included
  bool stopped = false;

  bool operator==(const RungResult&) const = default;
};

}  // namespace sink
