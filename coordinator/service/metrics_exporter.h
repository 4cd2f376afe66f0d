// What Prometheus sees: series made at scrape time from one read of the store, so that nothing is counted twice and
// nothing is forgotten but the counters, which start at 0 with the process as Prometheus expects. A job's series are
// labelled with the first 12 digits of its id; they exist while it is live and for 5 minutes after. Their number is
// bounded: first every job gets its overview, then jobs get details while room is left.
//
// Collect is called by the exposer's threads, the JobEventListener's methods by core's callers: any thread.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/core/job_event_listener.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/families.h"
#include "coordinator/service/gatekeeper.h"
#include "coordinator/service/job_series.h"
#include "coordinator/service/service_time.h"

namespace sink {

class MetricsExporter final : public prometheus::Collectable, public JobEventListener {
 public:
  static constexpr size_t kMaxSamples = 20'000;  // of all jobs together, about 80 bytes each; more jobs are counted
  static constexpr int64_t kShownAfterEndMs = 5 * 60 * 1000;
  // What a scrape's one read does not hold (memberships, checkpoints) is read job by job: some a scrape, each this
  // seldom.
  static constexpr int kLookUpsPerScrape = 50;
  static constexpr int64_t kLookUpEveryMs = 10'000;

  // `data` is the folder whose disk is watched.
  MetricsExporter(FailStop* fail_stop, NowFn now, std::string data);
  // The rules are made with this listener, so their queries come after. Until then, and after null, only counters are
  // shown.
  void SetQueries(JobQueries* queries) ABSL_LOCKS_EXCLUDED(mutex_);
  // Series of others, which are asked at each scrape; empty: no more.
  void SetMore(std::function<void(Families*)> add) ABSL_LOCKS_EXCLUDED(mutex_);

  std::vector<prometheus::MetricFamily> Collect() const override ABSL_LOCKS_EXCLUDED(mutex_);

  void JobDispatched(double seconds_queued) override;
  void LeaseExpired() override;
  void AttemptEnded(AttemptOutcome outcome) override;
  // A call that was refused for who made it, or how many.
  void CallRefused(Gatekeeper::Refusal why) { ++calls_refused_[static_cast<size_t>(why)]; }
  void CheckpointCommitted(uint64_t bytes) override;

 private:
  struct Seen {
    ShownJob shown;
    int64_t live_at_ms = 0;       // steady: when it was last seen live
    int64_t looked_up_at_ms = 0;  // steady; 0: never
    bool ended = false;           // and `shown` is how it ended
  };

  void AddCounters(Families* families) const;
  void AddDisk(Families* families) const;
  // Returns the peak FLOP/s of one device of each worker, by the worker's name.
  std::map<std::string, double> AddWorkers(Now now, Families* families) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddJobs(const Stats& stats, const std::map<std::string, double>& peaks, int64_t steady_ms,
               Families* families) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The jobs to show: those live now, and those that ended within kShownAfterEndMs.
  std::vector<const Seen*> JobsToShow(const Stats& stats, const std::map<std::string, double>& peaks,
                                      int64_t steady_ms) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LookUp(int64_t steady_ms) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FailStop* const fail_stop_;
  const NowFn now_;
  const std::string data_;
  prometheus::Histogram dispatch_seconds_;
  std::atomic<uint64_t> checkpoint_bytes_ = 0;
  std::atomic<uint64_t> lease_expirations_ = 0;
  std::array<std::atomic<uint64_t>, Gatekeeper::kRefusals> calls_refused_ = {};
  std::array<std::atomic<uint64_t>, kAttemptOutcomes> attempts_ended_ = {};

  mutable Mutex mutex_;  // held for a whole scrape: SetQueries(nullptr) waits for it
  JobQueries* queries_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::function<void(Families*)> add_more_ ABSL_GUARDED_BY(mutex_);
  mutable std::map<std::string, Seen> seen_ ABSL_GUARDED_BY(mutex_);  // by job id
};

}  // namespace sink
