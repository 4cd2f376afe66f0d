// Whether the kernel has just killed a process for want of memory: what explains a trainer that ends by SIGKILL. The
// kernel counts for the whole machine, so only a kill of the last seconds says anything of a trainer that ended now.
// Belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/time/time.h"

namespace sink::worker {

// How many processes the kernel has killed so since boot, in any control group; 0 where it does not say.
int64_t OutOfMemoryKills();

class OutOfMemoryWatch {
 public:
  explicit OutOfMemoryWatch(absl::Duration now, std::function<int64_t()> kills = OutOfMemoryKills)
      : kills_(std::move(kills)), before_(kills_()), last_(before_), counted_at_(now) {}

  // Call it often; `now` is of a clock that does not jump.
  void Tick(absl::Duration now) {
    if (now - counted_at_ < kWindow) return;
    before_ = last_;
    last_ = kills_();
    counted_at_ = now;
  }
  // Within one to two windows before now.
  bool KilledLately() const { return kills_() > before_; }

 private:
  static constexpr absl::Duration kWindow = absl::Seconds(15);

  const std::function<int64_t()> kills_;
  int64_t before_, last_;  // counts at the beginning of the window before, and of this one
  absl::Duration counted_at_;
};

}  // namespace sink::worker
