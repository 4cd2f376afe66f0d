// See timing.h.
#include "worker/timing.h"

#include <time.h>

#include <algorithm>
#include <random>

#include "absl/time/clock.h"

namespace sink::worker {

absl::Duration BootTime() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

int64_t WallTimeMs() { return absl::ToUnixMillis(absl::Now()); }

absl::Duration Jittered(absl::Duration duration) {
  thread_local std::minstd_rand generator(std::random_device{}());
  return duration * std::uniform_real_distribution<double>(0.8, 1.2)(generator);
}

absl::Duration Backoff::Next(absl::Duration most) {
  constexpr int kMaxDoublings = 9;  // to 102 s
  const auto pause = absl::Milliseconds(200) * (1 << std::min(tries_, kMaxDoublings));
  ++tries_;
  return Jittered(std::min(pause, most));
}

}  // namespace sink::worker
