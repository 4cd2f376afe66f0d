// What core tells whoever counts (the Prometheus exporter), so that core needs no metrics library. Called after the
// effect is durable, from any thread, never under a lock; implementations must be quick and thread-safe.
#pragma once

#include <cstdint>

namespace sink {

// How an attempt ended. RETURNED: its worker gave it back unharmed, as a drain does; LOST: its worker is gone; from
// INFRA on, the classes of failure.
enum class AttemptOutcome { kSucceeded, kCancelled, kReturned, kLost, kInfra, kOutOfMemory, kNan, kUser };
inline constexpr int kAttemptOutcomes = 8;

class JobEventListener {
 public:
  virtual ~JobEventListener() = default;
  virtual void JobDispatched(double seconds_queued) {}
  virtual void LeaseExpired() {}
  virtual void AttemptEnded(AttemptOutcome outcome) {}
  virtual void CheckpointCommitted(uint64_t bytes) {}
};

}  // namespace sink
