// Clocks and waiting of the worker. Lease arithmetic uses the boot clock, which goes on while the machine sleeps and
// which nobody can set; wall-clock time is only ever shown. BootTime and WallTimeMs: any thread. A Backoff belongs to
// one thread.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace sink::worker {

// Since boot, suspended time included.
absl::Duration BootTime();

// Unix milliseconds, for display.
int64_t WallTimeMs();

// A random factor in [0.8, 1.2] of the duration, so that many workers do not call at once.
absl::Duration Jittered(absl::Duration duration);

// Growing pauses between the tries of one call: 200 ms, doubling up to 7 s, or to `most`, a minute say, jittered.
class Backoff {
 public:
  absl::Duration Next(absl::Duration most = absl::Seconds(7));
  void Reset() { tries_ = 0; }

 private:
  int tries_ = 0;
};

}  // namespace sink::worker
