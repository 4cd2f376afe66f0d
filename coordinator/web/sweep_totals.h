// What the jobs of a sweep come to: how far they are, when they will be over, what they found so far. One thread.
//
// As JSON: fraction of all steps that are done; eta_seconds with eta_seconds_least and eta_seconds_most
// (job/time_left.h; null: unknown); tokens_per_second (null: unknown) and running, of the jobs that run; unfinished
// (jobs); measured (jobs that measured alpha_1), sinks (those of them whose strongest head has it above 0.3), alpha_max
// (the largest). A job of a cancelled sweep that goes on for another one counts as cancelled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/job/job.h"
#include "coordinator/job/time_left.h"

namespace sink::web {

class SweepTotals {
 public:
  // A job as it is now; its first membership is its place in this sweep.
  void Put(const Job& job);
  // `disk_full`: the coordinator's. Jobs may stand still then, and how fast they were would stay; it is unknown, and so
  // is the end of those that have not ended.
  std::string Json(int64_t now_ms, bool disk_full) const;

  // Its jobs, in the order in which they came first.
  const std::vector<std::string>& ids() const { return ids_; }

 private:
  SettingNumbers numbers_;
  absl::flat_hash_map<std::string, size_t> entries_;  // by id
  std::vector<std::string> ids_;
  std::vector<PacedJob> jobs_;      // of the same length
  std::vector<double> alpha_maxs_;  // NaN: not measured
};

}  // namespace sink::web
