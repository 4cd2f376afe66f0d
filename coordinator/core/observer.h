// What core tells whoever counts (the Prometheus exporter), so that core needs no metrics library. Called after the
// effect is durable, from any thread, never under a lock; implementations must be quick and thread-safe.
#pragma once

#include <cstdint>

namespace sink {

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void JobDispatched(double seconds_queued) {}
  virtual void LeaseExpired() {}
  virtual void CheckpointCommitted(uint64_t bytes) {}
};

}  // namespace sink
