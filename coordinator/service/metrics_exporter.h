// What Prometheus sees: the series of design.md section 10, made at scrape time from one read of the store, so that
// nothing is counted twice and nothing is forgotten but the counters, which start at 0 with the process as Prometheus
// expects. A job's series are labelled with the first 12 digits of its id; they exist while it is live and for 5
// minutes after. Label values that come from metric names are checked; those that are not plain are left out.
//
// Collect is called by the exposer's threads, the Observer's methods by core's callers: any thread.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/service_time.h"

namespace sink {

class MetricsExporter final : public prometheus::Collectable, public Observer {
 public:
  static constexpr size_t kMaxJobs = 1000;  // with series of their own; the rest are counted
  static constexpr int64_t kAfterlifeMs = 5 * 60 * 1000;

  MetricsExporter(FailStop* fail_stop, NowFn now);
  // The manager is made with this observer, so it comes after. Until then, and after null, only counters are shown.
  void SetJobs(JobManager* jobs) ABSL_LOCKS_EXCLUDED(mutex_);

  std::vector<prometheus::MetricFamily> Collect() const override ABSL_LOCKS_EXCLUDED(mutex_);

  void JobDispatched(double seconds_queued) override;
  void LeaseExpired() override;
  void CheckpointCommitted(uint64_t bytes) override;

 private:
  struct Seen {
    Job job;
    int64_t live_at_ms = 0;  // steady: when it was last seen live
    bool ended = false;      // and `job` is how it ended
  };

  // The jobs to show: those live now, and those that were within the afterlife.
  std::vector<const Job*> JobsToShow(const Stats& stats, int64_t steady_ms) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FailStop* const fail_stop_;
  const NowFn now_;
  prometheus::Histogram dispatch_seconds_;
  std::atomic<uint64_t> checkpoint_bytes_ = 0;
  std::atomic<uint64_t> lease_expirations_ = 0;

  mutable Mutex mutex_;  // held for a whole scrape: SetJobs(nullptr) waits for it
  JobManager* jobs_ ABSL_GUARDED_BY(mutex_) = nullptr;
  mutable std::map<std::string, Seen> seen_ ABSL_GUARDED_BY(mutex_);  // by job id
};

// Adds the series of one job to `families`, by name. Exposed for tests.
void AddJobSeries(const Job& job, std::map<std::string, prometheus::MetricFamily>* families);

}  // namespace sink
