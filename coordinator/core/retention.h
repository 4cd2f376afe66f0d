// What becomes of the metric points of jobs that ended long ago: of each curve some stay, evenly spaced, and the first
// and the last; the best jobs of each sweep keep all, also those that several sweeps have. Which jobs those are is
// decided by the metric of the sweep's early stopping, else by the validation loss. Newest values, heat maps, logs and
// checkpoints are left alone. Owned by JobManager; any thread, but one at a time is enough.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "coordinator/core/core_context.h"

namespace sink {

struct RetentionResult {
  int64_t jobs = 0;  // whose points were thinned, or would be
  int64_t points_before = 0, points_after = 0;
};

using BestJobs = absl::flat_hash_map<std::string, absl::flat_hash_set<std::string>>;  // ids by sweep

class Retention {
 public:
  explicit Retention(CoreContext* context) : context_(context) {}

  // Call it every second or so: does what CoreOptions::keep_points asks for, some jobs at a time. What was looked at
  // once is not looked at again, so that it costs what has come of age since. Nothing in the first hour, nor in the
  // hour after somebody has set the clock: what a wrong one would thin does not come back.
  absl::Status Tick(Now now);
  // All that have come of age by the policy, whatever was looked at before. `dry_run`: counts and changes nothing.
  // CANCELLED once `gone` returns true, which it is asked from time to time: what is done by then stays done.
  absl::StatusOr<RetentionResult> Collect(
      const RetentionPolicy& policy, bool dry_run, Now now, absl::FunctionRef<bool()> gone = [] { return false; });

 private:
  struct Mark {
    int64_t finished_ms = 0;
    int64_t order = 0;
  };
  // Thins the next few jobs after the mark and moves it; false when there were none. Where these are of many sweeps, it
  // finds the best jobs of some of them and leaves the rest to the next step. `best` holds the sweeps looked at so far
  // and gets those that come: finding them visits every job of a sweep, a step only a few.
  absl::StatusOr<bool> Step(const RetentionPolicy& policy, bool dry_run, int64_t before_ms, bool keep_mark, Mark* mark,
                            BestJobs* best, RetentionResult* result);
  // Adds to `best` the `count` best jobs of the sweeps that have these jobs; false: there are more sweeps than a step
  // may visit, and they are not all there yet. The store's errors.
  static absl::StatusOr<bool> FindBest(store::Snapshot& rows, const std::vector<store::EndedJob>& ended, int count,
                                       BestJobs* best);
  // The ids of the sweep's best jobs.
  static absl::StatusOr<absl::flat_hash_set<std::string>> Best(store::Snapshot& rows, const std::string& sweep,
                                                               int count);

  // Whether Unix time has gone on with steady time for an hour.
  bool ClockIsSettled(Now now);

  CoreContext* const context_;
  std::optional<int64_t> clock_offset_ms_;  // Unix less steady time, at the last tick
  int64_t settled_at_ms_ = 0;               // steady
  std::atomic<int64_t> next_tick_ms_ = 0;   // steady
  BestJobs tick_best_;                      // of Tick, until nothing more has come of age
};

}  // namespace sink
