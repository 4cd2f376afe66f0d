// How often users, workers and whoever has a token may call, and ask for what is expensive: a bucket for each of them
// and each kind of use, so that one who asks too often does not take the others' share. Admins have no limits; what
// keeps a leased job alive counts only among all calls of its worker, which may make far more than it needs. Time is
// passed in; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "coordinator/core/token_bucket.h"
#include "coordinator/job/mutex.h"
#include "coordinator/job/principal.h"

namespace sink {

enum class Use {
  kCall,        // any call of whoever is no worker, before it has a thread and memory
  kWorkerCall,  // any of a worker's
  kSubmit,      // a sweep, also one that is only to be looked at: it is expanded, which takes seconds of a core
  kRead,        // what may read a whole sweep, its measurements, logs or checkpoints
  kReport,      // bytes of a worker's events
  kToken,       // a certificate for a token: a signature, and waits for the disk
};

struct RateOptions {
  // Twice as many as of the reads below, which count here, too.
  Rate calls = {.per_second = 200, .burst = 4'000};
  // Many times what a worker makes when all of its jobs catch up after an outage.
  Rate worker_calls = {.per_second = 1'000, .burst = 10'000};
  Rate submissions = {.per_second = 2, .burst = 100};
  // A notebook that reads one job after the other passes.
  Rate reads = {.per_second = 100, .burst = 2'000};
  // Far more than training says. A worker that sends more is told to pause, and loses nothing by it.
  Rate report_bytes = {.per_second = 64 << 20, .burst = 1 << 30};
  // A cluster whose workers all join by one token is in within minutes: a worker that is refused comes again.
  Rate certificates = {.per_second = 10, .burst = 200};
  // For all tokens that one address comes with. More than for one token, so that whoever has one and never stops asking
  // leaves the other half to those who come from the same address with another.
  Rate certificates_by_address = {.per_second = 20, .burst = 400};
};

class Rates {
 public:
  // `on_refusal` is told of each.
  Rates(const RateOptions& options, std::function<void()> on_refusal)
      : options_(options), on_refusal_(std::move(on_refusal)) {}

  // RESOURCE_EXHAUSTED, in a sentence that says how much is allowed and when to try again. By steady time: one that
  // nobody sets.
  absl::Status Take(const Caller& caller, Use use, double amount, int64_t now_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same for one certificate for a token that comes from `address`, of IPv6 a network. So many addresses are
  // remembered, kMostAddresses; all others have one bucket together until some of those have been quiet for a while.
  absl::Status TakeFrom(const std::string& address, int64_t now_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  // How long the caller is to wait before its next use, so that none is refused though it has many at once: until half
  // of the burst is free again.
  int64_t PauseMs(const Caller& caller, Use use, int64_t now_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  static constexpr size_t kMostAddresses = 10'000;

 private:
  const Rate& Of(Use use) const;

  const RateOptions options_;
  const std::function<void()> on_refusal_;
  Mutex mutex_;
  absl::flat_hash_map<std::pair<std::string, Use>, TokenBucket> buckets_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, TokenBucket> addresses_ ABSL_GUARDED_BY(mutex_);
  TokenBucket other_addresses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink
